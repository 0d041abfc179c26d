"""What a criteria tree is, as plain Python and data. Imports nothing else of the project."""
