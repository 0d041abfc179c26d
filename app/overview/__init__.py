"""The project's first page."""
