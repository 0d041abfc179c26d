"""Whole runs on the tiny model: what they write, how they end, and that they resume exactly."""

import fcntl
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from method.items import is_out_of_memory
from method.training.config import Config, Samples
from method.training.config_reading import from_dict, load_config, to_dict, write_yaml
from method.training.failures import Ended, InvalidConfig, InvalidDataset, Stopped
from tests.worker.training.conftest import Start, quick
from tests.worker.training.datasets import write_dataset
from worker.training.__main__ import main
from worker.training.metrics import read_lines
from worker.training.run import run

WEIGHTS = "adapter/pytorch_lora_weights.safetensors"


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def weights(folder: Path) -> bytes:
    return (folder / WEIGHTS).read_bytes()


def moved(config: Config, folder: Path) -> Config:
    return replace(config, run_folder=str(folder))


def test_stage_1_leaves_everything_that_the_contract_names(expert: Path) -> None:
    result = read_json(expert / "result.json")
    assert result["steps"] == 4
    assert result["adapter"] == WEIGHTS
    assert (expert / WEIGHTS).is_file()
    rows = read_lines(expert / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    wanted = {"epoch", "loss", "grad_norm", "lr", "images_per_second", "memory_mb", "time"}
    assert all(wanted <= row.keys() and math.isfinite(row["loss"]) for row in rows)
    progress = read_json(expert / "progress.json")
    assert (progress["state"], progress["step"], progress["total_steps"]) == ("finished", 4, 4)
    samples = read_lines(expert / "samples/samples.jsonl")
    assert [(row["step"], row["model"]) for row in samples] == [
        (0, "target"),
        (0, "base"),
        (4, "target"),
    ]
    for row in samples:
        with Image.open(expert / row["file"]) as sample:
            assert sample.size == (64, 64)
    assert load_config(expert / "config.yaml").objective.kind == "sft"
    assert (expert / "log.txt").read_text().count("Step ") == 4


def test_the_model_card_names_dataset_criteria_config_and_results(expert: Path) -> None:
    card = (expert / "adapter/README.md").read_text()
    result = read_json(expert / "result.json")
    for text in (
        result["dataset"]["sha256"],
        "Painting 1",
        result["criteria"]["sha256"],
        result["sha256"],
        "rank: 16",
        f"{result['final']['loss']:.6g}",
    ):
        assert text in card


def test_stage_2_starts_at_log_2_and_learns(cpo: Config) -> None:
    folder = Path(cpo.run_folder)
    run(cpo)
    rows = read_lines(folder / "metrics.jsonl")
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert rows[0]["factor"] == 0.5
    assert rows[0]["drift"] == 0
    assert rows[0]["grad_norm"] > 0
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["win"] < 0 or rows[-1]["lose"] > 0
    result = read_json(folder / "result.json")
    assert (result["images"], result["skipped_without_negative"]) == (7, 1)


@pytest.mark.parametrize("omegas", [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0)])
def test_guidance_one_saves_work_and_still_learns(cpo: Config, omegas: tuple[float, float]) -> None:
    objective = replace(cpo.objective, omega_w=omegas[0], omega_l=omegas[1], kind="cpo")
    run(quick(replace(cpo, objective=objective), 2))
    rows = read_lines(Path(cpo.run_folder) / "metrics.jsonl")
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert rows[1]["drift"] > 0


def test_stage_2_samples_the_expert_and_the_base_beside_the_target(cpo: Config) -> None:
    samples = Samples(every=1, prompts=("a house", "a tree"), seeds=(0,), steps=2, guidance=2.0)
    run(replace(quick(cpo, 2), samples=samples))
    rows = read_lines(Path(cpo.run_folder) / "samples/samples.jsonl")
    found = {(row["step"], row["index"], row["model"]) for row in rows}
    start = {(0, i, model) for i in (0, 1) for model in ("target", "expert", "base")}
    assert found == start | {(step, i, "target") for step in (1, 2) for i in (0, 1)}
    content = {
        (row["step"], row["model"]): (Path(cpo.run_folder) / row["file"]).read_bytes()
        for row in rows
        if row["index"] == 0
    }
    assert content[0, "target"] == content[0, "base"] != content[0, "expert"]
    assert content[2, "target"] != content[0, "target"]


def test_the_expert_is_not_changed_by_stage_2(cpo: Config, expert: Path) -> None:
    before = weights(expert)
    run(cpo)
    assert weights(expert) == before


@pytest.mark.bits
def test_a_run_repeats_bit_for_bit(cpo: Config, tmp_path: Path) -> None:
    run(cpo)
    run(moved(cpo, tmp_path / "again"))
    assert weights(Path(cpo.run_folder)) == weights(tmp_path / "again")
    run(replace(moved(cpo, tmp_path / "other"), seed=1))
    assert weights(tmp_path / "other") != weights(tmp_path / "again")


