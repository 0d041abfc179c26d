"""The `morelli` command.

Exit codes: 0 done, 1 failed, 2 the command was used wrongly: an option, or what it names is not there or
cannot be read.
"""

import shutil
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from app import extras
from app.commands.agent_trust import list_differences, tell_trust
from app.commands.agents import agent_cli
from app.commands.criteria import criteria_cli
from app.commands.images import images_cli
from app.commands.labels import labels_cli
from app.commands.output import AsJson, ProjectSlug, database, place, say, show
from app.commands.studies import studies_cli
from app.commands.waiting import finish_job
from app.errors import AppError, Invalid, NotFound, WrongUse
from app.handing_on import run_worker_module

cli = typer.Typer(
    name="morelli",
    help="Expert criteria, honest labels, and diffusion models aligned with both.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
account_cli = typer.Typer(
    help="Accounts: a link with which someone sets a new password.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
cli.add_typer(account_cli, name="account")
cli.add_typer(criteria_cli, name="criteria")
agent_cli.command("trust")(tell_trust)
agent_cli.command("differences")(list_differences)
cli.add_typer(agent_cli, name="agent")
cli.add_typer(images_cli, name="images")
cli.add_typer(labels_cli, name="labels")
cli.add_typer(studies_cli, name="studies")


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code if code in (1, 2) else 1)


@cli.command()
def up(
    web: Annotated[bool, typer.Option(help="Start the web server.")] = True,
    worker: Annotated[bool, typer.Option(help="Start a worker.")] = True,
    seed: Annotated[
        bool, typer.Option(help="Make the painting project at the first start.")
    ] = True,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C.

    Uses the embedded PostgreSQL and Redis below MORELLI_HOME (default `.morelli`), or yours where
    MORELLI_DATABASE_URL and MORELLI_REDIS_URL are set. MORELLI_PORT sets the web port. The last
    lines before serving are the address and a one-time sign-in link for the first lead.
    """
    from app.demo.seeding import prepare
    from app.up import serve

    serve(
        prepare=lambda: prepare(typer.echo, with_project=seed),
        report=typer.echo,
        with_web=web,
        with_worker=worker,
    )


@account_cli.command("link")
def account_link(
    email: Annotated[str, typer.Argument(help="The e-mail address of the account.")],
    as_json: AsJson = False,
) -> None:
    """Make a link with which the owner of an account sets a new password: once, within a day."""
    from app.database import unit_of_work
    from app.projects.recovering import create_account_link, find_person
    from app.settings import settings

    with database(), unit_of_work() as db:
        link, token = create_account_link(db, find_person(db, email), by=None)
        address = f"{settings().public_address}/new-password/{token}"
        expires = link.expires_at
    show(
        {"link": address, "expires_at": expires.isoformat()},
        as_json=as_json,
        words=lambda: address,
    )


@cli.command()
def demo() -> None:
    """Walk the whole loop on paintings that Morelli draws itself, and say at each step what came out.

    Everything stays to be looked at with `morelli up`.
    """
    from app.demo.walking import walk

    walk(typer.echo)


@cli.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this installation consists of and what is wrong with it; changes nothing."""
    from app.doctor import examine

    findings = examine()
    show(
        [each.__dict__ for each in findings],
        as_json=as_json,
        words=lambda: "\n".join(
            f"{each.verdict:>7}  {each.what}: {each.found}" for each in findings
        ),
    )
    _exit(1 if any(each.verdict == "bad" for each in findings) else 0)


@cli.command("import")
def import_images(
    project: ProjectSlug,
    source: Annotated[
        str, typer.Argument(help="A folder, a ZIP, a CSV, an image, or a CSV's URL.")
    ],
    replace: Annotated[
        bool, typer.Option(help="Replace pictures of the same name; their labels stay.")
    ] = False,
    include_erased: Annotated[bool, typer.Option(help="Also take in what was erased.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import images with prompts and metadata into a project.

    A folder or ZIP may hold a metadata.csv (columns `file`, `prompt`, anything else). Files that
    cannot be taken are named with the reason, and the others go on; then the exit code is 1.
    """
    from app.images.importing import import_path
    from app.images.knowing import Wishes

    with database():
        wishes = Wishes(replace=replace, include_erased=include_erased)
        summary = import_path(project, source, say, wishes)
    show(
        summary,
        as_json=as_json,
        words=lambda: (
            f"{summary['added']} added, {summary['duplicates']} already there, "
            + "".join(
                f"{summary[each]} {each}, " for each in ("changed", "replaced") if each in summary
            )
            + f"{summary['refused']} refused"
        ),
    )
    _exit(1 if summary["refused"] else 0)


@cli.command("export")
def export_dataset(
    project: ProjectSlug,
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="A folder that does not exist yet.", parser=place),
    ],
    name: Annotated[str, typer.Option(help="The dataset's name.")] = "",
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also images that are not finished.")
    ] = False,
    contradictions: Annotated[
        Literal["keep", "leave_out_labels", "leave_out_images"],
        typer.Option(help="What becomes of labels that cannot all hold."),
    ] = "keep",
    as_json: AsJson = False,
) -> None:
    """Freeze the project's confirmed labels into a dataset and write it to a folder."""
    from app.database import unit_of_work
    from app.datasets import freezing
    from app.datasets.selecting import Choice
    from app.projects.founding import get_project

    choice = Choice(only_done=not unfinished, contradictions=contradictions)
    if folder.exists():
        raise WrongUse(f"{folder} exists already.", hint="Name a folder that does not exist yet.")
    with database():
        with unit_of_work() as db:
            here = get_project(db, project)
            try:
                dataset = freezing.freeze_dataset(
                    db, here, name=name or "Export", by=None, choice=choice
                )
            except Invalid as error:
                if error.field == "only_done":
                    error.hint = f"{error.hint} The option for that is --unfinished."
                raise
            dataset_id, job_id = dataset.id, dataset.job_id
        job = finish_job(job_id)
        if job["state"] != "succeeded":
            raise AppError(f"The dataset was not built: {job['error']}")
        with unit_of_work() as db:
            built = freezing.get_dataset(db, get_project(db, project), dataset_id)
            copy_folder(freezing.folder_of(built), folder)
    show(
        {"folder": str(folder), **(job["result"] or {})},
        as_json=as_json,
        words=lambda: f"{folder}: {job['result']}",
    )


def copy_folder(source: Path, to: Path) -> None:
    """Copy a folder whole or not at all. Raises AppError where it cannot be written."""
    making = to.absolute().with_name(f".{to.name}.part")
    try:
        shutil.rmtree(making, ignore_errors=True)
        shutil.copytree(source, making)
        making.rename(to)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(making, ignore_errors=True)
        raise AppError(
            f"{to} cannot be written: {error}.", hint=f"The dataset itself is ready in {source}."
        ) from error


@cli.command()
def train(
    config: Annotated[Path, typer.Argument(help="A training config as YAML.")],
) -> None:
    """Train from a dataset folder, with no server and no database; see docs/training.md.

    Run again on the same run folder, it goes on from the newest checkpoint.
    """
    extras.require("train")
    _exit(run_worker_module("worker.training", str(config)))


@cli.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder of a finished training.")],
    prompts: Annotated[int, typer.Option(min=1, help="How many test prompts.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the generated images.")] = 0,
    dataset: Annotated[
        Path | None, typer.Option(help="Dataset folder, where the run's has moved or it had pairs.")
    ] = None,
    negative: Annotated[
        Path | None, typer.Option(help="A finished npo run: also guide base and target against it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Generate images for test prompts with the base and the trained model, and count negative attributes.

    The judge is the measured agent; results carry a 95 % bootstrap interval over prompts. Images and
    results.json stay in RUN/evaluation; see docs/evaluation.md.
    """
    extras.require("train")
    options = ["--prompts", str(prompts), "--seed", str(seed), *(["--json"] if as_json else [])]
    for name, folder in (("--dataset", dataset), ("--negative", negative)):
        options += [name, str(folder)] if folder is not None else []
    _exit(run_worker_module("worker.evaluation", str(run), *options))


@cli.command()
def examine(
    run: Annotated[Path, typer.Argument(help="A run folder of a finished stage 1.")],
    images: Annotated[int, typer.Option(min=2, help="How many held-out images.")] = 64,
    dataset: Annotated[
        Path | None, typer.Option(help="Dataset folder, where the run's has moved.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether an expert knows attributes: its errors on held-out images, told them and not told them.

    What is found stays in RUN/examination.json, where runs that learn from the expert, pages and the launch form
    find it; see docs/training.md.
    """
    extras.require("train")
    options = ["--images", str(images), *(["--json"] if as_json else [])]
    options += ["--dataset", str(dataset)] if dataset is not None else []
    _exit(run_worker_module("worker.training.examine_run", str(run), *options))


@cli.command(
    "pairs",
    # worker.pairs knows its own arguments, and explains them.
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)
def build_pairs(context: typer.Context) -> None:
    """Build a pair dataset from labels, generated images, a study or Pick-a-Pic; `pairs --help` says how."""
    _exit(run_worker_module("worker.pairs", *context.args))


@cli.command("tiny-model")
def tiny_model(
    folder: Annotated[Path, typer.Argument(help="Where to write the model.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same files.")] = 0,
    kind: Annotated[
        Literal["sd15", "sdxl", "sdxl-v", "flux"], typer.Option(help="Which architecture.")
    ] = "sdxl",
) -> None:
    """Make a small pipeline from a seed: real parts, a few hundred thousand weights."""
    extras.require("train")
    options = ["--seed", str(seed), "--kind", kind]
    _exit(run_worker_module("worker.training.tiny_model", str(folder), *options))


def main() -> None:
    """Run the command; an error a person can cause is one sentence, not a stack trace."""
    try:
        cli()
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        say(f"morelli: {sentence}")
        sys.exit(2 if isinstance(error, NotFound | WrongUse) else 1)


def explain(error: Exception) -> str | None:
    """What to tell a person about an error, or None for one that only we can have caused."""
    if isinstance(error, AppError):
        return error.message + (f" {error.hint}" if error.hint else "")
    from taxonomy.tree import InvalidCriteria

    if isinstance(error, InvalidCriteria):
        return "these are not criteria:\n" + "\n".join(error.problems)
    if not extras.is_installed("web"):
        return explain(extras.missing("web")) if isinstance(error, ImportError) else None
    # Imported only now: commands on files start in half the time without all this.
    from pydantic import ValidationError
    from pydantic_settings import SettingsError
    from sqlalchemy.exc import ArgumentError, OperationalError

    from app.embedded import ServersError

    if isinstance(error, ServersError | SettingsError):
        return str(error)
    if isinstance(error, ValidationError) and error.title == "Settings":
        return "\n".join(
            f"the setting MORELLI_{'_'.join(map(str, each['loc'])).upper()} is wrong: {each['msg']}."
            for each in error.errors()
        )
    if isinstance(error, OperationalError):
        return f"the database does not answer: {str(error.orig).splitlines()[0]}"
    if isinstance(error, ArgumentError):
        return "MORELLI_DATABASE_URL is not a database's address (postgresql+psycopg://…)."
    return None


if __name__ == "__main__":
    main()
