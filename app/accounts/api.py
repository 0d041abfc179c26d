"""A person's own account as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.accounts import signing_in, tokens
from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.accounts.schemas import (
    KeysIn,
    KeysOut,
    NewTokenOut,
    PersonOut,
    SessionOut,
    Sessions,
    TokenIn,
    TokenOut,
    Tokens,
)
from app.web.dependencies import Db
from app.web.keys import agreed, keys_of, read_keys

router = APIRouter(prefix="/api/v1", tags=["account"])


@router.get("/me", response_model=PersonOut)
def api_me(person: CurrentPerson) -> Person:
    """Whose token this is."""
    return person


@router.get("/me/tokens")
def api_list_tokens(db: Db, person: CurrentPerson) -> Tokens:
    """Your tokens that still work."""
    found = tokens.find_tokens(db, person)
    return Tokens(items=[TokenOut.model_validate(each) for each in found])


@router.post("/me/tokens", status_code=201)
def api_create_token(body: TokenIn, db: Db, person: CurrentPerson) -> NewTokenOut:
    """A new bearer token. Its text is in this answer and nowhere else."""
    token, text = tokens.create_token(db, person, body.name)
    return NewTokenOut(token=text, **TokenOut.model_validate(token).model_dump())


@router.delete("/me/tokens/{token_id}", status_code=204)
def api_revoke_token(token_id: int, db: Db, person: CurrentPerson) -> Response:
    """Make a token useless."""
    tokens.revoke_token(db, person, token_id)
    return Response(status_code=204)


@router.get("/me/sessions")
def api_list_sessions(
    db: Db,
    person: CurrentPerson,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Sessions:
    """The browsers in which you are signed in, the last sign-in first."""
    found = signing_in.find_sign_ins(db, person, before=before, limit=limit + 1)
    items = [SessionOut.model_validate(each) for each in found[:limit]]
    return Sessions(items=items, next=items[-1].id if len(found) > limit else None)


@router.delete("/me/sessions/{session_id}", status_code=204)
def api_end_session(session_id: int, db: Db, person: CurrentPerson) -> Response:
    """Sign out of one browser."""
    signing_in.sign_out(db, person, session_id)
    return Response(status_code=204)


@router.get("/me/keys")
def api_get_keys(person: CurrentPerson) -> KeysOut:
    """The keys of each command of the pages where images are labelled."""
    return KeysOut.of(keys_of(person.keys))


@router.put("/me/keys")
def api_change_keys(body: KeysIn, person: CurrentPerson) -> KeysOut:
    """Change keys. Commands that are not named have the keys again that they have for everyone."""
    wanted = {name: read_keys(" ".join(own), field=name) for name, own in body.keys.items()}
    person.keys = agreed(wanted)
    return KeysOut.of(keys_of(person.keys))
