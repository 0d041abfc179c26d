"""The wall, the import page and the bytes of images, through HTTP."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from sqlalchemy import event, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import database
from app.accounts.models import Person
from app.images import finding, importing
from app.images.models import Image, ImageImport, ImportProblem
from app.jobs.models import Job
from app.labels.models import Label
from app.settings import settings
from tests.app.images import corpus
from tests.app.images.conftest import run
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
WALL = "/projects/paintings/images"


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def kept_image(db: Session, people: Cast, seed: int = 0, name: str = "one.jpg") -> Image:
    row = importing.create_import(db, people.project, source="demo", origin="test")
    importing.add_image(
        db, people.project, row.id, name, corpus.photo(6, seed=seed), prompt="A <b>"
    )
    db.commit()
    return db.scalars(select(Image).order_by(Image.id.desc()).limit(1)).one()


def label(db: Session, make: Make, people: Cast, image: Image, *states: tuple[str, str]) -> None:
    version = make.version(people.project, number=1)
    parent = make.dimension(people.project)
    for polarity, state in states:
        agent = {"source": "agent", "agent_run_id": make.agent_run(people.project, version).id}
        source = agent if state == "proposed" else {"source": "person"}
        db.add(
            Label(
                project_id=people.project.id,
                image_id=image.id,
                node_id=make.pair(people.project, parent).id,
                polarity=polarity,
                state=state,
                version_id=version.id,
                revision=1,
                **source,
            )
        )
    db.commit()


def test_the_empty_wall_says_what_to_do(browser: TestClient, people: Cast, sign_in: SignIn) -> None:
    page = sign_in(browser, people.lea).get(WALL).text
    assert "No images yet" in page and f"{WALL}/import" in page
    page = sign_in(browser, people.ben).get(WALL).text
    assert "A lead of this project can import them." in page


def test_the_wall_shows_images_with_their_labels(
    db: Session, make: Make, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    image = kept_image(db, people)
    label(
        db, make, people, image,
        ("positive", "confirmed"), ("positive", "proposed"), ("positive", "rejected"),
        ("negative", "proposed"),
    )  # fmt: skip
    page = sign_in(browser, people.ben).get(WALL).text
    assert (
        f'src="{WALL}/{image.id}/thumb?v={image.sha256[:12]}"' in page
        and 'width="40" height="60"' in page
    )
    assert f'href="{WALL}/{image.id}"' in page
    assert "+2" in page and "−1" in page and "2 to judge" in page
    assert "A &lt;b&gt;" in page and "A <b>" not in page


def test_htmx_gets_the_wall_alone(
    db: Session, htmx: TestClient, people: Cast, sign_in: SignIn
) -> None:
    kept_image(db, people)
    part = sign_in(htmx, people.ben).get(WALL).text
    assert part.startswith('<section id="wall"') and "<html" not in part


def test_pages_by_key_both_ways(db: Session, make: Make, people: Cast) -> None:
    ids = [make.image(people.project).id for _ in range(7)]
    make.image(make.project("third"))

    def page(**where: Any) -> tuple[list[int], int | None, int | None]:
        found = finding.find_images(db, people.project, limit=3, **where)
        return [image.id for image in found.images], found.before, found.after

    assert page() == (ids[:3], None, ids[2])
    assert page(after=ids[2]) == (ids[3:6], ids[3], ids[5])
    assert page(after=ids[5]) == (ids[6:], ids[6], None)
    assert page(before=ids[6]) == (ids[3:6], ids[3], ids[5])
    assert page(before=ids[3]) == (ids[:3], None, ids[2])
    assert finding.neighbours(db, people.project, ids[0]) == (None, ids[1])
    assert finding.neighbours(db, people.project, ids[3]) == (ids[2], ids[4])
    assert finding.neighbours(db, people.project, ids[6]) == (ids[5], None)


def test_filters_and_search(
    db: Session, make: Make, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    sea = make.image(people.project, name="a.png", prompt="A stormy SEA, 100% water")
    done = make.image(people.project, name="sea_b.png", prompt="", done_at=datetime.now(UTC))
    label(db, make, people, sea, ("negative", "proposed"))
    label_less = make.image(people.project, name="c.png", prompt="a field")

    def ids(**filters: Any) -> list[int]:
        found = finding.find_images(db, people.project, **filters).images
        assert finding.count_images(db, people.project, **filters).number == len(found)
        return [image.id for image in found]

    assert ids() == [sea.id, done.id, label_less.id]
    assert ids(show="undone") == [sea.id, label_less.id]
    assert ids(show="done") == [done.id]
    assert ids(show="proposed") == [sea.id]
    assert ids(text="sea") == [done.id, sea.id]
    assert ids(text="water sea") == [sea.id]
    assert ids(text="100%") == [sea.id] and ids(text="sea_b") == [done.id] and ids(text="\\") == []
    client = sign_in(browser, people.ben)
    assert "No image fits" in client.get(WALL, params={"q": "nothing"}).text
    assert client.get(WALL, params={"show": "odd"}).status_code == 422
    assert "A stormy SEA" in client.get(WALL, params={"after": 10**9}).text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("?q=%00sea", 200),
        ("?q=%ff%fe", 200),
        (f"?after={10**30}", 422),
        ("?before=-1", 422),
        (f"/{10**30}/thumb", 404),
        ("/0/thumb", 422),
        (f"/imports/{10**30}", 422),
        ("/-1/thumb", 404),
    ],
)
def test_odd_addresses_are_answered(
    make: Make, browser: TestClient, people: Cast, sign_in: SignIn, path: str, status: int
) -> None:
    make.image(people.project)
    assert sign_in(browser, people.lea).get(WALL + path).status_code == status


def test_the_wall_asks_the_database_the_same_few_times(
    db: Session, make: Make, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    client = sign_in(browser, people.ben)

    def queries() -> int:
        seen: list[str] = []

        def note(_c: object, _k: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(database.engine(), "before_cursor_execute", note)
        assert client.get(WALL).status_code == 200
        event.remove(database.engine(), "before_cursor_execute", note)
        return len(seen)

    make.image(people.project)
    few = queries()
    for _ in range(20):
        make.image(people.project)
    assert queries() == few


@pytest.mark.parametrize(("kind", "type_"), [("thumb", "image/webp"), ("display", "image/jpeg")])
def test_bytes_are_inert_and_kept_by_the_browser(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn, kind: str, type_: str
) -> None:
    image = kept_image(db, people)
    client = sign_in(browser, people.ben)
    answer = client.get(f"{WALL}/{image.id}/{kind}?v={image.sha256[:12]}")
    assert answer.status_code == 200 and answer.headers["content-type"] == type_
    assert answer.headers["cache-control"] == "private, max-age=604800, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert "content-encoding" not in answer.headers
    assert b"SECRET" not in answer.content and b"Exif" not in answer.content
    again = client.get(
        f"{WALL}/{image.id}/{kind}", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_an_image_whose_bytes_are_lost(
    make: Make, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    image = make.image(people.project)
    answer = sign_in(browser, people.ben).get(f"{WALL}/{image.id}/thumb")
    assert answer.status_code == 404 and "not in the storage" in answer.text


def test_who_may_see_and_import(
    db: Session, make: Make, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    image = kept_image(db, people)
    row = importing.create_import(db, people.project, source="files", origin="x")
    db.commit()
    elsewhere = f"/projects/elsewhere/images/{image.id}/thumb"
    assert browser.get(WALL).status_code == 303
    sign_in(browser, people.dora)
    assert browser.get(WALL).status_code == 404
    assert browser.get(f"{WALL}/{image.id}/thumb").status_code == 404
    assert browser.get(elsewhere).status_code == 404
    for person in (people.ben, people.ada):
        sign_in(browser, person)
        assert browser.get(f"{WALL}/{image.id}/thumb").status_code == 200
        for path in ("import", f"imports/{row.id}"):
            assert browser.get(f"{WALL}/{path}").status_code == 403
        files = {"files": ("a.png", corpus.png())}
        assert browser.post(f"{WALL}/import/files", files=files).status_code == 403
        assert browser.post(f"{WALL}/import", data={"url": "http://x.org"}).status_code == 403
    assert not settings().uploads_folder.exists()


def spec_of(db: Session) -> tuple[ImageImport, dict[str, str]]:
    row = db.scalars(select(ImageImport).order_by(ImageImport.id.desc())).first()
    assert row is not None
    job = db.get_one(Job, row.job_id)
    assert job.kind == "import" and job.spec["import_id"] == row.id
    return row, job.spec["source"]


def test_uploads_files_and_shows_what_came_of_them(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    client = sign_in(browser, people.lea)
    files = [
        ("files", ("a.png", corpus.png(1), "image/png")),
        ("files", ("<i>.jpg", corpus.HTML, "image/jpeg")),
        ("files", ("list.csv", b"file;prompt\na.png;a harbour\n", "text/csv")),
    ]
    answer = client.post(f"{WALL}/import/files", files=files)
    row, spec = spec_of(db)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{WALL}/imports/{row.id}")
    waiting = client.get(f"{WALL}/imports/{row.id}").text
    assert "waiting for a worker" in waiting and 'hx-trigger="every 2s"' in waiting
    assert 'hx-trigger="every 2s"' in client.get(f"{WALL}/import").text
    run(row.id, spec)
    db.execute(Job.__table__.update().values(state="succeeded"))  # type: ignore[attr-defined]
    db.commit()
    page = client.get(f"{WALL}/imports/{row.id}").text
    assert "&lt;i&gt;.jpg" in page and "HTML page" in page and "every 2s" not in page
    assert db.scalars(select(Image.prompt)).all() == ["a harbour"]
    assert not any(settings().uploads_folder.glob("*/"))


TOKEN = "0123456789abcdef" * 2
PARTS = f"{WALL}/import/parts/{TOKEN}"


def part(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", each) for each in files]


def test_an_upload_in_parts_is_one_import(
    db: Session, htmx: TestClient, people: Cast, sign_in: SignIn
) -> None:
    client = sign_in(htmx, people.lea)
    first = part(("room 3/b.png", corpus.png(1)), ("list.csv", b"file,prompt\nroom 3/a.png,one\n"))
    assert client.post(f"{PARTS}/0", files=part(("half.png", b"x"))).status_code == 204
    assert client.post(f"{PARTS}/0", files=first).status_code == 204
    too_early = client.post(f"{PARTS}?parts=2")
    assert too_early.status_code == 422 and "Not all parts" in too_early.text
    assert client.post(f"{PARTS}/1", files=part(("room 3/a.png", corpus.png(2)))).status_code == 204
    answer = client.post(f"{PARTS}?parts=2")
    row, spec = spec_of(db)
    assert answer.headers["HX-Redirect"] == f"{WALL}/imports/{row.id}"
    assert client.post(f"{PARTS}?parts=2").headers["HX-Redirect"] == f"{WALL}/imports/{row.id}"
    assert client.post(f"{PARTS}/2", files=first).status_code == 409
    assert run(row.id, spec) == {"added": 2, "duplicates": 0, "refused": 0}
    found = db.execute(select(Image.name, Image.prompt).order_by(Image.id)).all()
    assert [tuple(each) for each in found] == [("room 3/a.png", "one"), ("room 3/b.png", "")]


def test_parts_have_the_limit_of_the_whole_and_are_for_leads(
    db: Session, htmx: TestClient, people: Cast, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(htmx, people.ada)
    assert htmx.post(f"{PARTS}/0", files=part(("a.png", b"x"))).status_code == 403
    assert not settings().uploads_folder.exists()
    monkeypatch.setattr(settings(), "max_upload_mb", 1)
    client = sign_in(htmx, people.lea)
    assert client.post(f"{PARTS}/0", files=part(("a.png", bytes(700_000)))).status_code == 204
    assert client.post(f"{PARTS}/1", files=part(("b.png", bytes(700_000)))).status_code in (
        413,
        422,
    )
    assert client.post(f"{PARTS}/0", files=part(("a.png", bytes(700_000)))).status_code == 204
    for token in ("../../etc", "A" * 32, TOKEN[:-1]):
        address = f"{WALL}/import/parts/{token}/0"
        assert client.post(address, files=part(("a.png", b"x"))).status_code in (404, 405, 422)


def test_htmx_is_sent_to_the_import(
    db: Session, htmx: TestClient, people: Cast, sign_in: SignIn
) -> None:
    client = sign_in(htmx, people.lea)
    answer = client.post(f"{WALL}/import/files", files={"files": ("a.png", corpus.png())})
    row, _ = spec_of(db)
    assert answer.headers["HX-Redirect"] == f"{WALL}/imports/{row.id}"
    part = client.get(f"{WALL}/imports/{row.id}").text
    assert part.startswith('<div id="import-result"')
    assert client.get(f"{WALL}/import").text.startswith('<section id="imports"')


@pytest.mark.parametrize(
    ("body", "type_", "said"),
    [
        (b"", "multipart/form-data; boundary=x", "at least one file"),
        (b"hello", "text/plain", "multipart"),
        (b"hello", "multipart/form-data", "multipart"),
        (b"not a boundary", "multipart/form-data; boundary=x", "not well formed"),
        (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nabc',
            "multipart/form-data; boundary=x",
            "cut short",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            "at least one file",
        ),
    ],
)
def test_bad_uploads_leave_nothing(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn,
    body: bytes, type_: str, said: str,
) -> None:  # fmt: skip
    answer = sign_in(browser, people.lea).post(
        f"{WALL}/import/files", content=body, headers={"Content-Type": type_}
    )
    assert answer.status_code == 422 and said in answer.text
    assert db.scalars(select(ImageImport)).all() == []
    assert not list(settings().uploads_folder.glob("*"))


@pytest.mark.parametrize("declared", [True, False])
def test_an_upload_over_the_limit_is_cut_off(
    browser: TestClient,
    people: Cast,
    sign_in: SignIn,
    monkeypatch: pytest.MonkeyPatch,
    declared: bool,
) -> None:
    monkeypatch.setattr(settings(), "max_upload_mb", 1)
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'

    def stream() -> Iterator[bytes]:
        yield head
        for _ in range(40):
            yield bytes(100_000)

    body = head + bytes(4_000_000) if declared else stream()
    answer = sign_in(browser, people.lea).post(
        f"{WALL}/import/files",
        content=body,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert answer.status_code == 413 and "larger than 1 MiB" in answer.text
    assert not list(settings().uploads_folder.glob("*"))


def test_imports_an_open_folder_and_no_other(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    client = sign_in(browser, people.lea)
    assert "MORELLI_IMPORT_FOLDERS" in client.get(f"{WALL}/import").text
    monkeypatch.setattr(settings(), "import_folders", [folder])
    assert str(folder) in client.get(f"{WALL}/import").text
    refused = client.post(f"{WALL}/import", data={"folder": "/etc"})
    assert refused.status_code == 422 and "no such folder" in refused.text
    answer = client.post(f"{WALL}/import", data={"folder": str(folder)})
    _, spec = spec_of(db)
    assert answer.status_code == 303 and spec == {"kind": "folder", "path": str(folder)}


@pytest.mark.parametrize("url", ["ftp://x.org/a.csv", "", "https://u:p@x.org/a.csv"])
def test_says_beside_the_field_what_is_wrong_with_an_address(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn, url: str
) -> None:
    answer = sign_in(browser, people.lea).post(f"{WALL}/import", data={"url": url})
    assert answer.status_code == 422 and 'id="error-field-url"' in answer.text
    assert db.scalars(select(ImageImport)).all() == []


def test_problems_come_a_page_at_a_time(
    db: Session, browser: TestClient, people: Cast, sign_in: SignIn
) -> None:
    row = importing.create_import(db, people.project, source="folder", origin="x")
    db.add_all(
        ImportProblem(import_id=row.id, name=f"f{n:03}.png", kind="refused", reason="why")
        for n in range(150)
    )
    db.commit()
    client = sign_in(browser, people.lea)
    first = client.get(f"{WALL}/imports/{row.id}").text
    assert "f099.png" in first and "f100.png" not in first
    last = db.scalars(select(ImportProblem.id).where(ImportProblem.name == "f099.png")).one()
    assert f"?after={last}" in first
    assert "f149.png" in client.get(f"{WALL}/imports/{row.id}?after={last}").text


API = "/api/v1/projects/paintings/images"
TokenFor = Callable[[Person], dict[str, str]]


def test_the_api_lists_and_gives_images(
    db: Session, make: Make, api: TestClient, people: Cast, token_for: TokenFor
) -> None:
    image = kept_image(db, people)
    label(db, make, people, image, ("positive", "confirmed"), ("negative", "rejected"))
    make.image(people.project)
    token = token_for(people.ben)
    first = api.get(API, params={"limit": 1}, headers=token).json()
    assert [each["id"] for each in first["items"]] == [image.id] and first["next"] == image.id
    second = api.get(API, params={"limit": 1, "after": first["next"]}, headers=token).json()
    assert len(second["items"]) == 1 and second["next"] is None
    one = api.get(f"{API}/{image.id}", headers=token).json()
    assert one["labels"] == {
        "positive": {"proposed": 0, "confirmed": 1, "rejected": 0, "unsure": 0},
        "negative": {"proposed": 0, "confirmed": 0, "rejected": 1, "unsure": 0},
    }
    assert (one["width"], one["height"], one["is_done"]) == (40, 60, False)
    assert api.get(f"{API}/{image.id}/thumb", headers=token).headers["content-type"] == "image/webp"
    assert api.get(f"{API}/{image.id}/display", headers=token).status_code == 200
    assert api.get(f"{API}/999999", headers=token).status_code == 404


def test_the_original_is_for_leads_and_to_be_saved(
    db: Session, api: TestClient, people: Cast, token_for: TokenFor
) -> None:
    image = kept_image(db, people)
    assert api.get(f"{API}/{image.id}/original", headers=token_for(people.ben)).status_code == 403
    answer = api.get(f"{API}/{image.id}/original", headers=token_for(people.lea))
    assert answer.content == corpus.photo(6)
    assert answer.headers["content-disposition"].startswith('attachment; filename="')
    assert answer.headers["content-disposition"].endswith('.jpg"')


def test_the_api_imports_files_folders_and_addresses(
    db: Session, api: TestClient, people: Cast, token_for: TokenFor, folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(
        settings(), "import_folders", TypeAdapter(list[Path]).validate_python([folder])
    )
    token = token_for(people.lea)
    files = [("files", ("a.png", corpus.png(1))), ("files", ("b.png", corpus.HTML))]
    started = api.post(f"{API}/imports", files=files, headers=token)
    assert started.status_code == 202 and started.json()["state"] == "queued"
    row, spec = spec_of(db)
    run(row.id, spec)
    shown = api.get(f"{API}/imports/{row.id}", headers=token).json()
    assert (shown["added"], shown["refused"]) == (1, 1)
    assert shown["problems"][0]["name"] == "b.png" and shown["next"] is None
    for body in ({"folder": str(folder)}, {"url": "https://example.org/a.csv"}):
        assert api.post(f"{API}/imports", json=body, headers=token).status_code == 202
    listed = api.get(f"{API}/imports", params={"limit": 2}, headers=token).json()
    assert len(listed["items"]) == 2 and listed["next"] is not None


@pytest.mark.parametrize(
    "body",
    [{}, {"url": "https://x.org", "folder": "/"}, {"folder": "/etc"}, {"what": 1}, [], "not json"],
)
def test_the_api_refuses_what_makes_no_sense(
    db: Session, api: TestClient, people: Cast, token_for: TokenFor, body: object
) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    answer = api.post(
        f"{API}/imports",
        content=content,
        headers=token_for(people.lea) | {"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert db.scalars(select(Job)).all() == []
