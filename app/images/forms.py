"""What people type on the import page."""

from app.web.forms import Fields


class ImportForm(Fields):
    """Where to import from: a folder of the server or an address; one of them."""

    folder: str = ""
    url: str = ""
