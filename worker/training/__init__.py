"""Training: reads a dataset folder and a config, writes a run folder, needs no server."""

from worker.training.environment import prepare

prepare()
