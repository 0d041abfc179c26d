"""A project with three root dimensions, and studies of images that models made in a ZIP."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.criteria.models import CriteriaVersion
from app.images import uploads
from app.images.sources import upload_source
from app.jobs.models import Job
from app.participants.access import get_participant
from app.participants.models import Participant
from app.studies import founding, inviting, judging, opening
from app.studies.collecting import collect_upload
from app.studies.models import Study
from tests.factories import Make
from tests.people import Cast, cast
from worker import ledger, pair_jobs, study_images

HANDLERS: dict[str, ledger.Handler] = {
    "study_images": study_images.run,
    "pair_dataset": pair_jobs.run,
}
ROOTS = ("light", "color", "composition")
GROUPS = {"G1": ("sdxl-dpo", "sdxl-cpo"), "G2": ("flux-dpo", "flux-cpo")}
ROOM = "/projects/paintings/studies"


def picture(number: int) -> bytes:
    """A small picture that is like no other."""
    out = BytesIO()
    Image.new("RGB", (24, 16), (number % 256, number // 256 % 256, 90)).save(out, "PNG")
    return out.getvalue()


def archive(groups: Mapping[str, Sequence[str]] = GROUPS, prompts: int = 4) -> bytes:
    """A ZIP with a folder for each model, in folders of groups; the list of prompts lies beside."""
    out = BytesIO()
    number = 0
    with zipfile.ZipFile(out, "w") as packed:
        lines = ["file,prompt"]
        for group, models in groups.items():
            for model in models:
                for at in range(prompts):
                    number += 1
                    name = f"{group}/{model}/{at:04d}.png"
                    packed.writestr(name, picture(number))
                    lines.append(f"{name},a jug beside {at} pears")
        packed.writestr("prompts.csv", "\n".join(lines))
    return out.getvalue()


@dataclass
class Atelier:
    """The project, and what makes studies in it."""

    db: Session
    make: Make
    cast: Cast
    version: CriteriaVersion

    def draft(self, **values: Any) -> Study:
        """A committed draft without images."""
        name = values.pop("name", "Spring study")
        study = founding.create_study(
            self.db,
            self.cast.project,
            name=name,
            design=founding.Design(**({"seed": 7, "prompts": 4} | values)),
            notice="Please read this.",
            by=self.cast.lea,
        )
        self.db.commit()
        return study

    def fill(self, study: Study, data: bytes) -> Job:
        """Send a ZIP and have a worker take it in; returns the job."""
        token = uploads.new_token()
        folder = uploads.make_upload_folder(token)
        (folder / "0").write_bytes(data)
        uploads.write_names(folder, ["images.zip"])
        source = upload_source(token, ["images.zip"])
        job = collect_upload(self.db, self.cast.project, study.id, source, by=self.cast.lea)
        self.db.commit()
        self.work()
        self.db.refresh(job)
        return job

    def work(self) -> None:
        """A worker does what waits."""
        self.db.rollback()
        for job_id in self.db.scalars(select(Job.id).where(Job.state == "queued")).all():
            assert ledger.run(job_id, HANDLERS)
        self.db.rollback()
        self.db.expire_all()

    def study(
        self,
        groups: Mapping[str, Sequence[str]] = GROUPS,
        *,
        prompts: int = 4,
        spare: int = 0,
        **values: Any,
    ) -> Study:
        """A study that is open, with images of some `spare` prompts besides."""
        study = self.draft(prompts=prompts, **values)
        self.fill(study, archive(groups, prompts + spare))
        opening.open_study(self.db, self.cast.project, study.id, prompts=prompts)
        self.db.commit()
        return study

    def seats(self, study: Study, count: int) -> list[tuple[Participant, str]]:
        """Participants who have agreed, with their tokens."""
        made = [
            (get_participant(self.db, token, of="study"), token)
            for _, token in inviting.invite_participants(self.db, study, count)
        ]
        for participant, _ in made:
            judging.consent(self.db, participant)
        self.db.commit()
        return made


@pytest.fixture
def atelier(db: Session, make: Make, own_storage: None) -> Atelier:
    people = cast(make)
    for position, key in enumerate(ROOTS, start=1):
        root = make.dimension(people.project, key.title(), key=key, position=position)
        make.pair(people.project, root, key=f"pair-of-{key}", position=1)
    return Atelier(db, make, people, make.version(people.project))


def answer_like(
    api: TestClient, token: str, wanted: Mapping[str, str], *, otherwise: str = "tie"
) -> None:
    """Answer everything over the API: by dimension `left`, `right` or `tie`."""
    after: int | None = 0
    while after is not None:
        page = api.get(f"/api/v1/study/{token}/pairs", params={"after": after}).json()
        for pair in page["items"]:
            for question in pair["questions"]:
                said = wanted.get(question["key"], otherwise)
                path = f"/api/v1/study/{token}/pairs/{pair['place']}/{question['key']}"
                assert api.put(path, json={"answer": said}).status_code == 200
        after = page["next"]
