"""Doing one thing to many images at once: looked at first, done exactly so, taken back in one step."""
