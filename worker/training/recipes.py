"""`method.training.recipes` under its name of 0.2.0, which scripts that start runs from Python import."""

from method.training.recipes import *  # noqa: F403
