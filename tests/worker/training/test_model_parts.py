"""Base models that are not whole, or put together from several: refused by part and tensor before any work."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from diffusers import AutoencoderTiny
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from method.training.config import Flow, Model
from method.training.config_reading import write_yaml
from method.training.failures import InvalidConfig
from method.training.recipes import tiny_sft
from tests.worker.training.datasets import write_dataset
from worker.training.__main__ import main
from worker.training.backbones.adapter_files import read_adapter
from worker.training.backbones.loading import load_backbone
from worker.training.tiny_model import Kind, make_tiny_model

KINDS: tuple[Kind, ...] = get_args(Kind)
Weights = dict[str, Tensor]
Copy = Callable[[Kind], Path]
UNETS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
}
PARTS: dict[Kind, dict[str, str]] = {
    "sd15": UNETS,
    "sdxl": UNETS | {"text_encoder_2": "model"},
    "sdxl-v": UNETS | {"text_encoder_2": "model"},
    "flux": {
        "transformer": "diffusion_pytorch_model",
        "vae": "diffusion_pytorch_model",
        "text_encoder": "model",
        "text_encoder_2": "model",
    },
}
EVERY_PART = [(kind, part) for kind, parts in PARTS.items() for part in parts]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("models")
    return {kind: make_tiny_model(home / kind, kind, fit=False) for kind in KINDS}


@pytest.fixture
def copy(folders: dict[str, Path], tmp_path: Path) -> Copy:
    return lambda kind: Path(shutil.copytree(folders[kind], tmp_path / "model"))


def refusal(folder: Path, variant: str | None = None) -> str:
    with pytest.raises(InvalidConfig) as refused:
        load(folder, variant)
    said = str(refused.value)
    assert said.startswith("model.path: ")
    return said


def load(folder: Path, variant: str | None = None) -> Any:
    model = Model(path=str(folder), variant=variant)
    return load_backbone(model, Flow(), torch.device("cpu"), torch.float32)


def weights_of(folder: Path, kind: Kind, part: str) -> Path:
    return folder / part / f"{PARTS[kind][part]}.safetensors"


def edit(path: Path, change: Callable[[Weights], Weights]) -> None:
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def without(name: str) -> Callable[[Weights], Weights]:
    return lambda weights: {k: v for k, v in weights.items() if k != name}


def filled(name: str, value: float) -> Callable[[Weights], Weights]:
    return lambda weights: weights | {name: torch.full_like(weights[name], value)}


def set_json(path: Path, **values: Any) -> None:
    found = json.loads(path.read_text()) | values
    path.write_text(json.dumps({k: v for k, v in found.items() if v != "gone"}))


@pytest.mark.parametrize(("kind", "part"), EVERY_PART)
def test_each_tensor_has_to_be_there_under_its_name(kind: Kind, part: str, copy: Copy) -> None:
    folder = copy(kind)
    path = weights_of(folder, kind, part)
    names = sorted(load_file(path))
    before = path.read_bytes()
    for name in (names[0], names[len(names) // 2], names[-1]):
        edit(path, without(name))
        said = refusal(folder)
        assert f"{part} of" in said and "lacks" in said and name.split(".")[-1] in said
        path.write_bytes(before)
    edit(path, lambda weights: {f"wrapped.{k}": v for k, v in weights.items()})
    assert f"{part} of" in refusal(folder)
    path.write_bytes(before)
    edit(path, lambda weights: weights | {"of_another_model": torch.zeros(2)})
    said = refusal(folder)
    assert f"{part} of" in said and "does not know: of_another_model" in said


@pytest.mark.parametrize(("kind", "part"), EVERY_PART)
def test_shapes_and_values_have_to_fit(kind: Kind, part: str, copy: Copy) -> None:
    folder = copy(kind)
    path = weights_of(folder, kind, part)
    before, name = path.read_bytes(), min(load_file(path))
    edit(path, lambda weights: weights | {name: torch.zeros(3, 5)})
    assert f"{part} of" in refusal(folder)
    path.write_bytes(before)
    for odd in (float("nan"), float("inf")):
        edit(path, filled(name, odd))
        said = refusal(folder)
        assert f"{part} of" in said and "not finite" in said
    path.write_bytes(before)
    path.write_bytes(before[: len(before) // 2])
    assert "cut short" in refusal(folder) and part in refusal(folder)
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git lfs pull" in refusal(folder)


@pytest.mark.parametrize(("kind", "part"), EVERY_PART)
def test_files_of_another_form_are_told_with_what_to_do(kind: Kind, part: str, copy: Copy) -> None:
    folder = copy(kind)
    path = weights_of(folder, kind, part)
    kept = path.read_bytes()
    path.rename(path.with_name(f"{path.stem}.fp16.safetensors"))
    assert "set model.variant" in refusal(folder) and part in refusal(folder)
    assert load(folder, "fp16") is not None
    path.with_name(f"{path.stem}.fp16.safetensors").unlink()
    stem = "pytorch_model" if path.stem == "model" else path.stem
    path.with_name(f"{stem}.bin").write_bytes(b"pickled")
    said = refusal(folder)
    assert ".bin" in said and "save_pretrained" in said
    path.write_bytes(kept)
    (folder / part / "config.json").write_text("{")
    assert f"{part}/config.json" in refusal(folder)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_shards_are_read_and_a_lost_one_is_named(part: str, copy: Copy) -> None:
    folder = copy("sd15")
    path = weights_of(folder, "sd15", part)
    weights = load_file(path)
    path.unlink()
    names = sorted(weights)
    halves = {0: names[::2], 1: names[1::2]}
    files = {each: f"{path.stem}-0000{each + 1}-of-00002.safetensors" for each in halves}
    for each, mine in halves.items():
        save_file({n: weights[n] for n in mine}, path.with_name(files[each]), {"format": "pt"})
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {n: files[each] for each, mine in halves.items() for n in mine},
    }
    path.with_name(f"{path.name}.index.json").write_text(json.dumps(index))
    assert load(folder) is not None
    edit(path.with_name(files[1]), lambda some: dict(list(some.items())[1:]))
    assert f"{part} of" in refusal(folder)
    path.with_name(files[1]).unlink()
    assert f"{part}/{files[1]} missing" in refusal(folder)


def test_a_part_of_another_class_is_refused(copy: Copy) -> None:
    folder = copy("sd15")
    shutil.rmtree(folder / "vae")
    channels = (16,) * 4
    tiny: Any = AutoencoderTiny(
        encoder_block_out_channels=channels, decoder_block_out_channels=channels
    )
    tiny.save_pretrained(folder / "vae")
    assert "vae of" in refusal(folder) and "AutoencoderKL" in refusal(folder)
    set_json(folder / "model_index.json", vae=["diffusers", "AutoencoderTiny"])
    assert "AutoencoderTiny in model_index.json" in refusal(folder)


@pytest.mark.parametrize(
    ("into", "part", "giver", "source"),
    [
        ("sd15", "vae", "flux", "vae"),
        ("flux", "vae", "sd15", "vae"),
        ("sd15", "unet", "sdxl", "unet"),
        ("sdxl", "unet", "sd15", "unet"),
        ("flux", "text_encoder_2", "sd15", "text_encoder"),
        ("sd15", "text_encoder", "flux", "text_encoder_2"),
        ("sdxl", "text_encoder_2", "sd15", "text_encoder"),
        ("flux", "scheduler", "sdxl", "scheduler"),
        ("sd15", "scheduler", "flux", "scheduler"),
        ("flux", "tokenizer_2", "sd15", "tokenizer"),
        ("sd15", "tokenizer", "flux", "tokenizer_2"),
    ],
)
def test_a_part_of_another_model_is_refused(
    into: Kind, part: str, giver: str, source: str, copy: Copy, folders: dict[str, Path]
) -> None:
    folder = copy(into)
    shutil.rmtree(folder / part)
    shutil.copytree(folders[giver] / source, folder / part)
    refusal(folder)


@pytest.mark.parametrize("kind", ["sd15", "sdxl", "flux"])
def test_windows_are_the_encoders_where_the_tokenizer_says_none(kind: Kind, copy: Copy) -> None:
    folder = copy(kind)
    path = folder / "tokenizer" / "tokenizer_config.json"
    prompt = "a house by the sea, " * 30
    expected = load(folder).split_prompt(prompt)
    set_json(path, model_max_length="gone")
    assert load(folder).split_prompt(prompt) == expected
    for length in (0, 2, 78, 1000):
        set_json(path, model_max_length=length)
        said = refusal(folder)
        assert "tokenizer of" in said and f"windows of {length}" in said and "77" in said


def test_a_tokenizer_has_to_know_its_encoders_tokens(copy: Copy) -> None:
    folder = copy("sd15")
    for path in (folder / "tokenizer").iterdir():
        if path.name != "tokenizer_config.json":
            path.unlink()
    assert "tokenizer" in refusal(folder) or "cannot be loaded" in refusal(folder)


def test_nothing_is_left_of_a_run_that_cannot_load_its_model(
    copy: Copy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = copy("sd15")
    edit(
        weights_of(folder, "sd15", "text_encoder"),
        lambda weights: {k: v for k, v in weights.items() if "layers.1." not in k},
    )
    dataset = write_dataset(tmp_path / "houses", 2)
    config = replace(tiny_sft(str(tmp_path / "run"), str(dataset), str(folder)), threads=1)
    path = tmp_path / "config.yaml"
    path.write_text(write_yaml(config))
    assert main([str(path)]) == 2
    assert "text_encoder of" in capfd.readouterr().err.splitlines()[-1]
    assert (
        not list((tmp_path / "run").glob("*.yaml"))
        and not (tmp_path / "run/metrics.jsonl").exists()
    )


def test_an_expert_with_values_that_are_none_is_refused(expert: Path, tmp_path: Path) -> None:
    shutil.copytree(expert / "adapter", tmp_path / "adapter")
    path = tmp_path / "adapter" / "pytorch_lora_weights.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    weights = load_file(path)
    name = min(weights)
    save_file(weights | {name: torch.full_like(weights[name], float("nan"))}, path, metadata)
    with pytest.raises(InvalidConfig, match="not finite"):
        read_adapter(tmp_path / "adapter", "unet")
