"""The model card beside an adapter: where it comes from, in words a stranger can check."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.training.config import Config
from worker.training.config_reading import write_yaml

OBJECTIVES = {
    "sft": "stage 1, supervised fine-tuning on prompts with their attributes (the expert)",
    "cpo": "stage 2, complex preference optimisation",
    "cpo_s": "stage 2, complex preference optimisation, stabilised",
}


def write_card(path: Path, config: Config, result: Mapping[str, Any]) -> None:
    """Write README.md with the front matter that model hubs read."""
    path.write_text(_card(config, result), encoding="utf-8")


def _card(config: Config, result: Mapping[str, Any]) -> str:
    dataset, criteria = result["dataset"], result["criteria"]
    measured = "\n".join(
        f"| {name} | {value:.6g} |"
        for name, value in result["final"].items()
        if isinstance(value, int | float) and name not in ("time", "memory_mb")
    )
    leak = (
        "\nThe images learned from include the dataset's test images, so scores on those mean "
        "nothing.\n"
        if result["includes_test_images"]
        else ""
    )
    return f"""---
library_name: diffusers
base_model: {config.model.path}
tags: [text-to-image, lora, stable-diffusion-xl]
---

# LoRA adapter: {dataset["name"]}, {config.objective.kind}

Made by Morelli: {OBJECTIVES[config.objective.kind]}.

```python
pipeline = StableDiffusionXLPipeline.from_pretrained({config.model.path!r})
pipeline.load_lora_weights("path/of/this/folder")
```

| | |
| --- | --- |
| base model | {config.model.path}{f" at {config.model.revision}" if config.model.revision else ""} |
| dataset | {dataset["name"]}, sha256 {dataset["sha256"]} |
| criteria | {criteria["name"]}, sha256 {criteria["sha256"]} |
| expert | {f"weights sha256 {result['expert_sha256']}" if result["expert_sha256"] else "none"} |
| images | {result["images"]} learned from, {result["skipped_without_negative"]} skipped for want of a \
negative attribute |
| steps | {result["steps"]} |
| weights | sha256 {result["sha256"]} |
{leak}
## Last logged values

| value | mean over the last {config.log_every} steps |
| --- | --- |
{measured}

## Config

```yaml
{write_yaml(config)}```
"""
