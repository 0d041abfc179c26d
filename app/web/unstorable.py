"""Which part of a request PostgreSQL has no room for: it says only that there is one."""

import json
from collections.abc import Iterator

from fastapi import Request

from app.database import LARGEST_KEY

INTEGER = 2**31 - 1
DIGITS = 40
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


async def find_unstorable(request: Request) -> str | None:
    """The dotted name of the first value that no column can hold, or else of the first number that a
    column of 32 bits cannot; None where nothing stands out.
    """
    values = [*_walk("path", request.path_params), *_walk("query", dict(request.query_params))]
    if request.headers.get("content-type", "").startswith("application/json"):
        # The request keeps what the route has read, and a body that is no JSON has failed before.
        values += _walk("body", json.loads(await request.body() or b"null"))
    elif request.headers.get("content-type", "").startswith(FORMS):
        async with request.form() as form:
            values += [(f"body.{name}", value) for name, value in form.multi_items()]
    for limit in (LARGEST_KEY, INTEGER):
        for where, value in values:
            if _is_too_big(value, limit) or (isinstance(value, str) and has_odd_characters(value)):
                return where
    return None


def _walk(where: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _walk(f"{where}.{name}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _walk(f"{where}.{index}", each)
    else:
        yield where, value


def _is_too_big(value: object, limit: int) -> bool:
    if isinstance(value, str):
        digits = value.strip().lstrip("+-")
        if not (digits.isascii() and digits.isdigit()):
            return False
        return len(digits) > DIGITS or int(digits) > limit
    return isinstance(value, int | float) and not abs(value) <= limit


def has_odd_characters(text: str) -> bool:
    """NUL and lone halves of surrogate pairs: text to Python, none to PostgreSQL."""
    return "\0" in text or (not text.isascii() and _is_broken(text))


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
