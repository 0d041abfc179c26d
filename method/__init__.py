"""What app and worker both stand on beside the criteria: rules that need no database and no network."""
