"""Sessions that end at once: sign-in, short tokens, and a library that checks them in process."""
