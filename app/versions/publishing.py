"""Checking the working criteria, showing what publication will do, and publishing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.freezing import freeze_version
from app.criteria.merging import refuse_turned
from app.criteria.models import CriteriaVersion
from app.criteria.reading import (
    build_tree,
    current_version,
    find_nodes,
    get_criteria,
    version_criteria,
)
from app.criteria.recording import lock_criteria
from app.criteria.snapshots import read_snapshot
from app.criteria.successions import find_successors
from app.errors import Invalid, Stale
from app.labels.access import hold_all_labels
from app.labels.contradicting import count_later_where_many
from app.labels.finishing import list_again
from app.projects.models import Project
from app.versions import succession
from app.versions.foreseeing import Effect, preview_effects
from app.versions.moving import Choice, Moved, carry_out, find_moved, settle_publication
from app.versions.moving_dimensions import (
    DimensionMoved,
    find_moved_dimensions,
    refuse_unasked,
)
from app.versions.succession import Due, find_due
from app.versions.touching import Touched, count_touched
from method.saved_texts import one_line
from taxonomy.changes import Change, difference
from taxonomy.checks import check, has_errors
from taxonomy.contradictions import Rules
from taxonomy.problems import Problem
from taxonomy.tree import Criteria

MAX_NOTE = 500


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
    standing = read_snapshot(db, project).tree(row)
    criteria = replace(standing, successors=find_successors(db, project))
    last = current_version(db, project)
    old = version_criteria(last) if last else None
    changes = difference(old, criteria) if old else []
    return Preview(
        criteria=criteria,
        working_revision=row.revision,
        last=last,
        problems=check(criteria),
        changes=changes,
        touched=count_touched(db, project, old, criteria, changes),
        moved=find_moved(db, project),
        dimensions_moved=find_moved_dimensions(db, project),
        succession=preview_effects(db, find_due(db, project)),
    )


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
    note = one_line(note)
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
    criteria = build_tree(row, find_nodes(db, project), find_successors(db, project))
    problems = check(criteria)
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
    planned = find_due(db, project)
    for each in planned.replaced:
        if each.kind == "merge":
            refuse_turned(each.old, each.new[0])
    hold_all_labels(db, project)
    with db.begin_nested():
        moved = settle_publication(db, project, names_moved, by=by)
        if last is not None:
            keys = _concerned(planned, moved, version_criteria(last), criteria)
            count_later_where_many(db, project, keys, by=by)
        version = freeze_version(db, project, note=note, by=by)
        due = succession.carry_out(db, project, version, by=by)
        carry_out(db, project, moved, version, by=by)
        if last is not None and _is_new(due, version_criteria(last), version_criteria(version)):
            list_again(db, project)
    return version


def _concerned(due: Due, moved: Sequence[Moved], old: Criteria, new: Criteria) -> set[str]:
    """The keys of pairs whose labels go elsewhere, or contradict others than before."""
    keys = {each.key for each in {*old.derived(Rules).weights()} ^ {*new.derived(Rules).weights()}}
    nodes = [node for each in due.replaced for node in (*each.old, *each.new)]
    nodes += [
        node for each in due.taken_back for node in (*each.came_back, *each.left, *each.stayed)
    ]
    sides = [side for each in moved for side in (each.source, each.target)]
    return keys | {node.key for node in nodes} | {side.key for side in sides}


def _is_new(due: Due, old: Criteria, new: Criteria) -> bool:
    """Whether a pair is in use that finished images were not looked at for: not one that labels were
    carried over to or given back.
    """
    came = {node.key for each in due.taken_back for node in (*each.came_back, *each.stayed)}
    came |= {node.key for each in due.replaced if each.kind != "redefine" for node in each.new}
    return bool(_active(new) - _active(old) - came)


def _active(criteria: Criteria) -> set[str]:
    return {pair.key for pair in criteria.active_pairs()}
