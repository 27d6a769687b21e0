"""How a write is applied, for every database: one function, with a form for each kind of write in
the modules named `apply_…`. Called inside the transaction of a commit."""

from functools import singledispatch

from lastcall.stores.transaction import Transaction


@singledispatch
def apply(write: object, _transaction: Transaction) -> None:
    """Apply one write."""
    raise TypeError(f"not a write: {type(write).__name__}")
