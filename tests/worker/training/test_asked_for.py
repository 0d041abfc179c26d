"""Nothing that a config asks for is dropped without a word, and what is written down is what was trained."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from method.objectives import OBJECTIVES
from method.places import expand
from method.training import recipes
from method.training.config import Config, Lora, Theta
from method.training.config_checks import refuse_unread
from method.training.config_reading import from_dict, load_config, to_dict
from method.training.failures import InvalidConfig
from tests.worker.training.conftest import quick
from worker.training.cropping import share_left
from worker.training.run import run

HEAD = "run_folder: run\ndataset_folder: data\nmodel: {path: model}\nobjective: {kind: sft}\n"
LEAST: dict[str, Any] = {
    "run_folder": "run",
    "dataset_folder": "data",
    "model": {"path": "model"},
    "objective": {"kind": "sft"},
}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nlora: {rank: 2}\nseed: 2\n", "line 7: seed stands here twice, first in line 5"),
        ("lora:\n  rank: 2\n  alpha: 1\n  rank: 4\n", "line 8: rank stands here twice"),
        ("seed: 010\n", "line 5: 010 would be read as 8"),
        ("samples: {steps: 1:30}\n", "line 5: 1:30 would be read as 90"),
        ("lora:\n\trank: 2\n", "indent with spaces"),
        ("samples: {prompts: [2024-05-01]}\n", r"samples.prompts\[0\]: must be text"),
        ("data: {buckets: 'no'}\n", "data.buckets: must be true or false"),
        ("optimization: {max_steps: 1e3}\n", "optimization.max_steps: must be a whole number"),
        ("export: &a {kohya: true}\nlora: {rank: !!python/name:os.system ''}\n", "is not YAML"),
    ],
)
def test_yaml_that_would_be_misread_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + text)
    with pytest.raises(InvalidConfig, match=message):
        load_config(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_may_start_with_the_mark_of_its_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(HEAD + "samples: {prompts: [Mädchen]}\n", encoding=encoding)
    assert load_config(path).samples.prompts == ("Mädchen",)


def test_a_home_and_variables_are_put_into_every_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCRATCH", "/scratch")
    monkeypatch.delenv("NOWHERE", raising=False)
    config = from_dict(
        {
            "run_folder": "~/run",
            "pairs_folder": "$SCRATCH/pairs",
            "model": {"path": "~/model"},
            "objective": {"kind": "dpo"},
            "data": {"cache_folder": "${SCRATCH}/cache"},
            "samples": {"negative": "~/npo", "prompts": ["~ costs $5"]},
            "tracking": {"mlflow": "https://host/$SCRATCH"},
        }
    )
    assert (config.run_folder, config.pairs_folder) == (f"{tmp_path}/run", "/scratch/pairs")
    assert (config.model.path, config.data.cache_folder) == (f"{tmp_path}/model", "/scratch/cache")
    assert (config.samples.negative, config.samples.prompts) == (f"{tmp_path}/npo", ("~ costs $5",))
    assert config.tracking.mlflow == "https://host/$SCRATCH"
    assert from_dict(LEAST | {"model": {"path": "org/name"}}).model.path == "org/name"
    with pytest.raises(InvalidConfig, match=r"run_folder: \$NOWHERE in \$NOWHERE/x is not set"):
        from_dict(LEAST | {"run_folder": "$NOWHERE/x"})
    (tmp_path / "$a").mkdir()
    assert expand(tmp_path / "$a") == tmp_path / "$a"


@pytest.mark.parametrize(
    ("kind", "section", "option", "value"),
    [
        ("sft", "objective", "beta", 7.0),
        ("sft", "objective", "omega_w", 3.0),
        ("sft", "teacher", "cache_folder", "cache"),
        ("sft", "text", "empty_neg", "generic"),
        ("sft", "spo", "steps", 7),
        ("dpo", "text", "reducer", "binary"),
        ("dpo", "objective", "drop_all", 0.2),
        ("cpo", "objective", "norm_eps", 0.1),
        ("cpo_s", "objective", "snr_gamma", 3.0),
        ("cpo_s", "text", "generic_neg", "bad"),
        ("cpo_s", "teacher", "dtype", "fp32"),
        ("y_gap", "objective", "omega_w", 3.0),
        ("gap", "objective", "beta", 500.0),
        ("gap", "objective", "drift_cap", 0.5),
        ("cpo_s", "objective", "gap", 0.25),
        ("cpo_s", "guard", "winner", True),
        ("dpo", "guard", "winner", True),
        ("spo", "noise", "offset", 0.1),
        ("spo", "objective", "time_weight", "snr"),
        ("sft", "samples", "negative_merge", 0.5),
        ("sft", "validation", "images", 3),
    ],
)
def test_an_option_that_would_not_be_read_is_refused(
    kind: str, section: str, option: str, value: object
) -> None:
    made = recipes.sdxl(kind, "run", "data", model="model", expert="expert")
    part = replace(getattr(made, section), **{option: value})
    with pytest.raises(InvalidConfig, match=rf"^{section}\.{option}: is .* would not be read"):
        refuse_unread(replace(made, **{section: part}))


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_no_recipe_asks_in_vain(kind: str) -> None:
    for make in (
        recipes.tiny,
        recipes.sd15_small,
        recipes.sdxl,
        recipes.paper_sdxl,
        recipes.paper_flux,
    ):
        refuse_unread(make(kind, "run", "data", model="model", expert="expert"))


def test_an_option_of_another_model_and_a_target_that_fits_nothing_are_refused(
    sft: Config,
) -> None:
    with pytest.raises(InvalidConfig, match=r"flow\.shift: is 3.* no FLUX"):
        run(replace(sft, flow=replace(sft.flow, shift=3.0)))
    with pytest.raises(InvalidConfig, match=r"lora\.targets: no layer .* ends with to_qq"):
        run(replace(sft, lora=Lora(targets=("to_q", "to_qq"))))
    with pytest.raises(InvalidConfig, match=r"model\.revision: .* is a folder"):
        run(replace(sft, model=replace(sft.model, revision="main")))


def test_what_one_might_not_expect_is_said_in_log_result_and_card(
    sft: Config, caplog: pytest.LogCaptureFixture
) -> None:
    run(replace(sft, optimization=replace(sft.optimization, max_steps=2, warmup_steps=200)))
    folder = Path(sft.run_folder)
    (note,) = (n for n in json.loads((folder / "result.json").read_text())["notes"] if "arm" in n)
    assert "comes to 1e-05 and not to the 0.001" in note
    assert note in caplog.text
    assert note in (folder / "adapter/README.md").read_text()


def test_the_share_that_a_crop_leaves() -> None:
    assert share_left((100, 100), (64, 64)) == 1
    assert share_left((1000, 60), (128, 128)) == pytest.approx(0.06)
    assert share_left((400, 300), (64, 64)) == pytest.approx(0.75)


def test_a_start_of_another_rank_is_refused_and_one_of_another_factor_converted(
    sft: Config, tmp_path: Path
) -> None:
    start = quick(replace(sft, run_folder=str(tmp_path / "start"), lora=Lora(rank=4)), 2)
    run(start)
    theta = Theta(init="path", init_path=start.run_folder)
    again = quick(replace(sft, theta=theta), 1)
    with pytest.raises(InvalidConfig, match=r"lora\.rank: is 16, but .* has rank 4"):
        run(again)
    with pytest.raises(
        InvalidConfig, match=r"lora\.targets: .* 2 layers|lora\.targets: the adapter"
    ):
        run(replace(again, lora=Lora(rank=4, targets=("to_q",))))
    same = replace(again, lora=Lora(rank=4), run_folder=str(tmp_path / "same"))
    other = replace(again, lora=Lora(rank=4, scaling=0.5), run_folder=str(tmp_path / "other"))
    run(same)
    run(other)
    losses = [
        json.loads((Path(each.run_folder) / "metrics.jsonl").read_text().splitlines()[0])["loss"]
        for each in (same, other)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_an_adapters_factor_is_in_its_weights_for_readers_of_no_metadata(
    sft: Config, tmp_path: Path
) -> None:
    config = quick(replace(sft, lora=Lora(rank=4, scaling=0.1)), 4)
    run(config)
    folder = Path(config.run_folder)
    file = folder / "adapter/pytorch_lora_weights.safetensors"
    assert not (folder / "adapter/exact.safetensors").exists()
    with safe_open(file, "pt") as opened:
        about = json.loads(opened.metadata()["lora_adapter_metadata"])
    assert (about["unet.lora_alpha"], about["unet.r"]) == (4, 4)
    kohya, plain = load_file(folder / "adapter/kohya.safetensors"), load_file(file)
    name = next(name for name in plain if name.endswith("lora_B.weight"))
    layer = "lora_unet_" + name.removeprefix("unet.").removesuffix(".lora_B.weight").replace(
        ".", "_"
    )
    up = kohya[f"{layer}.lora_up.weight"] * kohya[f"{layer}.alpha"] / 4
    assert torch.allclose(plain[name], up, rtol=1e-5)
    # A checkpoint gives back the very bits, which a division by the factor would not.
    exact = load_file(folder / "checkpoints/step-000004/exact.safetensors")
    assert torch.equal(exact[name.removeprefix("unet.")] * 0.1, plain[name]) or math.isclose(
        float((exact[name.removeprefix("unet.")] * 0.1 - plain[name]).abs().max()), 0, abs_tol=1e-7
    )


def test_an_expert_of_another_base_or_wording_is_refused(
    cpo: Config, sft: Config, tmp_path: Path
) -> None:
    import shutil

    other = tmp_path / "other"
    shutil.copytree(cpo.model.path, other)
    path = other / "unet/diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    save_file({name: tensor * 1.05 for name, tensor in weights.items()}, path, {"format": "pt"})
    with pytest.raises(InvalidConfig, match=r"^expert: .* was trained on another base model"):
        run(replace(cpo, model=replace(cpo.model, path=str(other))))
    text = replace(cpo.text, polarity_markers=True)
    with pytest.raises(InvalidConfig, match=r"^text\.polarity_markers: is True, but the expert"):
        run(replace(cpo, text=text))
    # The same base in another folder and rounded to fewer bits is the same base.
    moved = tmp_path / "moved"
    shutil.copytree(cpo.model.path, moved)
    path = moved / "unet/diffusion_pytorch_model.safetensors"
    rounded = {name: tensor.to(torch.float16).float() for name, tensor in load_file(path).items()}
    save_file(rounded, path, {"format": "pt"})
    run(quick(replace(cpo, model=replace(cpo.model, path=str(moved))), 1))
    assert to_dict(cpo)["text"]["polarity_markers"] is False
