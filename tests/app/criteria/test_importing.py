"""Putting a file in the place of criteria that are there: shown first, then recorded, and taken back."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from re import findall
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria import importing
from app.criteria.editing import revise
from app.criteria.history import find_changes
from app.criteria.models import Node
from app.criteria.reading import get_criteria, nodes_by_key, working_criteria
from app.criteria.uploads import read_upload
from app.errors import Conflict, Invalid, Stale
from app.labels.models import Label
from app.labels.saving import save
from app.versions.importing import import_criteria
from app.versions.publishing import preview, publish
from app.versions.undoing import undo
from taxonomy.changes import difference
from taxonomy.formats.csv import write_csv
from taxonomy.formats.data import MAX_BYTES
from taxonomy.formats.files import FORMATS, FormatName
from taxonomy.formats.xlsx import write_xlsx
from taxonomy.formats.yaml import write_yaml
from taxonomy.tree import Attribute, Criteria, Dimension, Pair
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast
from tests.taxonomy.strategies import change_node
from tests.taxonomy.trees import telling_tree

SignIn = Callable[[TestClient, Person], TestClient]
TokenFor = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = "/api/v1/projects/paintings/criteria"

MOVED = Criteria(
    name="Small",
    max_levels=4,
    dimensions=(
        Dimension(
            "edges",
            "Edges and contours",
            "Where forms meet.",
            pairs=(SMALL.pair("glow"), SMALL.pair("clear-edges")),
        ),
        Dimension(
            "light",
            "Light",
            "How light falls.",
            pairs=(
                Pair("new", "graded", Attribute("Firm hand", "It holds."), Attribute("Mitten")),
            ),
        ),
    ),
)


def put(db: Session, people: Cast, tree: Criteria, **given: Any) -> None:
    based_on = get_criteria(db, people.project).revision
    import_criteria(db, people.project, tree, based_on=based_on, by=people.ada, **given)
    db.commit()


def test_the_tree_becomes_what_was_foreseen_on_the_rows_that_are_there(
    db: Session, people: Cast
) -> None:
    before = {key: node.id for key, node in nodes_by_key(db, people.project).items()}
    foreseen = importing.foresee(db, people.project, MOVED)
    assert working_criteria(db, people.project) == SMALL
    put(db, people, MOVED)
    after = working_criteria(db, people.project)
    assert after == foreseen.criteria
    assert difference(SMALL, after) == foreseen.changes
    nodes = nodes_by_key(db, people.project)
    assert {key: nodes[key].id for key in before} == before
    assert nodes["clear-source"].parent_id == before["source"]
    assert [after.entry(key).retired for key in ("source", "clear-source", "glow")] == [1, 1, 0]


def test_an_import_is_one_change_and_is_undone_as_one(db: Session, people: Cast) -> None:
    put(db, people, MOVED)
    (change, *_) = find_changes(db, people.project)
    assert (change.kind, change.by) == ("imported", "Ada")
    assert change.sentence.startswith("Imported a file: it changed 4 nodes, among them")
    undo(db, people.project, change.revision, by=people.lea)
    db.commit()
    assert write_yaml(working_criteria(db, people.project)) == write_yaml(SMALL)
    (undone, *_) = find_changes(db, people.project)
    undo(db, people.project, undone.revision, by=people.lea)
    db.commit()
    assert working_criteria(db, people.project).path_of("glow") == ("edges", "glow")


def test_names_that_change_places_are_put_back_by_an_undo(db: Session, people: Cast) -> None:
    first, second = SMALL.pair("glow"), SMALL.pair("clear-edges")
    swapped = change_node(SMALL, "glow", lambda pair: replace(pair, positive=second.positive))
    swapped = change_node(
        swapped, "clear-edges", lambda pair: replace(pair, positive=first.positive)
    )
    put(db, people, swapped)
    (change, *_) = find_changes(db, people.project)
    undo(db, people.project, change.revision, by=people.lea)
    assert working_criteria(db, people.project) == SMALL


def test_all_that_a_tree_can_say_is_taken_in_and_back(db: Session, people: Cast) -> None:
    told = telling_tree()
    put(db, people, told)
    result = working_criteria(db, people.project)
    for entry in told.walk():
        assert type(result.entry(entry.node.key).node) is type(entry.node)
    assert result.content == told.content
    assert (result.name, result.styles) == (told.name, told.styles)
    assert preview(db, people.project).changes == []
    assert importing.foresee(db, people.project, told).changes == []
    nodes, settings, *_ = find_changes(db, people.project)
    assert settings.sentence == (
        "Changed the name and the limit of levels and the content and styles of the criteria."
    )
    for each in (nodes, settings):
        undo(db, people.project, each.revision, by=people.ada)
    assert write_yaml(working_criteria(db, people.project)) == write_yaml(SMALL)


def test_what_changed_since_the_preview_is_not_overwritten(db: Session, people: Cast) -> None:
    based_on = get_criteria(db, people.project).revision
    node = nodes_by_key(db, people.project)["edges"]
    revise(
        db,
        people.project,
        "edges",
        based_on=node.revision,
        by=people.lea,
        texts={"name": "Contours"},
    )
    with pytest.raises(Stale, match="after this import was shown"):
        import_criteria(db, people.project, MOVED, based_on=based_on, by=people.ada)
    assert working_criteria(db, people.project).dimension("edges").name == "Contours"


def test_an_import_that_changes_nothing_is_refused(db: Session, people: Cast) -> None:
    with pytest.raises(Conflict, match="nothing to import"):
        put(db, people, SMALL)


def test_a_key_of_a_node_that_was_removed_is_refused(db: Session, people: Cast) -> None:
    put(db, people, MOVED)
    (change, *_) = find_changes(db, people.project)
    undo(db, people.project, change.revision, by=people.ada)
    with pytest.raises(Invalid, match="The key new belonged to a node that was removed"):
        put(db, people, MOVED)


@pytest.fixture
def labelled(db: Session, people: Cast, make: Make) -> Callable[[str], Label]:
    """Labels the positive side of a pair of the published criteria on a new image."""
    publish(db, people.project, by=people.lea)
    db.commit()

    def label(key: str) -> Label:
        image = make.image(people.project)
        save(
            db,
            people.project,
            image.id,
            key=key,
            polarity="positive",
            state="confirmed",
            based_on=image.label_revision,
            operation_id=uuid4(),
            by=people.ben,
        )
        db.commit()
        return db.scalars(select(Label).where(Label.image_id == image.id)).one()

    return label


def test_labels_stay_with_what_was_moved_renamed_and_retired(
    db: Session, people: Cast, labelled: Callable[[str], Label]
) -> None:
    labels = {key: labelled(key).id for key in ("glow", "clear-source")}
    put(db, people, MOVED)
    publish(db, people.project, by=people.lea)
    ids = {key: node.id for key, node in nodes_by_key(db, people.project).items()}
    found = {label.id: label.node_id for label in db.scalars(select(Label))}
    assert found == {each: ids[key] for key, each in labels.items()}


def test_what_a_file_names_successors_of_carries_its_labels_over(
    db: Session, people: Cast, labelled: Callable[[str], Label]
) -> None:
    label = labelled("glow")
    gone = change_node(SMALL, "glow", lambda _: None)
    put(db, people, replace(gone, successors={"glow": ("clear-edges",)}))
    result = working_criteria(db, people.project)
    assert result.find("glow") is None
    assert result.resolve("glow") == ("clear-edges",)
    publish(db, people.project, by=people.lea)
    db.expire_all()
    target = nodes_by_key(db, people.project)["clear-edges"]
    found = db.scalars(select(Label).where(Label.image_id == label.image_id)).all()
    assert [each.node_id for each in found] == [target.id]


def test_a_name_that_goes_to_another_attribute_with_labels_is_asked_about(
    db: Session, people: Cast, labelled: Callable[[str], Label]
) -> None:
    labelled("glow")
    pair = SMALL.pair("glow")
    turned = change_node(
        SMALL,
        "glow",
        lambda pair: replace(pair, positive=pair.negative, negative=pair.positive),
    )
    with pytest.raises(Conflict, match="1 label made for it") as asked:
        put(db, people, turned)
    db.rollback()
    assert asked.value.field == "names_moved"
    assert working_criteria(db, people.project).pair("glow") == pair
    put(db, people, turned, names_moved="follow")
    publish(db, people.project, by=people.lea)
    (label,) = db.scalars(select(Label))
    assert label.polarity == "negative"


# Through pages and API ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_comes_out_and_its_edit_goes_in_again(
    browser: TestClient, sign_in: SignIn, people: Cast, db: Session, name: FormatName
) -> None:
    sign_in(browser, people.ada)
    exported = browser.get(f"{HERE}/export?format={name}")
    assert exported.status_code == 200
    ending = FORMATS[name].endings[0]
    assert f"paintings-criteria-working{ending}" in exported.headers["content-disposition"]
    unchanged = browser.post(f"{HERE}/import", files={"file": (f"a{ending}", exported.content)})
    assert "Nothing to change" in unchanged.text
    edited = change_node(SMALL, "edges", lambda each: replace(each, name="Contours & edges"))
    content = FORMATS[name].write(edited)
    shown = browser.post(f"{HERE}/import", files={"file": (f"a{ending}", content)})
    assert "1 change in" in shown.text
    assert "“Edges” was renamed to “Contours &amp; edges”" in shown.text
    assert working_criteria(db, people.project) == SMALL
    assert browser.post(f"{HERE}/import/apply", data=hidden(shown.text)).status_code == 303
    assert working_criteria(db, people.project) == edited


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the one form that imports."""
    found = findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


