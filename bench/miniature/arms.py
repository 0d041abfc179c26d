"""The runs of the study: what is trained and shown, and in which table it stands."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

BETAS = (500.0, 2000.0, 5000.0)
STRENGTHS = (100.0, *BETAS)
"""Of CPO-S, strongest first: CPO itself falls apart at the first."""
STABLE = tuple(f"cpo_s-{beta:.0f}" for beta in STRENGTHS)
"""CPO-S at each of its strengths, what others are compared with."""
RATE = 3e-4
BATCH = 64
BASE = "base"
"""The key of the base among the results."""
SFT = "sft"
"""The expert, asked with prompts alone."""
MAIN = {
    SFT,
    "cpo-500",
    "cpo-5000",
    "gap-0.5",
    "gap-1.0",
    "y_gap-1.0",
    "orthogonal-5000",
    "distil-1.5",
    "distil-2.0",
}
"""What CPO-S is compared with where one question is asked."""
Reducer = Literal["complex", "binary", "scalar"]
REWARDED: tuple[Reducer, ...] = ("scalar", "binary")
"""What attributes are made coarser to, each with an expert of that name."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of stage 2, run once for each seed."""

    name: str
    """In files and as its key."""
    title: str
    """In tables."""
    group: str
    """The table it stands in."""
    kind: str
    objective: dict[str, Any] = field(default_factory=dict)
    guards_winner: bool = False
    guards_by: Literal["prediction", "weights"] = "prediction"
    mode: Literal["lora", "full"] = "full"
    expert: str = "strong"
    reducer: Reducer = "complex"
    share: float = 1.0
    rate: float = RATE
    batch: int = BATCH
    spo: dict[str, Any] = field(default_factory=dict)
    validate_every: int = 0
    shows: str = ""
    """Nothing is trained, and what this made is painted with: BASE, SFT, or an arm's name."""
    guidance: float = 1.0
    negative: str = ""
    """The npo run that takes the unconditional side of guidance."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large the study is."""

    pictures: int = 2048
    held_out: int = 256
    base_steps: int = 3000
    expert_steps: int = 1500
    weak_steps: int = 60
    steps: int = 300
    samples: int = 1024
    width: int = 256
    """Of the network's layers."""
    depth: int = 3
    side: int = 16
    """Of a picture, in pixels."""
    base_pictures: int = 0
    """How many the base learns from; 0: other ones in each step."""


@dataclass(frozen=True, slots=True)
class Places:
    """The materials of one seed."""

    home: Path

    @property
    def base(self) -> Path:
        return self.home / "base"

    @property
    def dataset(self) -> Path:
        return self.home / "dataset"

    @property
    def pairs(self) -> Path:
        return self.home / "pairs"

    def expert(self, name: str) -> Path:
        return self.home / f"expert-{name}"

    def run(self, arm: Arm) -> Path:
        return self.run_of(arm.name)

    def run_of(self, name: str) -> Path:
        """The folder of the run of this name."""
        return self.home / "runs" / name


def all_arms() -> tuple[Arm, ...]:
    """Every run of the study, in the order of its tables."""
    return (
        *_sweeps(),
        *_stepwise(),
        *_rewards(),
        *_negatives(),
        *_adapters(),
        *_guidances(),
        *_shares(),
        *_weak(),
        *_speeds(),
    )


def small_arms() -> tuple[Arm, ...]:
    """What the main question takes: CPO-S at its strengths, and what is compared with it."""
    return tuple(arm for arm in _sweeps() if arm.name in MAIN or arm.name in STABLE)


def _by_beta(
    kind: str,
    title: str,
    group: str,
    name: str = "",
    betas: tuple[float, ...] = BETAS,
    **more: Any,
) -> Iterator[Arm]:
    for beta in betas:
        yield Arm(
            f"{name or kind}-{beta:.0f}",
            f"{title}, beta {beta:.0f}",
            group,
            kind,
            {"beta": beta},
            **more,
        )


def _sweeps() -> Iterator[Arm]:
    """Every objective at several strengths: what is compared at equal numbers of flaws."""
    group = "main"
    yield Arm(SFT, "SFT, the expert itself", group, "none", shows=SFT)
    yield from _by_beta("cpo", "CPO", group)
    yield from _by_beta("cpo_s", "CPO-S", group, "", STRENGTHS)
    yield from _by_beta(
        "cpo", "CPO, winner guarded", group, "cpo-guarded", (5000.0,), guards_winner=True
    )
    yield Arm(
        "cpo-guarded-weights-5000",
        "CPO, winner guarded by weights, beta 5000",
        group,
        "cpo",
        {"beta": 5000.0},
        guards_winner=True,
        guards_by="weights",
    )
    yield Arm("cpo_s-eq12", "CPO-S, margin eq12, beta 5000", group, "cpo_s", {"margin": "eq12"})
    yield from _by_beta("dpo", "Diffusion-DPO", group, "", (500.0, 5000.0))
    yield from _by_beta("sdpo", "Diffusion-SDPO", group, "", (500.0, 5000.0))
    yield from _by_beta("orthogonal", "orthogonal", group)
    for share in (0.25, 0.5, 1.0):
        yield Arm(f"gap-{share}", f"gap {share}", group, "gap", {"gap": share})
    for share in (0.5, 1.0, 2.0):
        yield Arm(f"y_gap-{share}", f"y-gap {share}", group, "y_gap", {"gap": share})
    for omega in (1.0, 1.5, 2.0):
        title = f"distil, omega {omega}" + (" (y, A_pos)" if omega == 1 else "")
        yield Arm(f"distil-{omega}", title, group, "distil", {"omega_w": omega})


