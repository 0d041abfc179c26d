"""What members propose for the criteria, and what experts answer."""
