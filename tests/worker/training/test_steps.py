"""What a run does between its first and its last step: passes, caches, guard, validation."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from method.training.config import (
    Config,
    Guard,
    Optimization,
    Samples,
    Scale,
    Teacher,
    Validation,
)
from method.training.config_checks import refuse_unread
from method.training.failures import InvalidConfig, NonFinite, Stopped
from tests.worker.training.conftest import Start, quick
from tests.worker.training.datasets import write_dataset
from tests.worker.training.test_runs import WEIGHTS, moved, wait_for_step, weights
from worker.pairs.from_labels import from_labels
from worker.training.metrics import read_lines
from worker.training.run import run


def rows_of(config: Config) -> list[dict[str, float]]:
    return read_lines(Path(config.run_folder) / "metrics.jsonl")


def split(config: Config, batch_size: int, accumulation: int) -> Config:
    wanted = replace(config.optimization, batch_size=batch_size, gradient_accumulation=accumulation)
    return replace(config, optimization=wanted)


@pytest.fixture
def validated(cpo: Config, tmp_path: Path) -> Config:
    """A run of eight steps that validates after each second one."""
    folder = write_dataset(tmp_path / "with-validation", 6, validation=3)
    validation = Validation(every=2, images=3)
    return replace(quick(cpo, 8), dataset_folder=str(folder), validation=validation)


# The same step, however it is cut ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cpo", "cpo_s"])
def test_accumulation_gives_what_the_larger_batch_gives(
    cpo: Config, tmp_path: Path, kind: str
) -> None:
    # Pictures of three shapes, half of them with long texts: what is left over of each shares a step.
    folder = write_dataset(tmp_path / "mixed", 8, num_long=4)
    cpo = replace(cpo, dataset_folder=str(folder))
    data = replace(cpo.data, bucket_step=8)
    objective = replace(cpo.objective, kind=kind)
    cpo = replace(cpo, data=data, objective=objective)
    large, small = (
        split(moved(cpo, tmp_path / name), *cut)
        for name, cut in (("large", (4, 1)), ("small", (1, 4)))
    )
    run(large)
    run(small)
    found = [load_file(Path(each.run_folder) / WEIGHTS) for each in (large, small)]
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], atol=2e-5, rtol=1e-3)
    for one, other in zip(rows_of(large), rows_of(small), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-4)
        assert one["drift"] == pytest.approx(other["drift"], rel=1e-2, abs=1e-9)


# The teacher cache -------------------------------------------------------------------------------


def test_a_teacher_cache_gives_the_run_that_asks_each_time(cpo: Config, tmp_path: Path) -> None:
    cache = Teacher(cache_folder=str(tmp_path / "cache"), dtype="fp32")
    run(cpo)
    run(replace(moved(cpo, tmp_path / "cached"), teacher=cache))
    found = [load_file(folder / WEIGHTS) for folder in (Path(cpo.run_folder), tmp_path / "cached")]
    for name, tensor in found[0].items():
        torch.testing.assert_close(tensor, found[1][name], atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_runs_that_share_a_teacher_cache_fill_it_once(
    cpo: Config, tmp_path: Path, dtype: str
) -> None:
    cache = tmp_path / "cache"
    cpo = replace(cpo, teacher=Teacher(cache_folder=str(cache), dtype=dtype))  # type: ignore[arg-type]
    run(moved(cpo, tmp_path / "filling"))
    files = sorted(cache.rglob("*.safetensors"))
    # Seven usable images, three epochs.
    assert len(files) == 21
    times = [file.stat().st_mtime_ns for file in files]
    run(moved(cpo, tmp_path / "reading"))
    assert weights(tmp_path / "reading") == weights(tmp_path / "filling")
    objective = replace(cpo.objective, kind="cpo", omega_w=3.0, omega_l=1.0, beta=100.0)
    run(replace(moved(cpo, tmp_path / "other"), objective=objective))
    assert weights(tmp_path / "other") != weights(tmp_path / "filling")
    assert sorted(cache.rglob("*.safetensors")) == files
    assert [file.stat().st_mtime_ns for file in files] == times
    # Another seed draws other noise, so nothing in the cache is of use to it.
    run(replace(moved(quick(cpo, 1), tmp_path / "seed"), seed=9))
    assert len(list(cache.rglob("*.safetensors"))) == 25


def test_a_broken_cache_entry_is_made_anew(cpo: Config, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cpo = replace(quick(cpo, 2), teacher=Teacher(cache_folder=str(cache)))
    run(moved(cpo, tmp_path / "filling"))
    next(cache.rglob("*.safetensors")).write_bytes(b"broken")
    run(moved(cpo, tmp_path / "reading"))
    assert weights(tmp_path / "reading") == weights(tmp_path / "filling")


# The guard ---------------------------------------------------------------------------------------


def explosive(config: Config, steps: int, **guard: float) -> Config:
    """At this rate the fourth step's gradient is twenty times as long as those before."""
    options = {"spike_factor": 10.0, "settle_steps": 2, "patience": 1, **guard}
    wanted = Optimization(max_steps=steps, batch_size=2, learning_rate=0.1)
    return replace(
        config,
        optimization=wanted,
        checkpoints=replace(config.checkpoints, every=1, keep=3),
        guard=Guard(**options),  # type: ignore[arg-type]  # whole numbers among them
    )


