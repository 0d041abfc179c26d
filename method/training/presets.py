"""Recipes by the names under which the launch form offers them, each with the base model it is made for."""

from collections.abc import Callable
from dataclasses import dataclass

from method.training import recipes
from method.training.config import Config, Model, Objective

# Placeholders: a preset names no places.
RUN, DATA, EXPERT, MODEL = "run", "data", "expert", "model"


@dataclass(frozen=True, slots=True)
class Preset:
    """Configs to start from, one for each objective."""

    title: str
    base_model: str
    make: Callable[..., Config]

    def config(self, kind: str) -> Config:
        """The config for a kind of run. Its places are placeholders."""
        return self.make(kind, RUN, DATA, model=self.base_model, expert=EXPERT)


PRESETS = {
    "tiny": Preset("Tiny model on the CPU: about a minute", "tiny-sdxl", recipes.tiny),
    "sd15-small": Preset("SD 1.5 at 512 px: a small GPU", recipes.SD15, recipes.sd15_small),
    "sdxl": Preset("SDXL adapter: one GPU, to start with", recipes.SDXL, recipes.sdxl),
    "paper-sdxl": Preset(
        "SDXL as in the paper: literal, one large GPU", recipes.SDXL, recipes.paper_sdxl
    ),
    "paper-flux": Preset("FLUX.1 as in the paper: one large GPU", recipes.FLUX, recipes.paper_flux),
}


def plain(kind: str) -> Config:
    """The defaults for a kind of run, with placeholders as its places."""
    return Config(
        **recipes.materials(kind, RUN, DATA, EXPERT),
        model=Model(path=MODEL),
        objective=Objective(kind=kind),
    )