def _stepwise() -> Iterator[Arm]:
    """SPO, judged by the world itself on what theta sees of each candidate in one step."""
    # Few steps and candidates: the judge looks at one after another.
    options = {"steps": 10, "first": 2, "candidates": 3, "guidance": 1.0, "train_steps": 4}
    yield Arm("spo", "SPO", "main", "spo", batch=16, spo=options)


def _rewards() -> Iterator[Arm]:
    """Table 2: experts and stage 2 that are told coarser words in place of attributes."""
    for reducer in REWARDED:
        title = f"{reducer.title()}: CPO-S"
        more: dict[str, Any] = {"reducer": reducer, "expert": reducer}
        yield from _by_beta("cpo_s", title, "reward", f"{reducer}-cpo_s", (500.0, 5000.0), **more)


def _negatives() -> Iterator[Arm]:
    """NPO, and what it is for: the unconditional side of guidance (+NPO of Table 1)."""
    group, trained = "npo", {"drop_content": 0.2}
    for beta in (500.0, 5000.0):
        objective = {"beta": beta, **trained}
        yield Arm(f"npo-{beta:.0f}", f"NPO itself, beta {beta:.0f}", group, "npo", objective)
    for shown, title in ((BASE, "base"), ("dpo-5000", "DPO"), ("cpo_s-5000", "CPO-S")):
        for guidance, negative in product((1.5, 2.0), ("", "npo-5000")):
            yield Arm(
                f"{shown}-guided-{guidance}{negative and '-npo'}",
                f"{title}{negative and ' + NPO'}, guidance {guidance}",
                group,
                "none",
                shows=shown,
                guidance=guidance,
                negative=negative,
            )


def _adapters() -> Iterator[Arm]:
    """The same on an adapter of rank 4."""
    for arm in _sweeps():
        if arm.name in {
            "cpo-5000",
            "cpo_s-5000",
            "cpo_s-500",
            "gap-0.5",
            "orthogonal-5000",
            "distil-2.0",
        }:
            yield replace(arm, name=f"lora-{arm.name}", group="lora", mode="lora")


def _guidances() -> Iterator[Arm]:
    """Table S4: the same guidance on both sides."""
    for kind, title in (("cpo", "CPO"), ("cpo_s", "CPO-S")):
        for omega in (1.0, 1.5, 3.0):
            options = {"omega_w": omega, "omega_l": omega}
            yield Arm(f"{kind}-omega-{omega}", f"{title}, omega {omega}", "omega", kind, options)


def _shares() -> Iterator[Arm]:
    """Table 3: parts of the pictures."""
    for share in (0.1, 0.2, 0.5):
        yield Arm(
            f"cpo_s-share-{share}",
            f"CPO-S, {share:.0%} of the pictures",
            "share",
            "cpo_s",
            share=share,
        )


def _weak() -> Iterator[Arm]:
    """An expert that has hardly learned the attributes."""
    chosen = {"cpo-5000", "cpo_s-5000", "gap-0.5", "y_gap-1.0", "orthogonal-5000", "distil-2.0"}
    for arm in _sweeps():
        if arm.name in chosen:
            yield replace(arm, name=f"weak-{arm.name}", group="weak", expert="weak")
    for drift in (0.005, 0.02):
        title = f"gap by drift {drift}"
        yield Arm(f"gap-drift-{drift}", title, "main", "gap", {"gap_drift": drift})
        yield Arm(
            f"weak-gap-drift-{drift}", title, "weak", "gap", {"gap_drift": drift}, expert="weak"
        )


def _speeds() -> Iterator[Arm]:
    """Slow enough to see who is first at a winning part."""
    for kind, title in (("cpo", "CPO"), ("cpo_s", "CPO-S")):
        for beta in (500.0, 5000.0):
            yield Arm(
                f"speed-{kind}-{beta:.0f}",
                f"{title}, beta {beta:.0f}, lr 3e-5",
                "speed",
                kind,
                {"beta": beta},
                rate=3e-5,
                validate_every=10,
            )


EXACT_SIZE = Size()
PICTURES_SIZE = Size(
    pictures=2048,
    base_steps=3000,
    expert_steps=2500,
    samples=1008,
    side=32,
    base_pictures=8192,
)
