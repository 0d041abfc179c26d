"""What a route may ask for without knowing a room."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.database import unit_of_work


def open_session() -> Iterator[Session]:
    """One unit of work for one request."""
    with unit_of_work() as db:
        yield db


# scope="function": FastAPI would otherwise commit after the answer has left, and a failing commit
# would have been answered as a success.
Db = Annotated[Session, Depends(open_session, scope="function")]


def client_address(request: Request) -> str:
    """The address a request came from, as the server (or its trusted proxy) reports it."""
    return request.client.host if request.client else "unknown"


T = TypeVar("T", bound=Callable[..., object])
STREAMS = "streams_the_body"
MOST_BYTES = "most_bytes_of_its_json"


def streams(dependency: T) -> T:
    """Marks a dependency that reads the request's body itself, as it comes, and limits it.

    It asks for the right to that first; see `app.web.bodies`, which waits for all other bodies.
    """
    setattr(dependency, STREAMS, True)
    return dependency


def takes_up_to(most_bytes: int) -> Any:
    """A dependency of routes whose JSON holds a file: their bodies may be as large as this."""

    def is_larger() -> None:
        """Says so to `app.web.bodies`, which decides before a route is asked."""

    setattr(is_larger, MOST_BYTES, most_bytes)
    return Depends(is_larger)
