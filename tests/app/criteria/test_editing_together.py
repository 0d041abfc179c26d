"""Several people edit the same few nodes at once: each edit that was saved is in the history exactly once, and none
lies over a text that its author had not seen.
"""

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node, NodeChange
from app.criteria.reading import get_node
from app.database import unit_of_work
from app.errors import Stale
from app.projects.models import Project
from app.versions.editing import revise
from app.versions.publishing import publish
from tests.app.criteria.test_snapshots import check_kept
from tests.people import Cast

KEYS = ("light", "source", "edges")
PEOPLE = 6
EDITS = 12


@dataclass
class Expert:
    """What one of them did: texts that were saved over which they saw, and whose change stopped them."""

    number: int
    saved: list[tuple[str, str, str]] = field(default_factory=list)
    shown: list[Stale] = field(default_factory=list)

    def work(self, project_id: int, person_id: int) -> None:
        for number in range(EDITS):
            self.edit(project_id, person_id, f"Expert {self.number}, edit {number}")

    def edit(self, project_id: int, person_id: int, words: str) -> None:
        key = random.Random(words).choice(KEYS)
        while True:
            with unit_of_work() as db:
                node = get_node(db, db.get_one(Project, project_id), key)
                seen, based_on = node.definition, node.revision
            try:
                with unit_of_work() as db:
                    project, by = db.get_one(Project, project_id), db.get_one(Person, person_id)
                    texts = {"definition": words}
                    revise(db, project, key, based_on=based_on, by=by, texts=texts)
            except Stale as error:
                self.shown.append(error)
                continue
            self.saved.append((key, seen, words))
            return


def test_no_edit_is_lost_or_lies_over_one_unseen(db: Session, people: Cast) -> None:
    publish(db, people.project, by=people.lea)
    db.commit()
    experts = [Expert(number) for number in range(PEOPLE)]
    given = (people.project.id, people.ada.id)
    with ThreadPoolExecutor(PEOPLE) as pool:
        for each in [pool.submit(each.work, *given) for each in experts]:
            each.result()

    rows: Sequence[Any] = db.execute(
        select(Node.key, NodeChange.before, NodeChange.after)
        .join(Node, Node.id == NodeChange.node_id)
        .where(NodeChange.kind == "described")
        .order_by(NodeChange.revision)
    ).all()
    saved = [each for expert in experts for each in expert.saved]
    assert len(saved) == PEOPLE * EDITS
    recorded = Counter((key, b["definition"], a["definition"]) for key, b, a in rows)
    assert recorded == Counter(saved)
    stands = {key: before["definition"] for key, before, _ in reversed(rows)}
    for key, before, after in rows:
        assert stands[key] == before["definition"]
        stands[key] = after["definition"]
    # Who was too late was shown what the other had written.
    texts = {words for _, _, words in saved}
    for expert in experts:
        for error in expert.shown:
            theirs: Any = error.details["theirs"]
            assert theirs["definition"] in texts
    db.expire_all()
    check_kept(db, people.project)
