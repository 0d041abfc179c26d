"""What does not apply to an image is no question of an audit, of whatever kind."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audits import sampling
from app.audits.models import AuditItem, PracticeItem
from app.criteria.models import Criteria
from app.images.models import Image, ImageTrait
from tests.app.audits.conftest import Studio

ALL = [(number, "positive") for number in range(4)]


def without_hands(studio: Studio, *images: Image) -> None:
    """The last two pairs need hands, and these images have none."""
    criteria = studio.db.get_one(Criteria, studio.cast.project.id)
    criteria.details = {"content": {"hands": {"name": "Hands"}}}
    for node in studio.pairs[2:]:
        node.details = {"needs": ["hands"]}
    studio.db.commit()
    studio.make.version(studio.cast.project)
    for image in images:
        place = {"image_id": image.id, "kind": "content", "value": "hands", "source": "person"}
        studio.db.add(ImageTrait(**place, present=False, person_id=studio.cast.ben.id))
    studio.db.commit()


def asked(db: Session, studio: Studio, image: Image, kind: str) -> set[int]:
    """Which of the pairs an image is asked for."""
    rows = db.scalars(
        select(AuditItem.node_id).where(AuditItem.image_id == image.id, AuditItem.kind == kind)
    )
    ids = [node.id for node in studio.pairs]
    return {ids.index(each) for each in rows if each is not None}


def test_labels_and_decoys_apply(db: Session, studio: Studio) -> None:
    images = [studio.annotate(*(ALL if number else ALL[1:])) for number in range(4)]
    few = studio.annotate(*ALL[3:])
    without_hands(studio, images[0], few)
    assert sampling.population(db, studio.cast.project, min_labels=1, agent_run=None).images == 4
    assert sampling.population(db, studio.cast.project, min_labels=2, agent_run=None).images == 3
    studio.audit(sample_size=4, decoy_percent=50)
    assert [asked(db, studio, image, "label") for image in (*images[:2], few)] == [
        {1},
        {0, 1, 2, 3},
        set(),
    ]
    # Of what the others were given only the first can be asked of it.
    assert asked(db, studio, images[0], "decoy") == {0}


def test_the_run_s_own_version_says_what_applies(db: Session, studio: Studio) -> None:
    image = studio.annotate(*ALL)
    without_hands(studio, image)
    studio.audit(agent_run=studio.run.id)
    assert asked(db, studio, image, "label") == {0, 1, 2, 3}


def test_practice_applies(db: Session, studio: Studio) -> None:
    for _ in range(2):
        studio.annotate(*ALL)
    shown = studio.annotate(*ALL[:3])
    for number in range(3):
        studio.decide(shown, number, "positive", "confirmed" if number else "rejected")
    db.commit()
    without_hands(studio, shown)
    studio.audit(sample_size=2, min_labels=4)
    practised = db.scalars(select(PracticeItem.node_id).where(PracticeItem.image_id == shown.id))
    assert set(practised) == {node.id for node in studio.pairs[:2]}
