"""Filters of images that people keep, each with an address."""
