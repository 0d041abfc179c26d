"""The lines of a dataset as a Parquet table, which `datasets.load_dataset("imagefolder", data_dir=...)` reads."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from method.files import write_file

# Typed, because a reader that guesses types from the lines cannot tell an empty list's: splits in
# which no image has a negative attribute would seem to have other columns than the rest.
SCHEMA = pa.schema(
    [
        ("file_name", pa.string()),
        ("image_id", pa.int64()),
        ("sha256", pa.string()),
        ("image_sha256", pa.string()),
        ("prompt", pa.string()),
        ("positive", pa.list_(pa.string())),
        ("negative", pa.list_(pa.string())),
        ("positive_keys", pa.list_(pa.string())),
        ("negative_keys", pa.list_(pa.string())),
        ("text", pa.string()),
        ("name", pa.string()),
        # A text here: what people write about their images differs from row to row.
        ("metadata", pa.string()),
        ("is_finished", pa.bool_()),
        ("undecided", pa.int64()),
        ("contradictions", pa.list_(pa.string())),
        ("picture_sha256", pa.string()),
        # Of images whose style or content is known; empty for all others.
        ("traits", pa.string()),
        ("read_as_positive", pa.list_(pa.string())),
        ("neutral", pa.list_(pa.string())),
    ]
)


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the same rows as a Parquet table, which `load_dataset("imagefolder", ...)` reads."""
    sink = pa.BufferOutputStream()
    typed = [
        row
        | {
            name: json.dumps(row[name], ensure_ascii=False, sort_keys=True)
            for name in ("metadata", "traits")
            if name in row
        }
        for row in rows
    ]
    parquet.write_table(pa.Table.from_pylist(typed, schema=SCHEMA), sink)
    write_file(path, sink.getvalue().to_pybytes())
