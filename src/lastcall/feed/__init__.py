"""A node at work: it follows the log, keeps leases, and serves those who verify (instant-logout).

What is decided stands in `lastcall.leases`; here is what it decides about.
"""
