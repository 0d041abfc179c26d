"""Runs: training jobs with their config, metrics, samples, checkpoints and weights."""
