"""Pictures and texts are encoded several at once, and beside the steps: what comes out is the same."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from method.files import hash_file
from method.training.config import Config, Flow, Model, Samples, Validation
from method.training.failures import InvalidDataset, NonFinite, Stopped
from tests.worker.training.datasets import write_dataset
from worker.training.backbones.autoencoder import BYTES_A_PIXEL, MOST_ERROR, Autoencoder
from worker.training.backbones.loading import load_backbone
from worker.training.encodings import Encodings, Size, grouped
from worker.training.metrics import read_lines
from worker.training.run import run
from worker.training.tiny_model import Kind, make_tiny_model

CPU = torch.device("cpu")
KINDS: tuple[Kind, ...] = ("sd15", "sdxl", "flux")
PROMPTS = ("a house", "a house by the sea, " * 30, "", "old house", "a tree")


@dataclass(frozen=True)
class Painted:
    """A picture in a file."""

    path: Path
    sha256: str


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Path]:
    made: dict[Kind, Path] = {}

    def make(kind: Kind) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp("models") / kind
            made[kind] = make_tiny_model(folder, kind, fit=False)
        return made[kind]

    return make


def open_model(folder: Path, *, together: int = 1, texts_together: int = 1) -> Any:
    """The backbone, which encodes as many pictures of 64 x 64 at once, as one on a GPU would."""
    backbone: Any = load_backbone(Model(path=str(folder)), Flow(), CPU, torch.float32)
    channels = backbone.autoencoder.vae.config.block_out_channels[0]
    backbone.autoencoder.room = together * BYTES_A_PIXEL * channels * 64 * 64
    backbone.texts_together = texts_together
    return backbone


def paint(folder: Path, count: int, size: Size = (64, 64)) -> list[Painted]:
    folder.mkdir(exist_ok=True)
    generator, found = torch.Generator().manual_seed(size[0]), []
    for number in range(count):
        grid = torch.randint(256, (4, 4, 3), generator=generator, dtype=torch.uint8)
        path = folder / f"{number}-{size[0]}x{size[1]}.png"
        Image.fromarray(grid.numpy()).resize(size, Image.Resampling.BICUBIC).save(path)
        found.append(Painted(path, hash_file(path)))
    return found


def latents_of(encodings: Encodings, wanted: list[tuple[Painted, Size]]) -> list[Tensor]:
    for _ in encodings.encode_ahead(wanted):
        pass
    return [encodings.latent(*each)[0] for each in wanted]


# Several at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_of_a_picture_depends_on_no_other(
    model: Callable[[Kind], Path], tmp_path: Path, kind: Kind
) -> None:
    square, wide = (64, 64), (96, 48)
    wanted: list[tuple[Painted, Size]] = [(each, square) for each in paint(tmp_path / "a", 5)]
    wanted[2:2] = [(each, wide) for each in paint(tmp_path / "a", 3, wide)]
    backbone = open_model(model(kind), together=3)
    assert backbone.together(square) == 3
    whole = latents_of(Encodings(backbone, None, null_is_zeros=False), wanted)
    alone = Encodings(backbone, None, null_is_zeros=False)
    for each, latent in reversed(list(zip(wanted, whole, strict=True))):
        assert torch.equal(alone.latent(*each)[0], latent)
    one_by_one = latents_of(Encodings(open_model(model(kind)), None, null_is_zeros=False), wanted)
    torch.testing.assert_close(whole, one_by_one)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_of_a_prompt_depends_on_no_other(
    model: Callable[[Kind], Path], kind: Kind
) -> None:
    def text(prompts: tuple[str, ...], together: int) -> list[Tensor]:
        backbone = open_model(model(kind), texts_together=together)
        encodings = Encodings(backbone, None, null_is_zeros=False)
        encodings.prepare_text(prompts)
        windows = encodings.windows(PROMPTS)
        texts = [encodings.text([prompt], windows) for prompt in PROMPTS]
        return [tensor for each in texts for tensor in (each.hidden_BND, each.pooled_BD)]

    whole = text(PROMPTS, 4)
    for one, other in zip(whole, text(PROMPTS[3:], 4), strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(whole, text((), 1))


def test_groups_are_of_one_size_and_begin_with_what_is_needed_first() -> None:
    a, b = (64, 64), (96, 48)
    sizes = [a, b, a, a, b, a, a]
    assert list(grouped(sizes, {a: 3, b: 4}.__getitem__)) == [(0, 2, 3), (1, 4), (5, 6)]
    assert list(grouped(sizes, lambda _: 1)) == [(each,) for each in range(7)]
    assert not grouped([], lambda _: 1)


def test_as_many_pictures_as_find_room(model: Callable[[Kind], Path]) -> None:
    backbone = open_model(model("sdxl"), together=6)
    sizes = ((64, 64), (128, 64), (32, 64), (4096, 4096))
    assert [backbone.together(size) for size in sizes] == [6, 3, 12, 1]
    assert open_model(model("sdxl"), together=1000).together((64, 64)) == 16


def test_the_picture_of_several_that_is_not_finite_is_named(
    model: Callable[[Kind], Path], tmp_path: Path
) -> None:
    backbone = open_model(model("sdxl"), together=3)
    vae, pictures = backbone.autoencoder.vae, paint(tmp_path / "a", 3)
    seen: list[Tensor] = []
    watch = vae.quant_conv.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    latents_of(Encodings(backbone, None, null_is_zeros=False), [(p, (64, 64)) for p in pictures])
    watch.remove()
    # Only the picture with the largest number runs over.
    largest = seen[0][:3, 0].flatten(1).max(1).values
    top, second = largest.sort(descending=True).values[:2].tolist()
    with torch.no_grad():
        vae.quant_conv.weight.zero_()
        vae.quant_conv.weight[0, 0] = 3.4e38 / ((top + second) / 2)
        vae.quant_conv.bias.zero_()
    lost = pictures[int(largest.argmax())]
    encodings = Encodings(backbone, None, null_is_zeros=False)
    with pytest.raises(NonFinite, match=f"^{lost.path}: the model's autoencoder"):
        latents_of(encodings, [(p, (64, 64)) for p in pictures])


# In bf16 ------------------------------------------------------------------------------------------


def test_an_autoencoder_that_bf16_costs_little_encodes_in_it(
    model: Callable[[Kind], Path], tmp_path: Path
) -> None:
    backbone = open_model(model("sdxl"))
    exact = backbone.autoencoder
    error = exact.bf16_error()
    assert 0 < error <= MOST_ERROR
    rounded = Autoencoder(exact.vae, CPU, may_round=True)
    assert (exact.dtype, rounded.dtype) == (torch.float32, torch.bfloat16)
    (picture,) = paint(tmp_path / "a", 1)
    one, fingerprint = (
        latents_of(Encodings(backbone, None, null_is_zeros=False), [(picture, (64, 64))]),
        backbone.fingerprint(),
    )
    backbone.autoencoder = rounded
    (other,) = latents_of(Encodings(backbone, None, null_is_zeros=False), [(picture, (64, 64))])
    off = float((one[0] - other).square().mean().sqrt())
    assert 0 < off < 4 * error
    assert other.dtype == torch.float32
    assert backbone.fingerprint() != fingerprint, "latents that were kept are of another precision"


def test_one_that_bf16_costs_much_encodes_in_float32(model: Callable[[Kind], Path]) -> None:
    autoencoder = open_model(model("sdxl")).autoencoder
    with torch.no_grad():
        # What tells pictures apart is little beside a large constant, which bf16 rounds coarsely.
        autoencoder.vae.encoder.conv_out.bias += 1000
    assert autoencoder.bf16_error() > MOST_ERROR
    assert Autoencoder(autoencoder.vae, CPU, may_round=True).dtype == torch.float32


def test_what_is_not_finite_in_bf16_is_computed_in_float32(
    model: Callable[[Kind], Path],
) -> None:
    vae = open_model(model("sdxl")).autoencoder.vae
    rounded = Autoencoder(vae, CPU, may_round=True)
    assert rounded.dtype == torch.bfloat16
    with torch.no_grad():
        vae.quant_conv.bias[0] = 3.4e38  # bf16 has no number so large
    vae.register_to_config(scaling_factor=0.1)
    pixels = torch.zeros(1, 3, 64, 64)
    found = Autoencoder(vae, CPU).encode(pixels)
    assert torch.isfinite(found).all()
    rounded.scaling = 0.1
    assert torch.equal(rounded.encode(pixels), found)
    assert Autoencoder(vae, CPU, may_round=True).dtype == torch.float32


# Beside the steps ---------------------------------------------------------------------------------


@pytest.fixture
def whole(sft: Config, tmp_path: Path) -> Config:
    """An epoch of pictures in three shapes, one of them behind the first step, with validation and samples."""
    folder = write_dataset(tmp_path / "shapes", 9, validation=3)
    return replace(
        sft,
        dataset_folder=str(folder),
        validation=Validation(every=2),
        samples=Samples(every=2, prompts=("a house",), steps=1),
        optimization=replace(sft.optimization, max_steps=5, gradient_accumulation=1),
    )


def beside(config: Config, folder: Path, cache: Path | None = None) -> Config:
    data = replace(config.data, encode="beside", cache_folder=str(cache) if cache else None)
    return replace(config, run_folder=str(folder), data=data)


def what_came(config: Config) -> tuple[bytes, list[Any]]:
    folder = Path(config.run_folder)
    rows = read_lines(folder / "metrics.jsonl")
    values = [{name: row[name] for name in ("step", "loss", "grad_norm")} for row in rows]
    return (folder / "adapter/pytorch_lora_weights.safetensors").read_bytes(), values


@pytest.mark.parametrize("keeps", [False, True])
def test_encoding_beside_the_steps_changes_nothing(
    whole: Config, tmp_path: Path, keeps: bool
) -> None:
    run(whole)
    other = beside(whole, tmp_path / "other", tmp_path / "cache" if keeps else None)
    run(other)
    assert what_came(other) == what_came(whole)


def test_a_run_that_encodes_beside_goes_on_where_it_was_stopped(
    whole: Config, tmp_path: Path
) -> None:
    run(whole)
    other = beside(whole, tmp_path / "other")
    with pytest.raises(Stopped):
        run(other, (tmp_path / "other/checkpoints/step-000002").exists)
    run(other)
    assert what_came(other) == what_came(whole)
    # How it encodes is no other run.
    again = beside(whole, tmp_path / "third")
    with pytest.raises(Stopped):
        run(again, (tmp_path / "third/checkpoints/step-000002").exists)
    run(replace(whole, run_folder=again.run_folder))
    assert what_came(again) == what_came(whole)


def test_a_picture_that_is_broken_ends_a_run_that_encodes_beside(
    whole: Config, tmp_path: Path
) -> None:
    # Of the pictures that are encoded last.
    broken = min(Path(str(whole.dataset_folder)).glob("validation/*.png"))
    broken.write_bytes(broken.read_bytes()[:-20])
    for config in (whole, beside(whole, tmp_path / "other")):
        with pytest.raises(InvalidDataset, match=f"{broken.name}: its content is not what"):
            run(config)
    # The first sample is made when steps begin.
    first = "samples/step-000000-00.png"
    assert not (Path(whole.run_folder) / first).exists()
    assert (tmp_path / "other" / first).exists()


def test_what_a_run_keeps_in_memory_is_not_counted_again(
    model: Callable[[Kind], Path], tmp_path: Path
) -> None:
    encodings = Encodings(open_model(model("sdxl")), None, null_is_zeros=False)
    first, *others = paint(tmp_path / "a", 6)
    encodings.check_memory((first, (64, 64)), ["a house"], 1)
    size = sum(t.nbytes for each in encodings.memory.values() for t in each.values())
    most = 32 * 2**30 // size
    for each in others:
        encodings.latent(each, (64, 64))
    encodings.prepare_text(PROMPTS)
    encodings.check_memory((first, (64, 64)), ["a house"], most)
