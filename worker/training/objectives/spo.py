"""Being written."""

from worker.training.objectives.sft import Sft as Spo
