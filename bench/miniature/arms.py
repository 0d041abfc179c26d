"""The runs of the study: what is trained, and how each becomes a config of the trainer."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bench.miniature.backbone import SIDE
from method.objectives import OBJECTIVES
from method.training.config import (
    Checkpoints,
    Config,
    Data,
    Export,
    Guard,
    Lora,
    Model,
    Objective,
    Optimization,
    Theta,
    Validation,
)

BETAS = (500.0, 2000.0, 5000.0)
STRENGTHS = (100.0, *BETAS)
"""Of CPO-S, strongest first: CPO itself falls apart at the first."""
STABLE = tuple(f"cpo_s-{beta:.0f}" for beta in STRENGTHS)
"""CPO-S at each of its strengths, what others are compared with."""
RATE = 3e-4
BATCH = 64
UNCLIPPED = 1e9
"""A gradient of beta 5000 is some 15 long here. Clipped to 1 it stays as long while the loss dies, and Adam goes on
at full speed: beta then decides nothing."""


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
    mode: Literal["lora", "full"] = "full"
    expert: str = "strong"
    share: float = 1.0
    rate: float = RATE
    validate_every: int = 0


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
        return self.home / "runs" / arm.name


def all_arms() -> tuple[Arm, ...]:
    """Every run of the study, in the order of its tables."""
    return (*_sweeps(), *_adapters(), *_guidances(), *_shares(), *_weak(), *_speeds())


def small_arms() -> tuple[Arm, ...]:
    """What the main question takes: CPO-S at its strengths, and what is compared with it."""
    chosen = {"cpo-5000", "gap-0.5", "y_gap-1.0", "orthogonal-5000", "distil-1.5", "distil-2.0"}
    return tuple(arm for arm in _sweeps() if arm.name in chosen or arm.name in STABLE)


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
    yield from _by_beta("cpo", "CPO", group)
    yield from _by_beta("cpo_s", "CPO-S", group, "", STRENGTHS)
    yield from _by_beta(
        "cpo", "CPO, winner guarded", group, "cpo-guarded", (5000.0,), guards_winner=True
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


def config_of(arm: Arm, places: Places, seed: int, size: Size) -> Config:
    """The trainer's config of a run of stage 2."""
    facts, every = OBJECTIVES[arm.kind], arm.validate_every
    validation = Validation(every=every, images=size.held_out, keep_best=False)
    return replace(
        _plain(places, places.run(arm), seed, size.steps, arm.rate),
        dataset_folder=None if facts.reads_pairs else str(places.dataset),
        pairs_folder=str(places.pairs) if facts.reads_pairs else None,
        expert=str(places.expert(arm.expert)) if facts.needs_expert else None,
        objective=Objective(kind=arm.kind, **arm.objective),
        theta=Theta(mode=arm.mode),
        guard=Guard(winner=arm.guards_winner),
        data=Data(resolution=SIDE, buckets=False, share=arm.share),
        validation=validation if every else Validation(),
    )


def expert_config(name: str, places: Places, seed: int, size: Size) -> Config:
    """The trainer's config of stage 1."""
    steps = size.expert_steps if name == "strong" else size.weak_steps
    made = _plain(places, places.expert(name), seed, steps, 1e-3 if name == "strong" else RATE)
    return replace(
        made,
        dataset_folder=str(places.dataset),
        objective=Objective(kind="sft"),
        optimization=replace(made.optimization, schedule="cosine"),
    )


def _plain(places: Places, folder: Path, seed: int, steps: int, rate: float) -> Config:
    return Config(
        run_folder=str(folder),
        dataset_folder=str(places.dataset),
        model=Model(path=str(places.base)),
        objective=Objective(kind="sft"),
        seed=seed,
        data=Data(resolution=SIDE, buckets=False),
        theta=Theta(mode="full"),
        lora=Lora(rank=4),
        optimization=Optimization(
            max_steps=steps,
            batch_size=BATCH,
            learning_rate=rate,
            weight_decay=0.0,
            max_grad_norm=UNCLIPPED,
        ),
        checkpoints=Checkpoints(every=10_000_000),
        export=Export(kohya=False),
        device="cpu",
        threads=1,
        log_every=50,
    )
