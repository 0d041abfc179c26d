"""How an error looks: a page for people, a fragment for htmx, problem details (RFC 9457) for programs."""

import logging
import secrets
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import (
    DataError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.errors import AppError, Invalid, NotSignedIn, Unavailable, disk_full, is_disk_full
from app.web.answer import Answer
from app.web.methods import allowed
from app.web.outages import explain_outage
from app.web.protection import ProblemAnswer
from app.web.unstorable import find_unstorable

log = logging.getLogger("morelli.web")
# What FastAPI says of every body that it cannot take for JSON.
UNREADABLE_BODY = "There was an error parsing the body"


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _problem(error: AppError) -> Response:
    body = {
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "field": error.field,
        "hint": error.hint,
        **jsonable_encoder(error.details),
    }
    response = ProblemAnswer(body, error.status)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def show_error(request: Request, error: AppError) -> Response:
    """The answer to an error that a person caused."""
    response = _shown(request, error)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _only_reads(request: Request) -> bool:
    return request.method in ("GET", "HEAD")


def _page_of(request: Request) -> str:
    """The page that somebody goes on from once they have signed in: the one that htmx was on; or where something
    was sent to, as far up as there is a page.
    """
    with suppress(ValueError):
        was_on = urlsplit(Answer(request).was_on)
        if was_on.path:
            return _with_query(was_on.path, was_on.query)
    if _only_reads(request):
        return _with_query(request.url.path, request.url.query)
    here = request.url.path
    while here and "GET" not in allowed(request.app.state.routes.values(), here):
        here = here.rpartition("/")[0]
    return here or "/"


def _with_query(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _shown(request: Request, error: AppError) -> Response:
    if _is_api(request):
        return _problem(error)
    answer = Answer(request)
    if isinstance(error, NotSignedIn):
        said = {"next": _page_of(request)} | ({} if _only_reads(request) else {"unsaved": "true"})
        return answer.go(f"{answer.path('show_sign_in')}?{urlencode(said)}")
    return answer.show(
        "error.html",
        fragment="_error.html",
        status=error.status,
        error=error,
        title=HTTPStatus(error.status).phrase,
        **answer.kept,
    )


def _validation(error: RequestValidationError) -> AppError:
    problems = [_problem_of(each) for each in error.errors()]
    first = problems[0]
    return Invalid(
        f"{first['where']}: {first['message']}", field=str(first["where"]), problems=problems
    )


def _problem_of(error: dict[str, Any]) -> dict[str, str]:
    if error["type"] == "json_invalid":
        # Its place is a number of characters, and no part of the body is called so.
        where, at = error["loc"]
        said = f"This is not JSON: {error['ctx']['error']} at character {at}"
        return {"where": str(where), "message": said}
    return {"where": ".".join(str(part) for part in error["loc"]), "message": error["msg"]}


def _unreadable_body(cause: BaseException | None) -> AppError:
    """For a body that the framework could not even take for wrong JSON."""
    if isinstance(cause, UnicodeDecodeError):
        return AppError("The body is not UTF-8.", field="body", hint="Send JSON in UTF-8.")
    if isinstance(cause, RecursionError):
        return AppError("The body is nested too deep.", field="body", hint="Flatten it.")
    said = "The body holds a number of too many digits, or is no JSON."
    return AppError(said, field="body", hint="Send JSON in UTF-8.")


def _in_our_words(error: HTTPException) -> AppError:
    if error.status_code == HTTPStatus.NOT_FOUND:
        return AppError("There is no such page.", hint="Check the address.")
    if error.detail == UNREADABLE_BODY:
        return _unreadable_body(error.__cause__)
    return AppError(str(error.detail))


def _headers_of(request: Request, error: HTTPException) -> dict[str, str]:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        known = allowed(request.app.state.routes.values(), request.url.path)
        headers["Allow"] = ", ".join(known)
    return headers


def _on_gone(_: Request, error: Exception) -> Response:
    # Who left a page while it was sending is not there to read this; it is no fault of ours.
    log.debug("a client went away: %s", type(error).__name__)
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def _on_memory(request: Request, _: Exception) -> Response:
    log.error("there was not enough memory")
    return show_error(
        request,
        Unavailable(
            "There is not enough memory for this at the moment.",
            hint="Nothing was changed. Please try again in a while.",
        ),
    )


def install_error_pages(app: FastAPI) -> None:
    """Tell the application how to show errors."""

    def on_app_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, AppError)
        return show_error(request, error)

    def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return show_error(request, _validation(error))

    def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        wrapped = _in_our_words(error)
        wrapped.status = error.status_code
        response = show_error(request, wrapped)
        response.headers.update(_headers_of(request, error))
        return response

    async def on_data_error(request: Request, error: Exception) -> Response:
        log.info("refused by the database: %s", type(getattr(error, "orig", error)).__name__)
        return show_error(
            request,
            Invalid(
                "A number in this request is too large, or a text holds a character that cannot be "
                "stored.",
                field=await find_unstorable(request) or "request",
                hint="Nothing was changed.",
            ),
        )

    def on_outage(request: Request, error: Exception) -> Response:
        # One line: while the database is away every request would add a stack trace.
        log.error("the database did not do it: %s", type(getattr(error, "orig", error)).__name__)
        assert isinstance(error, SQLAlchemyError)
        return show_error(request, explain_outage(error))

    def on_system(request: Request, error: Exception) -> Response:
        if is_disk_full(error):
            log.error("the disk is full")
            return show_error(request, disk_full("What was to be kept"))
        log.error("the system refused something", exc_info=error)
        return on_anything(request, error)

    def on_anything(request: Request, error: Exception) -> Response:
        reference = secrets.token_hex(4)
        # The route, not the address: addresses of participants and invitations hold their tokens.
        route = getattr(request.scope.get("route"), "path", "an unknown route")
        # The server prints the stack trace right after this line.
        log.error("error %s (%s) in %s %s", reference, type(error).__name__, request.method, route)
        wrapped = AppError(
            "Something went wrong on our side.",
            hint=f"Nothing was changed. Please try again; the log has the reason under {reference}.",
        )
        wrapped.status = 500
        return show_error(request, wrapped)

    app.add_exception_handler(AppError, on_app_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    # The driver refuses halves of surrogate pairs before the database sees them.
    for refusal in (DataError, UnicodeEncodeError):
        app.add_exception_handler(refusal, on_data_error)
    for outage in (OperationalError, InterfaceError, InternalError, PoolTimeout):
        app.add_exception_handler(outage, on_outage)
    app.add_exception_handler(OSError, on_system)
    app.add_exception_handler(MemoryError, _on_memory)
    app.add_exception_handler(ClientDisconnect, _on_gone)
    app.add_exception_handler(Exception, on_anything)
