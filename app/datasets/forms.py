"""Forms of datasets."""

from pydantic import Field

from app.datasets.freezing import DEFAULT_SALT
from app.datasets.pairing import NEAREST
from app.web.forms import Fields


class DatasetForm(Fields):
    """What to freeze and how to split it."""

    name: str = Field(min_length=1, max_length=120)
    salt: str = Field(default=DEFAULT_SALT, min_length=1, max_length=80)
    only_done: bool = False


class LabelPairsForm(Fields):
    """Which images of a dataset become pairs."""

    name: str = Field(min_length=1, max_length=120)
    dataset_id: str = ""
    min_difference: int = 1
    max_pairs_per_image: int = 4
    is_nearest: bool = False

    @property
    def chosen_dataset(self) -> int | None:
        """The dataset's id, None for none; 0, which no dataset has, for what cannot be an id."""
        text = self.dataset_id
        is_id = text.isdecimal() and len(text) < 19
        return (int(text) if is_id else 0) if text else None

    @property
    def nearest(self) -> int:
        """Among how many similar prompts a partner is looked for."""
        return NEAREST if self.is_nearest else 0


class ImportPairsForm(Fields):
    """A file of pairs on the server."""

    name: str = Field(min_length=1, max_length=120)
    path: str = Field(min_length=1, max_length=4096)
