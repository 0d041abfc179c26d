"""Taking labels in from files: read, shown, then stored with their history."""
