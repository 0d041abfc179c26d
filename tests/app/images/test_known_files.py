"""Importing again: corrected lists count, the same name with another picture is noticed and can take its
place, and what was erased does not come back by itself.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.erasing.erasing import erase
from app.images import importing, removing, storage
from app.images.captions import changes_from
from app.images.correcting import correct_image
from app.images.knowing import Wishes
from app.images.models import Image, ImageEvent, ImageImport, ImportProblem
from app.images.sources import path_source, with_wishes
from app.jobs.models import Job
from app.projects.models import Project
from tests.app.images import corpus
from tests.app.images.conftest import Importing, run
from tests.factories import Make

Lines = list[tuple[str, str, str]]


@pytest.fixture
def lines(db: Session) -> Callable[[ImageImport], Lines]:
    """What an import said, line by line."""

    def of(row: ImageImport) -> Lines:
        found = db.scalars(
            select(ImportProblem)
            .where(ImportProblem.import_id == row.id)
            .order_by(ImportProblem.id)
        )
        return [(each.name, each.kind, each.reason) for each in found]

    return of


def put(folder: Path, listing: str, **seeds: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "metadata.csv").write_text(listing)
    for name, seed in seeds.items():
        (folder / f"{name}.jpg").write_bytes(corpus.photo(6, seed=seed))
    return folder


def test_a_corrected_list_is_taken_over_and_said(
    db: Session, do_import: Importing, folder: Path, lines: Callable[[ImageImport], Lines]
) -> None:
    put(folder, "file,prompt,title\na.jpg,olive tress,Tress\nb.jpg,same,Same\n", a=1, b=2)
    do_import(folder)
    put(folder, "file,prompt,title,painter\na.jpg,olive trees,Trees,N. N.\nb.jpg,same,Same,\n")
    row = do_import(folder)
    assert (row.added, row.duplicates, row.changed, row.refused) == (0, 2, 1, 0)
    (one, other) = lines(row)
    assert one[:2] == ("a.jpg", "changed") and other[:2] == ("b.jpg", "duplicate")
    assert "prompt “olive tress” → “olive trees”" in one[2] and "painter “N. N.”" in one[2]
    image = db.scalars(select(Image).where(Image.name == "a.jpg")).one()
    assert (image.prompt, image.details["painter"]) == ("olive trees", "N. N.")
    event = db.scalars(select(ImageEvent)).one()
    assert (event.kind, event.import_id, event.before) == (
        "import",
        row.id,
        {"prompt": "olive tress", "title": "Tress", "painter": None},
    )
    # Done again from the start, as after a kill, it says and does the same.
    run(row.id, path_source(str(folder)).spec)
    assert lines(row) == [one, other] and len(db.scalars(select(ImageEvent)).all()) == 1


def test_what_a_person_wrote_is_not_overwritten_by_a_list(
    db: Session, make: Make, project: Project, do_import: Importing, folder: Path,
    lines: Callable[[ImageImport], Lines],
) -> None:  # fmt: skip
    put(folder, "file,prompt,title\na.jpg,old,Old\n", a=1)
    do_import(folder)
    image = db.scalars(select(Image)).one()
    correct_image(
        db, project, image.id, based_on=1, prompt="by hand", by=make.member(project, "expert", "Ada")
    )  # fmt: skip
    db.commit()
    put(folder, "file,prompt,title\na.jpg,old,New\n")
    row = do_import(folder)
    db.refresh(image)
    assert (image.prompt, image.details["title"]) == ("by hand", "New")
    assert "Kept, because somebody wrote it here: prompt (Ada)" in lines(row)[0][2]


def test_one_picture_under_two_names_keeps_what_was_said_first(
    db: Session, do_import: Importing, folder: Path, lines: Callable[[ImageImport], Lines]
) -> None:
    put(folder, "file,prompt\na.jpg,one\nb.jpg,two\n", a=1, b=1)
    first = do_import(folder)
    assert db.scalars(select(Image)).one().prompt == "one"
    assert "the first counts" in lines(first)[0][2]
    put(folder, "file,prompt\na.jpg,three\nb.jpg,four\n")
    row = do_import(folder)
    assert (row.changed, db.scalars(select(Image.prompt)).all()) == (1, ["three"])


@pytest.mark.parametrize(
    ("stands", "said", "changed"),
    [
        # What the list leaves out or empty stays.
        (("p", {"title": "T"}), ("", {"title": ""}), {}),
        (("p", {"year": 1889}), ("p", {"year": "1889"}), {}),
        # A prompt made of title and style follows them, and never ousts one that was written.
        (("T", {"title": "T"}), ("U", {"title": "U"}), {"title": "U", "prompt": "U"}),
        (
            ("T, S", {"title": "T", "style": "S"}),
            ("U", {"title": "U"}),
            {"title": "U", "prompt": "U, S"},
        ),
        (("written", {"title": "T"}), ("U", {"title": "U"}), {"title": "U"}),
        (("", {}), ("U", {"title": "U"}), {"title": "U", "prompt": "U"}),
        (("written", {}), ("other", {"file": "x"}), {"prompt": "other"}),
    ],
)
def test_what_a_list_changes(
    stands: tuple[str, dict[str, object]],
    said: tuple[str, dict[str, object]],
    changed: dict[str, str],
) -> None:
    assert changes_from(*stands, *said) == changed


def test_the_same_name_with_another_picture_is_noticed(
    db: Session, do_import: Importing, folder: Path, lines: Callable[[ImageImport], Lines]
) -> None:
    do_import(put(folder, "file\na.jpg\n", a=1))
    row = do_import(put(folder, "file\na.jpg\n", a=2))
    (line,) = lines(row)
    assert line[:2] == ("a.jpg", "same_name") and "came in beside it" in line[2]
    assert (row.added, len(db.scalars(select(Image)).all())) == (1, 2)


def test_a_picture_takes_the_place_of_the_one_of_its_name(
    db: Session, make: Make, do_import: Importing, folder: Path,
    lines: Callable[[ImageImport], Lines],
) -> None:  # fmt: skip
    do_import(put(folder, "file,prompt\na.jpg,old\n", a=1))
    image = db.scalars(select(Image)).one()
    image.label_revision = 4
    db.commit()
    earlier = image.sha256
    source = with_wishes(
        path_source(str(put(folder, "file,prompt\na.jpg,new\n", a=2))), Wishes(replace=True)
    )
    row = do_import(source)
    db.expire_all()
    assert (row.added, row.replaced, lines(row)[0][1]) == (1, 1, "replaced")
    assert image.sha256 != earlier and (image.prompt, image.label_revision) == ("new", 4)
    other = db.scalars(select(Image).where(Image.id != image.id)).one()
    assert (other.sha256, other.state, other.state_reason) == (
        earlier,
        "aside",
        f"earlier version of image {image.id}",
    )
    said = lines(row)
    run(row.id, source.spec)
    db.expire_all()
    assert lines(row) == said and len(db.scalars(select(Image)).all()) == 2


def test_what_was_erased_comes_back_only_where_that_is_wished(
    db: Session, make: Make, project: Project, do_import: Importing, folder: Path,
    lines: Callable[[ImageImport], Lines],
) -> None:  # fmt: skip
    do_import(put(folder, "file\na.jpg\nb.jpg\n", a=1))
    lea = make.member(project, "lead", "Lea")
    image = db.scalars(select(Image)).one()
    erase(db, project, image.id, reason="not ours", by=lea)
    db.commit()
    removing.sweep_removals()
    put(folder, "file\na.jpg\nb.jpg\n", b=2)
    row = do_import(folder)
    assert (row.added, row.refused) == (1, 1)
    (line,) = lines(row)
    assert "erased by Lea" in line[2] and "not ours" in line[2]
    assert not storage.exists(storage.key_of("original", image.sha256))
    row = do_import(with_wishes(path_source(str(folder)), Wishes(include_erased=True)))
    assert (row.added, row.duplicates) == (1, 1)
    again = db.scalars(
        select(Image).where(Image.sha256 == image.sha256, Image.state == "used")
    ).one()
    assert again.id != image.id
    assert storage.exists(storage.key_of("original", image.sha256))
    # From now on it is known again.
    assert do_import(folder).duplicates == 2


def test_a_program_says_what_it_wishes(
    api: TestClient, db: Session, make: Make, project: Project,
    token_for: Callable[[Person], dict[str, str]],
) -> None:  # fmt: skip
    lea = token_for(make.member(project, "lead", "Lea"))
    here = "/api/v1/projects/paintings/images/imports"
    for said, wished in (("true", True), ("false", False)):
        got = api.post(
            here,
            files={"files": ("a.jpg", corpus.photo(6))},
            data={"replace": said, "include_erased": said, "other": "x"},
            headers=lea,
        )
        row = db.get_one(ImageImport, got.json()["id"])
        spec = db.get_one(Job, row.job_id).spec["source"]
        assert spec.get("wishes", {}) == (
            {"replace": True, "include_erased": True} if wished else {}
        )


def test_many_imports_by_one_connection_are_recorded(
    db: Session, make: Make, project: Project
) -> None:
    """Statements are prepared after a few uses, and no longer know the values they are run with."""
    row = importing.create_import(db, project, source="demo", origin="x")
    for seed in range(12):
        said = importing.add_image(db, project, row.id, f"{seed}.jpg", corpus.photo(6, seed=seed))
        assert said == "added"
    db.commit()
    assert (row.added, len(db.scalars(select(Image)).all())) == (12, 12)
