"""Where everything is kept: the contract is in `base`, one implementation a database."""
