"""Items in their guard: what is kept from the others, and what ends the whole."""

import errno

import pytest
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolIsEmpty

from app.errors import Invalid, Unavailable
from app.images.decoding import ImageRefused
from method.items import Failed, Failures, attempt
from worker.ledger import JobFailed, Stopped


def deep(_: object) -> None:
    deep(_)


def raising(error: BaseException) -> object:
    def do(_: str) -> None:
        raise error

    return attempt(do, "a.png", str)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ImageRefused("The file is empty."), "The file is empty."),
        (Invalid("The label makes no sense."), "The label makes no sense."),
        (ValueError("/secret/path"), "ValueError"),
        (MemoryError(), "memory"),
        (OSError(errno.EACCES, "Permission denied", "/secret/path"), "Permission denied"),
        (DataError("INSERT", {}, Exception("/secret/path")), "DataError"),
        (StopIteration(), "StopIteration"),
        (AssertionError("/secret/path"), "AssertionError"),
    ],
)
def test_what_an_item_does_is_named_without_paths(error: Exception, said: str) -> None:
    failed = raising(error)
    assert isinstance(failed, Failed) and failed.name == "a.png"
    assert said in failed.reason and "/secret" not in failed.reason


def test_an_interruption_that_a_library_has_renamed_ends_the_whole() -> None:
    def do(_: str) -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("the callback failed")  # noqa: B904 - as libraries do it

    with pytest.raises(RuntimeError):
        attempt(do, "a.png", str)


def test_an_item_may_go_round_in_circles_and_may_have_no_name() -> None:
    def unnamed(item: object) -> str:
        raise KeyError(item)

    failed = attempt(deep, "a.png", unnamed)
    assert isinstance(failed, Failed)
    assert "without a name" in failed.name and "RecursionError" in failed.reason


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        Stopped("cancelled"),
        JobFailed("infrastructure", "x", again=True),
        Unavailable("The storage is away."),
        OperationalError("SELECT", {}, Exception("gone")),
        PoolIsEmpty(),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_what_says_nothing_of_the_item_ends_the_whole(error: BaseException) -> None:
    with pytest.raises(type(error)):
        raising(error)


def test_failures_are_counted_and_the_first_named() -> None:
    failures = Failures()
    results = iter([1, Failed("a", "x"), 2, *(Failed(str(n), "y") for n in range(150))])
    assert list(failures.kept(results)) == [1, 2]
    told = failures.as_result()
    assert told["failed"] == 151 and len(told["problems"]) == 100
    assert told["problems"][0] == {"name": "a", "reason": "x"}
    assert Failures().as_result() == {}
