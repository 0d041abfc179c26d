"""Values that an option's type and bounds allow, for tests that try many."""

from typing import Any, Literal, get_args, get_origin

from hypothesis import strategies as st

from method.training.config import Length, OneOf, Range
from method.training.config_fields import Field, all_fields
from method.training.config_reading import without_none

TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def valid(field: Field, text: st.SearchStrategy[str] = TEXT) -> st.SearchStrategy[Any]:
    """Values of an option as JSON holds them; texts are made of these characters."""
    found = _valid(field.hint, text)
    return found | st.none() if field.may_be_empty else found


def _valid(hint: Any, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    kind, limits = without_none(hint), []
    if hasattr(kind, "__metadata__"):
        kind, *limits = get_args(kind)
    if words := [each.meanings for each in limits if isinstance(each, OneOf)]:
        return st.sampled_from(sorted(words[0]))
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    within = next((each for each in limits if isinstance(each, Range)), Range())
    length = next((each for each in limits if isinstance(each, Length)), Length())
    if get_origin(kind) is tuple:
        return st.lists(_valid(get_args(kind)[0], text), min_size=length.low, max_size=3)
    if kind is int:
        return st.integers(within.low, within.high)  # type: ignore[arg-type]  # bounds of integers are integers
    if kind is float:
        return st.floats(
            within.low,
            within.high,
            exclude_min=within.open_low,
            allow_nan=False,
            allow_infinity=False,
        )
    return st.booleans() if kind is bool else st.text(text, min_size=length.low, max_size=30)


def configs() -> st.SearchStrategy[dict[str, Any]]:
    """Some options of a config with valid values, as a config file holds them."""
    paths = st.sets(st.sampled_from(sorted(all_fields())))

    def nested(chosen: dict[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for path, value in chosen.items():
            section, _, name = path.rpartition(".")
            (values.setdefault(section, {}) if section else values)[name] = value
        return values

    return paths.flatmap(
        lambda chosen: st.fixed_dictionaries({p: valid(all_fields()[p]) for p in sorted(chosen)})
    ).map(nested)
