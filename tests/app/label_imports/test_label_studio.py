"""Tasks of Label Studio: as we write them, as it writes them, and as others name things."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import Invalid
from app.label_imports import label_studio
from app.label_imports.options import Options
from app.labels.export_formats import ExportFormat
from app.projects.models import Project
from tests.app.label_imports.conftest import Copy
from tests.app.labels.conftest import Bench

Exported = Callable[[Project, ExportFormat], Path]


def result(*chosen: list[str], type: str = "taxonomy") -> list[dict[str, Any]]:
    return [{"type": type, "value": {type: list(chosen)}}]


def write(to: Path, *tasks: dict[str, Any]) -> Path:
    to.write_text(json.dumps(list(tasks), indent=1))
    return to


def test_tasks_that_were_handed_on_come_in_decided_as_they_were(
    bench: Bench, copy: Copy, exported: Exported
) -> None:
    bench.propose(("bright", "positive"), ("circle", "negative"))
    bench.save("bright", "confirmed")
    bench.save("circle", "rejected", "negative")
    bench.save("dark", "confirmed", "negative")
    copy.take(exported(bench.project, "label-studio"), Options(absent="reject"))
    assert copy.states() == bench.states()
    assert {each: copy.label(*each).source for each in copy.states()} == {
        each: bench.label(*each).source for each in bench.states()
    }


@pytest.mark.parametrize(("absent", "state"), [("leave", "proposed"), ("reject", "rejected")])
def test_tasks_as_label_studio_exports_them(
    bench: Bench, copy: Copy, tmp_path: Path, absent: Any, state: str
) -> None:
    copy.image.name = "wave.jpg"
    task = {
        "data": {"image": "/data/upload/7/1a2b3c4d-wave.jpg"},
        "predictions": [
            {
                "model_version": "eye",
                "result": [
                    {**result(["Light", "Tone", "High key"])[0], "score": 0.75},
                    *result(["Closed circle"]),
                ],
            },
            17,
        ],
        "annotations": [
            {"was_cancelled": True, "result": result(["Closed circle"])},
            {
                "completed_by": {"email": bench.people.ben.email},
                "updated_at": "2026-11-29T10:00:00.5Z",
                "result": result(["Light", "Tone", "High key"], ["Murky blacks"]),
            },
        ],
    }
    file = write(tmp_path / "tasks.json", task, {"data": {"image": "http://x/wave.jpg?a=b"}})
    copy.take(file, Options(absent=absent))
    assert copy.states() == {
        ("bright", "positive"): "confirmed",
        ("circle", "negative"): state,
        ("dark", "negative"): "confirmed",
    }
    bright, added = copy.label("bright"), copy.label("dark", "negative")
    assert (bright.source, bright.confidence, added.source) == ("agent", 0.75, "person")
    assert bright.decided_by == bench.people.ben.id
    assert bright.decided_at is not None and bright.decided_at.day == 29


def test_choices_without_a_tree_and_models_without_a_name(copy: Copy, tmp_path: Path) -> None:
    prediction = {"result": [{"type": "choices", "value": {"choices": ["Low key"]}}]}
    data = {"image": copy.image.name}
    copy.take(write(tmp_path / "tasks.json", {"data": data, "predictions": [prediction]}))
    assert copy.states() == {("dark", "positive"): "proposed"}


def test_a_task_says_its_line_and_a_file_of_any_size_is_read_in_blocks(
    copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_studio, "BLOCK", 7)
    good = {"data": {"image": copy.image.name, "prompt": "ä" * 50}}
    tasks = [good, {"nothing": 1}, good | {"predictions": {}}]
    file = tmp_path / "tasks.json"
    file.write_text("[\n" + ",\n".join(json.dumps(each) for each in tasks) + "\n]\n")
    found = copy.take(file, dry_run=True)
    assert [each["line"] for each in found["problems"]["first"]] == [3, 4]


@pytest.mark.parametrize("text", ['{"data": {}}', "[{", '[{"data": {}}', "", "[1 2"])
def test_what_is_no_array_of_tasks_is_refused(copy: Copy, tmp_path: Path, text: str) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(text)
    with pytest.raises(Invalid):
        copy.take(file, dry_run=True)
