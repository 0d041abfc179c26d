"""What a training run is told: its config with every check, recipes to start from, and why a run may end."""
