"""The lease protocol without I/O (instant-logout): what nodes and verifiers decide, fed with
messages and a clock. The code that runs in production is the code that is simulated.

All times are seconds on the clock of the process that decides, one that goes on while the machine
sleeps (rule 13); those in events and grants are seconds since 1970 on the store's clock.
"""
