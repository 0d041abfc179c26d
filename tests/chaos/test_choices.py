"""Answers of a study's participants over HTTP while the web server and PostgreSQL are killed: what was acknowledged is kept."""

import os
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import database
from app.database import unit_of_work
from app.images.image_files import hash_of
from app.participants.access import get_participant
from app.participants.models import Participant
from app.studies import founding, inviting, judging, opening
from app.studies.models import StudyChoice, StudyImage, StudyModel
from tests.chaos.clients import Client, acknowledged, live_in_chaos
from tests.chaos.processes import House
from tests.factories import Make

NUM_PARTICIPANTS = 3
NUM_PROMPTS = 3
ROOTS = ("light", "color")


@dataclass
class Judge(Client):
    """Answers questions of a study, and changes their mind."""

    number: int = 0
    stands: dict[tuple[int, str], tuple[str, int]] = field(default_factory=dict)

    def work(self) -> None:
        while not self.over.is_set():
            self.choose()

    def choose(self) -> None:
        place, key = self.rng.randint(1, NUM_PROMPTS), self.rng.choice(ROOTS)
        before, revision = self.stands.get((place, key), (None, 0))
        answer = self.rng.choice([each for each in judging.WORDS if each != before])
        path = f"/pairs/{place}/{key}"
        status, said = self.ask("PUT", path, {"answer": answer, "based_on": revision})
        # Nobody else answers these: a request that was done and not heard of is the same answer again.
        assert (status, said["answer"], said["revision"]) == (200, answer, revision + 1), said
        self.stands[place, key] = answer, revision + 1


@dataclass
class Panel:
    """All participants, each in a thread."""

    judges: list[Judge]
    over: threading.Event

    def everyone(self) -> Sequence[Client]:
        return self.judges


def open_study(house: House, seed: int) -> Panel:
    """A study of images whose bytes nobody asks for, and participants who have agreed."""
    over = threading.Event()
    with Session(database.engine(), expire_on_commit=False) as db:
        make = Make(db)
        project = make.project("paintings")
        for key in ROOTS:
            make.pair(project, make.dimension(project, key.title(), key=key), key=f"pair-of-{key}")
        make.version(project)
        design = founding.Design(seed=1, prompts=NUM_PROMPTS)
        study = founding.create_study(
            db, project, name="Spring", design=design, notice="Read.", by=None
        )
        for model in ("one", "other"):
            row = StudyModel(study_id=study.id, group_name="G1", name=model, origin="a test")
            db.add(row)
            db.flush()
            for prompt in map(str, range(NUM_PROMPTS)):
                about = {"study_id": study.id, "model_id": row.id, "prompt": prompt}
                hashes = {
                    "prompt_sha256": hash_of(prompt.encode()),
                    "sha256": hash_of(f"{model} {prompt}".encode()),
                }
                db.add(StudyImage(**about, **hashes, format="PNG", width=1, height=1))
        opening.open_study(db, project, study.id, prompts=NUM_PROMPTS)
        judges = []
        for number, token in inviting.invite_participants(db, study, NUM_PARTICIPANTS):
            judging.consent(db, get_participant(db, token, of="study"))
            judges.append(
                Judge(
                    port=house.port,
                    token="none",
                    rng=random.Random(f"{seed} {number}"),
                    over=over,
                    root=f"/api/v1/study/{token}",
                    number=number,
                )
            )
        db.commit()
    return Panel(judges, over)


def check_answers(panel: Panel) -> None:
    """Every acknowledged answer stands with its revision, and nothing else does."""
    with unit_of_work() as db:
        people = {each.number: each for each in db.scalars(select(Participant))}
        kept = db.scalars(select(StudyChoice)).all()
        assert len(kept) == sum(len(each.stands) for each in panel.judges)
        for judge in panel.judges:
            standing = {
                (pair.place, question.key): (question.answer, question.revision)
                for pair in judging.find_pairs_to_judge(db, people[judge.number])
                for question in pair.questions
                if question.answer is not None
            }
            assert standing == judge.stands


def test_no_acknowledged_answer_is_lost(house: House) -> None:
    seed = int(os.environ.get("MORELLI_TEST_SEED", random.SystemRandom().randrange(10**6)))
    print(f"MORELLI_TEST_SEED={seed}")
    program = house.up("--no-worker", "--no-seed")
    with house.entered():
        panel = open_study(house, seed)
        live_in_chaos(program, panel, random.Random(seed))
        print("acknowledged", acknowledged(panel))
        check_answers(panel)
