"""From a config to its objective."""

from worker.training.objectives import Objective, Parts
from worker.training.objectives.cpo import Cpo
from worker.training.objectives.dpo import Dpo
from worker.training.objectives.sft import Sft
from worker.training.objectives.spo import Spo


def make_objective(parts: Parts) -> Objective:
    """The objective that the config asks for."""
    match parts.config.objective.kind:
        case "sft":
            return Sft(parts)
        case "cpo" | "cpo_s":
            return Cpo(parts)
        case "dpo" | "npo":
            return Dpo(parts)
        case "spo":
            return Spo(parts)
