"""The formats that labels are handed on in. Each writes a stream of bytes, image by image.

What the criteria say of an attribute is the same on thousands of images: each format writes it once. What is
of one label alone the database writes, as far as it can, in the form that the format has.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Literal

from sqlalchemy import SQLColumnExpression, Text, cast, func

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.models import CriteriaVersion
from app.csv_cells import BYTE_ORDER_MARK, cell
from app.labels.exporting import (
    Columns,
    ExportedImage,
    ExportedLabel,
    Said,
    export_images,
)
from app.labels.models import Label

ExportFormat = Literal["jsonl", "csv", "parquet", "label-studio"]
OF_SAID = ("key", "polarity", "name", "path", "reads", "applies", "retired")
ITS_OWN = (
    *("state", "source", "agent", "version", "confidence", "measure", "value", "threshold"),
    *("evidence", "decided_by", "decided_at", "bulk"),
)
OF_LABEL = (*OF_SAID, *ITS_OWN)
OF_IMAGE = ("image", "file", "sha256", "done_at", "revision")
ROW_GROUP = 200
"""Images whose labels are one group of rows of a Parquet file: it is in memory as a whole, some forty columns."""


@dataclass(frozen=True)
class Format:
    """A format, what it is for, and who writes it."""

    title: str
    use: str
    ending: str
    media_type: str
    columns: Columns
    write: Callable[[Iterable[ExportedImage]], Iterator[bytes]]

    def export(self, project_id: int) -> Iterator[bytes]:
        """All labels of a project in this format."""
        return self.write(export_images(project_id, self.columns))


def in_pieces(written: Iterable[bytes], size: int = 1 << 18) -> Iterator[bytes]:
    """The same in pieces of about so many bytes: each costs a server a hop between threads."""
    held: list[bytes] = []
    length = 0
    for each in written:
        held.append(each)
        length += len(each)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    yield b"".join(held)


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _said_once(said: Said, format: ExportFormat, write: Callable[[Said], Any]) -> Any:
    found = said.written.get(format)
    if found is None:
        found = said.written[format] = write(said)
    return found


# JSONL ------------------------------------------------------------------------------------------


def write_jsonl(images: Iterable[ExportedImage]) -> Iterator[bytes]:
    """An object for each image, one a line.

    Every line has the same fields of the same types, and metadata is a list of names and values, so that
    readers of tables (Hugging Face `datasets`, pandas, DuckDB) take the file as it is.
    """
    for image in images:
        labels = ",".join(map(_label_json, image.labels))
        text = f'{_dumped(_image_json(image))[:-1]},"labels":[{labels}]}}\n'
        yield text.encode()


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
        "done_at": cell(image.done_at) or None,
        "revision": image.revision,
        "A_pos": image.named("positive"),
        "A_neg": image.named("negative"),
    }


def _label_json(label: ExportedLabel) -> str:
    return f"{_said_once(label.said, 'jsonl', _said_json)}{label.columns[0]}"


def _said_json(said: Said) -> str:
    return _dumped({name: getattr(said, name) for name in OF_SAID})[:-1]


def _json_of(columns: dict[str, SQLColumnExpression[Any]]) -> SQLColumnExpression[str]:
    """The rest of an object after its first fields, without blanks."""
    parts: list[Any] = []
    for name, column in columns.items():
        parts += [f',"{name}":', func.coalesce(cast(func.to_json(column), Text), "null")]
    return func.concat(*parts, "}")


# CSV --------------------------------------------------------------------------------------------


def write_csv(images: Iterable[ExportedImage]) -> Iterator[bytes]:
    """A row for each label; images without one have none."""
    yield (BYTE_ORDER_MARK + _csv_rows([(*OF_IMAGE, *OF_LABEL)])).encode()
    for image in images:
        if image.labels:
            of_image = _csv_rows([map(cell, _of_image(image))])[:-2]
            rows = (f"{of_image},{_label_cells(each)}" for each in image.labels)
            yield "".join(rows).encode()


def _of_image(image: ExportedImage) -> tuple[object, ...]:
    return (image.id, image.name, image.sha256, image.done_at, image.revision)


def _label_cells(label: ExportedLabel) -> str:
    start, measure, numbers, evidence, decided_by, decided_at, bulk = label.columns
    said = _said_once(label.said, "csv", _said_cells)
    return (
        f"{said},{start},{_quoted(measure)},{numbers},{_quoted(evidence)},{_quoted(decided_by)},"
        f"{decided_at or ''},{bulk or ''}\r\n"
    )


def _said_cells(said: Said) -> str:
    path = "/".join(said.path)
    words = (said.key, said.polarity, said.name, path, said.reads, said.applies, said.retired)
    return ",".join(_quoted(cell(each)) for each in words)


def _plain(*columns: SQLColumnExpression[Any]) -> SQLColumnExpression[str]:
    """Cells that need no quotes: figures and words of our own."""
    parts: list[Any] = []
    for each in columns:
        parts += [",", each]
    return func.concat(*parts[1:])


@lru_cache(20_000)
def _quoted(text: str | None) -> str:
    """A text as a cell. The same measures, names and sentences come again and again."""
    return _csv_rows([[cell(text)]])[:-2] if text else ""


def _csv_rows(rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


# Parquet ----------------------------------------------------------------------------------------


class _Drain:
    """What a writer of Parquet takes for a file: holds what was written until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._held.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...

    def taken(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(held)


def write_parquet(images: Iterable[ExportedImage]) -> Iterator[bytes]:
    """A row for each label, as in CSV, with types; a group of rows for every `ROW_GROUP` images."""
    # Half a second to load, which only who asks for this format waits for.
    from pyarrow import PythonFile
    from pyarrow.parquet import ParquetWriter

    drain = _Drain()
    schema = _schema()
    with ParquetWriter(PythonFile(drain, "w"), schema, compression="zstd") as writer:
        for some in _in_groups(images, ROW_GROUP):
            writer.write_table(_table(some, schema))
            yield drain.taken()
    yield drain.taken()


def _schema() -> Any:
    import pyarrow as pa

    moment, number, whole = pa.timestamp("s", "UTC"), pa.float64(), pa.int64()
    types = {"image": whole, "revision": whole, "version": whole, "bulk": whole, "done_at": moment}
    types |= {"decided_at": moment, "confidence": number, "value": number, "threshold": number}
    types |= {"path": pa.list_(pa.string()), "applies": pa.bool_(), "retired": pa.bool_()}
    return pa.schema([(name, types.get(name, pa.string())) for name in (*OF_IMAGE, *OF_LABEL)])


def _table(images: Sequence[ExportedImage], schema: Any) -> Any:
    """A table of the labels. What is the same for many of them is made once and pointed to."""
    import pyarrow as pa

    labels = [label for image in images for label in image.labels]
    said = {id(each.said): each.said for each in labels}
    places = {key: place for place, key in enumerate(said)}
    of_image = [place for place, image in enumerate(images) for _ in image.labels]
    of_said = [places[id(each.said)] for each in labels]
    own = zip(*(each.columns for each in labels), strict=True) if labels else [()] * len(ITS_OWN)
    arrays = [
        *(
            each.take(pa.array(of_image, pa.int32()))
            for each in _arrays(OF_IMAGE, map(_of_image, images), schema)
        ),
        *(
            each.take(pa.array(of_said, pa.int32()))
            for each in _arrays(OF_SAID, map(_of_said, said.values()), schema)
        ),
        *(_array(column, schema.field(name)) for name, column in zip(ITS_OWN, own, strict=True)),
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _arrays(names: Sequence[str], rows: Iterable[tuple[object, ...]], schema: Any) -> list[Any]:
    held = list(rows)
    columns = zip(*held, strict=True) if held else [()] * len(names)
    return [_array(column, schema.field(name)) for name, column in zip(names, columns, strict=True)]


def _array(column: Iterable[Any], field: Any) -> Any:
    import pyarrow as pa

    if field.name == "decided_at":  # a text by now
        return pa.array(column, pa.string()).cast(field.type)
    return pa.array(column, field.type)


def _of_said(said: Said) -> tuple[object, ...]:
    return tuple(getattr(said, name) for name in OF_SAID)


def _in_groups(images: Iterable[ExportedImage], size: int) -> Iterator[list[ExportedImage]]:
    group: list[ExportedImage] = []
    for each in images:
        group.append(each)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


# Label Studio -----------------------------------------------------------------------------------


def write_label_studio(images: Iterable[ExportedImage]) -> Iterator[bytes]:
    """Tasks of Label Studio for the interface that `taxonomy.formats.label_studio` writes, as one array.

    What agents said is predictions, one for each agent; what people confirmed is the annotation. So a label
    that was rejected is in a prediction and not in the annotation. `$image` is the file's name: put the
    place that the files are served from before it.
    """
    yield b"["
    for number, image in enumerate(images):
        yield f"{',' if number else ''}\n{_task(image)}".encode()
    yield b"\n]\n"


def _task(image: ExportedImage) -> str:
    labels = [each for each in image.labels if not each.said.retired]
    agents = sorted({each.agent for each in labels if each.agent})
    confirmed = [each for each in labels if each.state == "confirmed"]
    decided = image.done_at or any(each.state != "proposed" for each in labels)
    data: dict[str, Any] = {"image": image.name, "prompt": image.prompt, "sha256": image.sha256}
    data |= {"revision": image.revision}
    predictions = ",".join(
        f'{{"model_version":{encode_basestring(agent)},"result":{_result(image, [e for e in labels if e.agent == agent])}}}'
        for agent in agents
    )
    annotations = f'{{"result":{_result(image, confirmed)}}}' if decided else ""
    return (
        f'{{"id":{image.id},"data":{_dumped(data)},"predictions":[{predictions}],'
        f'"annotations":[{annotations}]}}'
    )


def _result(image: ExportedImage, labels: list[ExportedLabel]) -> str:
    if not labels:
        return "[]"
    chosen = ",".join(_said_once(each.said, "label-studio", _choice) for each in labels)
    return (
        f'[{{"id":"image-{image.id}","from_name":"criteria","to_name":"image","type":"taxonomy",'
        f'"original_width":{image.width},"original_height":{image.height},'
        f'"value":{{"taxonomy":[{chosen}]}}}}]'
    )


def _choice(said: Said) -> str:
    return _dumped([*said.path[:-1], f"{said.key}/{said.polarity}"])


MOMENT = func.to_char(func.timezone("UTC", Label.decided_at), 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')
TYPED: dict[str, SQLColumnExpression[Any]] = dict(
    zip(
        ITS_OWN,
        (
            *(Label.state, Label.source, AgentRun.agent, CriteriaVersion.number, Label.confidence),
            *(Label.measure, Label.value, Label.threshold, Label.evidence, Person.name, MOMENT),
            Label.bulk_action_id,
        ),
        strict=True,
    )
)
CELLS = (
    _plain(Label.state, Label.source, AgentRun.agent, CriteriaVersion.number, Label.confidence),
    Label.measure,
    _plain(Label.value, Label.threshold),
    *(Label.evidence, Person.name, MOMENT, Label.bulk_action_id),
)
FORMATS: dict[ExportFormat, Format] = {
    "jsonl": Format(
        "JSON Lines",
        "Programs: a line for each image with A_pos, A_neg and all labels; Hugging Face datasets reads it",
        ".jsonl",
        "application/jsonl",
        (_json_of(TYPED),),
        write_jsonl,
    ),
    "csv": Format(
        "CSV",
        "Spreadsheets and statistics: a row for each label",
        ".csv",
        "text/csv; charset=utf-8",
        CELLS,
        write_csv,
    ),
    "parquet": Format(
        "Parquet",
        "Tables of any size: a row for each label, with types; pandas, DuckDB and Hugging Face datasets read it",
        ".parquet",
        "application/vnd.apache.parquet",
        tuple(TYPED.values()),
        write_parquet,
    ),
    "label-studio": Format(
        "Label Studio",
        "Tasks with what agents said as predictions, and what people confirmed as annotation",
        ".json",
        "application/json",
        (),
        write_label_studio,
    ),
}
