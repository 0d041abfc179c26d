"""Drawing a sample: who is in it, what is frozen, and what is refused."""

import hashlib

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audits import sampling
from app.audits.models import Audit, AuditItem
from app.errors import AppError, Conflict, Invalid, NotFound
from app.labels.models import Label
from app.labels.proposing import Proposed, propose
from tests.app.audits.conftest import COLOR, LIGHT, Studio

FULL = [(0, "positive"), (1, "negative"), (3, "positive")]


def sample(db: Session, audit: Audit) -> list[int]:
    rows = db.execute(
        select(AuditItem.image_position, AuditItem.image_id)
        .where(AuditItem.audit_id == audit.id)
        .distinct()
        .order_by(AuditItem.image_position)
    )
    return [image_id for _, image_id in rows]


def items(db: Session, audit: Audit) -> list[tuple[int, int, str, str]]:
    rows = db.execute(
        select(AuditItem.image_position, AuditItem.node_id, AuditItem.polarity, AuditItem.root_key)
        .where(AuditItem.audit_id == audit.id)
        .order_by(AuditItem.id)
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def test_the_same_seed_draws_the_same_images(db: Session, studio: Studio) -> None:
    for _ in range(12):
        studio.annotate(*FULL)
    first = sample(db, studio.audit(sample_size=5, seed=11))
    assert sample(db, studio.audit(sample_size=5, seed=11)) == first
    assert sample(db, studio.audit(sample_size=5, seed=12)) != first
    # In the order of their hashes, from the place that the seed chooses and around.
    start = hashlib.sha256(b"audit 11").hexdigest()
    by_hash = sorted(studio.images, key=lambda image: (image.sha256 < start, image.sha256))
    assert first == [image.id for image in by_hash[:5]]


def test_images_with_few_labels_are_not_drawn(db: Session, studio: Studio) -> None:
    rich = [studio.annotate(*FULL).id for _ in range(3)]
    for _ in range(3):
        studio.annotate(*FULL[:2])
    count = sampling.population(db, studio.cast.project, min_labels=3, agent_run=None).images
    assert count == 3
    assert sorted(sample(db, studio.audit(min_labels=3, sample_size=3))) == rich


def test_items_are_frozen_in_tree_order_with_their_root(db: Session, studio: Studio) -> None:
    studio.annotate((3, "positive"), (0, "negative"), (0, "positive"), (1, "positive"))
    nodes = [pair.id for pair in studio.pairs]
    assert items(db, studio.audit()) == [
        (1, nodes[0], "positive", LIGHT),
        (1, nodes[0], "negative", LIGHT),
        (1, nodes[1], "positive", LIGHT),
        (1, nodes[3], "positive", COLOR),
    ]


def test_what_people_decided_changes_nothing(db: Session, studio: Studio) -> None:
    image = studio.annotate(*FULL)
    before = items(db, studio.audit())
    # The third is a person's own label, which is not the agent's.
    studio.decide(image, 0, "positive", "rejected")
    studio.decide(image, 1, "negative", "confirmed")
    studio.decide(image, 2, "positive", "confirmed")
    db.commit()
    states = set(db.scalars(select(Label.state)))
    assert states == {"rejected", "confirmed", "proposed"}
    assert items(db, studio.audit()) == before
    assert items(db, studio.audit(agent_run=studio.run.id)) == before


def test_a_run_is_audited_on_what_it_stated_itself(db: Session, studio: Studio) -> None:
    image = studio.annotate((0, "positive"), (1, "positive"))
    later = studio.make.agent_run(studio.cast.project, studio.version)
    studio.annotate((1, "positive"), (3, "negative"), run=later, image=image)
    nodes = [pair.id for pair in studio.pairs]

    def stated(run: int | None) -> list[int]:
        return [row[1] for row in items(db, studio.audit(agent_run=run, sample_size=1))]

    assert stated(studio.run.id) == [nodes[0], nodes[1]]
    assert stated(later.id) == [nodes[1], nodes[3]]
    assert stated(None) == [nodes[0], nodes[1], nodes[3]]


def test_retired_pairs_are_left_out_where_all_runs_are_audited(db: Session, studio: Studio) -> None:
    studio.annotate(*FULL)
    studio.pairs[3].retired = True
    db.commit()
    version = studio.make.version(studio.cast.project)
    audit = studio.audit()
    assert audit.version_id == version.id
    assert studio.pairs[3].id not in {row[1] for row in items(db, audit)}
    # The run was made under the earlier version, where the pair was in use.
    old = studio.audit(agent_run=studio.run.id)
    assert old.version_id == studio.version.id
    assert studio.pairs[3].id in {row[1] for row in items(db, old)}


@pytest.mark.parametrize(
    ("values", "kind", "field"),
    [
        ({"sample_size": 3}, Invalid, "sample_size"),
        ({"sample_size": 0}, Invalid, "sample_size"),
        ({"sample_size": 5000}, Invalid, "sample_size"),
        ({"min_labels": 0}, Invalid, "min_labels"),
        ({"min_labels": 4}, Invalid, "sample_size"),
        ({"seed": -1}, Invalid, "seed"),
        ({"seed": 2**60}, Invalid, "seed"),
        ({"name": "  "}, Invalid, "name"),
        ({"name": "x" * 121}, Invalid, "name"),
        ({"notice": " \n"}, Invalid, "notice"),
        ({"agent_run": 999}, NotFound, None),
    ],
)
def test_refuses(
    db: Session,
    studio: Studio,
    values: dict[str, object],
    kind: type[AppError],
    field: str | None,
) -> None:
    studio.annotate(*FULL)
    studio.annotate(*FULL)
    with pytest.raises(kind) as refused:
        studio.audit(**values)
    assert refused.value.field == field
    assert db.scalar(select(Audit.id)) is None


def test_too_few_images_says_how_many_there_are(studio: Studio) -> None:
    studio.annotate(*FULL)
    studio.annotate(*FULL[:1])
    with pytest.raises(Invalid, match="Only 1 images have 2 or more labels"):
        studio.audit(min_labels=2, sample_size=2)


def test_another_projects_run_and_images_stay_out(db: Session, studio: Studio) -> None:
    studio.annotate(*FULL)
    elsewhere = studio.make.project("far")
    root = studio.make.dimension(elsewhere)
    pair = studio.make.pair(elsewhere, root)
    version = studio.make.version(elsewhere)
    run = studio.make.agent_run(elsewhere, version)
    image = studio.make.image(elsewhere)
    propose(
        db,
        elsewhere,
        agent_run_id=run.id,
        version_id=version.id,
        findings=[Proposed(image.id, pair.id, "positive")],
    )
    db.commit()
    assert sampling.population(db, studio.cast.project, min_labels=1, agent_run=None).images == 1
    with pytest.raises(NotFound):
        studio.audit(agent_run=run.id)


def test_nothing_published_yet(studio: Studio) -> None:
    empty = studio.make.project("empty")
    with pytest.raises(Conflict, match="not published"):
        sampling.population(studio.db, empty, min_labels=1, agent_run=None)
