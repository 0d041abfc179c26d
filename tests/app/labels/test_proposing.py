"""Agents propose; what a person decided is never touched."""

import pytest
from sqlalchemy import func, select

from app.errors import Invalid, NotFound
from app.labels.models import Label, LabelEvent
from app.labels.proposing import Proposed, propose
from tests.app.labels.conftest import Bench


def test_findings_become_proposed_labels_with_their_evidence(bench: Bench) -> None:
    changed = bench.propose(
        ("bright", "positive"), measure="mean lightness", value=0.8, threshold=0.6, confidence=0.9
    )

    label = bench.label("bright")
    assert changed == 1
    assert (label.state, label.source, label.agent_run_id) == ("proposed", "agent", bench.run.id)
    assert (label.measure, label.value, label.threshold) == ("mean lightness", 0.8, 0.6)
    assert label.confidence == 0.9
    assert label.version_id == bench.version.id


def test_one_batch_raises_each_changed_image_once_and_leaves_an_event_for_each_label(
    bench: Bench,
) -> None:
    other = bench.make.image(bench.project)
    bench.propose(("bright", "positive"), ("circle", "negative"))

    assert bench.revision() == 1
    bench.db.refresh(other)
    assert other.label_revision == 0
    assert [(e.kind, e.before, e.after, e.image_revision) for e in bench.events()] == [
        ("propose", None, "proposed", 1)
    ] * 2
    assert all(each.agent_run_id == bench.run.id for each in bench.events())


def test_the_same_run_again_changes_nothing(bench: Bench) -> None:
    bench.propose(("bright", "positive"))
    again = bench.propose(("bright", "positive"), ("dark", "negative"), value=0.1, measure="m")

    assert again == 1  # only what the killed run had not stored yet
    assert bench.label("bright").value is None
    assert len(bench.events()) == 2
    assert bench.revision() == 2


def test_a_later_run_refreshes_what_nobody_decided_and_an_earlier_one_does_not(
    bench: Bench,
) -> None:
    later = bench.make.agent_run(bench.project, bench.version)
    bench.propose(("bright", "positive"), measure="m", value=0.1)
    assert bench.propose(("bright", "positive"), measure="m", value=0.2, run=later) == 1
    assert bench.propose(("bright", "positive"), measure="m", value=0.3) == 0

    label = bench.label("bright")
    assert (label.value, label.agent_run_id) == (0.2, later.id)
    assert [(e.kind, e.before, e.after) for e in bench.events()] == [
        ("propose", None, "proposed"),
        ("refresh", "proposed", "proposed"),
    ]
    assert label.revision == bench.revision() == 2


def test_a_later_run_leaves_older_proposals_that_it_does_not_make(bench: Bench) -> None:
    later = bench.make.agent_run(bench.project, bench.version)
    bench.propose(("bright", "positive"))
    bench.propose(("circle", "positive"), run=later)

    assert bench.states()["bright", "positive"] == "proposed"


@pytest.mark.parametrize("decision", ["confirmed", "rejected"])
def test_a_decided_label_is_never_touched(bench: Bench, decision: str) -> None:
    later = bench.make.agent_run(bench.project, bench.version)
    bench.propose(("bright", "positive"), measure="m", value=0.1)
    bench.save("bright", decision)
    bench.save("dark", "confirmed")  # a person's own addition
    before = len(bench.events())

    assert bench.propose(("bright", "positive"), ("dark", "positive"), value=0.9, run=later) == 0
    label = bench.label("bright")
    assert (label.state, label.value, label.agent_run_id) == (decision, 0.1, bench.run.id)
    assert bench.label("dark").source == "person"
    assert len(bench.events()) == before


def test_thousands_of_findings_take_a_handful_of_statements(bench: Bench) -> None:
    images = [bench.make.image(bench.project) for _ in range(20)]
    findings = [
        Proposed(image.id, node.id, side)
        for image in images
        for node in bench.nodes.values()
        for side in ("positive", "negative")
    ]
    seen: list[str] = []
    from sqlalchemy import event

    listen = lambda *arguments: seen.append(arguments[2])  # noqa: E731
    event.listen(bench.db.get_bind(), "before_cursor_execute", listen)
    try:
        stored = propose(
            bench.db,
            bench.project,
            agent_run_id=bench.run.id,
            version_id=bench.version.id,
            findings=findings,
        )
    finally:
        event.remove(bench.db.get_bind(), "before_cursor_execute", listen)

    assert stored == 120
    assert len(seen) <= 16
    assert bench.db.scalar(select(func.count()).select_from(Label)) == 120
    assert bench.db.scalar(select(func.count()).select_from(LabelEvent)) == 120


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"polarity": "neutral"}, "polarity"),
        ({"value": float("nan")}, "finite"),
        ({"threshold": float("inf")}, "finite"),
        ({"confidence": 1.5}, "between 0 and 1"),
    ],
)
def test_nonsense_is_refused_and_nothing_stored(
    bench: Bench, change: dict[str, object], words: str
) -> None:
    good = Proposed(bench.image.id, bench.nodes["dark"].id, "positive")
    values = {"image_id": bench.image.id, "node_id": bench.nodes["bright"].id} | change
    bad = Proposed(**({"polarity": "positive"} | values))  # type: ignore[arg-type]

    with pytest.raises(Invalid, match=words):
        propose(
            bench.db,
            bench.project,
            agent_run_id=bench.run.id,
            version_id=bench.version.id,
            findings=[good, bad],
        )
    assert bench.states() == {}


def test_the_same_attribute_twice_in_one_batch_is_refused(bench: Bench) -> None:
    with pytest.raises(Invalid, match="twice"):
        bench.propose(("bright", "positive"), ("bright", "positive"))


def test_another_projects_images_pairs_runs_and_versions_are_refused(bench: Bench) -> None:
    elsewhere = bench.make.project("museum")
    root = bench.make.dimension(elsewhere)
    pair = bench.make.pair(elsewhere, root)
    version = bench.make.version(elsewhere)
    run = bench.make.agent_run(elsewhere, version)
    image = bench.make.image(elsewhere)
    own = Proposed(bench.image.id, bench.nodes["bright"].id, "positive")
    runs = {"agent_run_id": bench.run.id, "version_id": bench.version.id}

    for values, finding in (
        (runs, Proposed(image.id, bench.nodes["bright"].id, "positive")),
        (runs, Proposed(bench.image.id, pair.id, "positive")),
        (runs, Proposed(bench.image.id, bench.nodes["bright"].parent_id or 0, "positive")),
        (runs | {"agent_run_id": run.id}, own),
        (runs | {"version_id": version.id}, own),
    ):
        with pytest.raises(NotFound):
            propose(bench.db, bench.project, findings=[finding], **values)
    assert bench.states() == {}
