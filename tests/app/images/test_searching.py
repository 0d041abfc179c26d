"""The wall's search: the same folding and the same order as everywhere, kept in the database."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.images import finding
from app.images.models import Image
from app.images.rarity import judge
from app.images.searching import is_found, place_of
from taxonomy.folding import read_query
from tests.app.images import corpus
from tests.app.images.conftest import Importing
from tests.factories import Make
from tests.people import cast
from tests.searches import SEARCHES


def test_the_table_on_the_wall(db: Session, make: Make) -> None:
    for search in SEARCHES:
        project = make.project()
        ids = [
            make.image(
                project,
                name=f"{number:04}",
                prompt=thing.text,
                details={"title": thing.name, "painter": thing.place},
            ).id
            for number, thing in enumerate(search.things)
        ]
        if not read_query(search.typed):
            continue
        found = finding.find_images(db, project, text=search.typed).images
        assert tuple(ids.index(image.id) for image in found) == search.found, search.typed


def test_a_ranked_wall_is_walked_both_ways(db: Session, make: Make) -> None:
    project = make.project()
    kinds = ("prompt", "title", "painter")
    made = [
        make.image(project, name=f"{n:04}", **_with(kinds[n % 3], "At night")) for n in range(9)
    ]
    expected = [made[n].id for kind in (1, 2, 0) for n in range(9) if n % 3 == kind]
    seen: list[int] = []
    after = None
    while True:
        page = finding.find_images(db, project, text="night", limit=2, after=after)
        seen += [image.id for image in page.images]
        if page.after is None:
            break
        after = page.after
    assert seen == expected
    back = finding.find_images(db, project, text="night", limit=2, before=expected[4])
    assert [image.id for image in back.images] == expected[2:4]
    assert (back.before, back.after) == (expected[2], expected[3])
    assert finding.find_images(db, project, text="night", before=expected[2]).before is None
    assert finding.count_images(db, project, text="night").number == 9


def _with(kind: str, words: str) -> dict[str, object]:
    if kind == "prompt":
        return {"prompt": words, "details": {}}
    return {"prompt": "", "details": {kind: words}}


def test_metadata_of_every_kind_is_found(db: Session, make: Make) -> None:
    project = make.project()
    odd = {
        "year": 1889,
        "place": {"town": "Arles"},
        "tags": ["Zypresse"],
        "file": {"notes": ["icc"]},
    }
    image = make.image(project, prompt="'; \\ \"", details=odd)
    for words in ("1889", "arles", "zypr 188", "'", "\\"):
        found = finding.find_images(db, project, text=words).images
        assert [each.id for each in found] == [image.id], words
    assert not finding.find_images(db, project, text="icc").images


def test_more_words_than_the_database_takes_come_in(db: Session, make: Make) -> None:
    long = {f"c{n}": f"word{n} " * 20 + "x" * 3000 for n in range(200)}
    many = {"many": " ".join(f"w{n}-{n}" for n in range(60_000))}
    for details in (long, many):
        project = make.project()
        make.image(project, details={"title": "Findable"} | details)
        assert len(finding.find_images(db, project, text="findable").images) == 1


def test_an_import_makes_its_images_findable(
    db: Session, do_import: Importing, folder: Path, make: Make
) -> None:
    (folder / "metadata.csv").write_text("file,title,painter\na.jpg,Le café de nuit,Cézanne\n")
    (folder / "a.jpg").write_bytes(corpus.photo(6))
    do_import(folder)
    project = db.scalars(select(Image)).one().project_id
    assert project
    for words in ("cafe", "cezanne nuit", "cafe\u0301", "a.jpg"):
        query = read_query(words)
        assert db.scalar(select(place_of(query)).where(is_found(query))) is not None


def test_programs_search_alike(
    db: Session,
    make: Make,
    api: TestClient,
    token_for: Callable[[Person], dict[str, str]],
) -> None:
    people = cast(make)
    make.image(people.project, details={"painter": "Hammershøi"})
    here = "/api/v1/projects/paintings/images"
    for words, number in (("HAMMERSHOI", 1), ("hammershøi'", 1), ("corot", 0), ("%", 0), ("\0", 1)):
        got = api.get(here, params={"q": words}, headers=token_for(people.ben)).json()
        assert len(got["items"]) == number, words


@pytest.mark.parametrize("words", ["nightfall", "nightfall arles"])
def test_many_images_are_searched_by_the_index(db: Session, make: Make, words: str) -> None:
    project = make.project()
    db.execute(
        text(
            "INSERT INTO image (project_id, sha256, name, format, width, height, bytes, search)"
            " SELECT :project, encode(sha256(n::text::bytea), 'hex'), n::text, 'PNG', 1, 1, 1,"
            " array_to_tsvector(ARRAY[md5(n::text)]) FROM generate_series(1, 20000) n"
        ),
        {"project": project.id},
    )
    make.image(project, prompt="Nightfall at Arles")
    # What a vacuum does: a list of entries that wait makes the planner shun the index.
    db.execute(text("SELECT gin_clean_pending_list('ix_image_search')"))
    db.execute(text("ANALYZE image"))
    query = read_query(words)
    statement = select(Image.id).where(Image.project_id == project.id, is_found(query))
    asked = statement.compile(db.get_bind(), compile_kwargs={"literal_binds": True})
    plan = "\n".join(row[0] for row in db.connection().exec_driver_sql(f"EXPLAIN {asked}"))
    assert "ix_image_search" in plan, plan
    assert len(db.scalars(statement).all()) == 1


def test_words_are_found_whatever_the_index_is_asked_for(
    db: Session, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "MOST_RANKED", 8)
    project = make.project()
    for number in range(120):
        some = (number % 2 and "dusk") or "noon"
        mill = "mill" if number % 11 == 0 else ""
        make.image(project, name=f"{number:03}", prompt=f"Harbor with boats {some} {mill}")
    for words in (
        "with mill",
        "boats mill",
        "dusk boats mill",
        "with",
        "harbor dusk",
        "zebra boats",
    ):
        query = read_query(words)
        every = set(db.scalars(select(Image.id).where(is_found(query))))
        found = [each.id for each in finding.find_images(db, project, text=words).images]
        assert found == sorted(found)
        assert set(found) == set(sorted(every)[: finding.PAGE]), words
    judged = judge(db, project, read_query("with mill"))
    # The frequent word is looked for in what the rare one finds.
    asked = [
        str(each.compile(compile_kwargs={"literal_binds": True})) for each in judged.conditions()
    ]
    assert len(asked) == 2
    assert "''mill''" in asked[0] and "''with''" not in asked[0]
    assert judge(db, project, read_query("with")).is_above(8, 120)
    assert not judge(db, project, read_query("mill")).is_above(8, 120)
