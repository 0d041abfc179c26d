"""What no browser would send by itself: odd values for every field that a route reads, told from the routes."""

import inspect
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

# As bytes of a form: NUL, halves of surrogate pairs, bytes that are no UTF-8, numbers beyond every column,
# digits that are none, and what other languages take for a value.
ODD = [
    b"", b" ", b"\0", b"a\0b", b"\xed\xa0\x80", b"\xff\xfe", b"x" * 20_000, b"1" * 31, b"1" * 5_000, b"-1", b"0",
    str(2**31).encode(), str(2**63).encode(), b"1e999", b"nan", b"-inf", "²".encode(), "१".encode(), b"1_0", b"1.5",
    b"null", b"[]", b'{"a": 1}', b"true", b"../..", b"'\"<>&", b"a\r\nX-Odd: 1", "\ufeff\u200b\u202e".encode(),
]  # fmt: skip
FORM = "application/x-www-form-urlencoded"


def fields_of(route: APIRoute) -> list[str]:
    """The names of the form fields that a route reads."""
    return [
        name
        for each in _below(route.dependant)
        for name in getattr(_closed_over(each.call).get("fields"), "model_fields", ())
    ]


def queries_of(route: APIRoute) -> list[str]:
    """The names in the query string that a route reads."""
    every = [route.dependant, *_below(route.dependant)]
    return [param.alias for each in every for param in each.query_params]


def _below(dependant: Dependant) -> Iterator[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from _below(each)


def _closed_over(call: Any) -> dict[str, Any]:
    try:
        return dict(inspect.getclosurevars(call).nonlocals)
    except TypeError:
        return {}


LONGEST_QUERY = 60_000


def encoded(pairs: list[tuple[str, bytes]]) -> bytes:
    """Names and values as a form or a query string."""
    return "&".join(f"{name}={quote_from_bytes(value)}" for name, value in pairs).encode()


def odd_queries(names: list[str]) -> Iterator[bytes]:
    """Query strings: every name with each odd value, and twice."""
    for value in ODD:
        # An address longer than this no client sends.
        at_once = LONGEST_QUERY // (3 * len(value) + 100)
        for first in range(0, len(names), at_once) if at_once else ():
            yield encoded([(name, value) for name in names[first : first + at_once]])
    yield encoded([(name, value) for name in names for value in (b"1", b"2")])


def odd_forms(names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Forms as content type and body: nothing, everything odd, one field odd, doubled, files, no form at all."""
    yield FORM, b""
    for value in ODD:
        yield FORM, encoded([(name, value) for name in names])
    for number, name in enumerate(names):
        value = ODD[5 * number % len(ODD)]
        yield FORM, encoded([(each, value if each == name else b"1") for each in names])
    yield FORM, encoded([(name, value) for name in names for value in (b"1", b"2")])
    yield FORM, encoded([(name, b"1") for name in [*names, "odd\0", "", "x" * 999]])
    yield FORM, b"%zz&=&&a=b=c;%00" + b"&" * 2000
    yield "multipart/form-data; boundary=x", _files(names)
    yield "multipart/form-data; boundary=x", b"--x\r\n\r\n--x\r\nContent-Disposition: odd"
    yield "multipart/form-data", b"--x--"
    yield "multipart/form-data; boundary=" + "y" * 300, b"--y"
    yield "application/json", b'{"a": [1, "\\ud800"]}'
    yield "application/json; charset=odd", b"\xff"
    yield "odd", b"odd"


def _files(names: list[str]) -> bytes:
    part = '--x\r\nContent-Disposition: form-data; name="{}"; filename="odd.txt"\r\n\r\nodd\0\r\n'
    return ("".join(part.format(name) for name in names) + "--x--\r\n").encode()
