"""Student's t: quantiles and two-sided probabilities, in plain Python."""

import math
from functools import lru_cache


@lru_cache(maxsize=4_096)
def student_quantile(probability: float, freedom: float) -> float:
    """The value below which Student's t with `freedom` degrees of freedom (also a fraction) falls with `probability`.

    Off by less than 1e-8 of it. Raises ValueError outside of 0 < probability < 1 and for no freedom.
    """
    if not 0 < probability < 1 or freedom <= 0:
        raise ValueError("a quantile needs 0 < probability < 1 and some degrees of freedom")
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    outside = 2 * (1 - probability)
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > outside:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if two_sided(middle, freedom) > outside:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def two_sided(t: float, freedom: float) -> float:
    """The probability that Student's t with `freedom` degrees of freedom is as far from 0 as `t`: the regularised
    incomplete beta function at freedom / (freedom + t²) (Abramowitz and Stegun 26.7.1), to 1e-9 or better.
    """
    x = freedom / (freedom + t * t)
    a, b = freedom / 2, 0.5
    if x >= 1:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # The continued fraction comes quickly to its end on this side of the middle only.
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (26.5.8), from the front (Lentz 1976)."""
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    value = d
    for step in range(1, 10_000):
        even = step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step))
        odd = -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value
