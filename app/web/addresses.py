"""Numbers in addresses: as long as any key is, so that a longer one leads nowhere instead of to an error."""

from starlette.convertors import IntegerConvertor, register_url_convertor

from app.database import LARGEST_KEY


class _Key(IntegerConvertor):
    """Reads `{image_id:int}`. Python refuses numbers of thousands of digits with an error of its own."""

    regex = f"[0-9]{{1,{len(str(LARGEST_KEY))}}}"


def read_keys_in_addresses() -> None:
    """Have every route that is made from now on read its numbers so."""
    register_url_convertor("int", _Key())
