"""The cast: Ada is an expert, Ben an annotator, Lea leads, Dora is in another project."""

from dataclasses import dataclass

from app.accounts.models import Person
from app.projects.models import Project
from tests.factories import Make


@dataclass
class Cast:
    """A project and the people around it."""

    project: Project
    ada: Person
    ben: Person
    lea: Person
    dora: Person


def cast(make: Make) -> Cast:
    """The cast of a test. Dora must see nothing of the project."""
    project = make.project("paintings")
    return Cast(
        project=project,
        ada=make.member(project, "expert", "Ada"),
        ben=make.member(project, "annotator", "Ben"),
        lea=make.member(project, "lead", "Lea"),
        dora=make.member(make.project("elsewhere"), "lead", "Dora"),
    )
