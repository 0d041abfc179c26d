"""The bar: in a fresh process that knows diffusers alone, a run's weights paint its last sample again.

Pixel for pixel: the PNG of the last step against `DiffusionPipeline.from_pretrained(base)` with the run's
weights loaded as anyone would load them, asked with what samples.jsonl and the config name.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from method.training.config import (
    Checkpoints,
    Config,
    Data,
    Kind,
    Lora,
    Model,
    Objective,
    Optimization,
    Samples,
    Theta,
)
from tests.worker.training.datasets import write_dataset
from worker.training.metrics import read_lines
from worker.training.run import run
from worker.training.tiny_model import Kind as Family
from worker.training.tiny_model import make_tiny_model

PROMPTS = ("a house by the sea, visible brushwork", "a tree")
SEEDS = (0, 7)
LONG = "a house by the sea, " + "visible brushwork, rich color, " * 20 + "at night"
"""Of several windows, more than a pipeline reads of a prompt: it needs them encoded."""


@dataclass(frozen=True)
class Case:
    """A run, and how its last samples are asked for."""

    family: Family
    objective: Kind = "sft"
    mode: str = "lora"
    ema: float | None = None
    prompts: tuple[str, ...] = PROMPTS
    targets: tuple[str, ...] = ()
    precision: Literal["fp32", "bf16"] = "fp32"


CASES = {
    "sd15": Case("sd15", ema=0.9),
    "sd15 of several windows": Case("sd15", prompts=(LONG,)),
    "sdxl": Case("sdxl", objective="cpo_s"),
    "sdxl, whole network": Case("sdxl", mode="full", ema=0.9),
    "sdxl in bf16": Case("sdxl", precision="bf16"),
    "sdxl-v": Case("sdxl-v"),
    "flux": Case("flux"),
    "flux, double blocks": Case(
        "flux", targets=tuple(f"transformer_blocks.0.attn.to_{part}" for part in ("q", "k", "v"))
    ),
    "flux, whole network": Case("flux", mode="full"),
}
ADAPTERS = [name for name, case in CASES.items() if case.mode == "lora"]
KOHYA = [name for name in ADAPTERS if name not in ("flux", "sdxl in bf16")]
"""diffusers reads the single blocks of a kohya file at FLUX's own width alone, 3072; the tiny one has 48."""

KERNELS = ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")

# What a stranger would write. Nothing of Morelli's is imported, and nothing can be: it runs elsewhere.
LOADING = """
import json, sys
import torch
from diffusers import DiffusionPipeline, FluxTransformer2DModel, UNet2DConditionModel

def load(job):
    if job["network"]:
        kind = FluxTransformer2DModel if job["part"] == "transformer" else UNet2DConditionModel
        network = kind.from_pretrained(job["network"])
        return DiffusionPipeline.from_pretrained(job["base"], **{job["part"]: network})
    # As in training: the autoencoder never computes in bf16.
    dtype = {"vae": torch.float32, "default": getattr(torch, job["dtype"])}
    pipeline = DiffusionPipeline.from_pretrained(job["base"], torch_dtype=dtype)
    if job["adapter"]:
        pipeline.load_lora_weights(job["adapter"], weight_name=job["weight_name"])
    return pipeline
"""
PAINTING = """
import torch

def windows(pipeline, prompt):
    # All tokens in windows of CLIP's length, encoded one by one and joined.
    tokenizer, encoder = pipeline.tokenizer, pipeline.text_encoder
    ids = tokenizer(prompt, add_special_tokens=False, truncation=False).input_ids
    pieces = [ids[i : i + 75] for i in range(0, len(ids), 75)] or [[]]
    end, pad = [tokenizer.eos_token_id], [tokenizer.pad_token_id]
    full = [[tokenizer.bos_token_id, *p, *end, *pad * (75 - len(p))] for p in pieces]
    with torch.no_grad():
        return [encoder(torch.tensor([each]))[0] for each in full]

def encoded(pipeline, prompt):
    prompt, empty = windows(pipeline, prompt), windows(pipeline, "")
    return {
        "prompt_embeds": torch.cat(prompt, 1),
        "negative_prompt_embeds": torch.cat(empty * len(prompt), 1),
    }

def paint(pipeline, asked):
    pipeline.set_progress_bar_config(disable=True)
    for each in asked:
        options = dict(each["options"], generator=torch.Generator().manual_seed(each["seed"]))
        prompt = encoded(pipeline, each["prompt"]) if each["long"] else {"prompt": each["prompt"]}
        if pipeline.dtype == torch.float32:
            image = pipeline(**prompt, **options).images[0]
        else:
            image = decoded(pipeline, pipeline(**prompt, **options, output_type="latent").images)
        image.save(each["file"])

@torch.no_grad()
def decoded(pipeline, latents):
    # Pipelines do not turn latents into what an autoencoder of another precision takes.
    pixels = pipeline.vae.decode(latents.float() / pipeline.vae.config.scaling_factor).sample
    return pipeline.image_processor.postprocess(pixels)[0]
"""
PAINT_JOBS = (
    LOADING
    + PAINTING
    + """
for job in json.load(sys.stdin):
    paint(load(job), job["asked"])
assert not any(name.split(".")[0] in ("worker", "taxonomy") for name in sys.modules)
"""
)
PAINT_CARD = "\nimport json, sys\n" + PAINTING + "paint(pipeline, json.load(sys.stdin))\n"

