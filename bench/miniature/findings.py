"""What came out, in words: which findings of the paper appear in the exact world, and what does better.

Every verdict is counted from the results; a table beside it shows what it was counted from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from bench.miniature.arms import BASE, BETAS, REWARDED, STABLE, STRENGTHS, Arm
from bench.miniature.running import Found
from bench.miniature.statistics import (
    Interval,
    at_equal_flaws,
    change,
    lowest_win,
    mean,
    of_group,
    races,
)

Verdict = Literal["yes", "no", "partly"]
WHOLE = 0.98
"""The least share of pictures that show their prompt in a run that may be called better."""
THRESHOLDS = (-0.006, -0.01, -0.014, -0.018)
OF_THE_PAPER = {"cpo", "cpo_s", "dpo", "spo", "none"}


@dataclass(frozen=True, slots=True)
class Finding:
    claim: str
    verdict: Verdict
    words: str


def all_findings(found: Found) -> list[Finding]:
    """Those whose runs are among the results."""
    names = {arm.name for arm in found.arms}
    return [make(found) for needed, make in _FINDINGS if all(name in names for name in needed)]


def better_ones(found: Found) -> list[tuple[Arm, Interval]]:
    """Objectives beyond the paper that lie nearer to the world's pictures than CPO-S where both leave as many
    negatives, by an interval that excludes 0, and still show their prompts.
    """
    better = []
    for arm in of_group(found, "main"):
        off = at_equal_flaws(found, arm.name, "off_P")
        is_ours = arm.kind not in OF_THE_PAPER or arm.guards_winner
        if is_ours and off and off.is_below_zero and mean(found, arm.name, "content") >= WHOLE:
            better.append((arm, off))
    return better


def _stable_lowers(found: Found) -> Finding:
    changes = {name: change(found, name) for name in STABLE}
    words = "; ".join(
        f"beta {beta:.0f}: {each.shown()}"
        for beta, each in zip(STRENGTHS, changes.values(), strict=True)
    )
    lowers = [each.is_below_zero for each in changes.values()]
    return Finding(
        "CPO-S lowers the number of negative attributes (Table 1)",
        _all_or_some(lowers),
        f"Negatives in a picture against the base, seeds {', '.join(map(str, found.seeds))}: {words}.",
    )


def _winning_part(found: Found) -> Finding:
    wins = [
        (mean(found, f"cpo-{b:.0f}", "win"), mean(found, f"cpo_s-{b:.0f}", "win")) for b in BETAS
    ]
    words = "; ".join(
        f"beta {beta:.0f}: {plain:+.3f} and {stable:+.3f}"
        for beta, (plain, stable) in zip(BETAS, wins, strict=True)
    )
    return Finding(
        "CPO's winning part rises, that of CPO-S falls (Figure 5)",
        _all_or_some([plain > 0 > stable for plain, stable in wins]),
        f"At the end, CPO and CPO-S: {words}.",
    )


def _plain_or_stable(found: Found) -> Finding:
    """Table 1 has 5.21 for CPO and 5.18 for CPO-S."""
    at_same_beta = [change(found, f"cpo_s-{b:.0f}", f"cpo-{b:.0f}") for b in BETAS]
    words = "; ".join(
        f"beta {beta:.0f}: {each.shown()}, {mean(found, f'cpo-{beta:.0f}', 'content'):.0%} and "
        f"{mean(found, f'cpo_s-{beta:.0f}', 'content'):.0%} show their prompt"
        for beta, each in zip(BETAS, at_same_beta, strict=True)
    )
    return Finding(
        "CPO-S leaves fewer negatives than CPO at the same beta (Table 1)",
        _all_or_some([each.is_below_zero for each in at_same_beta]),
        f"CPO-S less CPO, and of CPO and CPO-S how many pictures: {words}. Fewer negatives are no merit where "
        "pictures do not show their prompt any more.",
    )


def _speed(found: Found) -> Finding:
    ran = [race for race in races(found, THRESHOLDS) if race.stable]
    factors = [race.plain / race.stable for race in ran if race.plain and race.stable]
    missed = [race for race in ran if race.plain is None]
    words = ", ".join(f"{factor:.1f}" for factor in factors) or "none"
    floors = "; ".join(
        f"beta {beta:.0f}: {lowest_win(found, f'speed-cpo-{beta:.0f}'):+.4f} and "
        f"{lowest_win(found, f'speed-cpo_s-{beta:.0f}'):+.4f}"
        for beta in sorted({race.beta for race in ran})
    )
    return Finding(
        "CPO-S comes to the same winning part more than ten times as fast",
        "yes" if factors and min(factors) > 10 else "partly" if missed else "no",
        f"Steps of CPO over steps of CPO-S, where both come there: {words}; {len(missed)} of {len(ran)} thresholds CPO "
        f"never reaches, and for these no factor is too large. Lowest winning part of CPO and CPO-S: {floors}.",
    )


def _guidance(found: Found) -> Finding:
    return _trend(
        found,
        "More guidance leaves fewer negatives (Table S4)",
        {
            title: [f"{kind}-omega-1.0", f"{kind}-omega-1.5", f"{kind}-5000", f"{kind}-omega-3.0"]
            for kind, title in (("cpo", "CPO"), ("cpo_s", "CPO-S"))
        },
        "omega 1, 1.5, 2 and 3",
    )


def _shares(found: Found) -> Finding:
    names = [*(f"cpo_s-share-{share}" for share in (0.1, 0.2, 0.5)), "cpo_s-5000"]
    title = "More pictures leave fewer negatives (Table 3)"
    return _trend(found, title, {"CPO-S": names}, "10, 20, 50 and 100 %")


def _pairs(found: Found) -> Finding:
    stable, pairs = "cpo_s-5000", "dpo-5000"
    less = change(found, stable, pairs)
    off = at_equal_flaws(found, pairs, "off_P")
    compared = (
        f"the distance of Diffusion-DPO from the world differs from that of CPO-S by {off.shown()}"
        if off
        else "CPO-S does not get as far"
    )
    return Finding(
        "CPO-S leaves fewer negatives than Diffusion-DPO (Table 1)",
        "yes" if less.is_below_zero else "no",
        f"CPO-S less DPO at beta 5000: {less.shown()}. These pairs are of one prompt and their labels are true, which "
        f"the paper's are not. At as many negatives {compared}.",
    )


def _rewards(found: Found) -> Finding:
    wholes = {beta: change(found, f"cpo_s-{beta}") for beta in (500, 5000)}
    more = {
        (title, beta): change(found, f"cpo_s-{beta}", f"{title}-cpo_s-{beta}")
        for title in REWARDED
        for beta in wholes
    }
    words = "; ".join(
        f"{title}, beta {beta}: {change(found, f'{title}-cpo_s-{beta}').shown()}"
        for title, beta in more
    )
    whole = "; ".join(f"beta {beta}: {each.shown()}" for beta, each in wholes.items())
    return Finding(
        "Attributes leave fewer negatives than a Scalar or Binary reward (Table 2)",
        _all_or_some([each.is_below_zero for each in more.values()]),
        f"Negatives against the base, told of attributes, {whole}; {words}.",
    )


def _negative(found: Found) -> Finding:
    pairs = {
        title: (f"{name}-guided-1.5", f"{name}-guided-1.5-npo")
        for title, name in (("base", BASE), ("DPO", "dpo-5000"), ("CPO-S", "cpo_s-5000"))
    }
    less = {title: change(found, negative, plain) for title, (plain, negative) in pairs.items()}
    words = "; ".join(
        f"{title}: {each.shown()}, off {mean(found, pairs[title][0], 'off_P'):.1f} and {mean(found, pairs[title][1], 'off_P'):.1f}"
        for title, each in less.items()
    )
    own = change(found, "npo-5000")
    return Finding(
        "NPO on the negative side of guidance leaves fewer negatives (Table 1)",
        _all_or_some([each.is_below_zero for each in less.values()]),
        f"With NPO less without it, at guidance 1.5: {words}. NPO painted with by itself: {own.shown()} against the base.",
    )


def _stepwise(found: Found) -> Finding:
    names = [arm.name for arm in found.arms if arm.kind == "spo"]
    words = "; ".join(
        f"{name}: {change(found, name).shown()}, off {mean(found, name, 'off_P'):.2f}, "
        f"{mean(found, name, 'content'):.0%} show their prompt"
        for name in names
    )
    return Finding(
        "SPO lowers the number of negative attributes (Table 1)",
        _all_or_some([change(found, name).is_below_zero for name in names]),
        f"Negatives against the base, judged by the world itself while sampling, which no agent can: {words}.",
    )


def _ours(found: Found) -> Finding:
    better = better_ones(found)
    named = "; ".join(f"{arm.title}: {off.shown()}" for arm, off in better)
    return Finding(
        "An objective beyond the paper does better than CPO-S at equal numbers of negatives",
        "yes" if better else "no",
        f"Distance from the world's pictures less that of CPO-S: {named}."
        if better
        else "None does.",
    )


def _control(found: Found) -> Finding:
    off = at_equal_flaws(found, "distil-1.5", "off_P")
    less = change(found, "distil-2.0")
    compared = (
        f"with omega 1.5 its distance from the world differs by {off.shown()} from that of CPO-S where both leave as many"
        if off
        else "with omega 1.5 it leaves fewer than any CPO-S"
    )
    return Finding(
        "The loser adds what the winner alone does not give",
        "no" if off is None or off.is_below_zero else "yes",
        f"Toward the winner alone (distil, omega 2) negatives change by {less.shown()}; {compared}.",
    )


def _guarded(found: Found) -> Finding:
    wins = [mean(found, name, "win") for name in ("cpo-5000", "cpo-guarded-5000")]
    flaws = change(found, "cpo-guarded-5000")
    return Finding(
        "Holding the loser back keeps CPO's winning part down (guard.winner)",
        "yes" if wins[1] < 0 and wins[1] < wins[0] else "no",
        f"Winning part at beta 5000 without and with: {wins[0]:+.3f}, {wins[1]:+.3f}; negatives with it: {flaws.shown()}.",
    )


def _weak(found: Found) -> Finding:
    names = {
        "CPO-S": "weak-cpo_s-5000",
        "gap 0.5": "weak-gap-0.5",
        "gap by drift 0.02": "weak-gap-drift-0.02",
    }
    changes = {title: change(found, name) for title, name in names.items()}
    words = "; ".join(f"{title}: {each.shown()}" for title, each in changes.items())
    return Finding(
        "A wanted drift makes up for a weak expert where a share of its gap does nothing",
        "yes"
        if changes["gap by drift 0.02"].is_below_zero
        and changes["gap by drift 0.02"].high < changes["gap 0.5"].low
        else "no",
        f"Negatives against the base: {words}.",
    )


def _trend(found: Found, claim: str, rows: dict[str, list[str]], what: str) -> Finding:
    """Whether negatives fall along each row."""
    flaws = {
        title: [mean(found, name, "flaws_P") for name in names] for title, names in rows.items()
    }
    words = "; ".join(
        f"{title}: {', '.join(f'{x:.2f}' for x in each)}" for title, each in flaws.items()
    )
    falls = [all(b < a for a, b in pairwise(each)) for each in flaws.values()]
    ends = [each[-1] < each[0] for each in flaws.values()]
    return Finding(
        claim,
        "yes" if all(falls) else "partly" if any(ends) else "no",
        f"Negatives in a picture at {what}: {words}.",
    )


def _all_or_some(holds: Sequence[bool]) -> Verdict:
    return "yes" if all(holds) else "partly" if any(holds) else "no"


_PLAIN = tuple(f"cpo-{beta:.0f}" for beta in BETAS)
_OMEGA = tuple(f"{kind}-omega-{omega}" for kind in ("cpo", "cpo_s") for omega in (1.0, 1.5, 3.0))
_FINDINGS: tuple[tuple[tuple[str, ...], Callable[[Found], Finding]], ...] = (
    (STABLE, _stable_lowers),
    ((*STABLE, *_PLAIN), _winning_part),
    ((*STABLE, *_PLAIN), _plain_or_stable),
    (("speed-cpo-500", "speed-cpo_s-500"), _speed),
    (_OMEGA, _guidance),
    (("cpo_s-share-0.1", *STABLE), _shares),
    (("dpo-5000", *STABLE), _pairs),
    (("spo",), _stepwise),
    (
        (
            "cpo_s-500",
            "cpo_s-5000",
            *(f"{each}-cpo_s-{beta}" for each in REWARDED for beta in (500, 5000)),
        ),
        _rewards,
    ),
    (
        tuple(
            f"{name}-guided-1.5{side}"
            for name in (BASE, "dpo-5000", "cpo_s-5000")
            for side in ("", "-npo")
        ),
        _negative,
    ),
    (STABLE, _ours),
    (("distil-1.5", "distil-2.0", *STABLE), _control),
    (("cpo-5000", "cpo-guarded-5000"), _guarded),
    (("weak-cpo_s-5000", "weak-gap-0.5", "weak-gap-drift-0.02"), _weak),
)
"""Each finding with the runs that it is counted from."""
