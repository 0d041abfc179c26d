"""`morelli agent`: has agents label images, for the first time or again where the criteria changed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.output import AsJson, ProjectSlug, database, show
from app.commands.waiting import finish_job
from app.errors import AppError

if TYPE_CHECKING:
    from app.agents.again import Again, Taken

agent_cli = typer.Typer(
    help="Have an agent propose labels.", no_args_is_help=True, rich_markup_mode=None
)
Run = Annotated[int, typer.Argument(help="The number of an agent run.")]


@agent_cli.command("run")
def run_agent(
    project: ProjectSlug,
    agent: Annotated[
        str | None, typer.Option(help="Which agent; without it the project's own.")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Propose nothing: keep what it says for ensembles.")
    ] = False,
    runs: Annotated[
        list[int] | None,
        typer.Option(
            "--of", metavar="RUN", help="A run that an ensemble is made of; give it again for each."
        ),
    ] = None,
    at_least: Annotated[
        float | None,
        typer.Option(help="How much of what an ensemble proposes is to be right, as 0.8."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Have an agent label every image of a project, and wait for it.

    The agent “ensemble” is made of other runs, by default of the newest of each agent.
    """
    from app.agents import launching
    from app.database import unit_of_work
    from app.projects.founding import get_project

    with database():
        with unit_of_work() as db:
            run = launching.launch_agent_run(
                db,
                get_project(db, project),
                agent=agent,
                by=None,
                quiet=quiet,
                runs=runs or (),
                at_least=at_least,
            )
            job_id = run.job_id
        job = finish_job(job_id)
    _tell_job(job, as_json=as_json)


@agent_cli.command("again")
def label_again(
    project: ProjectSlug,
    run: Run,
    only_tell: Annotated[
        bool, typer.Option("--only-tell", help="Only say what would be asked, and what it takes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Have the agent of a run look for what the criteria changed since, in the images that this concerns."""
    from app.agents.again import foresee_again, launch_again
    from app.database import unit_of_work
    from app.projects.founding import get_project

    with database():
        with unit_of_work() as db:
            found = get_project(db, project)
            again = foresee_again(db, found, run)
            told = _foreseen(again)
            job_id = None if only_tell else launch_again(db, found, run, by=None).job_id
        if only_tell:
            show(told, as_json=as_json, words=lambda: _in_words(told))
            return
        if not as_json:
            typer.echo(_in_words(told), err=True)
        job = finish_job(job_id)
    _tell_job(job, as_json=as_json)


@agent_cli.command("compare")
def compare_runs(
    project: ProjectSlug,
    run: Run,
    other: Annotated[int, typer.Argument(help="The number of another run.")],
    anew: Annotated[bool, typer.Option(help="Compare them again where they were.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put two runs side by side: labels lost and gained, agreement, cost, and how right each is."""
    from app.comparisons.comparing import ask_comparison, get_compared
    from app.comparisons.schemas import ComparisonOut
    from app.comparisons.telling import in_words
    from app.database import unit_of_work
    from app.errors import NotFound
    from app.projects.founding import get_project

    with database():
        with unit_of_work() as db:
            found = get_project(db, project)
            try:
                is_made = get_compared(db, found, run, other).figures is not None
            except NotFound:
                is_made = False
            job_id = None
            if anew or not is_made:
                job_id = ask_comparison(db, found, run, other, by=None).job_id
        if job_id is not None and (job := finish_job(job_id))["state"] != "succeeded":
            raise AppError(f"The runs were not compared: {job['error']}")
        with unit_of_work() as db:
            compared = get_compared(db, get_project(db, project), run, other)
            told = ComparisonOut.of(compared).model_dump(mode="json")
            words = in_words(compared)
    show(told, as_json=as_json, words=lambda: words)


def _tell_job(job: dict[str, Any], *, as_json: bool) -> None:
    show(job, as_json=as_json, words=lambda: f"{job['state']}: {job['result'] or job['error']}")
    if job["state"] != "succeeded":
        raise typer.Exit(1)


def _foreseen(again: "Again") -> dict[str, Any]:
    expected = again.expected
    return {
        "run": again.run.id,
        "agent": again.run.agent,
        "since": again.since.number,
        "criteria_version": again.version.number,
        "pairs": [
            {"key": each.pair.key, "why": each.why, "images": each.images} for each in again.pairs
        ],
        "images": expected.images,
        "share": expected.share,
        "least": _taken(expected.least),
        "most": _taken(expected.most),
    }


def _taken(taken: "Taken") -> dict[str, Any]:
    return {
        "requests": taken.requests,
        "tokens_in": taken.tokens_in,
        "tokens_out": taken.tokens_out,
        "cost": taken.cost,
    }


def _in_words(told: dict[str, Any]) -> str:
    least, most = told["least"], told["most"]
    lines = [
        f"{each['key']}: {each['why']}, in up to {each['images']} images" for each in told["pairs"]
    ]
    tokens = (least["tokens_in"] + least["tokens_out"], most["tokens_in"] + most["tokens_out"])
    if any(tokens):
        lines.append(
            f"{least['requests']} to {most['requests']} requests, {tokens[0]} to {tokens[1]} tokens, "
            f"for {least['cost']:.2f} to {most['cost']:.2f}"
        )
    number = len(told["pairs"])
    what = f"{number} pair{'s' if number != 1 else ''} that changed from version {told['since']}"
    what += f" to {told['criteria_version']}, in up to {told['images']} images, by {told['agent']}"
    return "\n".join([*lines, what])
