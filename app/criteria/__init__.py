"""The working criteria of a project, every change to them, and their published versions."""
