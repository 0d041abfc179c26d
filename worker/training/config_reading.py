"""`method.training.config_reading` under its name of 0.2.0, which scripts that start runs from Python import."""

from method.training.config_reading import *  # noqa: F403
