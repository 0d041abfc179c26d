"""Examples of attributes as JSON."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.examples.reading import ShownExample


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExampleIn(_In):
    """An image, by id, that shows one side of the pair; it comes last."""

    polarity: Literal["positive", "negative"]
    image: int = Field(ge=1)
    caption: str = ""


class ExamplePatch(_In):
    """Another caption (with the one that was `seen`), or another place from 1, or both."""

    caption: str | None = None
    seen: str = ""
    position: int | None = None


class ExampleOut(BaseModel):
    """An example; `node` is the key of the pair it was chosen for, which may have been merged into this one."""

    id: int
    image: int
    name: str
    caption: str
    position: int
    node: str

    @classmethod
    def of(cls, shown: ShownExample, key: str) -> "ExampleOut":
        """The same as JSON, as an example of the pair with this key."""
        return cls(
            id=shown.example.id,
            image=shown.image.id,
            name=shown.image.name,
            caption=shown.example.caption,
            position=shown.example.position,
            node=shown.came_from.key if shown.came_from else key,
        )


class ExamplesOut(BaseModel):
    """The examples of a pair, in their order, at most six a side."""

    positive: list[ExampleOut]
    negative: list[ExampleOut]
