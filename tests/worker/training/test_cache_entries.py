"""Entries of a cache are believed only where they are what was written, and hold nothing that is no number."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from method.training.config import Config
from method.training.failures import Ended, NonFinite
from worker.training.disk import ended_by, writing
from worker.training.files import read_tensors, write_tensors
from worker.training.run import run

KEPT = {"latent": torch.arange(6, dtype=torch.float32).view(2, 3), "size_ids": torch.ones(6)}


@pytest.mark.parametrize("how", ["cut", "empty", "zeros", "one bit", "no checksum", "of another"])
def test_an_entry_that_is_not_what_was_written_is_made_anew(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "aa/aabb.safetensors"
    write_tensors(path, KEPT)
    found = read_tensors(path)
    assert found is not None
    assert torch.equal(found["latent"], KEPT["latent"])
    whole = path.read_bytes()
    if how == "no checksum":
        save_file(KEPT, path)
    elif how == "of another":
        other = tmp_path / "aa/other.safetensors"
        write_tensors(other, KEPT)
        shutil.copyfile(other, path)
    else:
        flipped = bytearray(whole)
        flipped[-3] ^= 1
        header = 8 + int.from_bytes(whole[:8], "little")
        damaged = {
            "cut": whole[:-5],
            "empty": b"",
            "zeros": whole[:header] + bytes(len(whole) - header),
            "one bit": bytes(flipped),
        }
        path.write_bytes(damaged[how])
    assert read_tensors(path) is None
    assert "made anew" in caplog.text


def test_another_text_encoder_config_has_entries_of_its_own(sft: Config, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    config = replace(
        sft,
        data=replace(sft.data, cache_folder=str(cache)),
        optimization=replace(sft.optimization, max_steps=1),
    )
    run(config)
    before = set(cache.rglob("*.safetensors"))
    other = tmp_path / "other"
    shutil.copytree(sft.model.path, other)
    path = other / "text_encoder/config.json"
    settings = json.loads(path.read_text())
    settings["layer_norm_eps"] = 1e-3
    path.write_text(json.dumps(settings))
    model = replace(sft.model, path=str(other))
    run(replace(config, model=model, run_folder=str(tmp_path / "second")))
    assert len(set(cache.rglob("*.safetensors")) - before) == len(before)


@pytest.mark.parametrize(
    ("part", "file", "tensor", "said"),
    [
        ("vae", "diffusion_pytorch_model", "quant_conv.weight", r"\.png: .*autoencoder \(vae\)"),
        ("text_encoder", "model", None, r"text encoder makes numbers of the prompt '"),
        (
            "unet",
            "diffusion_pytorch_model",
            "conv_in.weight",
            r"The network that is trained predicts",
        ),
    ],
)
def test_the_first_number_that_is_none_names_its_part(
    sft: Config, tmp_path: Path, part: str, file: str, tensor: str | None, said: str
) -> None:
    broken, cache = tmp_path / "broken", tmp_path / "cache"
    shutil.copytree(sft.model.path, broken)
    path = broken / part / f"{file}.safetensors"
    weights = load_file(path)
    name = tensor or min(weights)
    # A number itself, as one that is none is refused with the model; what is made of it overflows.
    weights[name] = torch.full_like(weights[name], 3e38)
    save_file(weights, path, {"format": "pt"})
    config = replace(
        sft,
        model=replace(sft.model, path=str(broken)),
        data=replace(sft.data, cache_folder=str(cache)),
    )
    with pytest.raises(NonFinite, match=said) as caught:
        run(config)
    assert "learning_rate" not in str(caught.value)
    kept = [read_tensors(entry) or {} for entry in cache.rglob("*.safetensors")]
    assert all(bool(torch.isfinite(each).all()) for entry in kept for each in entry.values())


def test_a_disk_says_its_folder_and_the_way_out(tmp_path: Path) -> None:
    for number, way_out in ((28, "make room"), (30, "allow writing"), (5, "look after the disk")):
        with (
            pytest.raises(Ended, match=f"{tmp_path}: x.txt cannot be written: .*{way_out}"),
            writing(tmp_path / "x.txt"),
        ):
            raise OSError(number, "said by the system")
    told = ended_by(RuntimeError("[enforce fail at inline_container.cc:595] writing"), tmp_path)
    assert str(told).startswith(f"{tmp_path}: cannot be read or written: No space left")
    other = ValueError("nothing about disks")
    assert ended_by(other, tmp_path) is other
