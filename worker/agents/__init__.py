"""The agents that propose labels: one module for each."""
