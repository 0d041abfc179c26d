"""Who writes notes: a member, with the role that decides about the notes of others."""

from typing import Annotated

from fastapi import Depends, Request

from app.accounts.access import CurrentPerson
from app.notes.writing import Writer
from app.projects.access import AnnotatorProject


def writing(request: Request, project: AnnotatorProject, person: CurrentPerson) -> Writer:
    """The member who asks."""
    del project  # whose role was found with it
    return Writer(person, request.state.role)


Writing = Annotated[Writer, Depends(writing)]
