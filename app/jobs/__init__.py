"""The job ledger: long work that runs once and survives."""
