"""The forms that people's files have: encodings, texts beside pictures, spellings of names, other formats."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.images import image_files, recording, uploads
from app.images.finding import find_problems
from app.images.models import ImageImport
from app.images.sources import upload_source
from app.projects.models import Project
from tests.app.images import corpus
from tests.app.images.conftest import Importing
from tests.app.images.test_import_images import counts, images_of, problems_of

Bring = Callable[[dict[str, bytes]], ImageImport]


@pytest.fixture
def bring(db: Session, do_import: Importing) -> Bring:
    """Uploads files, name to content, and imports them."""

    def do(files: dict[str, bytes]) -> ImageImport:
        token = uploads.new_token()
        folder = uploads.make_upload_folder(token)
        for number, data in enumerate(files.values()):
            (folder / str(number)).write_bytes(data)
        uploads.write_names(folder, list(files))
        return do_import(upload_source(token, list(files)))

    return do


def prompts(db: Session, project: Project) -> dict[str, str]:
    return {name: image.prompt for name, image in images_of(db, project).items()}


def kinds(db: Session, row: ImageImport) -> dict[str, str]:
    return {each.name: each.kind for each in find_problems(db, row.id)}


# Texts beside pictures ------------------------------------------------------------------------------


@pytest.mark.parametrize("as_zip", [False, True])
def test_texts_beside_pictures_are_their_prompts(
    db: Session, project: Project, bring: Bring, as_zip: bool
) -> None:
    files = {
        "set/lake.png": corpus.png(1),
        "set/lake.txt": b"\xef\xbb\xbfa lake,\r\nat dawn\r\n",
        "set/hill.JPG": corpus.photo(1),
        "set/HILL.caption": "ein Hügel".encode("cp1252"),
        "set/tower.png": corpus.png(2),
        "set/tower.png.txt": "la tour à l’aube".encode("utf-16"),
        "set/tags.png": corpus.png(3),
        "set/tags.json": json.dumps({"tags": ["a boat", "reeds"], "artist": "N. N."}).encode(),
        "notes.txt": b"to do",
    }
    row = bring({"all.zip": corpus.archive(files)} if as_zip else files)
    assert prompts(db, project) == {
        "set/hill.JPG": "ein Hügel",
        "set/lake.png": "a lake, at dawn",
        "set/tags.png": "a boat, reeds",
        "set/tower.png": "la tour à l’aube",
    }
    assert images_of(db, project)["set/tags.png"].details == {"artist": "N. N."}
    said = problems_of(db, row)
    assert "not read" in said["notes.txt"] and "1252" in said["set/HILL.caption"]
    assert set(kinds(db, row).values()) == {"note"} and counts(row) == (4, 0, 0)


def test_a_list_wins_over_a_text_and_a_bad_text_is_named(
    db: Session, project: Project, bring: Bring
) -> None:
    row = bring(
        {
            "a.png": corpus.png(1),
            "a.txt": b"of the text",
            "b.png": corpus.png(2),
            "b.txt": b"damaged \xef\xbf\xbd here",
            "c.png": corpus.png(3),
            "c.txt": b"a bell \x07 rings",
            "list.csv": b"file,prompt\na.png,of the list\n",
        }
    )
    assert prompts(db, project) == {"a.png": "of the list", "b.png": "", "c.png": ""}
    said = problems_of(db, row)
    assert set(said) == {"a.txt", "b.txt", "c.txt"} and "control character" in said["c.txt"]
    assert "not taken" in said["a.txt"]


def test_a_second_text_of_a_picture_is_named(db: Session, project: Project, bring: Bring) -> None:
    files = {"a.png": corpus.png(1), "a.txt": b"one", "a.caption": b"two", "a.json": b'"two"'}
    row = bring(files)
    assert prompts(db, project) == {"a.png": "two"}
    said = problems_of(db, row)
    assert list(said) == ["a.txt"] and "another prompt" in said["a.txt"]


def test_what_is_too_long_for_metadata_is_named(
    db: Session, project: Project, bring: Bring
) -> None:
    said = json.dumps({"prompt": "a pond", "artist": "N. N.", "workflow": "x" * 5000}).encode()
    row = bring({"a.png": corpus.png(1), "a.json": said})
    assert images_of(db, project)["a.png"].details == {"artist": "N. N."}
    assert "(workflow)" in problems_of(db, row)["a.json"]


def test_what_nobody_sees_is_part_of_no_prompt_and_no_name(
    db: Session, project: Project, bring: Bring
) -> None:
    listing = "\ufeff\ufefffile,prompt\n\u200ba.png,\u202eolive\u202c\u200b tr\u00adees\n"
    joined = "\u0646\u06cc\u0645\u200c\u0641\u0627\u0635\u0644\u0647"
    bring(
        {
            "a.png": corpus.png(1),
            "l.csv": listing.encode(),
            "b.png": corpus.png(2),
            "b.txt": joined.encode(),
        }
    )
    assert prompts(db, project) == {"a.png": "olive trees", "b.png": joined}


# Lists ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["metadata.csv", "pictures of 1889.csv", "sub/any.TSV"])
def test_a_list_may_have_any_name_and_lie_anywhere(
    db: Session, project: Project, bring: Bring, name: str
) -> None:
    listing = b"Image name\tCaption\na.png\tolive trees\n"
    bring({"all.zip": corpus.archive({"a.png": corpus.png(), name: listing})})
    assert prompts(db, project) == {"a.png": "olive trees"}


def test_json_lines_are_a_list(db: Session, project: Project, bring: Bring) -> None:
    lines = (
        b'{"file_name": "a.png", "text": "a pond", "year": 1890}\nno json\n{"text": "nowhere"}\n'
    )
    row = bring({"a.png": corpus.png(), "metadata.jsonl": lines})
    image = images_of(db, project)["a.png"]
    assert (image.prompt, image.details) == ("a pond", {"year": "1890"})
    assert set(problems_of(db, row)) == {"metadata.jsonl, line 2", "metadata.jsonl, line 3"}


@pytest.mark.parametrize(
    ("location", "file"),
    [
        ("img_7.jpg", "IMG_7.JPG"),
        ("e\u0301tude.png", "\u00e9tude.png"),
        ("\u00e9tude.png", "e\u0301tude.png"),
        (r".\room\a.png", "room/a.png"),
        ("./a.png", "a.png"),
        (r"C:\Users\N. N.\pictures\a.png", "a.png"),
        ("/home/me/room/a.png", "set/room/a.png"),
        ("pictures/a.png", "a.png"),
        ("a", "a.png"),
    ],
)
def test_a_name_is_found_however_it_is_spelt(
    db: Session, project: Project, bring: Bring, location: str, file: str
) -> None:
    row = bring({file: corpus.png(), "list.csv": f"file,prompt\n{location},found\n".encode()})
    assert list(prompts(db, project).values()) == ["found"] and problems_of(db, row) == {}


def test_the_same_name_in_two_folders_is_never_guessed(
    db: Session, project: Project, bring: Bring
) -> None:
    listing = b"file,prompt\n/x/one/a.png,first\n/x/two/a.png,second\n/x/three/b.png,third\n"
    row = bring({"a.png": corpus.png(1), "b.png": corpus.png(2), "list.csv": listing})
    assert prompts(db, project) == {"a.png": "", "b.png": "third"}
    assert set(problems_of(db, row)) == {"list.csv, line 2", "list.csv, line 3"}


def test_files_come_in_as_people_number_them(
    db: Session, project: Project, folder: Path, do_import: Importing
) -> None:
    names = [f"{room}/page {n}.png" for room in ("room 2", "room 10") for n in (1, 2, 10)]
    for seed, name in enumerate(reversed(names)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(corpus.png(seed))
    do_import(folder)
    assert list(images_of(db, project)) == names


# Names in archives ----------------------------------------------------------------------------------


def unmarked(files: dict[bytes, bytes]) -> bytes:
    """An archive whose names are in a code page, without a word about it."""
    stand_ins = {f"{n:04}".ljust(len(raw), "x"): raw for n, raw in enumerate(files)}
    data = corpus.archive(dict(zip(stand_ins, files.values(), strict=True)))
    for plain, raw in stand_ins.items():
        data = data.replace(plain.encode(), raw)
    return data


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("星空下的村庄.png", "gbk"),
        ("神奈川の富士山.png", "cp932"),
        ("Звёздная ночь.png", "cp866"),
        ("été à la forêt près d’Aix.png", "cp1252"),
    ],
)
def test_names_of_another_code_page(
    db: Session, project: Project, bring: Bring, name: str, encoding: str
) -> None:
    bring({"x.zip": unmarked({name.encode(encoding): corpus.png()})})
    assert list(images_of(db, project)) == [name]


def test_names_that_cannot_be_told_are_spelt_out_and_said(
    db: Session, project: Project, bring: Bring
) -> None:
    row = bring({"x.zip": unmarked({b"\xe8\xfe.png": corpus.png()})})
    assert list(images_of(db, project)) == [r"\xe8\xfe.png"]
    assert [each.kind for each in find_problems(db, row.id)] == ["note"]


def test_the_name_that_is_kept_beside_the_name_is_read(
    db: Session, project: Project, bring: Bring
) -> None:
    raw, name = b"caf\x82.png", "café №1.png"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        info = zipfile.ZipInfo("cafx.png")
        body = b"\1" + struct.pack("<L", zlib.crc32(raw)) + name.encode()
        info.extra = struct.pack("<HH", 0x7075, len(body)) + body
        made.writestr(info, corpus.png())
    bring({"x.zip": out.getvalue().replace(b"cafx.png", raw)})
    assert list(images_of(db, project)) == [name]


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b"/", b"\0", b"a\0.png", b"\xff\xfe.png", b"a/"]
)
@pytest.mark.parametrize("is_marked", [False, True])
def test_no_name_in_an_archive_ends_the_import(
    db: Session, project: Project, bring: Bring, name: bytes, is_marked: bool
) -> None:
    data = corpus.archive({"Q" * len(name) or "Q": corpus.png(1), "good.png": corpus.png(2)})
    at = data.index(b"PK\1\2")
    data = data[:30] + name + data[30 + len(name) : at + 46] + name + data[at + 46 + len(name) :]
    data = data if name else nameless(data)
    if is_marked:
        data = data[: at + 9] + b"\x08" + data[at + 10 :]
    row = bring({"x.zip": data})
    assert "good.png" in images_of(db, project)
    assert row.added + row.refused == 2


def nameless(data: bytes) -> bytes:
    """The archive with its first entry's name, one letter, taken out of the directory."""
    at = data.index(b"PK\1\2")
    changed = data[: at + 28] + b"\0\0" + data[at + 30 : at + 46] + data[at + 47 :]
    end = changed.index(b"PK\5\6")
    (length,) = struct.unpack_from("<L", changed, end + 12)
    return changed[: end + 12] + struct.pack("<L", length - 1) + changed[end + 16 :]


