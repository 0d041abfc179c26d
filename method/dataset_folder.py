"""A dataset's folder: its files, and its lines read and checked. Format: docs/datasets.md.

manifest.json, criteria.json
train/, validation/, test/   the pictures, examples.jsonl with a line for each, metadata.parquet with the same
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from method.manifests import (
    check_types,
    from_json,
    prompts_of,
    read_listed,
    read_manifest,
    rows_of,
)
from method.training.failures import InvalidDataset
from taxonomy.applicability import UNKNOWN, Traits
from taxonomy.formats.json import read_json
from taxonomy.prompt import SEPARATOR, TEMPLATE_ID, conditions
from taxonomy.tree import Criteria, InvalidCriteria

FORMAT = "morelli-dataset/1"
EXAMPLES = "examples.jsonl"
TABLE = "metadata.parquet"
CRITERIA = "criteria.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a manifest says: whose dataset it is, under which criteria, and the hash of each file by its path."""

    folder: Path
    name: str
    sha256: str
    criteria: str
    """Their name and number."""
    criteria_sha256: str
    listed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A checked line of examples.jsonl."""

    image_id: str
    sha256: str
    """Of the file, from the manifest. The line's own is that of the uploaded original, which the dataset
    holds re-encoded where it was not plain sRGB."""
    path: Path
    split: str
    row: Mapping[str, Any]
    place: str
    """Where it stands, for messages."""


def read_facts(folder: Path) -> Facts:
    """Read and check the manifest of a dataset folder. Raises InvalidDataset naming the file."""
    manifest = read_manifest(folder, FORMAT, {"name": str, "criteria": dict, "template": str})
    path, criteria = folder / "manifest.json", manifest["criteria"]
    check_types(criteria, {"name": str, "number": int, "sha256": str}, f"{path}: criteria")
    if manifest["template"] != TEMPLATE_ID or manifest.get("separator", SEPARATOR) != SEPARATOR:
        raise InvalidDataset(
            f"{path}: its prompts follow template {manifest['template']!r} with separator "
            f"{manifest.get('separator')!r}; this version writes {TEMPLATE_ID!r} with "
            f"{SEPARATOR!r}. Build the dataset anew"
        )
    return Facts(
        folder=folder,
        name=manifest["name"],
        sha256=manifest["sha256"],
        criteria=f"{criteria['name']} {criteria['number']}",
        criteria_sha256=criteria["sha256"],
        listed={entry["path"]: entry["sha256"] for entry in manifest["files"]},
    )


def read_criteria(facts: Facts) -> Criteria:
    """The criteria of a dataset. Raises InvalidDataset where they are not the recorded ones."""
    path = facts.folder / CRITERIA
    if CRITERIA not in facts.listed:
        raise InvalidDataset(f"{path}: is not in the manifest")
    try:
        return read_json(read_listed(path, facts.listed[CRITERIA]).decode("utf-8"))
    except (UnicodeDecodeError, InvalidCriteria) as error:
        reason = " ".join(str(error).split())
        raise InvalidDataset(f"{path}: cannot be read as criteria: {reason}") from error


def read_lines(facts: Facts, split: str) -> list[Line]:
    """The lines of a split, checked. Raises InvalidDataset naming file and line."""
    path, name = facts.folder / split / EXAMPLES, f"{split}/{EXAMPLES}"
    if name not in facts.listed:
        if path.exists():
            raise InvalidDataset(f"{path}: is not in the manifest")
        return []
    content = read_listed(path, facts.listed[name])
    lines = content.decode("utf-8", errors="replace").split("\n")
    return [
        _read_line(line, facts, split, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]


def _read_line(line: str, facts: Facts, split: str, place: str) -> Line:
    row = from_json(line, place)
    texts = ("file_name", "sha256", "prompt", "text")
    check_types(row, dict.fromkeys(texts, str) | {"positive": list, "negative": list}, place)
    for key in ("positive", "negative"):
        if not all(isinstance(name, str) and name for name in row[key]):
            raise InvalidDataset(f"{place}: {key} must be a list of attribute names")
    if not isinstance(row.get("image_id"), str | int):
        raise InvalidDataset(f"{place}: image_id is missing")
    if not re.fullmatch(r"[^/\\\0]+", row["file_name"]) or row["file_name"] in (".", ".."):
        raise InvalidDataset(f"{place}: file_name {row['file_name']!r} is not a plain file name")
    file_sha256 = facts.listed.get(f"{split}/{row['file_name']}")
    if file_sha256 is None:
        raise InvalidDataset(f"{place}: {row['file_name']} is not in the manifest")
    written = conditions(row["prompt"], row["positive"], row["negative"])
    if row["text"] != written.all:
        raise InvalidDataset(
            f"{place}: text is not what its prompt and attributes give: {written.all!r}"
        )
    return Line(
        image_id=str(row["image_id"]),
        sha256=file_sha256,
        path=facts.folder / split / row["file_name"],
        split=split,
        row=row,
        place=place,
    )


def prompts(folder: Path, split: str) -> Iterator[str]:
    """The content prompts of a split, unchecked; none where the split is empty."""
    return prompts_of(folder, split, EXAMPLES)


def traits_of_prompts(folder: Path, split: str) -> dict[str, Traits]:
    """What is known of the images of each content prompt of a split, unchecked as `prompts`: of several
    images what all of them share. Raises OSError where the folder cannot be read.
    """
    known: dict[str, Traits] = {}
    for prompt, row in rows_of(folder, split, EXAMPLES):
        try:
            traits = Traits.of(row.get("traits", {}))
        except TypeError:
            traits = UNKNOWN
        known[prompt] = known[prompt].shared_with(traits) if prompt in known else traits
    return known
