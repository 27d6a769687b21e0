"""Sessions: what one is, what may happen to it, and the operations on it."""