# Formats that are not taken -------------------------------------------------------------------------


def workbook(*parts: str) -> bytes:
    return corpus.archive(dict.fromkeys(("[Content_Types].xml", *parts), b"<x/>"))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("list.xlsx", workbook("xl/workbook.xml"), "CSV UTF-8"),
        ("list.csv", workbook("xl/workbook.xml"), "CSV UTF-8"),
        ("text.docx", workbook("word/document.xml"), "Office document"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "CSV UTF-8"),
        ("set.rar", b"Rar!\x1a\7\1\0" + bytes(50), "ZIP archive"),
        ("set.zip", b"Rar!\x1a\7\1\0" + bytes(50), "RAR"),
        ("set.7z", b"7z\xbc\xaf\x27\x1c" + bytes(50), "ZIP archive"),
        ("set.tar.gz", b"\x1f\x8b\x08" + bytes(50), "ZIP archive"),
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(40), "JPEG or PNG"),
        ("a.jpg", b"\0\0\0\x18ftypavif" + bytes(40), "AVIF"),
        ("a.jxl", b"\xff\x0a" + bytes(40), "JPEG XL"),
        ("a.psd", b"8BPS" + bytes(40), "Photoshop"),
        ("a.tif", b"II*\0" + bytes(40), "PNG"),
        ("inner.zip", None, "by itself"),
        ("pointer.png", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_what_is_not_taken_is_named_with_the_way_out(
    db: Session, project: Project, bring: Bring, name: str, data: bytes | None, said: str
) -> None:
    if data is None:
        data = corpus.archive({"deep.zip": corpus.archive({"a.png": corpus.png(1)})})
    row = bring({name: data, "good.png": corpus.png()})
    assert counts(row) == (1, 0, 1)
    ((_, reason),) = problems_of(db, row).items()
    assert said in reason


# Items ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [MemoryError(), RecursionError(), OSError(5000, "odd"), KeyError("x")]
)
def test_whatever_one_picture_does_the_others_come_in(
    db: Session, project: Project, bring: Bring, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real = image_files.keep

    def keep(data: bytes) -> image_files.Kept:
        if data == corpus.png(2):
            raise error
        return real(data)

    monkeypatch.setattr(image_files, "keep", keep)
    row = bring({f"{n}.png": corpus.png(n) for n in range(4)})
    assert counts(row) == (3, 0, 1) and set(problems_of(db, row)) == {"2.png"}


def test_a_row_that_the_database_refuses_is_named_and_the_others_stand(
    db: Session, project: Project, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recording._insert_images

    def insert(
        session: Session, project_id: int, import_id: int, outcomes: Sequence[recording.Outcome]
    ) -> set[int]:
        kept = [each for each in outcomes if each.name != "1.png" or each.kept is None]
        if len(kept) < len(outcomes):
            session.connection().exec_driver_sql("SELECT 'x'::int")
        return real(session, project_id, import_id, outcomes)

    monkeypatch.setattr(recording, "_insert_images", insert)
    row = bring({f"{n}.png": corpus.png(n) for n in range(3)})
    assert counts(row) == (2, 0, 1)
    assert list(images_of(db, project)) == ["0.png", "2.png"]
