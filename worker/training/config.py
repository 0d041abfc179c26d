"""`method.training.config` under its name of 0.2.0, which scripts that start runs from Python import."""

from method.training.config import *  # noqa: F403
