"""Labels from files: the same as they were handed on, shown before they are stored, each line once, never over a person's word."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from app.agents.models import AgentRun, AgentRunImage
from app.database import unit_of_work
from app.errors import Conflict, Invalid
from app.label_imports import importing, taking
from app.label_imports.models import LabelImport
from app.label_imports.options import Options
from app.labels.export_formats import ExportFormat
from app.labels.finishing import set_done
from app.labels.saving import save, undo
from app.projects.models import Project
from tests.app.label_imports.conftest import Copy
from tests.app.labels.conftest import Bench
from tests.app.labels.test_replay import replayed

Exported = Callable[[Project, ExportFormat], Path]
Lines = Callable[..., Path]
# What the export says of the image and not of its labels.
OF_IMAGE = {"image", "prompt", "done_at", "revision"}


def labels_of(path: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in each.items() if k not in OF_IMAGE} for each in read]


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_what_was_handed_on_comes_in_as_it_was(
    bench: Bench, copy: Copy, exported: Exported, format: ExportFormat
) -> None:
    bench.propose(
        ("bright", "positive"), ("dark", "negative"), measure="=m", value=0.25, threshold=0.1
    )
    bench.propose(("circle", "negative"), confidence=0.5, evidence="-a, “circle”\n'shut'")
    bench.save("bright", "confirmed")
    bench.save("circle", "rejected", "negative")
    bench.save("circle", "confirmed")
    before = exported(bench.project, "jsonl")

    found = copy.take(exported(bench.project, format))
    assert (found["new"], found["taken"]["new"]) == (4, 4)
    assert labels_of(exported(copy.project, "jsonl")) == labels_of(before)
    (run,) = copy.db.scalars(select(AgentRun).where(AgentRun.project_id == copy.project.id))
    assert (run.agent, run.images, run.labels) == ("measured", 1, 3)


def test_the_history_keeps_imports_apart_and_rebuilds_the_labels(
    bench: Bench, copy: Copy, exported: Exported
) -> None:
    bench.propose(("bright", "positive"), ("dark", "negative"))
    bench.save("bright", "confirmed")
    copy.take(exported(bench.project, "jsonl"))
    events = copy.events()
    assert [(e.kind, e.before, e.after, e.person_id) for e in events] == [
        ("import", None, "proposed", None),
        ("import", "proposed", "confirmed", bench.people.ben.id),
        ("import", None, "proposed", None),
    ]
    assert {each.import_id for each in events} == set(copy.db.scalars(select(LabelImport.id)))
    standing = {
        (label.node_id, label.polarity): (label.state, label.revision)
        for label in (copy.label("bright"), copy.label("dark", "negative"))
    }
    assert replayed(events) == standing
    # It is nobody's slip of the hand.
    for event_id in (None, events[1].id):
        with pytest.raises(Conflict):
            undo(copy.db, copy.project, copy.image.id, by=bench.people.ben, event_id=event_id)


def test_a_person_s_word_stays_unless_it_is_wished_otherwise(
    bench: Bench, copy: Copy, lines: Lines
) -> None:
    row = {"sha256": copy.image.sha256, "polarity": "positive"}
    for key, state in (("bright", "confirmed"), ("circle", "proposed")):
        copy.take(lines({**row, "key": key, "state": state, "agent": "eye"}))
    file = lines(
        {**row, "key": "bright", "state": "rejected"},
        {**row, "key": "circle", "state": "confirmed", "decided_by": "BEN"},
        {**row, "key": "dark", "state": "proposed", "agent": "eye"},
    )
    found = copy.take(file)
    assert [found[each] for each in ("new", "decides", "same", "contradicting")] == [1, 1, 0, 1]
    (against,) = found["contradictions"]
    assert (against["line"], against["here"], against["file"]) == (1, "confirmed", "rejected")
    assert copy.states() == {
        ("bright", "positive"): "confirmed",
        ("circle", "positive"): "confirmed",
        ("dark", "positive"): "proposed",
    }
    assert copy.label("circle").decided_by == bench.people.ben.id

    copy.take(file, Options(contradictions="replace"))
    assert copy.label("bright").state == "rejected"
    assert copy.label("bright").decided_by == copy.lea.id


def test_who_was_unsure_is_no_decision(bench: Bench, copy: Copy, lines: Lines) -> None:
    row = {"sha256": copy.image.sha256, "key": "bright", "polarity": "positive"}
    for state, effect in (
        ("unsure", "new"),
        ("proposed", "same"),
        ("rejected", "decides"),
        ("unsure", "contradicting"),
    ):
        agent = {"agent": "eye"} if state == "proposed" else {}
        found = copy.take(lines({**row, "state": state, **agent}))
        assert found[effect] == 1
    assert copy.label("bright").state == "rejected"


def test_one_line_without_sense_keeps_the_whole_file_out(copy: Copy, lines: Lines) -> None:
    good = {
        "sha256": copy.image.sha256,
        "key": "bright",
        "polarity": "positive",
        "state": "confirmed",
    }
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"state": "maybe"}, "the state “maybe”"),
        ({"polarity": "up"}, "the polarity “up”"),
        ({"source": "agent"}, "does not say which"),
        ({"confidence": 1.5}, "not between 0 and 1"),
        ({"value": "NaN"}, "no finite number"),
        ({"decided_at": "yesterday"}, "no moment"),
        ({"evidence": "x" * 601}, "601 characters"),
        ({"sha256": ""}, "names no image"),
        ({"key": ""}, "names no attribute"),
        ({"agent": "a\0b"}, "cannot be kept"),
    ]
    file = lines(good, *(good | each for each, _ in wrong))
    with file.open("a") as more:
        more.write("{broken\n[]\n")
    found = copy.take(file, dry_run=True)
    told = {each["line"]: each["reason"] for each in found["problems"]["first"]}
    assert found["problems"]["number"] == len(told) == len(wrong) + 2
    for line, (_, words) in enumerate(wrong, start=2):
        assert words in told[line]
    assert "is no JSON" in told[12] and "is no object" in told[13]
    with pytest.raises(Conflict, match="12 lines of the file make no sense"):
        copy.take(file)
    assert copy.states() == {}


def test_lines_that_say_different_things_of_one_label_are_named(copy: Copy, lines: Lines) -> None:
    row = {"sha256": copy.image.sha256, "key": "bright", "polarity": "positive"}
    same = [{**row, "state": "confirmed"}] * 2
    assert copy.take(lines(*same), dry_run=True)["problems"]["number"] == 0
    found = copy.take(lines(*same, {**row, "state": "rejected"}), dry_run=True)
    assert found["problems"]["first"] == [
        {"line": 3, "reason": "says something else of the same label than line 1."}
    ]


def test_what_is_not_known_is_asked_and_never_guessed(
    bench: Bench, copy: Copy, lines: Lines
) -> None:
    tone = copy.nodes["tone"]
    copy.make.pair(copy.project, tone, key="other", positive_name="Circular composition")
    copy.version = copy.make.version(copy.project)
    row = {"sha256": copy.image.sha256, "state": "confirmed"}
    file = lines(
        {**row, "name": "high  KEY"},
        {**row, "name": "Circular composition"},
        {**row, "name": "Circular composition", "path": "Light/Tone"},
        {**row, "key": "gone", "polarity": "positive"},
        {**row, "name": "Washed"},
        {**row, "name": "High key", "sha256": "0" * 64},
        {"file": copy.image.name, "state": "rejected", "attribute": "dark/negative"},
    )
    found = copy.take(file, dry_run=True)
    assert found["new"] == 3  # High key, the one below Tone, Murky blacks by name of the file
    asked = {each["words"]: each for each in found["unknown_attributes"]["first"]}
    assert set(asked) == {"Circular composition", "gone/positive", "Washed"}
    assert asked["Washed"]["like"] == [["bright/negative", "Washed out"]]
    assert "2 attributes" in asked["Circular composition"]["reason"]
    assert found["unknown_images"]["first"][0]["line"] == 6
    with pytest.raises(Conflict, match="3 of the file's attributes"):
        copy.take(file)

    answers = {"Circular composition": "circle/positive", "gone/positive": "", "Washed": ""}
    with pytest.raises(Conflict, match="images are not in this project"):
        copy.take(file, Options(attributes=answers))
    assert copy.states() == {}
    copy.take(file, Options(attributes=answers, without_unknown_images=True))
    assert set(copy.states()) == {
        ("bright", "positive"),
        ("other", "positive"),
        ("circle", "positive"),
        ("dark", "negative"),
    }
    with pytest.raises(Invalid, match="is no attribute"):
        copy.take(file, Options(attributes={"Washed": "light/positive"}), dry_run=True)


def test_an_import_that_was_killed_goes_on_and_does_nothing_twice(
    bench: Bench, copy: Copy, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.propose(("bright", "positive"), ("dark", "positive"), ("circle", "negative"))
    bench.save("dark", "confirmed")
    bench.save("circle", "confirmed")
    file = exported(bench.project, "csv")
    monkeypatch.setattr(taking, "AT_ONCE", 1)
    went = 0

    class Killed(BaseException):
        pass

    def check() -> None:
        nonlocal went
        went += 1
        if went == 3:
            raise Killed

    with unit_of_work() as db:
        row = importing.add_file(
            db, copy.project, file, name=file.name, token=None, by=copy.lea, options=Options()
        )
        import_id = row.id
    given: dict[str, Any] = {"transaction": unit_of_work, "report": lambda _: None}
    importing.look_at(import_id, file, **given)
    with pytest.raises(Killed):
        importing.take_from(import_id, file, **given, check=check)
    assert len(copy.states()) == 2
    # Meanwhile somebody takes back what came in: it is not put in again.
    label = copy.label("bright")
    save(
        copy.db,
        copy.project,
        copy.image.id,
        key="bright",
        polarity="positive",
        state="rejected",
        based_on=label.revision,
        operation_id=uuid4(),
        by=bench.people.ben,
    )
    copy.db.commit()
    for _ in range(2):
        importing.take_from(import_id, file, **given, check=lambda: None)
    copy.db.rollback()
    copy.db.expire_all()
    assert copy.states() == {
        ("bright", "positive"): "rejected",
        ("dark", "positive"): "confirmed",
        ("circle", "negative"): "proposed",
        ("circle", "positive"): "confirmed",
    }
    operations = [each.operation_id for each in copy.events() if each.operation_id]
    assert len(operations) == len(set(operations)) == 5
    (run,) = copy.db.scalars(select(AgentRun).where(AgentRun.project_id == copy.project.id))
    assert (run.images, run.labels) == (1, 3)
    assert copy.db.scalars(select(AgentRunImage.proposed)).all() == [3]


def test_new_proposals_open_a_finished_image_again(copy: Copy, lines: Lines) -> None:
    row = {"sha256": copy.image.sha256, "key": "bright", "polarity": "positive"}
    set_done(copy.db, copy.project, copy.image.id, done=True, by=copy.lea)
    copy.take(lines({**row, "state": "confirmed"}))
    assert copy.image.done_at is not None
    copy.take(lines({**row, "key": "dark", "state": "proposed", "agent": "an Eye-2.0"}))
    copy.db.refresh(copy.image)
    assert [copy.image.done_at, copy.image.came_back_at is not None] == [None, True]
    run = copy.db.scalars(select(AgentRun).where(AgentRun.project_id == copy.project.id)).one()
    assert run.agent == "an_eye_2_0"


def test_criteria_that_were_published_meanwhile_stop_an_import(copy: Copy, lines: Lines) -> None:
    row = {"sha256": copy.image.sha256, "key": "bright", "polarity": "positive"}
    file = lines({**row, "state": "confirmed"})
    found = copy.take(file, dry_run=True)
    copy.make.pair(copy.project, copy.nodes["tone"], key="new")
    copy.make.version(copy.project)
    with unit_of_work() as db:
        made = importing.add_file(
            db, copy.project, file, name=file.name, token=None, by=copy.lea, options=Options()
        )
        made.found = found
        import_id = made.id
    with pytest.raises(Conflict, match="published again"):
        importing.take_from(
            import_id,
            file,
            transaction=unit_of_work,
            report=lambda _: None,
            check=lambda: None,
        )
    assert copy.states() == {}
