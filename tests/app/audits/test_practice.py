"""Practice before the first image: what it is chosen from, what it tells, and that it keeps nothing."""

import hashlib
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits import inviting, judging
from app.audits.models import Audit, Judgement, PracticeItem
from app.audits.practising import find_practice_positions
from app.images.models import Image
from app.images.removing import erase_image
from tests.app.audits.conftest import Studio

SignIn = Callable[[TestClient, Person], TestClient]
LABELS = [(0, "positive"), (1, "negative"), (2, "positive"), (3, "negative")]


@pytest.fixture
def decided(db: Session, studio: Studio) -> list[Image]:
    """Three images outside every sample: two answers, one answer, and hardly anything decided."""
    # No sample of three or more labels draws them.
    images = [studio.annotate(*LABELS[:2]) for _ in range(3)]
    for image, states in zip(
        images, (("rejected", "confirmed"), ("confirmed",) * 2, ("confirmed",)), strict=True
    ):
        for (index, polarity), state in zip(LABELS, states, strict=False):
            studio.decide(image, index, polarity, state)  # type: ignore[arg-type]
    db.commit()
    return images


@pytest.fixture
def audit(db: Session, studio: Studio, decided: list[Image]) -> Audit:
    for _ in range(2):
        studio.annotate(*LABELS)
    return studio.audit(sample_size=2, min_labels=3)


def practice(db: Session, audit: Audit) -> list[tuple[int, int, str]]:
    rows = db.execute(
        select(PracticeItem.image_position, PracticeItem.image_id, PracticeItem.expected)
        .where(PracticeItem.audit_id == audit.id)
        .order_by(PracticeItem.id)
    )
    return [tuple(row) for row in rows]  # type: ignore[misc]


def begin(db: Session, studio: Studio, audit: Audit) -> str:
    [(_, token)] = studio.seats(audit, 1)
    return f"/audit/{token}"


def test_practice_is_what_people_decided_outside_the_sample(
    db: Session, decided: list[Image], audit: Audit
) -> None:
    assert practice(db, audit) == [
        (1, decided[0].id, "does_not_appear"),
        (1, decided[0].id, "appears"),
        (2, decided[1].id, "appears"),
        (2, decided[1].id, "appears"),
    ]


def test_the_sample_is_not_practised_on(
    browser: TestClient, db: Session, studio: Studio, audit: Audit, sign_in: SignIn
) -> None:
    everything = studio.audit(sample_size=5)
    assert practice(db, everything) == []
    room = "/projects/paintings/audits"
    sign_in(browser, studio.cast.lea)
    assert "2 images outside the sample" in browser.get(f"{room}/{audit.id}").text
    page = browser.get(f"{room}/{everything.id}").text
    assert "none: outside the sample no image had two decided labels" in page


def test_a_few_of_many_with_both_answers(db: Session, studio: Studio) -> None:
    many = studio.annotate(*LABELS, *((index, "positive") for index in (1, 3)))
    for index, polarity in LABELS:
        studio.decide(many, index, polarity, "confirmed")  # type: ignore[arg-type]
    for index in (1, 3):
        studio.decide(many, index, "positive", "rejected")
    db.commit()
    studio.annotate((0, "positive"))
    audit = studio.audit(sample_size=1, min_labels=1, seed=_seed_that_leaves(studio, many))
    assert (
        sorted(row[2] for row in practice(db, audit)) == ["appears"] * 2 + ["does_not_appear"] * 2
    )


def _seed_that_leaves(studio: Studio, image: Image) -> int:
    """A seed whose sample of one is the other image."""

    def drawn(seed: int) -> Image:
        start = hashlib.sha256(f"audit {seed}".encode()).hexdigest()
        return min(studio.images, key=lambda each: (each.sha256 < start, each.sha256))

    return next(seed for seed in range(99) if drawn(seed) is not image)


def test_practice_comes_first_and_keeps_nothing(
    browser: TestClient, db: Session, studio: Studio, audit: Audit
) -> None:
    [(_, token)] = inviting.invite_participants(db, audit, 1)
    db.commit()
    seat = f"/audit/{token}"
    assert "You practise on 2 images" in browser.get(seat).text
    assert browser.get(f"{seat}/practice/1").headers["location"] == seat
    browser.post(f"{seat}/consent")
    assert browser.get(seat).headers["location"] == f"{seat}/practice/1"
    first, last = db.scalars(
        select(PracticeItem.id).where(PracticeItem.image_position == 1).order_by(PracticeItem.id)
    ).all()
    page = browser.get(f"{seat}/practice/1")
    assert "people say" not in page.text
    assert f"{seat}/practice/2" in page.text
    answer = browser.post(
        f"{seat}/practice/1/items/{first}", data={"answer": "appears", "based_on": 0}
    )
    assert "people say: Does not appear." in answer.text
    assert "experts agrees" not in answer.text
    answer = browser.post(f"{seat}/practice/1/items/{last}", data={"answer": "appears"})
    assert "people say: Appears." in answer.text
    assert "experts agrees" in answer.text
    page = browser.get(f"{seat}/practice/2")
    assert "Begin the audit" in page.text
    assert f"{seat}/look/1" in page.text
    assert db.scalar(select(func.count()).select_from(Judgement)) == 0
    assert browser.get(f"{seat}/practice/3").status_code == 404
    assert browser.post(f"{seat}/practice/1/items/{first}", data={}).status_code == 409
    assert browser.post(f"{seat}/practice/1/items/{first}", data={"answer": "x"}).status_code == 422


def test_who_has_begun_does_not_practise_again(
    browser: TestClient, db: Session, studio: Studio, audit: Audit
) -> None:
    [(participant, token)] = studio.seats(audit, 1)
    judging.judge(db, participant, judging.find_items(db, participant, audit)[0].id, "appears")
    db.commit()
    assert browser.get(f"/audit/{token}").headers["location"] == f"/audit/{token}/look/1"


def test_practice_as_json(api: TestClient, db: Session, studio: Studio, audit: Audit) -> None:
    item = db.scalars(select(PracticeItem.id).order_by(PracticeItem.id)).first()
    [(_, unread)] = inviting.invite_participants(db, audit, 1)
    [(_, token)] = studio.seats(audit, 1)
    here = f"/api/v1/audit/{token}/practice/{item}"
    told = api.put(here, json={"answer": "cannot_tell", "based_on": 0}).json()
    assert told == {
        "item_id": item,
        "answer": "cannot_tell",
        "expected": "does_not_appear",
        "agrees": False,
    }
    assert api.put(here, json={"answer": "x"}).status_code == 422
    assert (
        api.put(f"/api/v1/audit/{unread}/practice/{item}", json={"answer": "appears"}).status_code
        == 409
    )
    other = studio.seats(studio.audit(sample_size=1, min_labels=3), 1)[0][1]
    assert (
        api.put(f"/api/v1/audit/{other}/practice/{item}", json={"answer": "appears"}).status_code
        == 404
    )


def test_a_practice_image_that_is_erased_is_left_out(
    browser: TestClient, db: Session, studio: Studio, decided: list[Image], audit: Audit
) -> None:
    seat = begin(db, studio, audit)
    erase_image(db, studio.cast.project, decided[0].id, reason="asked for", by=studio.cast.lea)
    db.commit()
    assert find_practice_positions(db, audit) == [2]
    assert browser.get(seat).headers["location"] == f"{seat}/practice/2"
    assert "Practice 1 of 1" in browser.get(f"{seat}/practice/2").text
    assert browser.get(f"{seat}/practice/1").status_code == 404
