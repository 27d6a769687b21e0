"""What stands against a good run of lastcall on this machine, and how to mend it.

Every check looks and changes nothing.
"""
