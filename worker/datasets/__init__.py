"""Building dataset folders and checking them."""
