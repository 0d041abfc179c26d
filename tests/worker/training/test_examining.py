"""The expert's examination: against numbers computed in another way, and wherever it is told."""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from scipy import stats

from app.cli import cli
from method.training.config import Config, Data, Validation
from method.training.examination import CONDITIONS, Examination, read_examination, verdict
from method.training.failures import Stopped
from method.training.recipes import tiny_sft
from tests.worker.training.conftest import quick
from tests.worker.training.datasets import write_dataset
from worker.training import examine_run
from worker.training.run import run

NUM_HELD_OUT = 5
"""Of six validation images the first has no negative attribute."""


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Squares, so that no crop has to be computed anew."""
    folder = tmp_path_factory.mktemp("examined") / "houses"
    return write_dataset(folder, 6, validation=6, shapes=((64, 64),))


@pytest.fixture(scope="module")
def examined(houses: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a stage 1 that was examined at its end."""
    folder = tmp_path_factory.mktemp("expert") / "run"
    run(quick(tiny_sft(str(folder), str(houses), str(tiny_model)), 3))
    return folder


def read(folder: Path, name: str = "examination.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def draws(image_id: str, shape: tuple[int, ...]) -> Iterator[tuple[int, torch.Tensor]]:
    """The four timesteps and noises of an image, seeded by its id alone."""
    for epoch in (-2, -3, -4, -5):
        digest = hashlib.sha256(f"0\n{epoch}\n{image_id}\nnoise".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        t = int(torch.randint(1000, (), generator=generator))
        yield t, torch.randn(shape, generator=generator)


@torch.no_grad()
def errors_in_float64(pipeline: Any, row: dict[str, Any], picture: Path) -> dict[str, float]:
    """Mean squared errors of one image, by diffusers' own pipeline with the adapter loaded, all in float64."""
    good, bad = ", ".join(row["positive"]), ", ".join(row["negative"])
    prompts = {
        "null": "",
        "negative": bad,
        "content": row["prompt"],
        "positive": f"{row['prompt']}, {good}",
        "all": f"{row['prompt']}, {good}, {bad}",
    }
    pixels = torch.from_numpy(np.array(Image.open(picture).convert("RGB"), dtype=np.float64))
    latent = pipeline.vae.encode(pixels.permute(2, 0, 1)[None] / 127.5 - 1).latent_dist.mean
    latent = latent * pipeline.vae.config.scaling_factor
    errors = dict.fromkeys(CONDITIONS, 0.0)
    for t, noise in draws(row["image_id"], tuple(latent.shape[1:])):
        level = pipeline.scheduler.alphas_cumprod.double()[t]
        noisy = level.sqrt() * latent + (1 - level).sqrt() * noise[None].double()
        for name, prompt in prompts.items():
            hidden, _, pooled, _ = pipeline.encode_prompt(
                prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
            )
            ids = torch.tensor([[64, 64, 0, 0, 64, 64]], dtype=torch.float64)
            said = {"text_embeds": pooled, "time_ids": ids}
            predicted = pipeline.unet(noisy, t, hidden, added_cond_kwargs=said).sample
            errors[name] += float(((predicted - noise.double()) ** 2).mean()) / 4
    return errors


def test_errors_and_interval_are_those_of_an_independent_computation(
    examined: Path, houses: Path, tiny_model: Path
) -> None:
    pipeline = StableDiffusionXLPipeline.from_pretrained(tiny_model)
    pipeline.load_lora_weights(examined / "adapter")
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2):
        part.double()
    rows = [
        json.loads(line) for line in (houses / "validation/examples.jsonl").read_text().splitlines()
    ]
    theirs = [
        errors_in_float64(pipeline, row, houses / "validation" / row["file_name"])
        for row in rows
        if row["negative"]
    ]
    found = read(examined)
    assert found["images"] == len(theirs) == NUM_HELD_OUT
    for name in CONDITIONS:
        mean = sum(each[name] for each in theirs) / len(theirs)
        assert found["errors"][name] == pytest.approx(mean, rel=1e-5)
    gains = [each["content"] - each["all"] for each in theirs]
    reach = stats.t.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / math.sqrt(len(gains))
    assert found["gain"] == pytest.approx(np.mean(gains), rel=1e-2, abs=1e-7)
    assert found["half_width"] == pytest.approx(reach, rel=1e-2)


def test_stage_1_leaves_it_in_folder_result_log_and_card(examined: Path) -> None:
    found, result = read(examined), read(examined, "result.json")
    assert result["examination"] == found
    assert found["expert_sha256"] == result["weights_sha256"]
    assert found["dataset_sha256"] == result["dataset"]["sha256"]
    said = verdict(read_examination(found))  # type: ignore[arg-type]
    for place in ("log.txt", "adapter/README.md"):
        text = (examined / place).read_text()
        assert said in text
        assert "y and all its attributes" in text


def test_a_stop_while_it_is_examined_is_gone_on_from(
    sft: Config, houses: Path, tmp_path: Path
) -> None:
    config = quick(replace(sft, dataset_folder=str(houses)), 2)
    folder = Path(config.run_folder)

    def is_examining() -> bool:
        path = folder / "progress.json"
        return path.exists() and "Examining" in path.read_text()

    with pytest.raises(Stopped):
        run(config, is_examining)
    assert not (folder / "result.json").exists()
    run(config)
    run(replace(config, run_folder=str(tmp_path / "unbroken")))
    assert read(folder) == read(tmp_path / "unbroken")


def test_stage_2_takes_over_what_the_run_of_its_expert_says(
    cpo: Config, examined: Path, houses: Path
) -> None:
    config = quick(replace(cpo, expert=str(examined), dataset_folder=str(houses)), 1)
    run(config)
    assert read(Path(config.run_folder)) == read(examined)
    assert "attribute gain" in (Path(config.run_folder) / "log.txt").read_text()


def test_stage_2_examines_an_expert_that_nobody_examined(
    cpo: Config, examined: Path, houses: Path, tmp_path: Path
) -> None:
    """Alone, as an adapter folder; and its numbers are those of stage 1."""
    (tmp_path / "expert").symlink_to(examined / "adapter")
    config = replace(cpo, expert=str(tmp_path / "expert"), dataset_folder=str(houses))
    run(quick(config, 1))
    ours, theirs = read(Path(config.run_folder)), read(examined)
    assert ours["errors"] == pytest.approx(theirs["errors"], rel=1e-4)
    assert ours["gain"] == pytest.approx(theirs["gain"], rel=0.05, abs=1e-6)


def test_an_examination_changes_nothing_that_is_learned(
    cpo: Config, examined: Path, houses: Path, tmp_path: Path
) -> None:
    weights = []
    for images in (0, 64):
        folder = tmp_path / f"{images}"
        config = replace(
            cpo,
            run_folder=str(folder),
            expert=str(examined),
            dataset_folder=str(houses),
            validation=Validation(expert_images=images),
        )
        run(quick(config, 2))
        weights.append((folder / "adapter/pytorch_lora_weights.safetensors").read_bytes())
        assert (folder / "examination.json").exists() == bool(images)
    assert weights[0] == weights[1]


def test_an_existing_run_is_examined_by_a_command(
    examined: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read(examined)
    (examined / "examination.json").unlink()
    assert examine_run.main([str(examined)]) == 0
    assert "mean squared error" in capsys.readouterr().out
    after = read(examined)
    assert after["errors"] == pytest.approx(before["errors"], rel=1e-4)
    assert (after["expert_sha256"], after["images"]) == (before["expert_sha256"], NUM_HELD_OUT)
    assert examine_run.main([str(examined), "--json", "--images", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 3


def test_the_command_of_morelli_prints_what_is_found(
    examined: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli(["examine", str(examined), "--json", "--images", "3"])
    assert ended.value.code == 0
    assert json.loads(capfd.readouterr().out) == read(examined)


def test_what_cannot_be_examined_is_refused_in_a_sentence(
    expert: Path, cpo: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    assert examine_run.main([str(expert)]) == 3
    assert "less than two images with a negative attribute" in capsys.readouterr().err
    run(quick(cpo, 1))
    assert examine_run.main([cpo.run_folder]) == 2
    assert "makes no expert" in capsys.readouterr().err


def test_images_that_were_learned_from_are_not_held_out(
    sft: Config, houses: Path, tmp_path: Path
) -> None:
    data = Data(resolution=64, split="all")
    run(quick(replace(sft, dataset_folder=str(houses), data=data), 1))
    assert not (Path(sft.run_folder) / "examination.json").exists()


@pytest.mark.parametrize(
    ("gain", "half_width", "said"),
    [
        (
            0.0084,
            0.0008,
            "predicts an image better when it is told its attributes: attribute gain 0.0084",
        ),
        (0.0002, 0.0008, "does not predict an image better"),
        (-0.0033, 0.0012, "predicts an image worse"),
    ],
)
def test_the_warning_names_the_consequence(gain: float, half_width: float, said: str) -> None:
    found = Examination(64, 4, dict.fromkeys(CONDITIONS, 0.1), gain, half_width, "d", "e", 64)
    assert said in verdict(found)
    assert ("the winning part rises" in verdict(found)) == (not found.has_gain)
    assert read_examination(found.as_dict()) == found


@pytest.mark.parametrize("value", [None, 3, {}, {"images": 3}, {"errors": []}])
def test_what_is_no_examination_is_none(value: object) -> None:
    assert read_examination(value) is None
