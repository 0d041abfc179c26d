"""What people type about examples."""

from typing import Literal

from app.web.forms import Fields


class ChooseForm(Fields):
    """An image, by number or address of its page, and the side it shows."""

    polarity: Literal["positive", "negative"]
    image: str = ""
    caption: str = ""


class CaptionForm(Fields):
    """Another caption, and the one that was seen."""

    caption: str = ""
    seen: str = ""


class PlaceForm(Fields):
    """A place among the examples of a side, from 1."""

    position: int


class AttributeForm(Fields):
    """An attribute as `key/polarity`, that an image shows."""

    attribute: str = ""
    caption: str = ""