def test_a_stale_page_shows_what_would_change_now(
    browser: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    sign_in(browser, people.ada)
    file = {"file": ("a.yaml", write_yaml(MOVED).encode())}
    fields = hidden(browser.post(f"{HERE}/import", files=file).text)
    node = nodes_by_key(db, people.project)["light"]
    revise(
        db, people.project, "light", based_on=node.revision, by=people.lea, texts={"name": "Lux"}
    )
    db.commit()
    again = browser.post(f"{HERE}/import/apply", data=fields)
    assert again.status_code == 412
    assert "Someone changed the criteria after this import was shown" in again.text
    assert "“Lux” was renamed to “Light”" in again.text
    assert browser.post(f"{HERE}/import/apply", data=hidden(again.text)).status_code == 303


@pytest.mark.parametrize("content", ["", "eJw=", "bm9uc2Vuc2U="])
def test_a_preview_that_was_tampered_with_is_refused(
    browser: TestClient, sign_in: SignIn, people: Cast, content: str
) -> None:
    sign_in(browser, people.ada)
    fields = {"content": content, "based_on": "1", "file": "a.yaml"}
    answer = browser.post(f"{HERE}/import/apply", data=fields)
    assert answer.status_code == 422
    assert "choose the file again" in answer.text


def test_only_experts_import_into_criteria(
    browser: TestClient, sign_in: SignIn, people: Cast
) -> None:
    sign_in(browser, people.ada)
    file = {"file": ("a.yaml", write_yaml(MOVED).encode())}
    fields = hidden(browser.post(f"{HERE}/import", files=file).text)
    for person, status in ((people.ben, 403), (people.dora, 404)):
        sign_in(browser, person)
        assert browser.post(f"{HERE}/import/apply", data=fields).status_code == status


def test_what_a_format_cannot_hold_is_said(
    browser: TestClient, sign_in: SignIn, people: Cast
) -> None:
    sign_in(browser, people.ben)
    page = browser.get(f"{HERE}/formats").text
    assert "relations, exclusive dimensions and exclusions" in page
    assert browser.get(f"{HERE}/formats?version=1").status_code == 404


def test_a_program_looks_before_it_imports(
    api: TestClient, token_for: TokenFor, people: Cast, db: Session
) -> None:
    headers = token_for(people.ada)
    content = base64.b64encode(write_xlsx(MOVED)).decode()
    body = {"content": content, "encoding": "base64", "file": "a.xlsx"}
    found = api.post(f"{API}/import/preview", json=body, headers=headers)
    assert found.status_code == 200
    assert working_criteria(db, people.project) == SMALL
    assert {each["kind"] for each in found.json()["changes"]} >= {"added", "moved", "retired"}
    assert api.post(f"{API}/import", json=body, headers=headers).status_code == 409
    body["based_on"] = found.json()["based_on"]
    done = api.post(f"{API}/import", json=body, headers=headers)
    assert done.status_code == 201
    assert working_criteria(db, people.project).path_of("glow") == ("edges", "glow")
    again = api.post(f"{API}/import", json=body, headers=headers)
    assert again.status_code == 412
    told = api.get(f"{API}/export?format=label-studio", headers=headers)
    assert "retired" in told.headers["left-out"]


@pytest.mark.parametrize("where", ["import/preview", "import"])
def test_a_program_hands_in_a_file_as_large_as_any_that_is_read(
    people: Cast, api: TestClient, token_for: TokenFor, where: str
) -> None:
    """In Chinese letters, which JSON writes in six characters each."""
    headers = token_for(people.ada) | {"Content-Type": "application/json"}

    def send(num_bytes: int) -> Any:
        text = '{"format": "morelli-criteria/1", "name": "' + "画" * (num_bytes // 3) + '"}'
        return api.post(f"{API}/{where}", content=json.dumps({"content": text}), headers=headers)

    fits = send(MAX_BYTES - 99)
    assert fits.status_code == 422 and "dimensions" in fits.text
    too_large = send(MAX_BYTES + 99)
    assert too_large.status_code == 422 and "larger than 5 MB" in too_large.text
    beyond = send(6_000_000)
    assert beyond.status_code == 413 and "the limit here" in beyond.text


@pytest.mark.parametrize(
    ("file", "content", "place"),
    [
        ("a.csv", write_csv(SMALL).replace("flaw", "odd"), "line 7, column “relation”"),
        ("a.yaml", write_yaml(SMALL).replace("relation: flaw", "relation: odd"), "(line 29)"),
        ("a.ttl", "c:a", "line 1"),
        ("a.jsonld", "{", "line 1, column 2"),
        ("a.xml", "<View>", "line 1"),
        ("a.json", "[", "line 1, column 2"),
        ("a.csv", "\x00\x01", ""),
    ],
)
def test_a_wrong_file_is_told_with_its_place_and_changes_nothing(
    api: TestClient,
    token_for: TokenFor,
    people: Cast,
    db: Session,
    file: str,
    content: str,
    place: str,
) -> None:
    body = {"content": content, "file": file, "based_on": 1}
    answer = api.post(f"{API}/import", json=body, headers=token_for(people.ada))
    assert answer.status_code == 422
    assert place in json.dumps(answer.json()["problems"], ensure_ascii=False)
    assert working_criteria(db, people.project) == SMALL


def test_a_row_without_a_key_is_the_node_of_that_name(db: Session, people: Cast) -> None:
    table = "dimension 1,positive name,negative name,relation\n"
    table += "Light,Glow,Chalk,flaw\nLight,Sparkle,Grit,opposed\n"
    tree = read_upload(db, people.project, "a.csv", table.encode())
    put(db, people, tree)
    result = working_criteria(db, people.project)
    assert result.pair("glow").negative.name == "Chalk"
    assert result.path_of("sparkle") == ("light", "sparkle")
    assert result.pair("clear-edges").positive.name == "Clear edges"
    assert db.scalar(select(Node).where(Node.key == "sparkle")) is not None
