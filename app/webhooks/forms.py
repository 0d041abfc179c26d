"""What people type on the webhook pages."""

from app.web.forms import Fields


class WebhookForm(Fields):
    """An address and what it is told of."""

    address: str = ""
    kinds: list[str] = []
