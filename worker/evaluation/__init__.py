"""Compares a trained model with its base by the attributes that a judge finds in their images.

Needs no server, no database and no network: `python -m worker.evaluation RUN_FOLDER`; docs/evaluation.md.
"""
