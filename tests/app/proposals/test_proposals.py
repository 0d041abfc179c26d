"""Proposals for the criteria: made by any member, answered by experts, and told to who made them."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.editing import rename
from app.criteria.loading import load_criteria
from app.criteria.merging import merge
from app.criteria.models import NodeChange
from app.criteria.reading import get_criteria, get_node, working_criteria
from app.criteria.retiring import retire
from app.errors import Conflict, Invalid, NotAllowed, NotFound, Stale
from app.images.models import Image
from app.proposals import deciding, proposing, reading
from app.proposals.models import CriteriaProposal
from app.proposals.proposing import Examples
from taxonomy.tree import Attribute, Dimension
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria/proposals"
API = "/api/v1/projects/paintings/criteria/proposals"

PAIR = SMALL.pairs()[0]
PARENT = next(
    e.node for e in SMALL.walk() if isinstance(e.node, Dimension) and PAIR in e.node.pairs
)
WARM = Attribute("Warm veil", "A warm tone lies over everything.")
COLD = Attribute("Cold veil", "A cold tone lies over everything.")


@pytest.fixture
def people(make: Make, db: Session) -> Cast:
    found = cast(make)
    load_criteria(db, found.project, SMALL, by=found.lea)
    db.commit()
    return found


def propose(db: Session, people: Cast, **values: object) -> CriteriaProposal:
    given: dict[str, object] = {
        "parent": PARENT.key,
        "relation": "opposed",
        "positive": WARM,
        "negative": COLD,
        "reason": "Nothing says it.",
        "examples": Examples(),
        "by": people.ben,
    }
    made = proposing.propose_pair(db, people.project, **(given | values))  # type: ignore[arg-type]
    db.commit()
    return made


def propose_words(db: Session, people: Cast, **texts: str) -> CriteriaProposal:
    made = proposing.propose_change(
        db,
        people.project,
        PAIR.key,
        based_on=get_node(db, people.project, PAIR.key).revision,
        texts=texts,
        reason="It does not decide.",
        examples=Examples(),
        by=people.ben,
    )
    db.commit()
    return made


def changes(db: Session) -> int:
    return db.scalar(select(func.count()).select_from(NodeChange)) or 0


def test_a_proposal_changes_nothing_until_it_is_accepted(db: Session, people: Cast) -> None:
    before, were = working_criteria(db, people.project), changes(db)
    revision = get_criteria(db, people.project).revision
    made = propose(db, people)
    assert working_criteria(db, people.project) == before
    assert (changes(db), get_criteria(db, people.project).revision) == (were, revision)
    accepted = deciding.accept(
        db, people.project, made.id, by=people.ada, texts={}, answer="Well seen."
    )
    db.commit()
    shown = reading.show_one(db, people.project, accepted.id)
    assert shown.made is not None
    added = get_node(db, people.project, shown.made)
    assert (added.positive_name, added.negative_definition) == (WARM.name, COLD.definition)
    assert (shown.proposal.state, shown.decider, shown.proposal.answer) == (
        "accepted",
        "Ada",
        "Well seen.",
    )
    assert changes(db) == were + 1


def test_an_expert_may_amend_what_was_proposed(db: Session, people: Cast) -> None:
    made = propose(db, people)
    deciding.accept(
        db,
        people.project,
        made.id,
        by=people.ada,
        texts={"negative_name": "Blue veil", "relation": "graded"},
    )
    db.commit()
    shown = reading.show_one(db, people.project, made.id)
    assert shown.made is not None
    added = get_node(db, people.project, shown.made)
    assert (added.negative_name, added.relation, added.positive_name) == (
        "Blue veil",
        "graded",
        WARM.name,
    )
    # What was proposed stays as it was written.
    assert shown.proposal.content["negative_name"] == COLD.name


def test_other_words_are_kept_as_what_differs(db: Session, people: Cast) -> None:
    made = propose_words(
        db, people, positive_name=PAIR.positive.name, positive_definition=" Said\r\nbetter. "
    )
    assert made.content == {"positive_definition": "Said\nbetter."}
    node = get_node(db, people.project, PAIR.key)
    deciding.accept(db, people.project, made.id, by=people.ada, texts={}, based_on=node.revision)
    db.commit()
    assert get_node(db, people.project, PAIR.key).positive_definition == "Said\nbetter."


def test_what_the_criteria_would_refuse_is_refused_at_once(db: Session, people: Cast) -> None:
    with pytest.raises(Invalid):
        propose(db, people, positive=Attribute("  "))
    with pytest.raises(NotFound):
        propose(db, people, parent="no-such-key")
    with pytest.raises(Invalid, match="Nothing is different"):
        propose_words(db, people, positive_name=PAIR.positive.name)
    with pytest.raises(Invalid, match="cannot be changed"):
        propose_words(db, people, colour="blue")
    with pytest.raises(Invalid, match="why"):
        propose(db, people, reason=" ")
    node = get_node(db, people.project, PAIR.key)
    seen = node.revision
    rename(db, people.project, PAIR.key, based_on=seen, by=people.ada, positive="Other")
    db.commit()
    with pytest.raises(Stale):
        proposing.propose_change(
            db, people.project, PAIR.key, based_on=seen, texts={"positive_name": "Third"},
            reason="Why not.", examples=Examples(), by=people.ben,
        )  # fmt: skip
    assert reading.find_proposals(db, people.project) == []


def test_a_change_made_meanwhile_is_not_overwritten_unseen(db: Session, people: Cast) -> None:
    made = propose_words(db, people, positive_name="Mine")
    seen = get_node(db, people.project, PAIR.key).revision
    rename(db, people.project, PAIR.key, based_on=seen, by=people.lea, positive="Theirs")
    db.commit()
    with pytest.raises(Stale):
        deciding.accept(db, people.project, made.id, by=people.ada, texts={}, based_on=seen)
    db.rollback()
    assert reading.get_proposal(db, people.project, made.id).state == "open"


def test_examples_are_images_in_use_of_this_project(db: Session, make: Make, people: Cast) -> None:
    one, two = make.image(people.project), make.image(people.project)
    foreign = make.image(make.project("far-away"))
    made = propose(db, people, examples=Examples((one.id,), (two.id,)))
    assert [(side, image.id) for side, image in reading.find_examples(db, made)] == [
        ("positive", one.id), ("negative", two.id),
    ]  # fmt: skip
    for wrong in (Examples((foreign.id,)), Examples((one.id,), (one.id,)), Examples((2**62,))):
        with pytest.raises(Invalid):
            propose(db, people, examples=wrong)
    with pytest.raises(Invalid, match="At most"):
        propose(db, people, examples=Examples(tuple(range(1, 20))))
    # An image that is erased later takes its example with it, not the proposal.
    db.delete(db.get_one(Image, two.id))
    db.commit()
    assert len(reading.find_examples(db, made)) == 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("3, 4;5\n3", (3, 4, 5)),
        (
            "#7 http://here/projects/paintings/images/12?show=done /projects/p/images/13/",
            (7, 12, 13),
        ),
    ],
)
def test_images_are_read_from_numbers_and_addresses(text: str, found: tuple[int, ...]) -> None:
    assert proposing.read_examples(text, "positive_examples") == found


@pytest.mark.parametrize("text", ["sunflowers", "3 -4", "http://here/datasets/3", "9" * 30])
def test_what_is_no_image_is_named(text: str) -> None:
    with pytest.raises(Invalid, match="is no image"):
        proposing.read_examples(text, "positive_examples")


def test_a_proposal_is_decided_once(db: Session, people: Cast) -> None:
    made = propose(db, people)
    with pytest.raises(Invalid, match="why"):
        deciding.decline(db, people.project, made.id, by=people.ada, answer=" ")
    deciding.decline(db, people.project, made.id, by=people.ada, answer="There is one already.")
    db.commit()
    again = "declined already"
    with pytest.raises(Conflict, match=again):
        deciding.accept(db, people.project, made.id, by=people.lea, texts={})
    with pytest.raises(Conflict, match=again):
        deciding.decline(db, people.project, made.id, by=people.lea, answer="No.")
    with pytest.raises(Conflict, match=again):
        proposing.withdraw(db, people.project, made.id, by=people.ben)
    other = propose(db, people)
    with pytest.raises(NotAllowed):
        proposing.withdraw(db, people.project, other.id, by=people.ada)
    assert proposing.withdraw(db, people.project, other.id, by=people.ben).state == "withdrawn"


def test_the_answer_reaches_who_proposed_and_is_new_until_looked_at(
    db: Session, people: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    made = propose(db, people)
    assert reading.count_waiting(db, people.project, people.ben) == reading.Waiting(1, 0)
    deciding.decline(db, people.project, made.id, by=people.ada, answer="There is “Haze” already.")
    db.commit()
    sign_in(browser, people.lea)
    assert browser.get(f"{HERE}/{made.id}").status_code == 200
    assert reading.count_waiting(db, people.project, people.ben) == reading.Waiting(0, 1)
    sign_in(browser, people.ben)
    first = browser.get("/projects/paintings").text
    assert "answered" in first
    assert "new answer" in browser.get(HERE).text
    assert "There is “Haze” already." in browser.get(f"{HERE}/{made.id}").text
    assert reading.count_waiting(db, people.project, people.ben) == reading.Waiting(0, 0)
    assert "new answer" not in browser.get(HERE).text


def test_by_the_pages_from_the_wish_to_the_tree(
    db: Session, make: Make, people: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    image = make.image(people.project)
    sign_in(browser, people.ben)
    assert "Propose" in browser.get(f"/projects/paintings/criteria?node={PARENT.key}").text
    form = browser.get(f"{HERE}/new", params={"node": PARENT.key, "image": str(image.id)})
    assert f'value="{image.id}"' in form.text
    typed = {
        "parent": PARENT.key, "relation": "opposed", "positive_name": "Warm veil", "negative_name": "",
        "reason": "Seen.", "positive_examples": str(image.id),
    }  # fmt: skip
    again = browser.post(f"{HERE}/pairs", data=typed)
    assert again.status_code == 422
    assert "Warm veil" in again.text
    sent = browser.post(f"{HERE}/pairs", data=typed | {"negative_name": "Cold veil"})
    assert sent.status_code == 303
    proposal = sent.headers["location"]
    assert browser.post(f"{proposal}/accept", data={}).status_code == 403
    sign_in(browser, people.ada)
    assert "Accept" in browser.get(proposal).text
    taken = {
        "relation": "opposed", "positive_name": PAIR.positive.name, "negative_name": "Cold veil",
    }  # fmt: skip
    assert browser.post(f"{proposal}/accept", data=taken).status_code == 422
    assert (
        browser.post(f"{proposal}/accept", data=taken | {"positive_name": "Warm veil"}).status_code
        == 303
    )
    assert "Warm veil" in browser.get("/projects/paintings/criteria").text
    assert "accepted" in browser.get(HERE).text


def _leave_open(db: Session, people: Cast) -> None:
    del db, people


def _retire(db: Session, people: Cast) -> None:
    revision = get_node(db, people.project, PAIR.key).revision
    retire(db, people.project, PAIR.key, based_on=revision, by=people.ada)


def _merge_away(db: Session, people: Cast) -> None:
    other = SMALL.pairs()[1].key
    seen = {key: get_node(db, people.project, key).revision for key in (PAIR.key, other)}
    merge(db, people.project, [PAIR.key], into=other, based_on=seen, by=people.ada)


def _accept(db: Session, people: Cast) -> None:
    (made,) = reading.find_proposals(db, people.project)
    based_on = get_node(db, people.project, PAIR.key).revision
    number = made.proposal.id
    deciding.accept(db, people.project, number, by=people.ada, texts={}, based_on=based_on)


@pytest.mark.parametrize("happens", [_leave_open, _retire, _merge_away, _accept])
def test_the_page_of_a_change_is_there_whatever_became_of_its_node(
    db: Session,
    people: Cast,
    browser: TestClient,
    sign_in: SignIn,
    happens: Callable[[Session, Cast], None],
) -> None:
    made = propose_words(db, people, positive_definition="One sees it at once.")
    happens(db, people)
    db.commit()
    for person in (people.ben, people.ada):
        page = sign_in(browser, person).get(f"{HERE}/{made.id}")
        assert page.status_code == 200 and "One sees it at once." in page.text
    refused = browser.post(f"{HERE}/{made.id}/decline", data={"answer": ""})
    assert refused.status_code in (409, 422), "it is shown again with what is wrong"


def test_by_the_api(db: Session, people: Cast, api: TestClient, token_for: Tokens) -> None:
    ben, ada, dora = (token_for(each) for each in (people.ben, people.ada, people.dora))
    node = get_node(db, people.project, PAIR.key)
    change = {"node": PAIR.key, "based_on": node.revision, "texts": {"positive_name": "Said anew"}}
    made = api.post(API, json={"change": change, "reason": "Clearer."}, headers=ben)
    assert made.status_code == 201, made.text
    one = made.json()
    assert (one["kind"], one["state"], one["content"]) == (
        "change",
        "open",
        {"positive_name": "Said anew"},
    )
    assert api.get(f"{API}/{one['id']}", headers=dora).status_code == 404
    assert api.post(f"{API}/{one['id']}/accept", json={}, headers=ben).status_code == 403
    assert api.post(f"{API}/{one['id']}/accept", json={}, headers=ada).status_code == 422
    accepted = api.post(f"{API}/{one['id']}/accept", json={"based_on": node.revision}, headers=ada)
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["state"] == "accepted"
    assert api.post(API, json={"reason": "Neither."}, headers=ben).status_code == 422
    pair = {"parent": PARENT.key, "positive_name": "Warm veil", "negative_name": "Cold veil"}
    for _ in range(3):
        assert (
            api.post(API, json={"pair": pair, "reason": "Wanted."}, headers=ben).status_code == 201
        )
    first = api.get(API, params={"limit": 2}, headers=ben).json()
    assert len(first["items"]) == 2
    rest = api.get(API, params={"limit": 2, "before": first["next"]}, headers=ben).json()
    assert [each["id"] for each in rest["items"]][-1] == one["id"]
    assert (
        api.get(API, params={"state": "accepted"}, headers=ben).json()["items"][0]["id"]
        == one["id"]
    )
