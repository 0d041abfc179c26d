"""Images of the project that show what an attribute means."""