def test_a_skipped_step_changes_nothing_and_is_counted(sft: Config) -> None:
    config = explosive(sft, 6, patience=100)
    run(config)
    rows = rows_of(config)
    assert 0 < rows[-1]["skipped_steps"] < 6
    assert all(row["lr_factor"] == 1 for row in rows)


def by_weights(config: Config) -> Config:
    objective = replace(config.objective, kind="cpo")
    return replace(config, objective=objective, guard=Guard(winner=True, winner_by="weights"))


def test_the_winner_is_guarded_by_the_weights_of_an_adapter(validated: Config) -> None:
    """With checkpointed activations, which are computed once more for each backward pass, and while validating."""
    config = by_weights(validated)
    run(replace(config, optimization=replace(config.optimization, gradient_checkpointing=True)))
    rows = rows_of(config)
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert all(math.isfinite(row["loss"]) and row["grad_norm"] > 0 for row in rows)
    assert [row["step"] for row in rows if "validation_win" in row] == [2, 4, 6, 8]


def test_a_guard_by_weights_that_would_not_be_kept_is_refused(cpo: Config) -> None:
    with pytest.raises(InvalidConfig, match=r"guard\.winner_by: weights compares .* one process"):
        replace(by_weights(cpo), scale=Scale(processes=2))
    for config in (
        replace(
            cpo, objective=replace(cpo.objective, kind="cpo"), guard=Guard(winner_by="weights")
        ),
        replace(by_weights(cpo), objective=replace(cpo.objective, kind="cpo_s")),
    ):
        with pytest.raises(InvalidConfig, match=r"guard\.winner"):
            refuse_unread(config)


def test_a_run_that_explodes_goes_back_with_half_the_rate(sft: Config) -> None:
    config = explosive(sft, 8)
    run(config)
    rows = rows_of(config)
    rollbacks = json.loads((Path(config.run_folder) / "rollbacks.json").read_text())
    assert rollbacks
    # The second time it goes back further: what the first went back to was spoilt already.
    assert [(each["from"], each["to"]) for each in rollbacks] == [(4, 3), (4, 2)]
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert rows[-1]["lr_factor"] == 0.5 ** len(rollbacks)
    assert rows[-1]["lr"] == pytest.approx(0.1 * rows[-1]["lr_factor"])
    result = json.loads((Path(config.run_folder) / "result.json").read_text())
    assert result["rollbacks"] == len(rollbacks)


def test_a_run_that_goes_on_exploding_ends(sft: Config) -> None:
    config = explosive(sft, 8, max_rollbacks=0)
    with pytest.raises(NonFinite, match="gradients that exploded"):
        run(config)
    assert not (Path(config.run_folder) / "result.json").exists()


# Validation and the mean of the weights ----------------------------------------------------------


def test_validation_compares_over_the_run_and_keeps_the_best(validated: Config) -> None:
    run(validated)
    folder = Path(validated.run_folder)
    rows = rows_of(validated)
    found = {row["step"]: row["validation_loss"] for row in rows if "validation_loss" in row}
    assert list(found) == [2, 4, 6, 8]
    best = json.loads((folder / "best/best.json").read_text())
    assert found[best["step"]] == best["validation_loss"] == min(found.values())
    result = json.loads((folder / "result.json").read_text())
    assert result["best_step"] == best["step"]
    assert (
        load_file(folder / WEIGHTS).keys() == load_file(folder / "best" / Path(WEIGHTS).name).keys()
    )
    for name, tensor in load_file(folder / WEIGHTS).items():
        assert torch.equal(tensor, load_file(folder / "best" / Path(WEIGHTS).name)[name])


def test_the_best_weights_are_shown_whatever_their_step(validated: Config) -> None:
    samples = Samples(every=0, prompts=("a house",), steps=2, guidance=2.0)
    run(replace(validated, samples=samples))
    folder = Path(validated.run_folder)
    best = json.loads((folder / "result.json").read_text())["best_step"]
    rows = read_lines(folder / "samples/samples.jsonl")
    shown = {row["step"] for row in rows if row["model"] == "target"}
    assert shown == {0, best, 8}


