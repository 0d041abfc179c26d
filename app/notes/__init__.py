"""What members write to one another about a node of the criteria."""
