"""The model card beside the weights: where they come from and how to load them, in words a stranger can check."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from method.training.config import Config
from method.training.config_reading import write_yaml
from method.training.examination import read_examination, table, verdict

PIPELINES = {
    "sd15": "StableDiffusionPipeline",
    "sdxl": "StableDiffusionXLPipeline",
    "flux": "FluxPipeline",
}
NETWORKS = {
    "sd15": ("unet", "UNet2DConditionModel"),
    "sdxl": ("unet", "UNet2DConditionModel"),
    "flux": ("transformer", "FluxTransformer2DModel"),
}
TAGS = {"sd15": "stable-diffusion", "sdxl": "stable-diffusion-xl", "flux": "flux"}


def write_card(path: Path, config: Config, result: Mapping[str, Any]) -> None:
    """Write README.md with the front matter that model hubs read."""
    path.write_text(_card(config, result), encoding="utf-8")


def _card(config: Config, result: Mapping[str, Any]) -> str:
    what = "LoRA adapter" if _is_adapter(config) else "Whole network"
    tags = ["text-to-image", *(["lora"] if _is_adapter(config) else []), TAGS[result["family"]]]
    return f"""---
library_name: diffusers
base_model: {json.dumps(config.model.path, ensure_ascii=False)}
tags: [{", ".join(tags)}]
---

# {what}: {result["dataset"]["name"]}, {config.objective.kind}

Made by Morelli: {config.objective.facts.card}.

{_usage(config, result)}
{_facts(config, result)}
{_leak(result)}
{_notes(result)}
{_examination(result)}
## Last logged values
{_winning(result)}
{_measured(config, result)}

## Config

```yaml
{write_yaml(config)}```
"""


def _is_adapter(config: Config) -> bool:
    return config.theta.mode == "lora"


def _usage(config: Config, result: Mapping[str, Any]) -> str:
    parts = [f"```python\n{_code(config, result)}\n```\n"]
    if config.objective.facts.makes_negative:
        parts.append(_about_negatives(config))
    if result["kohya"]:
        parts.append(
            f"`{Path(result['kohya']).name}` holds the same adapter for ComfyUI and A1111.\n"
        )
    return "\n".join(parts)


def _code(config: Config, result: Mapping[str, Any]) -> str:
    """How diffusers loads the weights."""
    pipeline = PIPELINES[result["family"]]
    base = [repr(config.model.path)]
    base += [f"revision={config.model.revision!r}"] if config.model.revision else []
    base += [f"variant={config.model.variant!r}"] if config.model.variant else []
    if _is_adapter(config):
        name = Path(result["adapter"]).name
        return f"""from diffusers import {pipeline}

pipeline = {pipeline}.from_pretrained({", ".join(base)})
pipeline.load_lora_weights("path/of/this/folder", weight_name={name!r})"""
    place, network = NETWORKS[result["family"]]
    return f"""from diffusers import {pipeline}, {network}

network = {network}.from_pretrained("path/of/this/folder")
pipeline = {pipeline}.from_pretrained({", ".join([*base, f"{place}=network"])})"""


def _about_negatives(config: Config) -> str:
    said = """Loaded like this it paints what was *not* preferred. It is meant for the unconditional branch of
classifier-free guidance: e = e_negative + guidance * (e_prompt - e_negative), where e_prompt is predicted for the
prompt by the base or by an aligned model, and e_negative for the empty (or a negative) prompt by the same model
with this one's change added to it.
"""
    if not _is_adapter(config):
        return said
    return (
        said
        + """In Morelli: name this folder as `samples.negative` in the config of another run, or evaluate with
`--negative`; `samples.negative_merge` says how much of the other run's own change the negative branch leaves out.
"""
    )


def _examination(result: Mapping[str, Any]) -> str:
    """What the expert, made here or the one that taught, knows of attributes."""
    found = read_examination(result["examination"])
    if found is None:
        return ""
    rows = "\n".join(f"| {words} | {error:.6g} |" for words, error in table(found))
    return f"""## What the expert knows of attributes

| predicted from | mean squared error |
| --- | --- |
{rows}

{verdict(found)}
"""


def _facts(config: Config, result: Mapping[str, Any]) -> str:
    dataset, criteria, model = result["dataset"], result["criteria"], config.model
    is_paired = config.objective.facts.reads_pairs
    learned = f"{result['images']} learned from"
    if result["skipped_without_negative"]:
        learned += (
            f", {result['skipped_without_negative']} skipped for want of a negative attribute"
        )
    steps = str(result["steps"])
    if result["best_step"] is not None:
        steps += f"; the weights are those of step {result['best_step']}, the best in validation"
    rows = {
        "base model": f"{model.path} at {model.revision}" if model.revision else model.path,
        "pair dataset"
        if is_paired
        else "dataset": f"{dataset['name']}, sha256 {dataset['sha256']}",
        "criteria": f"{criteria['name']}, sha256 {criteria['sha256']}"
        if criteria
        else "none: pairs say which picture is preferred, not why",
        "expert": f"sha256 {result['expert_sha256']}, in whatever file"
        if result["expert_sha256"]
        else "none",
        "pairs" if is_paired else "images": learned,
        "steps": steps,
        "weights": f"sha256 {result['weights_sha256']}, in whatever file",
        "file": f"`{Path(result['adapter']).name}`, sha256 {result['sha256']}",
    }
    return _table(("", ""), rows)


def _leak(result: Mapping[str, Any]) -> str:
    if not result["includes_test_images"]:
        return ""
    return (
        "\nThe images learned from include the dataset's test images, so scores on those mean "
        "nothing.\n"
    )


def _notes(result: Mapping[str, Any]) -> str:
    """What differs from what one might expect of the config below."""
    return "".join(f"* {note}\n" for note in result.get("notes", ()))


def _winning(result: Mapping[str, Any]) -> str:
    return f"\nThe winning part: {result['winning']}\n" if result["winning"] else ""


def _measured(config: Config, result: Mapping[str, Any]) -> str:
    values = {
        name: f"{value:.6g}"
        for name, value in result["final"].items()
        if isinstance(value, int | float) and name not in ("time", "memory_mb")
    }
    return _table(("value", f"mean over the last {config.log_every} steps"), values)


def _table(head: tuple[str, str], rows: Mapping[str, str]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])