Finished = Callable[[str], Config]
Painted = Callable[[str], Mapping[str, Path]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The config of a finished run, by its case's name."""
    home = tmp_path_factory.mktemp("fresh")
    images = write_dataset(home / "images", 2, without_negative=0)
    made: dict[str, Config] = {}

    def run_once(name: str, case: Case) -> Config:
        if name not in made:
            base = home / case.family
            if not base.exists():
                make_tiny_model(base, case.family, fit=False)
            config = _config(home / name.replace(" ", "-"), base, images, case)
            if case.objective != "sft":
                expert = run_once("its expert", replace(case, objective="sft"))
                config = replace(
                    config,
                    objective=replace(config.objective, kind=case.objective),
                    expert=expert.run_folder,
                )
            run(config)
            made[name] = config
        return made[name]

    return lambda name: run_once(name, CASES[name])


def _config(folder: Path, base: Path, images: Path, case: Case) -> Config:
    return Config(
        run_folder=str(folder),
        dataset_folder=str(images),
        model=Model(path=str(base)),
        objective=Objective(kind="sft"),
        data=Data(resolution=64),
        theta=Theta(mode=case.mode),  # type: ignore[arg-type]
        # A factor of 2: multiplied into weights it rounds nothing, so pictures come out to the last bit.
        lora=Lora(rank=4, alpha=8.0, targets=case.targets),
        optimization=Optimization(
            max_steps=3, batch_size=2, learning_rate=1e-2, ema_decay=case.ema
        ),
        samples=Samples(every=0, prompts=case.prompts, seeds=SEEDS, steps=3, guidance=3.0),
        checkpoints=Checkpoints(every=100),
        device="cpu",
        threads=1,
        precision=case.precision,
    )


@pytest.fixture(scope="module")
def painted(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Painted:
    """By a case's name, what one fresh process paints with its files: the run's own sample under
    "sample", and beside it what is painted with the adapter, the kohya file and the base alone.
    """
    home = tmp_path_factory.mktemp("painted")
    jobs, found = [], {}
    for name in CASES:
        config = finished(name)
        place = home / name.replace(" ", "-")
        found[name] = {"sample": _last_sample(config)}
        for way in _ways(name):
            found[name][way] = place.with_name(f"{place.name}-{way}.png")
            asked = [_asked(CASES[name], config, found[name][way])]
            jobs.append(_files(config, way) | {"asked": asked})
    _in_a_fresh_process(PAINT_JOBS, jobs, home)
    return lambda name: found[name]


def _ways(name: str) -> list[str]:
    ways = {"weights": list(CASES), "kohya": KOHYA, "base": ADAPTERS}
    return [way for way, names in ways.items() if name in names]


def _last_row(config: Config) -> dict[str, Any]:
    """Of prompt and seed number 1, so that neither the first prompt nor seed would do."""
    rows = read_lines(Path(config.run_folder) / "samples/samples.jsonl")
    return [row for row in rows if row["step"] == 3 and row["model"] == "target"][-1]


def _last_sample(config: Config) -> Path:
    return Path(config.run_folder) / str(_last_row(config)["file"])


def _asked(case: Case, config: Config, file: Path) -> dict[str, Any]:
    row, wanted = _last_row(config), config.samples
    return {
        "prompt": row["prompt"],
        "seed": row["seed"],
        "long": row["prompt"] == LONG,
        "file": str(file),
        "options": {
            "num_inference_steps": wanted.steps,
            "guidance_scale": wanted.guidance,
            "width": config.data.resolution,
            "height": config.data.resolution,
        },
    }


def _files(config: Config, way: str) -> dict[str, Any]:
    folder, is_flux = Path(config.run_folder), "flux" in config.model.path
    is_full = config.theta.mode == "full"
    return {
        "base": config.model.path,
        "dtype": "float32" if config.precision == "fp32" else "bfloat16",
        "part": "transformer" if is_flux else "unet",
        "network": str(folder / "network") if is_full else None,
        "adapter": None if is_full or way == "base" else str(folder / "adapter"),
        # Without a name diffusers finds its own file beside the other one.
        "weight_name": "kohya.safetensors" if way == "kohya" else None,
    }


def _in_a_fresh_process(code: str, said: Any, folder: Path) -> None:
    # To the last bit is with the same kernels: those that the run was told to take.
    kernels = {name: os.environ[name] for name in KERNELS if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(said),
        cwd=folder,  # not the repository's root, so that nothing of it can be imported by accident
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"} | kernels,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path), dtype=np.int16)


@pytest.mark.parametrize("name", CASES)
def test_the_weights_paint_the_last_sample_again(painted: Painted, name: str) -> None:
    files = painted(name)
    assert pixels(files["sample"]).shape == (64, 64, 3)
    assert np.array_equal(pixels(files["sample"]), pixels(files["weights"]))


@pytest.mark.parametrize("name", KOHYA)
def test_the_file_for_comfyui_paints_it_too(painted: Painted, name: str) -> None:
    files = painted(name)
    assert np.abs(pixels(files["sample"]) - pixels(files["kohya"])).max() <= 1


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_base_alone_paints_something_else(painted: Painted, name: str) -> None:
    """So the tests above see the weights, not only the prompt and the seed."""
    files = painted(name)
    assert np.abs(pixels(files["sample"]) - pixels(files["base"])).max() > 1


@pytest.mark.parametrize("name", ["sdxl", "sdxl, whole network"])
def test_the_code_in_the_card_runs_as_printed(
    finished: Finished, tmp_path: Path, name: str
) -> None:
    config = finished(name)
    folder = Path(config.run_folder) / ("adapter" if name in ADAPTERS else "network")
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    asked = _asked(CASES[name], config, tmp_path / "painted.png")
    _in_a_fresh_process(
        code.replace("path/of/this/folder", str(folder)) + PAINT_CARD, [asked], tmp_path
    )
    assert np.array_equal(pixels(_last_sample(config)), pixels(tmp_path / "painted.png"))


def test_the_file_for_comfyui_is_in_fp32_unless_asked_otherwise(finished: Finished) -> None:
    folder = Path(finished("sdxl").run_folder)
    factors = load_file(folder / "adapter/kohya.safetensors")
    assert {str(tensor.dtype) for tensor in factors.values()} == {"torch.float32"}
