"""What an audit's pages, files and JSON say, fed with counts that give the paper's Table S5."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from itertools import count, product

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.audits import inviting, judging
from app.audits.access import instrument
from app.audits.models import Audit, AuditItem, Judgement
from app.audits.verdicts import find_judged
from app.criteria.models import Node
from app.images.models import Image
from app.labels.models import SuggestionShown
from app.participants.models import Participant
from app.participants.notices import write_notice
from tests.app.audits.conftest import Studio
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
ROOM = "/projects/paintings/audits"
PEOPLE = 10
# How many of how many answers say "appears", so that the shares are those of the paper's Table S5.
TABLE_S5 = {
    "Color Relationship": (981, 1_020, "96.18"),
    "Perspective and Space": (1_002, 1_090, "91.93"),
    "Edge Relationship": (951, 1_040, "91.44"),
    "Light and Shadow": (1_011, 1_070, "94.49"),
    "Brushwork and Texture": (1_000, 1_120, "89.29"),
    "Composition": (916, 1_030, "88.93"),
    "Shape and Form": (2_549, 3_110, "81.96"),
}
OVERALL = "88.71"


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def paper(db: Session, make: Make, people: Cast) -> Audit:
    """An audit with the paper's figures, and a dimension of which nothing was drawn."""
    project = people.project
    pairs = []
    for position, name in enumerate([*TABLE_S5, "Style"], start=1):
        root = make.dimension(project, name, key=name.split()[0].lower(), position=position)
        pairs.append(make.pair(project, root, position=position))
    version = make.version(project)
    run = make.agent_run(project, version)
    db.execute(insert(Image), [_image(project.id, number) for number in range(160)])
    images = db.scalars(select(Image.id).order_by(Image.id)).all()
    audit = Audit(
        project_id=project.id,
        name="As in the paper",
        seed=1,
        sample_size=len(images),
        min_labels=1,
        agent_run_id=run.id,
        version_id=version.id,
    )
    db.add(audit)
    db.flush()
    write_notice(db, instrument(audit), "Please read.", by=None)
    db.execute(
        insert(Participant),
        [
            {"audit_id": audit.id, "number": number, "token_hash": bytes([number])}
            for number in range(1, PEOPLE + 1)
        ],
    )
    participants = db.scalars(select(Participant.id).order_by(Participant.number)).all()
    for pair, (yes, total, _) in zip(pairs, TABLE_S5.values(), strict=False):
        _judge(db, audit, pair, images, participants, yes, total)
    db.commit()
    return audit


def _image(project_id: int, number: int) -> dict[str, object]:
    return {
        "project_id": project_id,
        "sha256": f"{number:064x}",
        "name": f"{number}.png",
        "format": "PNG",
        "width": 64,
        "height": 48,
        "bytes": 1,
    }


