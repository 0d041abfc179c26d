"""What runs read: the world's pictures with their labels as a dataset folder, and pairs of them."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from bench.miniature.kinds import World
from bench.miniature.world import MENTIONED
from bench.training_materials import seal, whole_or_not_at_all, write_lines
from method.dataset_folder import CRITERIA as CRITERIA_NAME
from taxonomy.formats.json import sha256, write_json
from taxonomy.prompt import SEPARATOR, TEMPLATE_ID, conditions
from worker.pairs.from_labels import from_labels
from worker.training.backbones.autoencoder import to_picture


def write_dataset(world: World, folder: Path, *, seed: int, counts: dict[str, int]) -> Path:
    """Draw so many pictures for each split; of what is true of one, an annotator mentions most."""
    generator = torch.Generator().manual_seed(seed)
    number, language = 0, world.language
    with whole_or_not_at_all(folder) as unfinished:
        for split, count in counts.items():
            modes = world.draw_modes(count, generator)
            pictures = world.draw_pixels(modes, generator)
            mentioned = torch.rand(count, len(language.flaws), generator=generator) < MENTIONED
            rows = []
            for mode, pixels, is_said in zip(
                modes.tolist(), pictures, mentioned.tolist(), strict=True
            ):
                name = _write_picture(unfinished / split, pixels)
                rows.append(_row(world, mode, is_said, number, name))
                number += 1
            write_lines(unfinished / split / "examples.jsonl", rows)
        (unfinished / CRITERIA_NAME).write_text(write_json(language.criteria), encoding="utf-8")
        seal(
            unfinished,
            {
                "format": "morelli-dataset/1",
                "criteria": {
                    "name": language.name,
                    "number": 1,
                    "sha256": sha256(language.criteria),
                },
                "template": TEMPLATE_ID,
                "separator": SEPARATOR,
            },
        )
    return folder


def write_pairs(dataset: Path, folder: Path) -> Path:
    """Of two pictures of one prompt the one with fewer flaws wins, by the labels."""
    from_labels(dataset, folder, name="miniature", nearest=0, with_unfinished=True)
    return folder


def _row(world: World, mode: int, is_said: list[bool], number: int, name: str) -> dict[str, Any]:
    language = world.language
    prompt = language.prompts[int(world.prompts_K[mode])]
    flawed = world.flaws_KA[mode].bool().tolist()
    said = [place for place, is_there in enumerate(is_said) if is_there]
    good, bad = ([place for place in said if flawed[place] == side] for side in (False, True))
    positive, negative = (
        [language.merits[place] for place in good],
        [language.flaws[place] for place in bad],
    )
    return {
        "file_name": name,
        "image_id": f"picture-{number}",
        "sha256": name.partition(".")[0],
        "prompt": prompt,
        "positive": positive,
        "negative": negative,
        "positive_keys": [language.keys[place] for place in good],
        "negative_keys": [language.keys[place] for place in bad],
        "text": conditions(prompt, positive, negative).all,
    }


def _write_picture(folder: Path, pixels: torch.Tensor) -> str:
    """Write pixels under the name that the file's hash gives."""
    out = io.BytesIO()
    to_picture(pixels).save(out, format="PNG", compress_level=1)
    name = f"{hashlib.sha256(out.getvalue()).hexdigest()}.png"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(out.getvalue())
    return name
