"""Checking the working criteria, showing what publication will do, and publishing."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.freezing import freeze_version
from app.criteria.merging import refuse_turned
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import (
    build_tree,
    current_version,
    find_nodes,
    get_criteria,
    version_criteria,
)
from app.criteria.recording import lock_criteria
from app.criteria.successions import find_successors
from app.errors import Invalid, Stale
from app.labels.access import hold_all_labels
from app.labels.finishing import list_again
from app.projects.models import Project
from app.versions import succession
from app.versions.counting import LabelCounts, count_labels
from app.versions.foreseeing import Effect, preview_effects
from app.versions.moving import Choice, Moved, carry_out, find_moved, settle_publication
from app.versions.moving_dimensions import (
    DimensionMoved,
    find_moved_dimensions,
    refuse_unasked,
)
from app.versions.succession import Due, find_due
from taxonomy.changes import Change, difference
from taxonomy.checks import check, has_errors
from taxonomy.problems import Problem
from taxonomy.tree import Criteria, Pair

MAX_NOTE = 500

# What publication does to the labels of the nodes that a change touches.
EFFECTS = {
    "added": "none yet; finished images are listed again",
    "removed": "kept",
    "moved": "kept as they are",
    "reordered": "kept as they are",
    "renamed": "kept as they are",
    "text-moved": "asked: they stay and change their meaning, or follow the name",
    "name-moved": "asked: they stay with their attributes, which are found under another name",
    "described": "kept as they are",
    "merged": "carried over; where they disagree, proposed for review",
    "split": "looked at again: each new attribute is proposed",
    "meaning-changed": "looked at again under the new meaning",
    "taken-back": "given back as they stood; what was decided since is asked where it differs",
    "came-back": "given back as they stood",
    "succession-changed": "kept as they are",
    "relation-changed": "kept; contradictions are counted anew",
    "exclusive-changed": "kept; contradictions are counted anew",
    "retired": "kept, greyed, left out of new datasets",
    "restored": "counted again",
    "words-changed": "kept as they are",
    "prompt-changed": "kept; prompts of new datasets say the new words",
    "applicability-changed": "kept; what does not apply is not counted",
    "exclusions-changed": "kept; contradictions are counted anew",
    "language-changed": "kept as they are",
    "limit-changed": "kept as they are",
}


@dataclass(frozen=True, slots=True)
class Touched:
    """One kind of change: how many there are and how many labels stand on their nodes."""

    kind: str
    num_changes: int
    labels: LabelCounts
    effect: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What publishing the working criteria would mean. `last` is the version that stands now."""

    criteria: Criteria
    working_revision: int
    last: CriteriaVersion | None
    problems: list[Problem]
    changes: list[Change]
    touched: list[Touched]
    moved: list[Moved]
    dimensions_moved: list[DimensionMoved]
    succession: list[Effect]

    @property
    def errors(self) -> list[Problem]:
        """Faults that stop a publication."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == "warning"]

    @property
    def noted_choice(self) -> Choice | None:
        """What all edits that moved names said, where they agree."""
        choices = {each.choice for each in self.moved}
        return choices.pop() if len(choices) == 1 else None

    @property
    def can_publish(self) -> bool:
        """Whether publication would succeed, once what became of `moved` names is said."""
        return not self.errors and (self.last is None or bool(self.changes))


def preview(db: Session, project: Project) -> Preview:
    """Checks, differences to the current version, and the labels they touch."""
    row = get_criteria(db, project)
    nodes = find_nodes(db, project)
    criteria = build_tree(row, nodes, find_successors(db, project))
    last = current_version(db, project)
    old = version_criteria(last) if last else None
    changes = difference(old, criteria) if old else []
    return Preview(
        criteria=criteria,
        working_revision=row.revision,
        last=last,
        problems=check(criteria),
        changes=changes,
        touched=_touched(db, old, criteria, changes, _ids(db, project, changes, nodes)),
        moved=find_moved(db, project),
        dimensions_moved=find_moved_dimensions(db, project),
        succession=preview_effects(db, find_due(db, project)),
    )


def _ids(
    db: Session, project: Project, changes: Iterable[Change], nodes: Iterable[Node]
) -> dict[str, int]:
    """Node ids by key, of what is in the tree and of what left it."""
    ids = {node.key: node.id for node in nodes}
    gone = {each.key for each in changes} - ids.keys()
    rows = db.execute(
        select(Node.key, Node.id).where(Node.project_id == project.id, Node.key.in_(gone))
    )
    return ids | {row.key: row.id for row in rows}


def publish(
    db: Session,
    project: Project,
    *,
    note: str = "",
    by: Person,
    based_on: int | None = None,
    names_moved: Choice | None = None,
) -> CriteriaVersion:
    """Freeze the working criteria as the next version.

    `based_on` is the working revision that the person saw. `names_moved` says whether labels stay or
    follow where names went to other attributes, over what the edits said. Raises Stale where the
    criteria changed since, Invalid (with `problems`) where a check of severity error stands, Conflict
    where nothing changed since the last version or that question is open.
    """
    note = " ".join(note.split())
    if len(note) > MAX_NOTE:
        raise Invalid(f"The note may have up to {MAX_NOTE} characters.", field="note")
    row = lock_criteria(db, project)
    if based_on is not None and based_on != row.revision:
        raise Stale(
            "Someone changed the criteria after you opened this page.",
            hint="Look at the checks and changes once more, then publish.",
            revision=row.revision,
            yours=based_on,
        )
    last = current_version(db, project)
    nodes = find_nodes(db, project)
    problems = check(build_tree(row, nodes, find_successors(db, project)))
    if has_errors(problems):
        errors = [problem for problem in problems if problem.severity == "error"]
        raise Invalid(
            f"{len(errors)} {'fault stops' if len(errors) == 1 else 'faults stop'} the "
            f"publication; the first: {errors[0].message}",
            field="criteria",
            problems=[
                {"code": each.code, "key": each.key, "message": each.message} for each in errors
            ],
        )
    refuse_unasked(find_moved_dimensions(db, project), names_moved)
    for each in find_due(db, project).replaced:
        if each.kind == "merge":
            refuse_turned(each.old, each.new[0])
    hold_all_labels(db, project)
    with db.begin_nested():
        moved = settle_publication(db, project, names_moved, by=by)
        version = freeze_version(db, project, note=note, by=by)
        due = succession.carry_out(db, project, version, by=by)
        carry_out(db, project, moved, version, by=by)
        if last is not None and _is_new(due, version_criteria(last), version_criteria(version)):
            list_again(db, project)
    return version


def _is_new(due: Due, old: Criteria, new: Criteria) -> bool:
    """Whether a pair is in use that finished images were not looked at for: not one that labels were
    carried over to or given back.
    """
    came = {node.key for each in due.taken_back for node in (*each.came_back, *each.stayed)}
    came |= {node.key for each in due.replaced if each.kind != "redefine" for node in each.new}
    return bool(_active(new) - _active(old) - came)


def _active(criteria: Criteria) -> set[str]:
    return {pair.key for pair in criteria.active_pairs()}


def _touched(
    db: Session,
    old: Criteria | None,
    new: Criteria,
    changes: Iterable[Change],
    ids: dict[str, int],
) -> list[Touched]:
    by_kind: dict[str, list[Change]] = {}
    # What takes the place of others is counted with them.
    taking = {key for keys in new.successors.values() for key in keys}
    changes = [each for each in changes if each.kind != "added" or each.key not in taking]
    moved = {(each.key, each.part) for each in changes if each.kind == "text-moved"}
    for change in changes:
        # What became of a name that went elsewhere is asked, so it is not among those that just stay.
        if change.kind in ("renamed", "described") and (change.key, change.part) in moved:
            continue
        by_kind.setdefault(change.kind, []).append(change)
    pairs = {
        kind: {pair for each in group for pair in _pairs_at(each.key, new, old)}
        for kind, group in by_kind.items()
    }
    wanted = {ids[key] for keys in pairs.values() for key in keys if key in ids}
    counts = count_labels(db, wanted)
    return [
        Touched(kind, len(group), _sum(counts, ids, pairs[kind]), EFFECTS[kind])
        for kind, group in by_kind.items()
    ]


def _pairs_at(key: str, *trees: Criteria | None) -> set[str]:
    """The keys of the pairs at or below a node, in whichever tree holds it."""
    return {
        entry.node.key
        for criteria in trees
        if criteria is not None and key
        for entry in criteria.walk()
        if key in entry.path and isinstance(entry.node, Pair)
    }


def _sum(counts: dict[int, LabelCounts], ids: dict[str, int], keys: Iterable[str]) -> LabelCounts:
    total = LabelCounts()
    for key in keys:
        if (found := counts.get(ids.get(key, 0))) is not None:
            total.add(found)
    return total
