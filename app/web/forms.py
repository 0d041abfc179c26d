"""Forms: what was typed, the parsed values, and the error beside each field."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.datastructures import UploadFile

from app.errors import AppError, Invalid
from app.web.unstorable import has_odd_characters

# Pydantic's sentences are for programmers; these are for the person at the form.
SENTENCES = {
    "missing": "Please fill this in.",
    "string_too_short": "Please fill this in.",
    "string_too_long": "This is too long.",
    "int_parsing": "This has to be a whole number.",
    "float_parsing": "This has to be a number.",
    "extra_forbidden": "This field is not known here.",
    "string_type": "This has to be text.",
}
UNSTORABLE = "This holds a character that cannot be kept. Please type it anew."


class Fields(BaseModel):
    """Base of every form's values: unknown fields are refused, blanks trimmed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


T = TypeVar("T", bound=Fields)


class Form(Generic[T]):
    """One submitted (or empty) form."""

    def __init__(self, typed: dict[str, Any] | None = None) -> None:
        self.typed: dict[str, Any] = typed or {}
        self.errors: dict[str, str] = {}
        self.status = 422
        """Status of the page that shows the form again: another one where waiting helps."""
        self.headers: dict[str, str] = {}
        self._known: set[str] | None = None
        self._values: T | None = None

    @property
    def values(self) -> T:
        """The parsed values; ask only where `errors` is empty."""
        if self._values is None:
            raise AssertionError("the form has errors: " + "; ".join(self.errors.values()))
        return self._values

    def checked(self) -> T:
        """The parsed values, for a form that only a page's own buttons send. Raises Invalid for the first error."""
        if self.errors:
            field, sentence = next(iter(self.errors.items()))
            raise Invalid(f"{field}: {sentence}", field=field, hint="Load the page again.")
        return self.values

    def parse(self, fields: type[T]) -> None:
        """Parse what was typed, keeping a sentence for each field that is wrong."""
        infos = fields.model_fields.items()
        self._known = {info.alias or name for name, info in infos}
        try:
            self._values = fields.model_validate(self.typed)
        except ValidationError as error:
            for problem in error.errors():
                field = str(problem["loc"][0]) if problem["loc"] else ""
                message = SENTENCES.get(
                    problem["type"], problem["msg"].removeprefix("Value error, ")
                )
                self.errors.setdefault(field, message)
        for name, value in self.typed.items():
            texts = value if isinstance(value, list) else [value]
            if any(isinstance(each, str) and has_odd_characters(each) for each in texts):
                self.errors[name] = UNSTORABLE

    def error(self, field: str) -> str | None:
        """The sentence to show beside a field."""
        return self.errors.get(field)

    def typed_or(self, field: str, otherwise: object = "") -> object:
        """What was typed into a field, or what to show there at first."""
        return self.typed.get(field, otherwise)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Turn an AppError of a verb into a message beside its field.

        The request commits after showing the form again, so a verb checks first and writes then, or
        writes inside a savepoint.
        """
        try:
            yield
        except AppError as error:
            # What no other typing would mend takes back all that the request has done.
            if error.status in (401, 403, 404) or error.status >= 500:
                raise
            sentence = error.message + (f" {error.hint}" if error.hint else "")
            if error.retry_after is not None:
                self.status = error.status
                self.headers["Retry-After"] = str(error.retry_after)
            self.errors[self._place_of(error.field)] = sentence

    def _place_of(self, field: str | None) -> str:
        """Where a sentence is shown: beside its field, or above a form that has no such field."""
        if field is None or (self._known is not None and field not in self._known):
            return ""
        return field


def submitted(fields: type[T]) -> Callable[[Request], Any]:
    """A dependency that reads the request's form into `Form[fields]`.

    A field whose values are a list keeps all of them; of any other the last one counts.
    """
    lists = {
        name
        for name, info in fields.model_fields.items()
        if getattr(info.annotation, "__origin__", None) in (list, tuple, set)
    }

    async def read(request: Request) -> Form[T]:
        async with request.form() as data:
            items = data.multi_items()
        typed: dict[str, Any] = {}
        for name, value in items:
            if name in lists:
                typed.setdefault(name, []).append(value)
            else:
                typed[name] = value
        form: Form[T] = Form(typed)
        form.parse(fields)
        # A file in the place of text is refused by now, and nothing to show again.
        form.typed = {name: value for name, value in typed.items() if not _has_file(value)}
        return form

    return read


def _has_file(value: object) -> bool:
    return any(
        isinstance(each, UploadFile) for each in (value if isinstance(value, list) else [value])
    )
