"""Checks access tokens in an application's own process (instant-logout): `client` is what it uses.

`checking` decides, `following` keeps what is known up to date, `introspection` asks where nothing
is known, `forks` tells one process from its children.
"""
