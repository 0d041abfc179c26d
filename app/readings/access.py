"""How the images of second readings are called in addresses and on the labelling page."""


def read_name(read_id: int) -> str:
    """What the page of a second reader calls an image; the end of its address."""
    return f"read-{read_id}"


def settle_name(read_id: int) -> str:
    """What the page of who settles calls an image; the end of its address."""
    return f"settle-{read_id}"
