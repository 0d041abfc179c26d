"""Forms of datasets."""

from pydantic import Field

from app.datasets.freezing import DEFAULT_SALT
from app.web.forms import Fields


class DatasetForm(Fields):
    """What to freeze and how to split it."""

    name: str = Field(min_length=1, max_length=120)
    salt: str = Field(default=DEFAULT_SALT, min_length=1, max_length=80)
    only_done: bool = False
