"""What a job says to everybody names no place of the server."""

import pytest
from sqlalchemy.orm import Session

from app.jobs import claiming, queueing
from app.jobs.models import JobEvent
from app.jobs.wording import for_people
from tests.factories import Make


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "No space left in /srv/morelli/runs/paintings-0001-1.",
            "No space left in …/paintings-0001-1.",
        ),
        ("cannot read '/home/ann/a b/c.png'", "cannot read '…/a b/c.png'"),
        ("/etc/passwd: is no model", "…/passwd: is no model"),
        ('File "/usr/lib/python3.11/site.py", line 3', 'File "…/site.py", line 3'),
        (
            "see https://example.org/a/b and/or 1/2 of it",
            "see https://example.org/a/b and/or 1/2 of it",
        ),
        ("images/a.png is broken", "images/a.png is broken"),
        ("read 3 of 8 / 2 left", "read 3 of 8 / 2 left"),
        ("path=/var/tmp/x,", "path=…/x,"),
        (
            'Traceback (most recent call last):\n  File "/a/b.py", line 1, in f\nValueError: no such /a/b\n',
            "ValueError: no such …/b",
        ),
    ],
)
def test_paths_keep_their_last_part_and_stack_traces_their_last_line(said: str, told: str) -> None:
    assert for_people(said) == told


def test_a_failure_is_told_without_its_place(db: Session, make: Make) -> None:
    job = queueing.submit(db, project=make.project(), kind="dataset", spec={}, by=None)
    db.commit()
    claimed = claiming.claim(db, job.id, owner="a worker", queues=("cpu",))
    assert claimed is not None
    claiming.fail(
        db, job.id, claimed.attempt, kind="data", message="/srv/secret/x.png is torn", again=False
    )
    assert job.error == "…/x.png is torn"
    assert all("/srv" not in (each.message or "") for each in db.query(JobEvent).all())
