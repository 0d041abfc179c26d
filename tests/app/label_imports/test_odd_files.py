"""Files of labels as people and programs save them, and as they come damaged: each ends in one answer that says where."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from sqlalchemy import text
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.csv_cells import FORMULA_STARTS, cell, plain
from app.database import Json
from app.errors import Invalid
from tests.app.label_imports.conftest import Copy

HEAD = ("sha256", "key", "polarity", "state")
Looked = Callable[..., Json]


@pytest.fixture
def good(copy: Copy) -> dict[str, Any]:
    """A line that can be imported."""
    image = copy.image.sha256
    return {"sha256": image, "key": "bright", "polarity": "positive", "state": "confirmed"}


@pytest.fixture
def looked(copy: Copy, tmp_path: Path) -> Looked:
    """What importing a file with this content would do, as it is kept for who sent it."""

    def look(content: bytes, name: str) -> Json:
        (tmp_path / name).write_bytes(content)
        found = copy.take(tmp_path / name, dry_run=True)
        copy.db.execute(text("SELECT CAST(:found AS jsonb)"), {"found": json.dumps(found)})
        return found

    return look


def reasons(found: Json) -> list[str]:
    return [f"{each['line']}: {each['reason']}" for each in found["problems"]["first"]]


FIELDS = (
    *("sha256", "source_id", "file", "key", "polarity", "name", "attribute", "path", "state"),
    *("source", "agent", "measure", "value", "threshold", "confidence", "evidence"),
    *("decided_by", "decided_at"),
)


@pytest.mark.parametrize("odd", ["a\0b", "\ud800"], ids=["nul", "half"])
def test_a_character_that_cannot_be_kept_is_named_with_its_line_and_field(
    looked: Looked, good: dict[str, Any], odd: str
) -> None:
    lines = [good]
    for field in FIELDS:
        row = {"agent": "eye", **good, field: [odd] if field == "path" else odd}
        lines.append(row)
    found = looked("".join(json.dumps(each) + "\n" for each in lines).encode(), "labels.jsonl")
    said = reasons(found)
    assert len(said) == len(FIELDS) and found["new"] == 1
    for line, field in enumerate(FIELDS, start=2):
        assert f"{line}: holds a character in {field} that cannot be kept." in said


@pytest.mark.parametrize("at", ["0001-01-01", "0001-01-01T00:00:00+14:00", "1899-12-30T00:00:00"])
def test_a_date_that_programs_write_for_none_is_named(
    looked: Looked, good: dict[str, Any], at: str
) -> None:
    found = looked(json.dumps(good | {"decided_at": at}).encode(), "labels.jsonl")
    assert reasons(found) == [f"1: was decided before 1970, {at}."]


def test_a_moment_in_any_time_zone_is_kept(
    copy: Copy, tmp_path: Path, good: dict[str, Any]
) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(json.dumps(good | {"decided_at": "2026-01-02T00:00:00+23:59:59.999999"}))
    copy.take(file)
    at = copy.label("bright").decided_at
    assert at is not None and at.isoformat() == "2026-01-01T00:00:00.000001+00:00"


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"annotations": [{"result": [{"value": {"taxonomy": 5}}]}]}, "taxonomy that are no list"),
        ({"annotations": [{"result": [{"value": {"choices": 5}}]}]}, "choices that are no list"),
        ({"annotations": [{"result": [{"value": {"choices": "ab"}}]}]}, "choices that are no list"),
        ({"predictions": {"a": 1}}, "predictions that are no list"),
        ({"data": {"image": "http://[x"}}, "an image whose address makes no sense"),
        ({"data": []}, "is no task"),
    ],
)
def test_a_task_of_another_shape_is_named_and_the_others_are_read(
    looked: Looked, copy: Copy, task: dict[str, Any], reason: str
) -> None:
    other = {
        "data": {"image": copy.image.name},
        "annotations": [{"result": [{"value": {"choices": ["High key"]}}]}],
    }
    tasks = json.dumps([{"data": {"image": "a.png"}} | task, other], indent=0)
    found = looked(tasks.encode(), "tasks.json")
    (said,) = reasons(found)
    assert said.startswith("2: ") and reason in said
    assert found["new"] == 1


def table(good: dict[str, Any], *, delimiter: str = ",", below: str = "") -> str:
    rows = (HEAD, [good[each] for each in HEAD])
    return "".join(delimiter.join(row) + "\n" for row in rows) + below


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("excel-de.csv", lambda good: table(good, delimiter=";").encode()),
        ("excel.txt.csv", lambda good: table(good, delimiter="\t").encode("utf-16")),
        ("some.tsv", lambda good: table(good, delimiter="\t").encode()),
        ("marked.csv", lambda good: table(good).encode("utf-8-sig")),
        ("old-mac.csv", lambda good: table(good).replace("\n", "\r").encode()),
        ("empty-rows.csv", lambda good: table(good, below=",,,\n,,,,,\n\n").encode()),
        ("empty-cells.csv", lambda good: table(good).replace("\n", ",,\n").encode()),
        ("marked.jsonl", lambda good: json.dumps(good).encode("utf-8-sig")),
        ("wide.jsonl", lambda good: json.dumps(good).encode("utf-16")),
    ],
)
def test_whatever_program_saved_a_file_it_is_read(
    looked: Looked, good: dict[str, Any], name: str, saved: Callable[[dict[str, Any]], bytes]
) -> None:
    found = looked(saved(good), name)
    assert (found["new"], reasons(found)) == (1, [])


def test_a_name_in_another_encoding_is_read(looked: Looked, good: dict[str, Any]) -> None:
    row = f"Café, vue de la fenêtre à l’été.png;{';'.join(good[each] for each in HEAD[1:])}\n"
    found = looked(("file;key;polarity;state\n" + row).encode("cp1252"), "western.csv")
    (unknown,) = found["unknown_images"]["first"]
    assert unknown["words"] == "Café, vue de la fenêtre à l’été.png"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("open.csv", b'sha256,key,polarity,state\n"abc,bright\n', "Line 2"),
        ("long.csv", b"sha256,key,polarity,state\n" + b"x" * 200_000, "Line 2"),
        ("twice.csv", b"sha256,SHA256,key,polarity,state\n", "the column sha256 twice"),
        ("sheet.csv", b"PK\x03\x04" + b"\0" * 100, "not a text"),
        ("half.csv", b"\xff\xfea", "cannot be read"),
        ("blank.csv", b"\n\n", "no column sha256"),
        ("other.parquet", b"PAR1xxxxPAR1", "no Parquet file"),
        ("deep.json", b"[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_sentence(
    looked: Looked, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        looked(content, name)


@pytest.mark.parametrize(
    ("line", "words"), [("[" * 100_000, "nested too deep"), ("1" * 5_000, "too many digits")]
)
def test_a_line_that_is_no_json_says_why(looked: Looked, line: str, words: str) -> None:
    (said,) = reasons(looked(line.encode(), "labels.jsonl"))
    assert said.startswith("1: is no JSON") and words in said


def test_something_else_in_the_place_of_agents_is_noticed(
    looked: Looked, good: dict[str, Any]
) -> None:
    lines = [{**good, "agent": f"eye {n}", "source": "agent"} for n in range(102)]
    with pytest.raises(Invalid, match="Line 101: up to here the file names more than 100"):
        looked("".join(json.dumps(each) + "\n" for each in lines).encode(), "labels.jsonl")


def as_parquet(to: Path, good: dict[str, Any], times: int = 1, **columns: Any) -> bytes:
    held = {name: pa.array([value] * times) for name, value in good.items()}
    parquet.write_table(pa.table(held | columns), to)
    return to.read_bytes()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**62], pa.duration("s")),
        pa.array([b"\xff\xfe"]),
        pa.array([{"a": [1]}]),
        pa.array([1], pa.time64("ns")),
    ],
    ids=["duration", "bytes", "struct", "time"],
)
def test_other_columns_of_a_parquet_file_are_left_alone(
    looked: Looked, good: dict[str, Any], tmp_path: Path, column: Any
) -> None:
    found = looked(as_parquet(tmp_path / "a", good, other=column), "labels.parquet")
    assert (found["new"], reasons(found)) == (1, [])


def test_text_of_a_parquet_file_that_is_none_is_refused(
    looked: Looked, good: dict[str, Any], tmp_path: Path
) -> None:
    held = pa.array([b"\xff\xfe"]).buffers()
    name = pa.Array.from_buffers(pa.string(), 1, held)
    with pytest.raises(Invalid, match="no Parquet file"):
        looked(as_parquet(tmp_path / "a", good, file=name), "labels.parquet")


def test_a_small_file_that_holds_much_is_refused_before_it_is_unpacked(
    looked: Looked, good: dict[str, Any], tmp_path: Path
) -> None:
    """One text of 4 MB in each of 20,000 rows: 80 GB in a file that a mail could carry."""
    long = pa.DictionaryArray.from_arrays(
        pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 4_000_000])
    )
    data = as_parquet(tmp_path / "a", good, 20_000, evidence=long)
    assert len(data) < 2_000_000
    with pytest.raises(Invalid, match="column evidence holds 4000000 bytes"):
        looked(data, "labels.parquet")


@given(st.text(st.sampled_from("'=+-@\t\r\nab"), max_size=6))
def test_a_cell_is_no_formula_and_says_afterwards_what_it_said(written: str) -> None:
    assert not cell(written).startswith(FORMULA_STARTS)
    assert plain(cell(written)) == written


def test_a_table_with_tabs_comes_in_through_the_page(
    copy: Copy,
    good: dict[str, Any],
    browser: TestClient,
    sign_in: Callable[[TestClient, Person], TestClient],
    work: Callable[[], None],
) -> None:
    sign_in(browser, copy.lea)
    data = table(good, delimiter="\t").encode()
    sent = browser.post("/projects/copy/labels/import", files={"files": ("mine.tsv", data)})
    work()
    assert browser.post(sent.headers["location"] + "/take").status_code == 303
    work()
    assert copy.states() == {("bright", "positive"): "confirmed"}