def test_a_run_that_no_longer_gets_better_ends(validated: Config) -> None:
    # So fast that it only gets worse after the first steps.
    wild = replace(validated.optimization, learning_rate=0.3, max_steps=100)
    config = replace(
        validated, optimization=wild, validation=Validation(every=1, images=3, patience=3)
    )
    run(config)
    found = [row["validation_loss"] for row in rows_of(config)]
    best = found.index(min(found))
    assert len(found) == best + 1 + 3 < 100
    result = json.loads((Path(config.run_folder) / "result.json").read_text())
    assert result["steps"] == len(found)
    assert result["best_step"] == best + 1


def test_a_dataset_without_validation_images_is_trained_on_without(cpo: Config) -> None:
    run(replace(quick(cpo, 2), validation=Validation(every=1)))
    assert all("validation_loss" not in row for row in rows_of(cpo))


def test_the_mean_of_the_weights_is_the_result_and_stays_behind(
    cpo: Config, tmp_path: Path
) -> None:
    plain, mean = moved(cpo, tmp_path / "plain"), moved(cpo, tmp_path / "mean")
    mean = replace(mean, optimization=replace(mean.optimization, ema_decay=0.9))
    run(plain)
    run(mean)
    # The mean is no part of training: losses are the same.
    assert [row["loss"] for row in rows_of(plain)] == [row["loss"] for row in rows_of(mean)]
    last, averaged = (load_file(tmp_path / name / WEIGHTS) for name in ("plain", "mean"))
    ups = [name for name in last if "lora_B" in name]  # these start at zero
    assert sum(averaged[n].norm() for n in ups) < sum(last[n].norm() for n in ups)


# Killed ------------------------------------------------------------------------------------------


def everything_on(config: Config, tmp_path: Path) -> Config:
    folder = write_dataset(tmp_path / "with-validation", 6, validation=3)
    return replace(
        config,
        dataset_folder=str(folder),
        data=replace(config.data, bucket_step=8, cache_folder=str(tmp_path / "encodings")),
        validation=Validation(every=3, images=3),
        optimization=replace(config.optimization, ema_decay=0.9, schedule="cosine", warmup_steps=2),
        log_every=3,
    )


def with_teacher(config: Config, tmp_path: Path) -> Config:
    return replace(
        config, teacher=Teacher(cache_folder=str(tmp_path / f"teacher-{random.random()}"))
    )


def on_pairs(config: Config, tmp_path: Path) -> Config:
    dataset = write_dataset(tmp_path / "for-pairs", 6, without_negative=3)
    from_labels(dataset, tmp_path / "pairs", name="pairs")
    objective = replace(config.objective, kind="dpo")
    return replace(
        config,
        dataset_folder=None,
        expert=None,
        pairs_folder=str(tmp_path / "pairs"),
        objective=objective,
    )


@pytest.mark.parametrize(
    "change", [pytest.param(everything_on, marks=pytest.mark.bits), with_teacher, on_pairs]
)
def test_a_run_killed_at_a_random_step_ends_with_the_same_weights(
    cpo: Config, tmp_path: Path, start_endless: Start, change: Callable[[Config, Path], Config]
) -> None:
    config = change(quick(cpo, 9), tmp_path)
    unbroken = moved(config, tmp_path / "unbroken")
    run(unbroken)
    if config.teacher.cache_folder:
        # An empty one, so that the killed run leaves it half filled.
        config = replace(config, teacher=Teacher(cache_folder=str(tmp_path / "other")))
    after = random.randint(1, 7)
    process = start_endless(config)
    wait_for_step(process, Path(config.run_folder), after)
    process.kill()
    process.communicate()
    assert not (Path(config.run_folder) / "result.json").exists()
    run(config)
    assert weights(Path(config.run_folder)) == weights(tmp_path / "unbroken"), (
        f"killed after {after}"
    )
    assert [row["loss"] for row in rows_of(config)] == [row["loss"] for row in rows_of(unbroken)]


def test_a_run_that_is_stopped_after_early_stopping_is_over(validated: Config) -> None:
    wild = Optimization(learning_rate=0.3, max_steps=50, batch_size=2)
    config = replace(
        validated, optimization=wild, validation=Validation(every=1, images=3, patience=1)
    )
    metrics = Path(config.run_folder) / "metrics.jsonl"
    with pytest.raises(Stopped):
        run(config, metrics.exists)
    run(config)
    assert json.loads((Path(config.run_folder) / "result.json").read_text())["steps"] < 50


def test_the_loss_of_a_step_is_a_number_from_the_first_line_on(cpo: Config) -> None:
    run(quick(cpo, 1))
    assert rows_of(cpo)[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
