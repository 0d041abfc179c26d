"""A full disk is said in a sentence, and leaves nothing half done."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg.errors import DiskFull as NoRoomForRows
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.errors import DiskFull
from app.images import storage, uploads
from app.jobs.models import Job
from app.settings import settings
from tests.factories import Make
from tests.people import Cast, cast

SIZE = 24 * 1024**2


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of its own with 24 MiB, as the home of what is written."""
    folder = tempfile.mkdtemp(prefix="small-disk-")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
    if (
        os.geteuid() != 0
        or not shutil.which("mount")
        or subprocess.run(mount, check=False).returncode
    ):
        os.rmdir(folder)
        pytest.skip("this account cannot mount a file system")
    try:
        monkeypatch.setattr(settings(), "home", Path(folder))
        storage.forget_store()
        yield Path(folder)
    finally:
        monkeypatch.undo()
        storage.forget_store()
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def test_an_upload_that_does_not_fit_is_refused_and_leaves_nothing(
    browser: TestClient,
    people: Cast,
    db: Session,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    sign_in: Callable[[TestClient, Person], TestClient],
) -> None:
    sign_in(browser, people.lea)
    for room in (uploads.ROOM_TO_WORK, -SIZE * 10):  # asked before, and found out while writing
        monkeypatch.setattr(uploads, "ROOM_TO_WORK", room)
        path = f"/projects/{people.project.slug}/images/import/files"
        answer = browser.post(path, files={"files": ("a.png", bytes(SIZE + 1))})
        assert answer.status_code == 507, answer.text
        assert "the disk is full" in answer.text
        folder = settings().uploads_folder
        assert not folder.exists() or list(folder.iterdir()) == []
    assert db.scalar(select(func.count()).select_from(Job)) == 0


def test_what_is_ready_says_that_the_disk_is_full(api: TestClient, small_disk: Path) -> None:
    assert api.get("/readyz").json()["disk"] == "ok"
    (small_disk / "filling").write_bytes(bytes(SIZE - 8 * 1024**2))
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["disk"]) == (503, "full")
    assert answer.json()["status"] == "unavailable"


def test_the_storage_says_that_it_is_full_and_keeps_no_half(small_disk: Path) -> None:
    key = storage.key_of("original", "a" * 64)
    with pytest.raises(DiskFull, match="The image could not be written: the disk is full"):
        storage.put(key, bytes(SIZE + 1))
    assert not storage.exists(key)


def test_the_database_without_room_is_a_sentence(
    api: TestClient,
    people: Cast,
    token_for: Callable[[Person], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Session, *_: object) -> None:
        raise OperationalError("INSERT", {}, NoRoomForRows("could not extend file"))

    header = token_for(people.lea)
    monkeypatch.setattr(Session, "flush", full)
    answer = api.post("/api/v1/projects", json={"slug": "x", "name": "X"}, headers=header)
    monkeypatch.undo()
    assert answer.status_code == 507
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "The database could not be written: the disk is full."
