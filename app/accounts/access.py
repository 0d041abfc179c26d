"""Who is asking. Every route depends on one of the policies here or in `app.projects.access`."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response
from starlette.types import Scope

from app.accounts.guessing import mark_of
from app.accounts.models import Person
from app.accounts.signing_in import LIFETIME, find_signed_in, token_hash
from app.accounts.tokens import find_bearer
from app.database import unit_of_work
from app.errors import NotSignedIn
from app.settings import settings
from app.web.answer import keep_for_errors
from app.web.dependencies import Db

KNOWN_SECONDS = 400 * 24 * 3600


def is_secure() -> bool:
    """Whether people reach this installation over https."""
    return settings().public_address.startswith("https://")


def cookie_name() -> str:
    """The session cookie's name; `__Host-` binds it to this host where https allows that."""
    return "__Host-morelli" if is_secure() else "morelli"


def set_cookie(response: Response, token: str) -> None:
    """Give the browser its session token."""
    response.set_cookie(
        cookie_name(),
        token,
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        secure=is_secure(),
        samesite="lax",
        path="/",
    )
    response.set_cookie(
        known_name(),
        mark_of(token_hash(token)),
        max_age=KNOWN_SECONDS,
        httponly=True,
        secure=is_secure(),
        samesite="lax",
        path="/",
    )


def known_name() -> str:
    """The name of the cookie by which a browser is known again; it stays when its session ends."""
    return f"{cookie_name()}-known"


def browser_mark(request: Request) -> str:
    """What the browser has kept of an earlier sign-in."""
    return request.cookies.get(known_name(), "")


def forget_cookie(response: Response) -> None:
    """Take the session token from the browser."""
    response.delete_cookie(cookie_name(), path="/", secure=is_secure(), httponly=True)


async def public() -> None:
    """Policy: anyone, signed in or not. Asynchronous, so that it needs no thread."""


def _bearer(request: Request) -> str | None:
    """The token that a program sent, which counts for the API alone."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    is_meant = request.url.path.startswith("/api/") and scheme.lower() == "bearer"
    return text.strip() if is_meant else None


def is_signed_in(scope: Scope) -> bool:
    """Whether somebody who is signed in asks; a transaction of its own, and none for who sends nothing."""
    request = Request(scope)
    if _bearer(request) is None and not request.cookies.get(cookie_name()):
        return False
    with unit_of_work() as db:
        return visitor(request, db) is not None


def visitor(request: Request, db: Db) -> Person | None:
    """Policy: anyone; the person where one is signed in."""
    request.state.person = request.state.sign_in = None
    if (text := _bearer(request)) is not None:
        request.state.person = find_bearer(db, text)
    elif token := request.cookies.get(cookie_name()):
        found = find_signed_in(db, token)
        if found is not None:
            request.state.person, request.state.sign_in = found
    person: Person | None = request.state.person
    if person is not None:
        keep_for_errors(request, person=person)
    return person


Visitor = Annotated[Person | None, Depends(visitor)]


async def signed_in(person: Visitor) -> Person:
    """Policy: a signed-in person, or the holder of a bearer token. Asks nothing, so that it needs no thread."""
    if person is None:
        raise NotSignedIn(
            "Please sign in first.", hint="Programs send `Authorization: Bearer <token>`."
        )
    return person


CurrentPerson = Annotated[Person, Depends(signed_in)]
Public = Depends(public)

POLICIES = {public, visitor, signed_in}