@pytest.mark.parametrize("after", [1, pytest.param(3, marks=pytest.mark.bits)])
def test_a_run_killed_at_any_step_resumes_to_the_same_weights(
    cpo: Config, tmp_path: Path, start_endless: Start, after: int
) -> None:
    unbroken = moved(cpo, tmp_path / "unbroken")
    run(unbroken)
    folder = Path(cpo.run_folder)
    process = start_endless(cpo)
    wait_for_step(process, folder, after)
    process.kill()
    process.communicate()
    assert not (folder / "result.json").exists()
    run(cpo)
    assert weights(folder) == weights(tmp_path / "unbroken")
    for name in ("loss", "win", "lose", "grad_norm", "epoch"):
        assert [row[name] for row in read_lines(folder / "metrics.jsonl")] == [
            row[name] for row in read_lines(tmp_path / "unbroken/metrics.jsonl")
        ]


@pytest.mark.bits
def test_a_stop_saves_and_the_run_goes_on_from_there(
    sft: Config, tmp_path: Path, start: Start
) -> None:
    sft = replace(sft, log_every=4)
    unbroken = moved(sft, tmp_path / "unbroken")
    run(unbroken)
    with pytest.raises(Stopped):
        run(sft, stop_after(sft, 3))
    folder = Path(sft.run_folder)
    progress = read_json(folder / "progress.json")
    assert progress["state"] == "stopped"
    assert (folder / f"checkpoints/step-{progress['step']:06d}/manifest.json").is_file()
    assert 0 < progress["step"] < 6
    run(sft)
    assert weights(folder) == weights(tmp_path / "unbroken")
    losses = [
        [row["loss"] for row in read_lines(place / "metrics.jsonl")]
        for place in (folder, tmp_path / "unbroken")
    ]
    assert losses[0] == losses[1]


def test_sigterm_ends_with_75_and_one_sentence(cpo: Config, start: Start) -> None:
    process = start(quick(cpo, 500))
    wait_for_step(process, Path(cpo.run_folder), 1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75
    assert errors.splitlines()[-1].startswith("Stopped on request after step")
    assert read_json(Path(cpo.run_folder) / "progress.json")["state"] == "stopped"


def test_the_adapter_loads_in_diffusers_and_changes_the_picture(
    cpo: Config, tiny_model: Path
) -> None:
    run(replace(cpo, lora=replace(cpo.lora, rank=4, scaling=3.0)))
    script = """
import sys, torch
from diffusers import StableDiffusionXLPipeline
pipeline = StableDiffusionXLPipeline.from_pretrained(sys.argv[1], local_files_only=True)
def paint():
    generator = torch.Generator().manual_seed(0)
    return pipeline("a house", num_inference_steps=2, generator=generator, output_type="pt").images
before = paint()
pipeline.load_lora_weights(sys.argv[2])
(config,) = pipeline.unet.peft_config.values()
print((paint() - before).abs().max().item(), config.r, config.lora_alpha)
"""
    adapter = Path(cpo.run_folder) / "adapter"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tiny_model), str(adapter)],
        capture_output=True,
        text=True,
        check=True,
    )
    change, rank, alpha = map(float, done.stdout.split())
    assert change > 0
    # The factor of 3 is in the weights: not every reader looks for it elsewhere.
    assert (rank, alpha) == (4, 4)


def test_a_finished_run_is_left_alone(cpo: Config) -> None:
    run(quick(cpo, 2))
    before = weights(Path(cpo.run_folder))
    run(quick(cpo, 2))
    assert weights(Path(cpo.run_folder)) == before
    with pytest.raises(InvalidConfig, match=r"optimization\.max_steps: is 3.*started with 2"):
        run(quick(cpo, 3))


