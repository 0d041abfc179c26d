"""The way of a file through pages and API: sent, looked at by a worker, answered, imported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from app.accounts.models import Person
from tests.app.label_imports.conftest import Copy
from tests.app.labels.conftest import Bench

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]


def rows(copy: Copy, *labels: dict[str, Any]) -> bytes:
    row = {"sha256": copy.image.sha256, "state": "confirmed"}
    return "".join(json.dumps(row | each) + "\n" for each in labels).encode()


def test_a_file_is_looked_at_answered_and_imported_in_the_browser(
    copy: Copy, browser: TestClient, sign_in: SignIn, work: Callable[[], None]
) -> None:
    sign_in(browser, copy.lea)
    root = "/projects/copy/labels/import"
    assert "None yet" in browser.get(root).text
    data = rows(copy, {"name": "High key"}, {"name": "Lowest key"})
    sent = browser.post(root, files={"files": ("mine.jsonl", data)})
    here = sent.headers["location"]
    assert "waiting for a worker" in browser.get(here).text
    assert browser.post(f"{here}/take").status_code == 409
    work()
    page = browser.get(here).text
    assert "Which attributes are these?" in page and "Lowest key" in page
    assert browser.post(f"{here}/take", data={}).status_code == 409
    assert copy.states() == {}
    answers = {"words": ["Lowest key"], "attribute": ["dark/positive"]}
    assert browser.post(f"{here}/look", data=answers).status_code == 303
    work()
    assert "answered" in browser.get(here).text
    assert browser.post(f"{here}/take", data=answers).status_code == 303
    work()
    assert "2 new labels" in browser.get(here).text
    assert set(copy.states()) == {("bright", "positive"), ("dark", "positive")}
    assert "2 new" in browser.get(root).text
    history = browser.get(f"/projects/copy/images/{copy.image.id}/history").text
    assert "imported" in history and "Undo" not in history.replace("Undo</span>", "")


def test_a_file_that_cannot_be_read_says_so(
    copy: Copy, api: TestClient, token_for: TokenFor, work: Callable[[], None]
) -> None:
    api.headers.update(token_for(copy.lea))
    address = "/api/v1/projects/copy/labels/imports"
    for name, body in (("a.txt", b"x"), ("a.jsonl", b"")):
        assert api.post(address, files={"files": (name, body)}).status_code == 422
    for name, body, said in (
        ("a.csv", b"file,state\r\n", "no column key or name or attribute"),
        ("a.csv", b'file,key,state\r\n"a', "cannot be read"),
        ("a.parquet", b"PAR1", "no Parquet file"),
        ("a.json", b"{}", "no JSON array"),
    ):
        row = api.post(address, files={"files": (name, body)}).json()
        work()
        row = api.get(f"{address}/{row['id']}").json()
        assert row["state"] == "failed" and said in row["error"], row


def test_only_leads_import_labels(
    bench: Bench, copy: Copy, api: TestClient, token_for: TokenFor
) -> None:
    headers = token_for(bench.people.ben)
    address = "/api/v1/projects/copy/labels/imports"
    assert api.get(address, headers=headers).status_code == 403
    answer = api.post(address, headers=headers, files={"files": ("a.jsonl", b"{}")})
    assert answer.status_code == 403


def test_a_table_says_where_it_is_wrong_and_keeps_what_looks_like_a_formula(
    copy: Copy, tmp_path: Path
) -> None:
    head = "sha256,key,polarity,state,evidence"
    row = f"{copy.image.sha256},bright,positive,confirmed"
    file = tmp_path / "a.csv"
    file.write_text(f'{head}\n{row},"two\nlines"\n{row}\n', newline="")
    found = copy.take(file, dry_run=True)
    assert found["problems"]["first"] == [
        {"line": 4, "reason": "has 4 cells; the first line has 5."}
    ]
    file.write_text(f"{head}\n{row},'=1+1\n")
    copy.take(file)
    assert copy.label("bright").evidence == "=1+1"
