"""Errors a person can cause. Verbs raise them; `app.web.errors` shows them in one place."""

from method.items import FULL, EndsTheWhole


class AppError(Exception):
    """What went wrong, where, and what to do, in words for the person who caused it."""

    status = 400
    retry_after: int | None = None
    """Seconds after which asking again may help; sent as `Retry-After`."""

    def __init__(
        self, message: str, *, field: str | None = None, hint: str | None = None, **details: object
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.hint = hint
        self.details = details


class Invalid(AppError):
    """The input does not make sense; nothing was changed."""

    status = 422


class NotSignedIn(AppError):
    """Who is asking is not known."""

    status = 401


class NotAllowed(AppError):
    """The person is known and may not do this."""

    status = 403


class NotFound(AppError):
    """There is no such thing, or this person may not know of it."""

    status = 404


class Conflict(AppError):
    """Another change stands in the way; `details` holds what is there now."""

    status = 409


class Stale(AppError):
    """The edit was based on a state that someone changed since; `details` holds both values."""

    status = 412


class TooSlow(AppError):
    """A request did not arrive in time."""

    status = 408


class TooLarge(AppError):
    """More was sent than is taken here; nothing was kept."""

    status = 413


class WrongUse(AppError):
    """What a command names is not there, or cannot be read."""


class NotUnderstood(AppError):
    """What was sent has a form that is not read here."""

    status = 415


class TooMany(AppError):
    """Asked too often; wait."""

    status = 429


class Unavailable(AppError, EndsTheWhole):
    """A part of the installation does not answer."""

    status = 503
    retry_after = 5


class TooBusy(Unavailable):
    """Everything is there and works, and this one request found no place; the next one may."""

    retry_after = 2


def is_disk_full(error: BaseException) -> bool:
    """Whether an error of the system, or of a store that only repeats its words, says that no room is left."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    return any(f"os error {each}" in str(error) for each in FULL)


def disk_full(what: str) -> "DiskFull":
    """The error of a full disk, `what` being the part that could not be written."""
    return DiskFull(
        f"{what} could not be written: the disk is full.",
        hint="Nothing was changed. Whoever runs this installation has to make room; `/readyz` says so too.",
    )


class DiskFull(Unavailable):
    """There is no room left for what was to be kept; nothing was changed."""

    status = 507
    retry_after = 60
