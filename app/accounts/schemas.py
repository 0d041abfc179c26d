"""JSON shapes of accounts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict


class PersonOut(BaseModel):
    """A person."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    email: str
    is_operator: bool


class TokenIn(BaseModel):
    """What a new token is for."""

    model_config = ConfigDict(extra="forbid")

    name: str


class TokenOut(BaseModel):
    """A token without its text."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    prefix: str
    created_at: datetime
    used_at: datetime | None


class NewTokenOut(TokenOut):
    """A token with its text, which is shown this once."""

    token: str


class SessionOut(BaseModel):
    """A browser in which a person is signed in."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    browser: str
    address: str
    created_at: datetime
    seen_at: datetime


class Tokens(BaseModel):
    """A person's tokens."""

    items: list[TokenOut]


class Sessions(BaseModel):
    """A person's sessions; `next` is the `before` of the following page, None on the last one."""

    items: list[SessionOut]
    next: int | None


class KeysIn(BaseModel):
    """Keys for some commands: a character each, or Enter, Space, Backspace, Delete, Insert, F2, F4, F8, F9."""

    model_config = ConfigDict(extra="forbid")

    keys: dict[str, list[str]]


class KeysOut(BaseModel):
    """The keys of each command."""

    keys: dict[str, list[str]]

    @classmethod
    def of(cls, keys: Mapping[str, Sequence[str]]) -> "KeysOut":
        return cls(keys={name: list(own) for name, own in keys.items()})
