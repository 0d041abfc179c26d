"""Reads tasks of Label Studio: an array as its JSON export and import have it, task by task.

What models predicted is an agent's proposal; what the last annotation that was not skipped holds is
confirmed by who made it. What was predicted and is not in the annotation is left as it is proposed, or
rejected where whoever imports says that annotators took out what is wrong.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from re import compile as pattern
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

from app.errors import Invalid
from app.label_imports.rows import FileLabel, NamedAttribute, NamedImage, Problem, read_row
from app.label_imports.texts import open_text
from taxonomy.names import is_key
from taxonomy.tree import POLARITIES

Absent: TypeAlias = Literal["leave", "reject"]
BLOCK = 1 << 20
LONGEST_TASK = 64 * 1024**2
NAMELESS_MODEL = "label_studio"
# Label Studio keeps an uploaded file as /data/upload/PROJECT/1a2b3c4d-its-own-name.
_UPLOADED = pattern(r"/data/upload/(?:\d+/)?[0-9a-f]{8}-(.+)$")
# The fields of a task's data that may hold the image, the likeliest first.
_IMAGE_FIELDS = ("image", "img", "url", "image_url", "file", "file_name")


def read_tasks(path: Path, *, absent: Absent) -> Iterator[FileLabel | Problem]:
    """The labels of every task; the line is where the task begins. Raises Invalid where it is no array of tasks."""
    with open_text(path) as file:
        for line, task in _items(file):
            yield from _labels_of(line, task, absent)


def _items(file: Any) -> Iterator[tuple[int, Any]]:
    """The items of one large JSON array, each with the line where it begins."""
    decoder, held, line = json.JSONDecoder(), file.read(BLOCK).lstrip(), 1
    if not held.startswith("["):
        raise Invalid(
            "The file is no JSON array of tasks.",
            field="files",
            hint="In Label Studio choose Export, then JSON. Other JSON is read from files that end in .jsonl.",
        )
    at = 1
    while True:
        at, line = _skipped(held, at, line)
        if at < len(held) and held[at] == "]":
            return
        try:
            item, end = decoder.raw_decode(held, at)
            whole = end < len(held)
        except (ValueError, RecursionError) as error:
            whole, item, end, wrong = False, None, at, error
        else:
            wrong = ValueError("the file ends in the middle")
        if not whole:
            more = file.read(max(BLOCK, len(held)))
            if not more or len(held) > LONGEST_TASK:
                raise Invalid(
                    f"Line {line}: this task cannot be read as JSON ({wrong}).", field="files"
                ) from wrong
            held, at = held[at:] + more, 0
            continue
        yield line, item
        line += held.count("\n", at, end)
        at = end


def _skipped(held: str, at: int, line: int) -> tuple[int, int]:
    while at < len(held) and held[at] in ", \t\r\n":
        line += held[at] == "\n"
        at += 1
    return at, line


def _labels_of(line: int, task: Any, absent: Absent) -> Iterator[FileLabel | Problem]:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        yield Problem(line, "is no task: it has no data.")
        return
    try:
        image = _image_of(task["data"])
        proposed = _predicted(task)
        annotation = _last_annotation(task)
        chosen = _chosen(annotation) if annotation is not None else {}
    except ValueError as error:
        yield Problem(line, str(error))
        return
    decided = {} if annotation is None else _decision(annotation)
    for attribute in {**proposed, **chosen}:
        said: dict[str, Any] = {**attribute._asdict(), **proposed.get(attribute, {})}
        if attribute in chosen:
            said |= {"state": "confirmed", **decided}
        elif annotation is not None and absent == "reject":
            said |= {"state": "rejected", **decided}
        else:
            said["state"] = "proposed"
        yield read_row(line, image, said)


def _image_of(data: Mapping[str, Any]) -> NamedImage:
    place = next((data[each] for each in _IMAGE_FIELDS if isinstance(data.get(each), str)), "")
    sha256, source_id = data.get("sha256"), data.get("source_id")
    return NamedImage(
        sha256.lower() if isinstance(sha256, str) else "",
        str(source_id) if source_id is not None else "",
        _name_in(place),
    )


def _name_in(place: str) -> str:
    """The file's name in an address; a plain name, with its folders, is one already."""
    if uploaded := _UPLOADED.search(place):
        return unquote(uploaded[1])
    try:
        parts = urlsplit(place)
    except ValueError as error:
        raise ValueError("has an image whose address makes no sense.") from error
    if parts.scheme or place.startswith("/"):
        shown = (
            parts.query.partition("d=")[2] if parts.path.endswith("local-files/") else parts.path
        )
        return PurePosixPath(unquote(shown)).name
    return place


def _last_annotation(task: Mapping[str, Any]) -> Mapping[str, Any] | None:
    kept = [
        each
        for each in _objects(task.get("annotations", task.get("completions")), "annotations")
        if not each.get("was_cancelled")
    ]
    return kept[-1] if kept else None


def _predicted(task: Mapping[str, Any]) -> dict[NamedAttribute, dict[str, Any]]:
    """What models predicted: who, and how sure it was. Of one attribute the first model counts."""
    found: dict[NamedAttribute, dict[str, Any]] = {}
    for prediction in _objects(task.get("predictions"), "predictions"):
        model = prediction.get("model_version") or NAMELESS_MODEL
        for attribute, score in _chosen(prediction).items():
            found.setdefault(
                attribute, {"source": "agent", "agent": str(model), "confidence": score}
            )
    return found


def _chosen(holder: Mapping[str, Any]) -> dict[NamedAttribute, float | None]:
    """The attributes that a prediction or annotation holds, with their scores."""
    found: dict[NamedAttribute, float | None] = {}
    for region in _objects(holder.get("result"), "result"):
        value = region.get("value")
        if not isinstance(value, dict):
            continue
        score = region.get("score")
        sure = score if isinstance(score, int | float) and 0 <= score <= 1 else None
        for path in _list(value.get("taxonomy"), "taxonomy") or _list(
            value.get("choices"), "choices"
        ):
            parts = path if isinstance(path, list) else [path]
            if not parts or not all(isinstance(each, str) for each in parts):
                raise ValueError("has a choice that is no list of names.")
            found.setdefault(_attribute(parts), sure)
    return found


def _attribute(parts: list[str]) -> NamedAttribute:
    key, _, side = parts[-1].rpartition("/")
    if side in POLARITIES and is_key(key):
        return NamedAttribute(key, side)
    return NamedAttribute("", "", parts[-1], tuple(parts[:-1]))


def _decision(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """Who made an annotation, and when, as far as the file says."""
    who = annotation.get("completed_by")
    name = who.get("email") if isinstance(who, dict) else who if isinstance(who, str) else None
    at = annotation.get("updated_at") or annotation.get("created_at")
    return {"decided_by": name, "decided_at": at if isinstance(at, str) else None}


def _objects(value: Any, field: str) -> list[dict[str, Any]]:
    """A list of objects; predictions of an export may be numbers alone, which say nothing."""
    return [each for each in _list(value, field) if isinstance(each, dict)]


def _list(value: Any, field: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"has {field} that are no list.")
    return value
