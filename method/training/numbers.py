"""How measured numbers are written in sentences."""

import math


def short(value: float) -> str:
    """Two significant digits without an exponent where that stays short, with a minus sign: `−0.00098`."""
    if not value:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    text = f"{value:.{max(digits, 0)}f}" if digits < 10 else f"{value:.1e}"
    return text.replace("-", "−")


def signed(value: float) -> str:
    """The same with a plus before what is above 0."""
    return f"+{short(value)}" if value > 0 else short(value)
