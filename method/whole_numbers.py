"""Whole numbers that people, addresses and other programs write in digits."""


def read_whole(text: str, most: int) -> int | None:
    """The number that a text writes in decimal digits alone; None where it writes none, or one above `most`.

    What is longer is not looked at further: Python refuses numbers of thousands of digits with an error.
    """
    if not text.isdecimal() or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if number <= most else None
