"""Studies: participants say which of two images of one prompt is better, by root dimension."""
