"""Numbers that are written in digits: as far as anything can be numbered, and nothing else."""

import pytest

from method.whole_numbers import read_whole


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("7", 7), ("007", 7), ("٣", 3), ("100", 100)],
        *[(each, None) for each in ("", "-7", "7.0", "1_0", "²", " 7", "101", "0007", "9" * 5_000)],
    ],
)
def test_digits_are_a_number_up_to_the_most(text: str, number: int | None) -> None:
    assert read_whole(text, 100) == number
