"""Accounts, users and their passwords. Identity uses sessions; their rules don't know it."""
