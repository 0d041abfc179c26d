"""What people type on the import page."""

from app.web.forms import Fields


class ImportForm(Fields):
    """Where to import from: a folder of the server or an address; one of them."""

    folder: str = ""
    url: str = ""
    replace: bool = False
    include_erased: bool = False


class DescriptionForm(Fields):
    """The prompt and the metadata of an image: names and values stand beside each other."""

    based_on: int
    prompt: str = ""
    key: list[str] = []
    value: list[str] = []


class AsideForm(Fields):
    reason: str = ""


class ListForm(Fields):
    """The list whose changes were looked at."""

    digest: str