def test_another_dataset_is_refused_on_resume(sft: Config, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(sft, stop_after(sft, 3))
    other = write_dataset(tmp_path / "other", 9)
    with pytest.raises(Ended, match="another dataset"):
        run(replace(sft, dataset_folder=str(other)))


def test_a_moved_dataset_is_not_another_one(sft: Config, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "here", 4)
    config = replace(sft, dataset_folder=str(folder))
    with pytest.raises(Stopped):
        run(config, stop_after(config, 3))
    folder.rename(tmp_path / "there")
    run(replace(config, dataset_folder=str(tmp_path / "there")))
    assert (Path(sft.run_folder) / "result.json").exists()


def test_long_prompts_are_read_whole(cpo: Config, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "long", 4, num_long=4)
    config = quick(replace(cpo, dataset_folder=str(folder)), 2)
    run(config)
    assert read_json(Path(cpo.run_folder) / "result.json")["images_with_long_prompts"] == 3


def test_a_shared_cache_gives_the_same_weights(cpo: Config, tmp_path: Path) -> None:
    run(cpo)
    cache = tmp_path / "cache"
    cached = replace(cpo, data=replace(cpo.data, cache_folder=str(cache)))
    run(moved(cached, tmp_path / "filling"))
    files = sorted(cache.rglob("*.safetensors"))
    assert files
    files[0].write_bytes(b"broken")
    run(moved(cached, tmp_path / "reading"))
    assert weights(tmp_path / "filling") == weights(Path(cpo.run_folder))
    assert weights(tmp_path / "reading") == weights(Path(cpo.run_folder))
    assert sorted(cache.rglob("*.safetensors")) == files


def test_gradient_checkpointing_changes_no_gradient(cpo: Config, tmp_path: Path) -> None:
    run(quick(cpo, 2))
    config = quick(cpo, 2)
    saving = replace(config.optimization, gradient_checkpointing=True)
    run(moved(replace(config, optimization=saving), tmp_path / "saving"))
    one, other = (load_file(f / WEIGHTS) for f in (Path(cpo.run_folder), tmp_path / "saving"))
    for name in one:
        torch.testing.assert_close(one[name], other[name])


def test_bf16_trains_fp32_adapter_weights(cpo: Config) -> None:
    run(quick(replace(cpo, precision="bf16"), 2))
    rows = read_lines(Path(cpo.run_folder) / "metrics.jsonl")
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert all(w.dtype == torch.float32 for w in load_file(Path(cpo.run_folder) / WEIGHTS).values())


def test_a_broken_model_ends_with_2_and_changes_nothing(
    sft: Config, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    path = broken / "unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["conv_in.weight"].fill_(math.nan)
    save_file(tensors, path, {"format": "pt"})
    config = tmp_path / "config.yaml"
    config.write_text(write_yaml(replace(sft, model=replace(sft.model, path=str(broken)))))
    assert main([str(config)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("model.path: unet") and "not finite: conv_in.weight" in said
    assert read_json(Path(sft.run_folder) / "progress.json")["state"] == "failed"
    assert not (Path(sft.run_folder) / "checkpoints").exists()


def test_bad_configs_and_data_end_with_their_own_codes(
    sft: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def end_of(config: Config) -> tuple[int, str]:
        path = tmp_path / "config.yaml"
        path.write_text(write_yaml(config))
        code = main([str(path)])
        return code, capsys.readouterr().err.splitlines()[-1]

    code, sentence = end_of(replace(sft, model=replace(sft.model, path=str(tmp_path))))
    assert (code, sentence.split()[0]) == (2, "model.path:")
    code, sentence = end_of(replace(sft, dataset_folder=str(tmp_path)))
    assert code == 3
    assert "manifest.json: cannot be read" in sentence
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert main([]) == 2


def test_unfitting_resolution_targets_and_expert_name_their_field(
    sft: Config, cpo: Config, tmp_path: Path
) -> None:
    for change, message in (
        (
            {"data": {**to_dict(sft)["data"], "resolution": 60}},
            r"data\.resolution: .*multiple of 8",
        ),
        ({"lora": {**to_dict(sft)["lora"], "targets": ["no_such"]}}, r"lora\.targets: "),
    ):
        with pytest.raises(InvalidConfig, match=message):
            run(from_dict(to_dict(sft) | change))
        (Path(sft.run_folder) / "config.yaml").unlink(missing_ok=True)
    with pytest.raises(InvalidConfig, match="holds no pytorch_lora_weights"):
        run(replace(cpo, run_folder=str(tmp_path / "x"), expert=str(tmp_path)))
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InvalidConfig, match="is not an adapter file"):
        run(replace(cpo, run_folder=str(tmp_path / "x"), expert=str(tmp_path)))


def test_a_dataset_without_negatives_teaches_stage_2_nothing(cpo: Config, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "happy", 3, without_negative=3)
    with pytest.raises(InvalidDataset, match="negative"):
        run(replace(cpo, dataset_folder=str(folder)))


def test_a_changed_image_is_noticed(sft: Config, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "changed", 3)
    image = next(folder.glob("train/*.png"))
    image.write_bytes(image.read_bytes() + b" ")
    with pytest.raises(InvalidDataset, match="not what the dataset recorded"):
        run(replace(sft, dataset_folder=str(folder)))


def test_a_run_folder_in_use_is_refused(sft: Config) -> None:
    Path(sft.run_folder).mkdir()
    with (Path(sft.run_folder) / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Ended, match="another process"):
            run(sft)


def test_running_out_of_memory_is_recognised() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_the_process_dies_with_its_parent(cpo: Config, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text(json.dumps(to_dict(quick(cpo, 5000))))
    script = """
import subprocess, sys, time
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
child = subprocess.Popen([sys.executable, "-m", "worker.training", sys.argv[1]], **quiet)
print(child.pid, flush=True)
time.sleep(600)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"MORELLI_DIE_WITH_PARENT": "1"},
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_for_step(parent, Path(cpo.run_folder), 1)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 20
    while is_alive(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)


def stop_after(config: Config, step: int) -> Callable[[], bool]:
    progress = Path(config.run_folder) / "progress.json"
    return lambda: read_json(progress)["step"] >= step


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def wait_for_step(process: subprocess.Popen[str], folder: Path, step: int) -> None:
    deadline = time.monotonic() + 240
    while not any(row["step"] >= step for row in read_lines(folder / "metrics.jsonl")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
