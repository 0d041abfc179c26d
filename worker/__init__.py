"""What runs outside a request: jobs under a ledger that survives every crash."""
