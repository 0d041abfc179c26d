"""The texts that a process keeps are those of the working criteria, and few are as good as all."""

from sqlalchemy.orm import Session

from app.criteria.editing import describe, rename
from app.criteria.reading import get_node, working_criteria
from app.criteria.retiring import restore, retire
from app.projects.models import Project
from app.versions.texts import texts_now
from taxonomy.changes import Texts, moved_texts, texts_of
from tests.app.criteria.test_snapshots import check_kept
from tests.people import Cast


def bearers(texts: Texts) -> dict[tuple[str, str], object]:
    return {
        (part, text): texts.bearer(part, text)
        for part, sides in texts.bearers.items()
        for text in sides
        if texts.bearer(part, text) is not None
    }


def check_kept_texts(db: Session, project: Project) -> Texts:
    """What is kept says what the tree says."""
    kept = texts_now(project.id, check_kept(db, project))
    fresh = texts_of(working_criteria(db, project))
    assert (kept.written, kept.retired) == (fresh.written, fresh.retired)
    assert bearers(kept) == bearers(fresh)
    return kept


def test_texts_follow_every_edit(db: Session, people: Cast) -> None:
    project, ada = people.project, people.ada
    first = check_kept_texts(db, project)

    def of(key: str) -> int:
        return get_node(db, project, key).revision

    # Two bear one text, then one of them alone.
    rename(db, project, "glow", based_on=1, by=ada, positive="Shine")
    describe(db, project, "glow", based_on=2, by=ada, positive="Forms end in a line.")
    check_kept_texts(db, project)
    retire(db, project, "edges", based_on=of("edges"), by=ada)
    check_kept_texts(db, project)
    rename(db, project, "clear-source", based_on=1, by=ada, positive="Glow")
    now = check_kept_texts(db, project)
    found = moved_texts(first, now)
    assert [each.target.key for each in found] == ["clear-source"]
    for keys in (["clear-source"], ["glow"]):
        assert moved_texts(first, now, concerning=keys) == found
    assert moved_texts(first, now, concerning=["clear-edges"]) == []
    restore(db, project, "edges", based_on=of("edges"), by=ada)
    check_kept_texts(db, project)
