"""The queue: which image waits, in which order, for whom, and who is at it."""
