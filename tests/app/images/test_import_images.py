"""Imports of folders, archives and listings: what comes in, and what is said of the rest."""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.errors import Invalid, WrongUse
from app.images import image_files, importing, storage, uploads
from app.images.decoding import ImageRefused
from app.images.finding import find_problems
from app.images.models import Image, ImageImport
from app.images.sources import folder_source, path_source, upload_source
from app.projects.models import Project
from tests.app.images import corpus
from tests.app.images.conftest import Importing, quiet, run
from tests.factories import Make

PAINTINGS = Path(__file__).resolve().parents[4] / "shared" / "paintings"


def images_of(db: Session, project: Project) -> dict[str, Image]:
    found = db.scalars(select(Image).where(Image.project_id == project.id).order_by(Image.id))
    return {image.name: image for image in found}


def problems_of(db: Session, row: ImageImport) -> dict[str, str]:
    return {each.name: each.reason for each in find_problems(db, row.id)}


def counts(row: ImageImport) -> tuple[int, int, int]:
    return row.added, row.duplicates, row.refused


def test_a_folder_with_good_and_bad_files(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    (folder / "sub").mkdir()
    files = {
        "a.png": corpus.png(1),
        "sub/b.jpg": corpus.photo(6),
        "copy of a.png": corpus.png(1),
        "page.jpg": corpus.HTML,
        "drawing.svg": corpus.SVG,
        "cut.png": corpus.png(3, width=200, height=200)[:5000],
        "bomb.png": corpus.bomb(),
        "README.md": b"hello",
        ".hidden.png": corpus.png(4),
        "Thumbs.db": b"x",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    row = do_import(folder)
    assert counts(row) == (2, 1, 4)
    images = images_of(db, project)
    assert list(images) == ["a.png", "sub/b.jpg"]
    turned = images["sub/b.jpg"]
    assert (turned.width, turned.height, turned.format) == (40, 60, "JPEG")
    assert turned.details["file"]["notes"] == ["turned upright (EXIF orientation 6)"]
    said = problems_of(db, row)
    noted = {"README.md"}
    assert set(said) - noted == {"copy of a.png", "page.jpg", "drawing.svg", "cut.png", "bomb.png"}
    assert "not read" in said["README.md"]
    assert said["copy of a.png"] == "The same file is there already, as “a.png”."
    assert "HTML" in said["page.jpg"] and "megapixels" in said["bomb.png"]
    for image in images.values():
        for kind in ("original", "display", "thumb"):
            assert storage.exists(storage.key_of(kind, image.sha256))


def test_a_second_import_of_the_same_files_adds_nothing(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(corpus.png(seed))
    assert counts(do_import(folder)) == (3, 0, 0)
    assert counts(do_import(folder)) == (0, 3, 0)


def test_the_same_file_may_be_in_two_projects(
    db: Session, project: Project, make: Make, folder: Path
) -> None:
    (folder / "a.png").write_bytes(corpus.png())
    make.project("other")
    for slug in ("paintings", "other"):
        assert importing.import_path(slug, str(folder))["added"] == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no special files here")
def test_links_and_special_files_are_not_followed(
    db: Session, project: Project, folder: Path, tmp_path: Path, do_import: Importing
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "outside.png").write_bytes(corpus.png(1))
    (folder / "real.png").write_bytes(corpus.png(2))
    (folder / "inside.png").symlink_to(folder / "real.png")
    (folder / "leads-out.png").symlink_to(secret / "outside.png")
    (folder / "dir").symlink_to(secret)
    (folder / "broken.png").symlink_to(folder / "nowhere")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    os.mkfifo(folder / "pipe.png")
    row = do_import(folder)
    assert counts(row) == (1, 1, 5)
    assert "outside" in problems_of(db, row)["leads-out.png"]
    assert "special file" in problems_of(db, row)["pipe.png"]


def test_file_names_that_are_no_text(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    names = [
        b"caf\xe9.png",
        b"caf\xe8.png",
        "naïve 画.png".encode(),
        b"line\nbreak.png",
        b"x" * 250,
    ]
    for seed, name in enumerate(names):
        Path(os.fsdecode(bytes(folder) + b"/" + name)).write_bytes(corpus.png(seed))
    assert counts(do_import(folder)) == (5, 0, 0)
    found = set(images_of(db, project))
    assert {r"caf\xe9.png", r"caf\xe8.png", "naïve 画.png", r"line\u000abreak.png"} <= found


def test_metadata_beside_the_images(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    (folder / "images").mkdir()
    for seed, name in enumerate(("a.png", "b.png", "c.png", "unlisted.png")):
        (folder / "images" / name).write_bytes(corpus.png(seed))
    (folder / "metadata.csv").write_text(
        "file,painter,title,year,style\n"
        'a.png,Ada,"The Sea, at Night",1850,Romanticism\n'
        "images/b.png,Ben,,1900,Realism\n"
        "gone.png,Cem,Lost,1,None\n"
        "a.png,Dora,Twice,2,None\n"
        "c.png,too,many,cells,for,the,header\n"
    )
    row = do_import(folder)
    images = images_of(db, project)
    assert images["images/a.png"].prompt == "The Sea, at Night, Romanticism"
    assert images["images/a.png"].details == {
        "painter": "Ada",
        "title": "The Sea, at Night",
        "year": "1850",
        "style": "Romanticism",
    }
    assert images["images/b.png"].prompt == "Realism"
    assert images["images/unlisted.png"].prompt == ""
    assert counts(row) == (4, 0, 3)
    said = problems_of(db, row)
    assert "gone.png" in said["metadata.csv, line 4"]
    assert "line 2" in said["metadata.csv, line 5"]
    assert "7 cells" in said["metadata.csv, line 6"]


def test_prompts_that_come_later_are_taken_and_may_be_corrected(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    (folder / "a.png").write_bytes(corpus.png())
    do_import(folder)
    (folder / "metadata.csv").write_text("file,prompt,year\na.png,a quiet harbour,1880\n")
    row = do_import(folder)
    assert counts(row) == (0, 1, 0) and "a quiet harbour" in problems_of(db, row)["a.png"]
    image = images_of(db, project)["a.png"]
    db.refresh(image)
    assert image.prompt == "a quiet harbour" and image.details["year"] == "1880"
    (folder / "metadata.csv").write_text("file,prompt\na.png,something else\n")
    do_import(folder)
    db.refresh(image)
    assert image.prompt == "something else" and image.details["year"] == "1880"


def test_a_csv_on_the_command_line_imports_only_what_it_lists(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    for seed, name in enumerate(("a.png", "b.png", "bad.jpg")):
        (folder / name).write_bytes(corpus.png(seed) if name != "bad.jpg" else corpus.HTML)
    (folder / "list.csv").write_bytes(
        "\ufeffPath;Prompt;Größe\nb.png;ein stiller Hafen;groß\n".encode()
    )
    row = do_import(folder / "list.csv")
    assert (row.source, counts(row)) == ("csv", (1, 0, 0))
    image = images_of(db, project)["b.png"]
    assert (image.prompt, image.details) == ("ein stiller Hafen", {"größe": "groß"})


def test_an_ambiguous_name_in_a_listing_is_reported(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    for seed, name in enumerate(("x", "y")):
        (folder / name).mkdir()
        (folder / name / "a.png").write_bytes(corpus.png(seed))
    (folder / "metadata.csv").write_text("file,prompt\na.png,which\nx/a.png,this\n")
    row = do_import(folder)
    assert "any of 2 files" in problems_of(db, row)["metadata.csv, line 2"]
    assert images_of(db, project)["x/a.png"].prompt == "this"


def test_a_zip_with_everything_in_it(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    link = (stat.S_IFLNK | 0o777) << 16
    data = corpus.archive(
        {
            "photos/a.png": corpus.png(1),
            "metadata.csv": b"file,prompt\nphotos/a.png,first\n",
            "__MACOSX/photos/._a.png": b"fork",
            "photos/.DS_Store": b"x",
            "../evil.png": corpus.png(2),
            "/etc/evil.png": corpus.png(3),
            "C:\\evil.png": corpus.png(4),
            "link.png": b"/etc/passwd",
            "zeros.png": bytes(3 * 1024 * 1024),
            "page.png": corpus.HTML,
        },
        **{"link.png": link},
    )
    (folder / "all.zip").write_bytes(data)
    row = do_import(folder / "all.zip")
    assert (row.source, counts(row)) == ("zip", (1, 0, 6))
    assert images_of(db, project)["photos/a.png"].prompt == "first"
    said = problems_of(db, row)
    for name in ("../evil.png", "/etc/evil.png", "C:/evil.png"):
        assert "outside the archive" in said[name]
    assert "link" in said["link.png"] and "200 times" in said["zeros.png"]
    assert not list(folder.rglob("evil.png"))


def test_a_zip_whose_bytes_were_altered_loses_one_file(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    files = {f"{seed}.png": corpus.png(seed, width=90, height=90) for seed in range(3)}
    data = bytearray(corpus.archive(files))
    data[len(data) // 2] ^= 0xFF
    (folder / "x.zip").write_bytes(data)
    row = do_import(folder / "x.zip")
    assert counts(row) == (2, 0, 1)
    assert "damaged" in problems_of(db, row)["1.png"]


def test_names_in_a_zip_that_are_not_marked_as_utf8(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    data = corpus.archive({"cafe_.png": corpus.png()})
    (folder / "x.zip").write_bytes(data.replace(b"cafe_.png", "café.png".encode()))
    do_import(folder / "x.zip")
    assert list(images_of(db, project)) == ["café.png"]


@pytest.mark.parametrize("data", [b"", b"PK\3\4 and no more", corpus.HTML])
def test_a_file_that_is_no_archive_is_named(
    db: Session, project: Project, folder: Path, do_import: Importing, data: bytes
) -> None:
    (folder / "x.zip").write_bytes(data)
    row = do_import(folder / "x.zip")
    assert counts(row) == (0, 0, 1) and "not a ZIP" in problems_of(db, row)["x.zip"]


def _upload(files: list[tuple[str, bytes]]) -> str:
    token = uploads.new_token()
    folder = uploads.make_upload_folder(token)
    for number, (_, data) in enumerate(files):
        (folder / str(number)).write_bytes(data)
    uploads.write_names(folder, [name for name, _ in files])
    return token


def test_uploaded_files_of_every_kind_together(
    db: Session, project: Project, do_import: Importing
) -> None:
    files = [
        ("../../a.png", corpus.png(1)),
        ("folder/.DS_Store", b"x"),
        ("twice.png", corpus.png(2)),
        ("twice.png", corpus.png(3)),
        ("more.zip", corpus.archive({"in/b.png": corpus.png(4)})),
        ("list.csv", b"image,prompt\nb.png,from the archive\ntwice.png,\n"),
    ]
    token = _upload(files)
    row = do_import(upload_source(token, [name for name, _ in files]))
    images = images_of(db, project)
    assert list(images) == ["../../a.png", "more.zip/in/b.png", "twice.png", "twice.png (2)"]
    assert images["more.zip/in/b.png"].prompt == "from the archive"
    assert counts(row) == (4, 0, 0)
    assert not uploads.upload_folder(token).exists()


def test_a_job_that_comes_twice_counts_once(db: Session, project: Project) -> None:
    token = _upload([("a.png", corpus.png(1)), ("b.jpg", corpus.HTML), ("c.png", corpus.png(1))])
    source = upload_source(token, ["a.png", "b.jpg", "c.png"])
    row = importing.create_import(db, project, source="files", origin="x")
    db.commit()
    first = run(row.id, source.spec)
    assert first == run(row.id, source.spec) == {"added": 1, "duplicates": 1, "refused": 1}


class Killed(BaseException):
    """Stands for kill -9: nothing may catch it."""


@pytest.mark.parametrize("at", range(1, 9))
def test_counts_are_right_after_being_killed_anywhere(
    db: Session, project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(importing, "BATCH_FILES", 2)
    for seed in (0, 1, 2, 3):
        (folder / f"{seed}.png").write_bytes(corpus.png(seed))
    (folder / "again.png").write_bytes(corpus.png(0))
    (folder / "bad.png").write_bytes(corpus.HTML)
    row = importing.create_import(db, project, source="folder", origin="x")
    db.commit()
    spec = folder_source(str(folder)).spec
    transactions = iter(range(1, 1000))

    @contextmanager
    def mortal() -> Iterator[Session]:
        with unit_of_work() as session:
            yield session
            if next(transactions) == at:
                raise Killed

    with suppress(Killed):
        importing.run_import(row.id, spec, transaction=mortal, report=quiet)
    assert run(row.id, spec) == {"added": 4, "duplicates": 1, "refused": 1}
    assert len(images_of(db, project)) == 4


def test_stops_between_batches_when_told(
    db: Session, project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_FILES", 1)
    for seed in range(4):
        (folder / f"{seed}.png").write_bytes(corpus.png(seed))
    row = importing.create_import(db, project, source="folder", origin="x")
    db.commit()
    calls = iter(range(100))

    def check() -> None:
        if next(calls) == 2:
            raise Killed

    spec = folder_source(str(folder)).spec
    with pytest.raises(Killed):
        importing.run_import(row.id, spec, transaction=unit_of_work, report=quiet, check=check)
    db.refresh(row)
    assert counts(row) == (2, 0, 0)


def test_two_imports_of_the_same_files_at_once(
    db: Session, project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH_FILES", 3)
    for seed in range(9):
        (folder / f"{seed}.png").write_bytes(corpus.png(seed))
    rows = [importing.create_import(db, project, source="folder", origin="x") for _ in range(3)]
    db.commit()
    spec = folder_source(str(folder)).spec
    threads = [threading.Thread(target=run, args=(row.id, spec)) for row in rows]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for row in rows:
        db.refresh(row)
    assert sum(row.added for row in rows) == 9 == len(images_of(db, project))
    assert all(row.added + row.duplicates == 9 for row in rows)


def test_lost_bytes_come_back_with_the_next_import(
    db: Session, project: Project, folder: Path, do_import: Importing, tmp_path: Path
) -> None:
    (folder / "a.png").write_bytes(corpus.png())
    do_import(folder)
    (sha256,) = [image.sha256 for image in images_of(db, project).values()]
    for kind in ("original", "thumb", "display"):
        (tmp_path / "home/images" / storage.key_of(kind, sha256)).unlink()
    do_import(folder)
    assert storage.get_original(sha256) == corpus.png()


def test_many_pictures_one_by_one(db: Session, project: Project) -> None:
    """A connection plans a statement anew only at first; from then on its plan has to fit all values."""
    row = importing.create_import(db, project, source="files", origin="by hand")
    for number in range(12):
        data = corpus.png(seed=100 + number)
        assert importing.add_image(db, project, row.id, f"{number}.png", data) == "added"


def test_add_image_for_one_picture(db: Session, project: Project) -> None:
    row = importing.create_import(db, project, source="demo", origin="the painter")
    added = importing.add_image(
        db, project, row.id, "one.png", corpus.png(), prompt="one", details={"seed": 1}
    )
    again = importing.add_image(db, project, row.id, "two.png", corpus.png())
    assert (added, again) == ("added", "duplicate")
    with pytest.raises(ImageRefused):
        importing.add_image(db, project, row.id, "bad.png", corpus.HTML)
    db.refresh(row)
    assert counts(row) == (1, 1, 0)


def test_a_source_that_is_not_there(project: Project, folder: Path) -> None:
    with pytest.raises(WrongUse, match="no file or folder"):
        path_source(str(folder / "nowhere"))
    spec = folder_source(str(folder)).spec
    folder.rmdir()
    with pytest.raises(Invalid, match="not there any more"):
        run(0, spec)


def test_folders_outside_the_open_ones_do_not_exist(folder: Path, tmp_path: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open" / "way-out").symlink_to(tmp_path)
    within = [folder / "open"]
    assert folder_source(str(folder / "open"), within=within).kind == "folder"
    for path in (str(folder), str(folder / "open/.."), str(folder / "open/way-out"), "/", "a\0b"):
        with pytest.raises(Invalid, match="no such folder"):
            folder_source(path, within=within)
    with pytest.raises(Invalid, match="No folder of the server is open"):
        folder_source(str(folder), within=[])


def test_shown_bytes_are_made_again_from_the_original(
    db: Session, project: Project, tmp_path: Path
) -> None:
    kept = image_files.keep(corpus.photo())
    thumb = image_files.read_shown("thumb", kept.sha256)
    (tmp_path / "home/images" / storage.key_of("thumb", kept.sha256)).unlink()
    assert image_files.read_shown("thumb", kept.sha256) == thumb


def test_a_damaged_original_is_noticed(db: Session, project: Project, tmp_path: Path) -> None:
    kept = image_files.keep(corpus.png())
    (tmp_path / "home/images" / storage.key_of("original", kept.sha256)).write_bytes(b"rot")
    with pytest.raises(Invalid, match="damaged on the disk"):
        storage.get_original(kept.sha256)


@pytest.mark.parametrize("bad", ["../x", "AB" * 32, "a" * 63, ""])
def test_keys_are_made_from_hashes_alone(bad: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        storage.key_of("original", bad)


@pytest.mark.skipif(not PAINTINGS.is_dir(), reason="the folder of paintings is not there")
def test_imports_the_real_paintings(db: Session, project: Project) -> None:
    told: list[str] = []
    summary = importing.import_path(project.slug, str(PAINTINGS), told.append)
    assert told[-1].startswith("240 of 240 files, ")
    assert (summary["added"], summary["duplicates"], summary["refused"]) == (240, 0, 0)
    wave = images_of(db, project)["images/aivazovsky-the-ninth-wave.jpg"]
    assert wave.prompt == "The Ninth Wave, Romanticism"
    assert (wave.width, wave.height) == (1200, 806)
