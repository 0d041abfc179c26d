"""The results in words: tables for a person at a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from method.agents import AGENTS

MOST_ATTRIBUTES = 12


def words(results: Mapping[str, Any]) -> str:
    """A readable report of results.json, with what the figures rest on."""
    scores = results["scores"]
    parts = [
        _basis(results),
        _table_of_counts(
            scores, "negative", "Negative attributes per image, #A_neg (less is better)"
        ),
        _table_of_counts(
            scores, "positive", "Positive attributes per image, #A_pos (more is better)"
        ),
        _shares(scores["without_negatives"]),
        "\n".join(_comparison(model, c) for model, c in scores["comparisons"].items()),
        _table_of_attributes(scores["attributes"]),
    ]
    parts += [f"Note: {doubt}" for doubt in results["doubts"]]
    return "\n\n".join(part for part in parts if part)


def _basis(results: Mapping[str, Any]) -> str:
    judge, run, sampling = results["judge"], results["run"], results["sampling"]
    number = results["rests_on"]["images_per_model"]
    seeds = [prompt["seed"] for prompt in results["prompts"]]
    splits = ", ".join(f"{n} {s}" for s, n in results["rests_on"]["prompts"].items() if n)
    pairs, dataset = run["pairs"], run["dataset"]["name"]
    on = f"pairs {pairs['name']}, prompts of dataset" if pairs else "dataset"
    made = (
        f"{run['objective']} run of {run['steps']} steps on {on} {dataset}, "
        f"criteria {run['criteria']['name']}"
    )
    images = (
        f"Rests on {number} images per model: one for each prompt ({splits}), seeds {seeds[0]} to "
        f"{seeds[-1]}, {sampling['steps']} steps, guidance {sampling['guidance']:g}, "
        f"{sampling['resolution']} px."
    )
    judged = (
        f"Judged by the {judge['agent']} agent, version {judge['version']}: "
        f"{AGENTS[judge['agent']].nature}. Of "
        f"{judge['pairs_in_criteria']} attribute pairs it decides {judge['pairs_decided']}, "
        f"{judge['pairs_decided_negative']} of them on the negative side."
    )
    negative = sampling["negative"]
    if negative:
        images += (
            f" +npo: guided against {negative['folder']}, merge {negative['merge']:g}, in place of the "
            "empty prompt's prediction."
        )
    return f"{made}\n{images}\n{judged}\nIn square brackets: 95 % interval, bootstrap over prompts. In round ones: pairs decided on that side."


def _table_of_counts(scores: Mapping[str, Any], side: str, title: str) -> str:
    models = list(scores["all"]["models"])
    rows = [["", *models, *(f"{model} − base" for model in scores["all"]["differences"])]]
    # A root of which the judge never proposes this side would only show that it does not.
    roots = [root for root in scores["roots"] if root["decided"][side]]
    decided = sum(root["decided"][side] for root in roots)
    for figures in ({"name": "all", "decided": {side: decided}, **scores["all"]}, *roots):
        counted = [_range(each[side]) for each in figures["models"].values()]
        changed = [_range(each[side], sign="+") for each in figures["differences"].values()]
        rows.append([f"{figures['name']} ({figures['decided'][side]})", *counted, *changed])
    return f"{title}\n{_align(rows)}"


def _table_of_attributes(attributes: Sequence[Mapping[str, Any]]) -> str:
    """What is still negative in the target, most frequent first."""
    left = [each for each in attributes if each["models"]["target"]["negative"]["mean"] > 0]
    if not left:
        return "The judge found no negative attribute in the target's images."
    left.sort(key=lambda each: -each["models"]["target"]["negative"]["mean"])
    rows = [["", "base", "target", "target − base"]]
    for each in left[:MOST_ATTRIBUTES]:
        shares = [_percent(each["models"][m]["negative"]) for m in ("base", "target")]
        difference = _percent(each["differences"]["target"]["negative"], sign="+")
        rows.append([each["negative"], *shares, difference])
    more = len(left) - MOST_ATTRIBUTES
    rest = f"\n... and {more} more in results.json" if more > 0 else ""
    return f"Still negative: share of the target's images\n{_align(rows)}{rest}"


def _shares(without: Mapping[str, Any]) -> str:
    rows = [["", *without["models"], *(f"{model} − base" for model in without["differences"])]]
    shares = [_percent(each) for each in without["models"].values()]
    changed = [_percent(each, sign="+") for each in without["differences"].values()]
    rows.append(["images", *shares, *changed])
    return f"Images without a negative attribute (more is better)\n{_align(rows)}"


def _comparison(model: str, comparison: Mapping[str, Any]) -> str:
    return (
        f"{model} against base: fewer negative attributes on {comparison['better']} prompts, as many "
        f"on {comparison['same']}, more on {comparison['worse']}; win rate "
        f"{_percent(comparison['win_rate'])} (a tie counts as half)"
    )


def _range(estimate: Mapping[str, float | None], sign: str = "") -> str:
    mean, low, high = estimate["mean"], estimate["low"], estimate["high"]
    text = f"{mean:{sign}.2f}"
    return text if low is None else f"{text} [{low:{sign}.2f}, {high:{sign}.2f}]"


def _percent(estimate: Mapping[str, float | None], sign: str = "") -> str:
    mean, low, high = estimate["mean"], estimate["low"], estimate["high"]
    text = f"{mean:{sign}.0%}"
    return text if low is None else f"{text} [{low:{sign}.0%}, {high:{sign}.0%}]"


def _align(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
