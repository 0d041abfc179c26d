"""`morelli agent trust` and `morelli agent differences`: how far agents are to be trusted, and where they differ."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.agents import Run
from app.commands.output import AsJson, ProjectSlug, database, show
from app.commands.waiting import finish_job
from app.errors import AppError, NotFound

if TYPE_CHECKING:
    from app.trust.keeping import Difference
    from app.trust.schemas import CurveOut, ReportOut

MOST_LISTED = 1000


def tell_trust(
    project: ProjectSlug,
    learn: Annotated[
        bool, typer.Option("--learn", help="Learn anew first, from all blind answers there are.")
    ] = False,
    run: Annotated[
        int | None, typer.Option(help="As the ensemble of this number learned it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how often what agents say holds, as learned from answers given without a suggestion in view."""
    from app.database import unit_of_work
    from app.projects.founding import get_project
    from app.trust import keeping
    from app.trust.schemas import ReportOut

    with database():
        if learn:
            with unit_of_work() as db:
                job_id = keeping.ask_to_learn(db, get_project(db, project), by=None).id
            job = finish_job(job_id)
            if job["state"] != "succeeded":
                raise AppError(f"Nothing was learned: {job['error']}")
        with unit_of_work() as db:
            found = keeping.find_trust(db, get_project(db, project), agent_run_id=run)
            if found is None:
                raise NotFound("Nothing was learned yet.", hint="--learn learns now.")
            report = ReportOut.model_validate(found.report)
            told: dict[str, Any] = {"made_at": found.made_at.isoformat(), **found.report}
    show(told, as_json=as_json, words=lambda: _in_words(report))


def _in_words(report: "ReportOut") -> str:
    answers = sum(report.sources.values())
    lines = [f"{answers} answers of {report.people} people about {report.labels} labels"]
    if not report.is_enough:
        lines.append(f"too few to learn from: it takes {report.least_labels} labels")
    lines += ["", "learned, all together", *_curve(report.curve)]
    for member in report.members:
        holds = "?" if member.trust is None else f"{100 * member.trust:.0f} %"
        name = f"{member.agent} {member.agent_version}, run {member.run}"
        lines += ["", f"{name}: {holds} of what it says is expected to hold"]
        lines += _curve(member.own)
        lines += [
            f"  {100 * each.trust:>3.0f} % ({100 * each.interval[0]:.0f} to {100 * each.interval[1]:.0f})"
            f"  {'+' if each.polarity == 'positive' else '-'} {each.key}, {each.answers} answers"
            for each in report.sides
            if each.run == member.run
        ]
    return "\n".join(lines)


def _curve(curve: "CurveOut") -> list[str]:
    if curve.error is None or curve.by_chance is None:
        return ["  no answers"]
    off = f"  off by {curve.error:.3f} in the mean, of which chance makes {curve.by_chance:.3f}"
    return [off, *(_bin(each.said, each.holds, each.answers) for each in curve.bins)]


def _bin(said: float, holds: float, answers: int) -> str:
    return f"  said {100 * said:>3.0f} %, holds {100 * holds:>3.0f} %  ({answers} answers)"


def list_differences(
    project: ProjectSlug,
    run: Run,
    key: Annotated[str | None, typer.Option(help="Only of this attribute pair ...")] = None,
    polarity: Annotated[
        str | None, typer.Option(help="... and this side: positive or negative.")
    ] = None,
    after: Annotated[str | None, typer.Option(help="Go on behind a page.")] = None,
    as_json: AsJson = False,
) -> None:
    """List where the runs that an ensemble is made of differ, by image, a thousand at a time."""
    from app.database import unit_of_work
    from app.projects.founding import get_project
    from app.trust import reading
    from app.trust.keeping import find_differences

    with database(), unit_of_work() as db:
        here = get_project(db, project)
        agent_run, ensemble = reading.get_ensemble(db, here, run)
        side, place = reading.get_side(db, here, key, polarity), reading.read_place(after)
        found = find_differences(
            db, agent_run, ensemble, side=side, after=place, limit=MOST_LISTED + 1
        )
        rows = [_row(each) for each in found[:MOST_LISTED]]
        more = reading.write_place(found, MOST_LISTED)
    show({"items": rows, "next": more}, as_json=as_json, words=lambda: _listed(rows, more))


def _row(each: "Difference") -> dict[str, Any]:
    return {
        "image_id": each.image.id,
        "image": each.image.name,
        "key": each.node.key,
        "polarity": each.row.polarity,
        "says": each.says,
        "does_not": each.does_not,
        "probability": each.row.probability,
        "is_proposed": each.row.is_proposed,
    }


def _listed(rows: list[dict[str, Any]], more: str | None) -> str:
    lines = [
        f"{row['image']}: {row['key']} {row['polarity']}, run {', '.join(map(str, row['says']))} says so,"
        f" {', '.join(map(str, row['does_not']))} not"
        + ("" if row["probability"] is None else f"; {100 * row['probability']:.0f} % sure")
        + ("; proposed" if row["is_proposed"] else "")
        for row in rows
    ]
    return "\n".join([*lines, f"more with --after {more}"] if more else lines)
