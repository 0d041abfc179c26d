"""Telling other programs what happened: signed messages to addresses that leads give."""
