"""What is asked before an image is erased."""

from app.web.forms import Fields


class EraseForm(Fields):
    """Why, and that it is meant."""

    reason: str = ""
    sure: bool = False
