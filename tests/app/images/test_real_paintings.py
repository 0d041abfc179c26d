"""Real paintings through the page and the command line, where the folder of them is there."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.images.models import Image, ImageImport
from app.settings import settings
from tests.factories import Make
from tests.people import cast
from worker import importing, ledger

ROOT = Path(__file__).resolve().parents[3]
PAINTINGS = ROOT.parent / "shared" / "paintings"
HALF = 120
pytestmark = pytest.mark.skipif(
    not PAINTINGS.is_dir(), reason="the folder of paintings is not there"
)


def test_half_by_the_page_and_all_by_the_command_line(
    db: Session,
    browser: TestClient,
    make: Make,
    sign_in: Callable[[TestClient, Person], TestClient],
) -> None:
    people = cast(make)
    with (PAINTINGS / "metadata.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    body = BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.write(PAINTINGS / "metadata.csv", "metadata.csv")
        for row in rows[:HALF]:
            archive.write(PAINTINGS / "images" / row["file"], row["file"])
    client = sign_in(browser, people.lea)
    files = {"files": ("paintings.zip", body.getvalue(), "application/zip")}
    answer = client.post("/projects/paintings/images/import/files", files=files)
    assert answer.status_code == 303
    done = db.scalars(select(ImageImport)).one()
    assert done.job_id is not None
    assert ledger.run(done.job_id, {"import": importing.run})
    db.refresh(done)
    assert (done.added, done.duplicates) == (HALF, 0)
    assert f"{HALF} images" in client.get("/projects/paintings/images").text

    environment = os.environ | {"MORELLI_HOME": str(settings().home)}
    command = ["-m", "app.cli", "import", "paintings", str(PAINTINGS), "--json"]
    said = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    summary = json.loads(said.stdout)
    assert (summary["added"], summary["duplicates"]) == (len(rows) - HALF, HALF)
    hashes = set(db.scalars(select(Image.sha256)))
    assert hashes == {row["sha256"] for row in rows}
