"""Forms of comparisons."""

from app.web.forms import Fields


class OtherRunForm(Fields):
    other: int
