"""Query parameters of the API: one that an address does not know, or that is given twice, is refused by name.

Passed over in silence, `?stat=done` would answer with everything, and look as if all were done. Pages do
pass over what they do not know: links in mails and on other sites add parameters of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.errors import Invalid

MANY = (list, tuple, set)


@dataclass(frozen=True)
class Parameters:
    """The names that an address reads from its query, and those of them that may come several times."""

    names: tuple[str, ...]
    many: frozenset[str]


async def only_known_parameters(request: Request) -> None:
    """Refuse a request to the API whose query holds what its address does not read.

    Raises:
        Invalid: A parameter is not known there, or has two values where one is read.

    """
    if not request.url.path.startswith("/api/") or not request.url.query:
        return
    known = parameters_of(request.scope["route"])
    for name in request.query_params:
        if name not in known.names:
            raise Invalid(
                f"This address knows no query parameter '{name}'.",
                field=f"query.{name}",
                hint=_hint(name, known.names),
            )
        if name not in known.many and len(request.query_params.getlist(name)) > 1:
            raise Invalid(
                f"The query parameter '{name}' is given more than once.",
                field=f"query.{name}",
                hint="Send it once, with the value that is meant.",
            )


OnlyKnownParameters = Depends(only_known_parameters)


def _hint(name: str, known: tuple[str, ...]) -> str:
    if not known:
        return "It reads none: leave the query out."
    near = get_close_matches(name.lower(), known, n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return f"It reads {', '.join(sorted(known))}."


def parameters_of(route: APIRoute) -> Parameters:
    """What a route and all that it depends on read from the query."""
    found = dict(_read_by(route.dependant))
    return Parameters(
        names=tuple(found),
        many=frozenset(name for name, annotation in found.items() if _takes_many(annotation)),
    )


def _read_by(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    for param in dependant.query_params:
        annotation = param.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _fields_of(annotation)
        else:
            yield param.alias, annotation
    for each in dependant.dependencies:
        yield from _read_by(each)


def _fields_of(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    info: FieldInfo
    for name, info in model.model_fields.items():
        yield info.alias or name, info.annotation


def _takes_many(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        return _takes_many(get_args(annotation)[0])
    return get_origin(annotation) in MANY or any(
        get_origin(each) in MANY for each in get_args(annotation)
    )
