"""python -m worker.pair_images REQUEST.json: generate the images that pairs are made of.

The request holds `folder` (to be made), `prompts`, `images_per_prompt`, `seed`, `base_model`, `mode` and
`weights` (what a run left, or null for the base model itself), `steps`, `guidance`, `resolution`, and
`model`, which names all of it for people. Needs no database. Exit codes as `python -m worker.training`;
started again after a kill it makes the images that are missing.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from method.items import is_out_of_memory
from method.training.config import Config, Model, Objective, Theta
from method.training.failures import Ended, InvalidConfig, OutOfMemory, Stopped
from worker.pairs.from_generated import generate_images
from worker.stopping import stoppable

Generate = Callable[[str, int], Image.Image]


def main(arguments: list[str]) -> int:
    """Generate what the request asks for. The last line on stderr says what went wrong."""
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    with stoppable() as stop:
        try:
            generate_images(
                Path(request["folder"]),
                request["prompts"],
                images_per_prompt=request["images_per_prompt"],
                seed=request["seed"],
                model=request["model"],
                generate=make_generator(request),
                say=_say,
            )
        except Ended as ended:
            _say(str(ended))
            return ended.exit_code
        except BaseException as error:
            if stop.is_asked:
                _say("Stopped; started again it makes the images that are missing")
                return Stopped.exit_code
            if not is_out_of_memory(error):
                raise
            _say("Out of memory: generate at a lower resolution.")
            return OutOfMemory.exit_code
    return 0


def make_generator(request: dict[str, Any]) -> Generate:
    """A function from prompt and seed to a picture, with the model loaded.

    Raises InvalidConfig where model or weights cannot be loaded, or the resolution does not fit.
    """
    import torch

    from worker.training.encodings import Encodings
    from worker.training.models import load_models

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    models = load_models(_config(request, is_gpu=device.type == "cuda"), device)
    backbone, resolution = models.backbone, request["resolution"]
    if resolution % backbone.unit:
        raise InvalidConfig(
            f"The resolution has to be a multiple of {backbone.unit} for this model; got {resolution}"
        )
    encodings = Encodings(backbone, None, null_is_zeros=False)
    # All texts first, because the text encoders' memory is given back before the images are made.
    encodings.text(["", *request["prompts"]])
    backbone.release_encoders()

    def generate(prompt: str, seed: int) -> Image.Image:
        texts = encodings.text([prompt, ""])
        with models.roles.frozen("theta" if request["weights"] else "reference") as network:
            return backbone.sample(
                network,
                texts.row(0),
                texts.row(1),
                seed=seed,
                steps=request["steps"],
                guidance=request["guidance"],
                size=(resolution, resolution),
            )

    return generate


def _config(request: dict[str, Any], *, is_gpu: bool) -> Config:
    """A config that loads the model as a run that starts from these weights would."""
    weights = request["weights"]
    return Config(
        run_folder=request["folder"],
        dataset_folder=request["folder"],
        model=Model(path=request["base_model"]),
        objective=Objective(kind="sft"),
        theta=Theta(mode=request["mode"], init="path" if weights else "base", init_path=weights),
        precision="bf16" if is_gpu else "fp32",
    )


def _say(sentence: str) -> None:
    sys.stderr.write(" ".join(sentence.split()) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
