"""What people type to keep a filter."""

from app.web.forms import Fields


class FilterForm(Fields):
    """A name for what the wall shows."""

    name: str = ""
    query: str = ""
    is_shared: bool = False
