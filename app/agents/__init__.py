"""Agents: they propose labels; people decide."""
