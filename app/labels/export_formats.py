"""The formats that labels are handed on in. Each writes a stream of texts, image by image."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from app.csv_cells import BYTE_ORDER_MARK, cell
from app.labels.exporting import ExportedImage, ExportedLabel

ExportFormat = Literal["jsonl", "csv", "label-studio"]


@dataclass(frozen=True)
class Format:
    """A format, what it is for, and who writes it."""

    title: str
    use: str
    ending: str
    media_type: str
    write: Callable[[Iterable[ExportedImage]], Iterator[str]]


def in_pieces(texts: Iterable[str], size: int = 1 << 16) -> Iterator[str]:
    """The same text in pieces of about so many characters: each costs a server a hop between threads."""
    held: list[str] = []
    length = 0
    for text in texts:
        held.append(text)
        length += len(text)
        if length >= size:
            yield "".join(held)
            held, length = [], 0
    yield "".join(held)


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# JSONL ------------------------------------------------------------------------------------------


def write_jsonl(images: Iterable[ExportedImage]) -> Iterator[str]:
    """An object for each image, one a line.

    Every line has the same fields of the same types, and metadata is a list of names and values, so that
    readers of tables (Hugging Face `datasets`, pandas, DuckDB) take the file as it is.
    """
    for image in images:
        yield _dumped(_image_json(image)) + "\n"


def _image_json(image: ExportedImage) -> dict[str, Any]:
    return {
        "image": image.id,
        "file": image.name,
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "prompt": image.prompt,
        "metadata": [
            {"name": name, "value": value if isinstance(value, str) else _dumped(value)}
            for name, value in sorted(image.metadata.items())
        ],
        "done_at": _moment(image.done_at),
        "revision": image.revision,
        "A_pos": image.named("positive"),
        "A_neg": image.named("negative"),
        "labels": [_label_json(each) for each in image.labels],
    }


def _label_json(label: ExportedLabel) -> dict[str, Any]:
    return label._asdict() | {"decided_at": _moment(label.decided_at)}


def _moment(at: Any) -> str | None:
    return cell(at) if at else None


# CSV --------------------------------------------------------------------------------------------

_OF_IMAGE = ("image", "file", "sha256", "done_at", "revision")


def write_csv(images: Iterable[ExportedImage]) -> Iterator[str]:
    """A row for each label; images without one have none."""
    yield BYTE_ORDER_MARK + _csv_rows([(*_OF_IMAGE, *ExportedLabel._fields)])
    for image in images:
        if image.labels:
            yield _csv_rows(_cells(image, each) for each in image.labels)


def _cells(image: ExportedImage, label: ExportedLabel) -> list[str]:
    of_image = (image.id, image.name, image.sha256, image.done_at, image.revision)
    of_label = label._asdict() | {"path": "/".join(label.path)}
    return [cell(each) for each in (*of_image, *of_label.values())]


def _csv_rows(rows: Iterable[Iterable[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


# Label Studio -----------------------------------------------------------------------------------


def write_label_studio(images: Iterable[ExportedImage]) -> Iterator[str]:
    """Tasks of Label Studio for the interface that `taxonomy.formats.label_studio` writes, as one array.

    What agents said is predictions, one for each agent; what people confirmed is the annotation. So a label
    that was rejected is in a prediction and not in the annotation. `$image` is the file's name: put the
    place that the files are served from before it.
    """
    yield "["
    for number, image in enumerate(images):
        yield (",\n" if number else "\n") + _dumped(_task(image))
    yield "\n]\n"


def _task(image: ExportedImage) -> dict[str, Any]:
    labels = [each for each in image.labels if not each.retired]
    agents = sorted({each.agent for each in labels if each.agent})
    confirmed = [each for each in labels if each.state == "confirmed"]
    decided = image.done_at or any(each.state != "proposed" for each in labels)
    return {
        "id": image.id,
        "data": {
            "image": image.name,
            "prompt": image.prompt,
            "sha256": image.sha256,
            "revision": image.revision,
        },
        "predictions": [
            {
                "model_version": agent,
                "result": _result(image, [e for e in labels if e.agent == agent]),
            }
            for agent in agents
        ],
        "annotations": [{"result": _result(image, confirmed)}] if decided else [],
    }


def _result(image: ExportedImage, labels: list[ExportedLabel]) -> list[dict[str, Any]]:
    if not labels:
        return []
    chosen = [[*each.path[:-1], f"{each.key}/{each.polarity}"] for each in labels]
    return [
        {
            "id": f"image-{image.id}",
            "from_name": "criteria",
            "to_name": "image",
            "type": "taxonomy",
            "original_width": image.width,
            "original_height": image.height,
            "value": {"taxonomy": chosen},
        }
    ]


FORMATS: dict[ExportFormat, Format] = {
    "jsonl": Format(
        "JSON Lines",
        "Programs: a line for each image with A_pos, A_neg and all labels; Hugging Face datasets reads it",
        ".jsonl",
        "application/jsonl",
        write_jsonl,
    ),
    "csv": Format(
        "CSV",
        "Spreadsheets and statistics: a row for each label",
        ".csv",
        "text/csv; charset=utf-8",
        write_csv,
    ),
    "label-studio": Format(
        "Label Studio",
        "Tasks with what agents said as predictions, and what people confirmed as annotation",
        ".json",
        "application/json",
        write_label_studio,
    ),
}
