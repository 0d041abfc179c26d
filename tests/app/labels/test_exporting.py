"""All labels of a project as a file: whole, in order, readable by others."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.labels import export_formats, exporting
from app.labels.export_formats import FORMATS
from tests.app.labels.conftest import Bench

TokenFor = Callable[[Person], dict[str, str]]
Export = Callable[..., str]


@pytest.fixture
def export(bench: Bench, api: TestClient, token_for: TokenFor) -> Export:
    """The text of an export, as the lead's program gets it."""

    def get(format: str = "jsonl") -> str:
        answer = api.get(
            f"/api/v1/projects/{bench.project.slug}/labels/export?format={format}",
            headers=token_for(bench.people.lea),
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    return get


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_image_comes_with_all_its_labels_in_tree_order(bench: Bench, export: Export) -> None:
    bench.image.details = {"painter": "Cézanne", "year": 1895}
    bench.propose(("circle", "negative"), ("bright", "positive"), measure="m", value=0.5)
    bench.save("bright", "confirmed")
    bench.save("dark", "confirmed", "negative")
    bench.save("circle", "rejected", "negative")

    (image,) = lines(export())
    assert (image["image"], image["file"]) == (bench.image.id, bench.image.name)
    assert image["metadata"] == [
        {"name": "painter", "value": "Cézanne"},
        {"name": "year", "value": "1895"},
    ]
    assert (image["A_pos"], image["A_neg"]) == (["High key"], ["Murky blacks"])
    assert [(each["key"], each["state"], each["source"]) for each in image["labels"]] == [
        ("bright", "confirmed", "agent"),
        ("dark", "confirmed", "person"),
        ("circle", "rejected", "agent"),
    ]
    assert image["labels"][0]["path"] == ["light", "tone", "bright"]
    assert image["labels"][0]["decided_by"] == "Ben"
    assert image["revision"] == bench.revision()


def test_every_image_in_use_is_there_once_whatever_the_size_of_a_page(
    bench: Bench, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [bench.make.image(bench.project) for _ in range(6)]
    others[2].state, others[2].state_at, others[2].state_reason = "aside", others[2].created_at, "x"
    bench.db.commit()
    wanted = [bench.image.id, *(each.id for each in others if each.state == "used")]
    for page in (1, 2, 3, 6, 100):
        monkeypatch.setattr(exporting, "PAGE", page)
        assert [each["image"] for each in lines(export())] == wanted


def test_csv_has_a_row_for_each_label_and_runs_no_formula(bench: Bench, export: Export) -> None:
    bench.image.name = "=cmd.png"
    bench.propose(("bright", "positive"), ("dark", "negative"), value=0.25)
    bench.save("bright", "confirmed")
    text = export("csv")
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [(row["file"], row["key"], row["state"], row["value"]) for row in rows] == [
        ("'=cmd.png", "bright", "confirmed", "0.25"),
        ("'=cmd.png", "dark", "proposed", "0.25"),
    ]
    assert rows[0]["path"] == "light/tone/bright"
    assert rows[1]["decided_at"] == ""


def test_parquet_has_the_same_rows_with_types(
    bench: Bench, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyarrow.parquet import read_table

    bench.make.image(bench.project)
    bench.propose(("bright", "positive"), ("dark", "negative"), value=0.25)
    bench.save("bright", "confirmed")
    monkeypatch.setattr(export_formats, "ROW_GROUP", 1)
    file = tmp_path / "labels.parquet"
    file.write_bytes(b"".join(FORMATS["parquet"].export(bench.project.id)))
    bright, dark = read_table(file).to_pylist()
    assert bright["path"] == ["light", "tone", "bright"]
    assert (bright["applies"], bright["value"], bright["version"]) == (True, 0.25, 1)
    assert bright["decided_at"] == bench.label("bright").decided_at.replace(microsecond=0)  # type: ignore[union-attr]
    assert (dark["key"], dark["state"], dark["decided_at"]) == ("dark", "proposed", None)
    rows = list(csv.DictReader(io.StringIO(export("csv").removeprefix("\ufeff"))))
    assert [list(row) for row in rows] == [list(bright), list(dark)]


def test_label_studio_gets_what_agents_said_and_what_people_confirmed(
    bench: Bench, export: Export
) -> None:
    waiting = bench.make.image(bench.project)
    bench.db.commit()
    bench.propose(("bright", "positive"), ("circle", "negative"))
    bench.save("bright", "confirmed")
    bench.save("circle", "rejected", "negative")
    bench.save("dark", "confirmed", "negative")

    task, empty = json.loads(export("label-studio"))
    (prediction,), (annotation,) = task["predictions"], task["annotations"]
    assert prediction["result"][0]["value"]["taxonomy"] == [
        ["light", "tone", "bright/positive"],
        ["composition", "circle/negative"],
    ]
    assert annotation["result"][0]["value"]["taxonomy"] == [
        ["light", "tone", "bright/positive"],
        ["light", "tone", "dark/negative"],
    ]
    assert (empty["id"], empty["predictions"], empty["annotations"]) == (waiting.id, [], [])


def test_only_leads_take_labels_away(bench: Bench, api: TestClient, token_for: TokenFor) -> None:
    address = f"/api/v1/projects/{bench.project.slug}/labels/export"
    assert api.get(address, headers=token_for(bench.people.ben)).status_code == 403


def test_the_page_offers_each_format(
    bench: Bench, browser: TestClient, sign_in: Callable[[TestClient, Person], TestClient]
) -> None:
    sign_in(browser, bench.people.lea)
    page = browser.get(f"/projects/{bench.project.slug}/labels/formats").text
    for name in FORMATS:
        assert f"labels/export?format={name}" in page
        assert browser.get(f"/projects/{bench.project.slug}/labels/export?format={name}").text


def test_a_lead_who_hides_suggestions_takes_none_away(
    bench: Bench, browser: TestClient, sign_in: Callable[[TestClient, Person], TestClient]
) -> None:
    bench.propose(("bright", "positive"), evidence="It glows.")
    sign_in(browser, bench.people.lea)
    browser.cookies.set("morelli_suggestions", "hide", domain="127.0.0.1")
    offered = browser.get(f"/projects/{bench.project.slug}/labels/formats")
    taken = browser.get(f"/api/v1/projects/{bench.project.slug}/labels/export")
    assert (offered.status_code, taken.status_code) == (403, 403)
    assert "It glows." not in taken.text
