"""Numbers in sentences."""

import pytest

from method.training.numbers import short, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0084, "0.0084"), (-0.00098, "−0.00098"), (7.4e-05, "0.000074"), (0.4249, "0.42"), (12.3, "12"), (1234, "1234"), (3e-12, "3.0e−12")],
)  # fmt: skip
def test_two_digits_and_no_exponent_while_that_stays_short(value: float, text: str) -> None:
    assert short(value) == text


def test_a_plus_says_that_something_rises() -> None:
    assert [signed(value) for value in (0.01, -0.01, 0)] == ["+0.010", "−0.010", "0"]
