"""Erasing an image for good, across all rooms that know it."""
