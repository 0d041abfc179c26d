"""What the OpenAPI document says beside the routes themselves: how to sign in, and every error.

The errors of a route follow from what it is (who may ask, what its address holds, whether it changes
something), so they are written down here once and no route can forget them.
"""

import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

Responses = dict[int | str, dict[str, Any]]
"""What a route says of its answers, as FastAPI takes it."""

UNCHANGED: Responses = {304: {"description": "The caller has it already."}}
"""For routes that know `If-None-Match`."""

CHANGES = {"POST", "PUT", "PATCH", "DELETE"}

MEANINGS = {
    400: "The request cannot be read at all, or names a host that this server is not.",
    401: "Who is asking is not known: sign in, or send a token.",
    403: "The person is known and may not do this, or the request came from another site.",
    404: "There is no such thing, or this person may not know of it.",
    405: "The address does not know this method; `Allow` names those that it knows.",
    408: "The request came too slowly.",
    409: "Something else stands in the way; the answer says what is there now.",
    412: "The edit was based on a state that someone changed since; the answer holds both values.",
    413: "The body is larger than this address takes.",
    415: "The body is of a type that this address does not read.",
    422: "The input does not make sense, or the query holds a parameter that the address does not read; "
    "`field` says where. Nothing was changed.",
    429: "Asked too often: wait as long as `Retry-After` says.",
    500: "Something went wrong on our side; the answer names where the log says more.",
    503: "The server, or a part of it, cannot answer now: try again after `Retry-After` seconds.",
    507: "The disk is full; nothing was changed.",
}
ALWAYS = (400, 405, 408, 429, 500, 503)
# A query may hold what the address does not read.
IN_API = (422,)
WHERE_SIGNED_IN = (401, 403)
# What an address names may not be there, or not be far enough yet to be read.
WHERE_IN_ADDRESS = (404, 409)
WHERE_CHANGED = (401, 403, 404, 409, 412, 413, 415, 422, 507)
WAITS = (429, 503)

SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token from your account page.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "morelli",
        "description": "A browser's sign-in; over https the cookie is called `__Host-morelli`.",
    },
}


class Problem(BaseModel):
    """Problem details (RFC 9457). Some answers carry more, such as both values of a stale edit."""

    model_config = ConfigDict(extra="allow")

    title: str
    status: int
    detail: str = Field(description="What is wrong.")
    field: str | None = Field(description="Where; every 422 says it.")
    hint: str | None = Field(description="What to do.")
    problems: list[dict[str, Any] | str] = Field(
        default=[], description="Each place, where several are wrong."
    )


def describe(app: FastAPI, routes: Iterable[APIRoute], *, signs_in: Callable[..., object]) -> None:
    """Make `app` answer with the whole document. Routes that depend on `signs_in` need a person."""
    named = {
        (route.path_format, method): route for route in routes for method in route.methods or ()
    }
    write = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = write()
            for (path, method), route in named.items():
                operation = document["paths"].get(path, {}).get(method.lower())
                if operation is not None:  # pages are no part of the document
                    is_signed_in = _asks(route.dependant, signs_in)
                    _describe(operation, route, is_signed_in=is_signed_in)
            parts = document.setdefault("components", {})
            parts["securitySchemes"] = SCHEMES
            parts["responses"] = {HTTPStatus(each).name: _problem(each) for each in MEANINGS}
            parts["schemas"] |= _schemas()
            for name in ("HTTPValidationError", "ValidationError"):
                parts["schemas"].pop(name, None)
            app.openapi_schema = _named_by_room(document)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"Problem": schema}


def _named_by_room(document: dict[str, Any]) -> dict[str, Any]:
    """Where two rooms describe something by one name, the room tells them apart, and not its module."""

    def plain(found: re.Match[str]) -> str:
        return found[1].title() + found[2]

    told: dict[str, Any] = json.loads(
        re.sub(r"app__(\w+?)__schemas__(\w+)", plain, json.dumps(document))
    )
    return told


def _describe(operation: dict[str, Any], route: APIRoute, *, is_signed_in: bool) -> None:
    operation["security"] = [{name: []} for name in SCHEMES] if is_signed_in else []
    responses = operation["responses"]
    for status in sorted(_statuses(route, is_signed_in=is_signed_in)):
        responses[str(status)] = {"$ref": f"#/components/responses/{HTTPStatus(status).name}"}


def _statuses(route: APIRoute, *, is_signed_in: bool) -> set[int]:
    found = set(ALWAYS)
    found |= set(IN_API) if route.path.startswith("/api/") else set()
    found |= set(WHERE_SIGNED_IN) if is_signed_in else set()
    found |= set(WHERE_IN_ADDRESS) if route.param_convertors else set()
    found |= set(WHERE_CHANGED) if CHANGES & (route.methods or set()) else set()
    return found


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": MEANINGS[status],
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    if status in WAITS:
        answer["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer["headers"] = {"Allow": {"schema": {"type": "string"}}}
    return answer


def _asks(dependant: Dependant, call: Callable[..., object]) -> bool:
    return dependant.call is call or any(_asks(each, call) for each in dependant.dependencies)
