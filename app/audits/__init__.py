"""Hallucination audits: how accurate the agent is, as participants see it, blind."""
