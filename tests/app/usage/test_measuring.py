"""How an attribute is used: labels, what people made of the agent's, what audits say."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits import judging
from app.audits.inviting import close_audit
from app.audits.models import Audit, AuditItem
from app.errors import NotFound
from app.images.models import Image
from app.images.removing import set_aside
from app.labels.models import Label
from app.usage.measuring import Usage, measure_usage
from tests.app.audits.conftest import LIGHT, Studio
from tests.app.audits.conftest import studio as studio

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria/nodes"
API = f"/api/v1{HERE}"


def used(studio: Studio, key: str = "pair-of-0") -> Usage:
    studio.db.commit()
    return measure_usage(studio.db, studio.cast.project, key)


def decided(studio: Studio, *, rejected: int, flipped: int = 0, confirmed: int = 0) -> list[Image]:
    """Images whose one label of the agent a person decided about."""
    images = [studio.annotate((0, "positive")) for _ in range(rejected + flipped + confirmed)]
    for each, image in enumerate(images):
        state = "confirmed" if each >= rejected + flipped else "rejected"
        studio.decide(image, 0, "positive", state)  # type: ignore[arg-type]
        if rejected <= each < rejected + flipped:
            studio.decide(image, 0, "negative", "confirmed")
    return images


def test_labels_are_counted_by_side_and_state(studio: Studio) -> None:
    decided(studio, rejected=1, confirmed=2)
    studio.annotate((0, "positive"), (0, "negative"), (1, "positive"))
    found = used(studio)
    positive, negative = found.positive.labels, found.negative.labels
    assert (positive.confirmed, positive.proposed, positive.rejected) == (2, 1, 1)
    assert (positive.images, negative.images, negative.proposed) == (3, 1, 1)
    below = used(studio, LIGHT)
    assert (below.num_pairs, below.positive.labels.proposed, below.positive.labels.images) == (
        2,
        2,
        3,
    )


def test_an_image_that_was_set_aside_does_not_count(studio: Studio) -> None:
    image = decided(studio, rejected=0, confirmed=2)[0]
    set_aside(studio.db, studio.cast.project, image.id, reason="blurred", by=studio.cast.lea)
    assert used(studio).positive.labels.confirmed == 1


def test_disagreement_is_about_labels_of_agents_that_people_decided_about(studio: Studio) -> None:
    assert used(studio).positive.labels.disagreement is None
    decided(studio, rejected=1, flipped=2, confirmed=5)
    studio.annotate((0, "positive"))
    # What a person stated and took back says nothing of the agent.
    own = studio.make.image(studio.cast.project)
    studio.decide(own, 0, "positive", "confirmed")
    found = used(studio)
    labels = found.positive.labels
    assert (labels.agent_decided, labels.agent_rejected, labels.agent_flipped) == (8, 3, 2)
    assert labels.disagreement == pytest.approx(3 / 8)
    # The labels that took their place are people's.
    assert found.negative.labels.confirmed == 2
    assert found.negative.labels.disagreement is None


def judge(studio: Studio, audit: Audit, *answers: str) -> None:
    """One participant's answers to the labels of the sample, in the order of its items."""
    participant, _ = studio.seats(audit, 1)[0]
    items = studio.db.scalars(
        select(AuditItem).where(AuditItem.audit_id == audit.id).order_by(AuditItem.id)
    ).all()
    for item, answer in zip(items, answers, strict=True):
        judging.judge(studio.db, participant, item.id, answer=answer, based_on=0)
    studio.db.commit()


def test_audits_count_once_they_are_closed(studio: Studio) -> None:
    for _ in range(4):
        studio.annotate((0, "positive"))
    audit = studio.audit()
    judge(studio, audit, "appears", "appears", "appears", "does_not_appear")
    judge(studio, audit, "appears", "appears", "cannot_tell", "appears")
    assert used(studio).positive.audited is None
    close_audit(studio.db, audit)
    audited = used(studio).positive.audited
    assert audited is not None
    assert audited.answers == 7
    assert audited.score.accuracy == pytest.approx(6 / 7)
    assert audited.score.interval is not None
    low, high = audited.score.interval
    assert low < 6 / 7 <= high
    assert audited.judged_twice == 3
    assert audited.disagreement == pytest.approx(1 / 3)
    assert used(studio).negative.audited is None
    assert used(studio, LIGHT).positive.audited is not None


def test_a_node_that_is_not_there_is_refused(studio: Studio) -> None:
    with pytest.raises(NotFound):
        used(studio, "nowhere")


def test_page_panel_and_api_say_the_same(
    studio: Studio, browser: TestClient, htmx: TestClient, sign_in: SignIn, token_for: Tokens
) -> None:
    decided(studio, rejected=1, flipped=1, confirmed=6)
    for client in (browser, htmx):
        sign_in(client, studio.cast.ben)
        text = " ".join(client.get(f"{HERE}/pair-of-0/usage").text.split())
        assert "25 %" in text
        assert "2 of 8, 1 for the other side" in text
        assert "Agent right" not in text
    assert "<html" not in htmx.get(f"{HERE}/pair-of-0/usage").text
    assert f"{HERE}/pair-of-0/usage" in htmx.get("/projects/paintings/criteria?node=pair-of-0").text
    answer = browser.get(f"{API}/{LIGHT}/usage", headers=token_for(studio.cast.ben)).json()
    assert (answer["key"], answer["pairs"], answer["positive"]["agent_flipped"]) == (LIGHT, 2, 1)
    assert answer["positive"]["disagreement"] == pytest.approx(0.25)
    assert answer["negative"]["audited"] is None


def test_images_of_one_side_and_state(
    studio: Studio, browser: TestClient, sign_in: SignIn, token_for: Tokens
) -> None:
    images = decided(studio, rejected=1, flipped=1, confirmed=1)
    head = token_for(studio.cast.ben)

    def found(key: str, **asked: str) -> list[int]:
        answer = browser.get(f"{API}/{key}/images", params=asked, headers=head)
        return [each["id"] for each in answer.json()["items"]]

    assert found("pair-of-0") == [each.id for each in images]
    assert found("pair-of-0", state="rejected") == [images[0].id, images[1].id]
    assert found(LIGHT, polarity="negative") == [images[1].id]
    assert found(LIGHT, polarity="negative", state="rejected") == []
    assert found("pair-of-1") == []
    assert browser.get(f"{API}/pair-of-0/images?state=odd", headers=head).status_code == 422
    sign_in(browser, studio.cast.ben)
    page = browser.get(f"{HERE}/pair-of-0/images?polarity=positive&state=confirmed").text
    assert images[2].prompt in page
    assert images[0].prompt not in page
    assert studio.db.query(Label).count() == 4
