"""Who writes notes, with the role that decides about the notes of others, and who reads those on labels."""

from typing import Annotated

from fastapi import Depends, Request

from app.accounts.access import CurrentPerson
from app.errors import NotAllowed
from app.labels.access import Viewing
from app.labels.showing import note_told
from app.notes.writing import Writer, get_discussion
from app.projects.access import AnnotatorProject
from app.web.dependencies import Db


def writing(request: Request, project: AnnotatorProject, person: CurrentPerson) -> Writer:
    """The member who asks."""
    del project  # whose role was found with it
    return Writer(person, request.state.role)


Writing = Annotated[Writer, Depends(writing)]


def discussion_in_sight(
    discussion_id: int,
    db: Db,
    project: AnnotatorProject,
    viewer: Viewing,
    person: CurrentPerson,
) -> None:
    """Policy: who is shown a discussion. One on a label may tell of a suggestion: whoever reads it is blind for
    its image no more. Raises NotFound, and NotAllowed where suggestions are hidden.
    """
    discussion = get_discussion(db, project, discussion_id)
    if discussion.image_id is None or discussion.polarity is None:
        return
    if not viewer.suggestions:
        raise NotAllowed(
            "Notes on labels are hidden with the suggestions.",
            hint="Show suggestions on the page of an image first.",
        )
    note_told(db, [discussion.image_id], person)


InSight = Depends(discussion_in_sight)
