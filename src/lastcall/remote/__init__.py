"""What an application asks of a server over HTTP."""