def _judge(
    db: Session,
    audit: Audit,
    pair: Node,
    images: Sequence[int],
    participants: Sequence[int],
    yes: int,
    total: int,
) -> None:
    root = db.get_one(Node, pair.parent_id)
    asked = list(product(images, ("positive", "negative")))[: total // PEOPLE]
    db.execute(
        insert(AuditItem),
        [
            {
                "audit_id": audit.id,
                "image_id": image_id,
                "image_position": place,
                "node_id": pair.id,
                "polarity": polarity,
                "root_key": root.key,
            }
            for place, (image_id, polarity) in enumerate(asked, start=1)
        ],
    )
    items = db.scalars(
        select(AuditItem.id).where(AuditItem.node_id == pair.id).order_by(AuditItem.id)
    ).all()
    # Spread over items and participants, so that no participant says yes to all.
    step = count()
    db.execute(
        insert(Judgement),
        [
            {
                "audit_id": audit.id,
                "participant_id": participant,
                "item_id": item,
                "answer": "appears" if next(step) * 7919 % total < yes else "does_not_appear",
            }
            for item in items
            for participant in participants
        ],
    )


def row_of(page: str, name: str) -> list[str]:
    """The cells of the first table's row of this name, without marks and blanks."""
    [row, *_] = re.findall(rf"<tr><th[^>]*><a[^>]*>{name}</a></th>(.*?)</tr>", page, re.DOTALL)
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", cell)).strip() for cell in cells]


def test_the_page_shows_the_eight_figures_of_table_s5(
    browser: TestClient, paper: Audit, people: Cast, sign_in: SignIn
) -> None:
    page = sign_in(browser, people.ben).get(f"{ROOM}/{paper.id}").text
    shown = {name: row_of(page, name)[1] for name in (*TABLE_S5, "Overall")}
    assert shown == {name: figure for name, (_, _, figure) in TABLE_S5.items()} | {
        "Overall": OVERALL
    }
    # Each has an interval around it; what nothing was drawn of is a row that says so.
    for name in TABLE_S5:
        low, high = map(float, row_of(page, name)[2].split(" – "))
        assert low < float(shown[name]) < high
    assert row_of(page, "Style")[1:3] == ["–", "–"]
    assert "none drawn" in row_of(page, "Style")[4]
    report = browser.get(f"{ROOM}/{paper.id}/report").text
    assert {row_of(report, name)[1] for name in TABLE_S5} <= set(shown.values())
    assert f"The overall accuracy is {OVERALL} %" in report
    assert "Color Relationship (96.18 %)" in report


def test_the_same_as_latex_csv_and_json(
    browser: TestClient,
    api: TestClient,
    paper: Audit,
    people: Cast,
    sign_in: SignIn,
    token_for: TokenFor,
) -> None:
    sign_in(browser, people.ben)
    table = browser.get(f"{ROOM}/{paper.id}/results.tex")
    assert "-table.tex" in table.headers["content-disposition"]
    rows = dict(re.findall(r"^([\w ]+) & ([\d.]+|--) & ", table.text, re.MULTILINE))
    assert rows == {name: figure for name, (_, _, figure) in TABLE_S5.items()} | {
        "Style": "--",
        "Overall": OVERALL,
    }
    assert "with an overall accuracy of 88.71\\%" in table.text
    text = browser.get(f"{ROOM}/{paper.id}/results.csv").text.lstrip("\ufeff")
    lines = {
        (each["level"], each["key"], each["polarity"]): each
        for each in csv.DictReader(io.StringIO(text))
    }
    assert float(lines["dimension", "color", ""]["accuracy"]) == 981 / 1_020
    assert len([key for key in lines if key[0] == "attribute"]) == 14
    assert lines["dimension", "style", ""]["accuracy"] == ""
    answer = api.get(f"/api/v1{ROOM}/{paper.id}/results", headers=token_for(people.ben)).json()
    assert answer["overall"]["accuracy"] == 8_410 / 9_480
    assert answer["overall"]["participants"] == PEOPLE
    assert answer["overall"]["gwet_ac1"]["value"] > answer["overall"]["krippendorff_alpha"]["value"]
    assert [row["name"] for row in answer["dimensions"]] == [*TABLE_S5, "Style"]
    assert {(row["key"], row["polarity"]) for row in answer["attributes"]} == {
        key[1:] for key in lines if key[0] == "attribute"
    }


def test_a_name_leads_to_its_attributes_and_pictures(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    for _ in range(2):
        studio.annotate((0, "positive"), (1, "negative"), (2, "positive"))
    audit = studio.audit()
    for (participant, _), answer in zip(
        studio.seats(audit, 3), ("appears", "does_not_appear", "does_not_appear"), strict=True
    ):
        for item in judging.find_items(db, participant, audit):
            judging.judge(db, participant, item.id, answer)
    db.commit()
    page = sign_in(browser, studio.cast.ben).get(f"{ROOM}/{audit.id}").text
    here = f"{ROOM}/{audit.id}/labels"
    assert f'href="{here}?key=light"' in page
    branch = browser.get(f"{here}?key=light").text
    assert {"Fine thing 0", "Poor thing 1"} == set(re.findall(r"\w+ thing \d", branch))
    assert len(re.findall(r'<li><a href="/projects/paintings/images/', branch)) == 4
    assert "refuted" in browser.get(f"{here}?opinion=refuted&polarity=negative").text
    assert "No label of the sample is like that." in browser.get(f"{here}?opinion=held").text
    assert browser.get(f"{here}?key=nowhere").status_code == 404
    assert browser.get(f"{here}?opinion=maybe").status_code == 422
    # Whoever looks knows from then on what the agent says of these images.
    told = select(SuggestionShown.image_id).where(SuggestionShown.person_id == studio.cast.ben.id)
    assert set(db.scalars(told)) == {each.image_id for each in find_judged(db, audit)}


def test_pictures_come_a_page_at_a_time(db: Session, studio: Studio) -> None:
    for _ in range(3):
        studio.annotate((0, "positive"), (1, "negative"))
    audit = studio.audit()
    whole = find_judged(db, audit)
    assert len(whole) == 6
    first = find_judged(db, audit, limit=4)
    assert first + find_judged(db, audit, after=first[-1].id) == whole


def test_codes_tell_nothing_of_numbers(
    browser: TestClient, db: Session, studio: Studio, sign_in: SignIn
) -> None:
    """Whoever sent link 7 to somebody knows who participant 7 is: no result may tell what they answered."""
    studio.annotate((0, "positive"), (1, "negative"))
    audit = studio.audit()
    seats = studio.seats(audit, 8)
    # Each answers in a way of their own, told by how many answers there are and by what they say.
    for participant, _ in seats:
        for item in judging.find_items(db, participant, audit):
            judging.judge(
                db, participant, item.id, "appears" if participant.number == 7 else "cannot_tell"
            )
    db.commit()
    sign_in(browser, studio.cast.lea)
    text = browser.get(f"{ROOM}/{audit.id}/verdicts.csv").text.lstrip("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    codes = {each["participant"] for each in rows}
    assert len(codes) == 8
    # Neither number, nor time, nor the order of rows leads back to who came in through which link.
    assert not codes & {str(number) for number in range(1, 9)}
    assert [each["participant"] for each in rows] == sorted(each["participant"] for each in rows)
    assert not re.search(r"\d\d:\d\d:\d\d|20\d\d-\d\d", text)
    assert set(rows[0]) == {
        *("participant", "image_position", "image_name", "image_sha256", "dimension", "key"),
        *("polarity", "attribute", "answer", "revision", "seconds", "kind"),
    }
    listed = browser.get(f"{ROOM}/{audit.id}").text
    assert not any(code in listed for code in codes)
    # Nor does a number that was given twice, or a place among others: codes come in any order.
    for _ in range(6):
        inviting.invite_participants(db, audit, 3)
        db.commit()
    made = db.execute(select(Participant.number, Participant.code).order_by(Participant.number))
    orders = [code for _, code in made]
    assert orders != sorted(orders)
    # A revoked participant's answers are in no file.
    inviting.revoke_participant(db, audit, 7)
    db.commit()
    left = browser.get(f"{ROOM}/{audit.id}/verdicts.csv").text
    assert ",appears," not in left
