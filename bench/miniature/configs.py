"""How each run becomes a config of the trainer."""

from dataclasses import replace
from pathlib import Path

from bench.miniature.arms import BATCH, RATE, REWARDED, Arm, Places, Reducer, Size
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
    Spo,
    Theta,
    Validation,
    Words,
)

UNCLIPPED = 1e9
"""A gradient of beta 5000 is some 15 long here. Clipped to 1 it stays as long while the loss dies, and Adam goes on
at full speed: beta then decides nothing."""


def config_of(arm: Arm, places: Places, seed: int, size: Size) -> Config:
    """The trainer's config of a run of stage 2. Raises ValueError for an arm that is only shown."""
    if arm.shows:
        raise ValueError(f"{arm.name} shows what {arm.shows} made, and is not trained")
    facts, every = OBJECTIVES[arm.kind], arm.validate_every
    validation = Validation(every=every, images=size.held_out, keep_best=False)
    return replace(
        _plain(places, places.run(arm), seed, size, size.steps, arm.rate, arm.batch),
        dataset_folder=None if facts.reads_pairs else str(places.dataset),
        pairs_folder=str(places.pairs) if facts.reads_pairs else None,
        expert=str(places.expert(arm.expert)) if facts.needs_expert else None,
        objective=Objective(kind=arm.kind, **arm.objective),
        theta=Theta(mode=arm.mode),
        guard=Guard(winner=arm.guards_winner, winner_by=arm.guards_by),
        text=Words(reducer=arm.reducer),
        spo=Spo(**arm.spo),
        data=Data(resolution=size.side, buckets=False, share=arm.share),
        validation=validation if every else Validation(),
    )


def expert_config(name: str, places: Places, seed: int, size: Size) -> Config:
    """The trainer's config of stage 1."""
    steps = size.weak_steps if name == "weak" else size.expert_steps
    made = _plain(places, places.expert(name), seed, size, steps, RATE if name == "weak" else 1e-3)
    reducer: Reducer = next((each for each in REWARDED if each == name), "complex")
    return replace(
        made,
        dataset_folder=str(places.dataset),
        text=Words(reducer=reducer),
        objective=Objective(kind="sft"),
        optimization=replace(made.optimization, schedule="cosine"),
    )


def _plain(
    places: Places,
    folder: Path,
    seed: int,
    size: Size,
    steps: int,
    rate: float,
    batch: int = BATCH,
) -> Config:
    return Config(
        run_folder=str(folder),
        dataset_folder=str(places.dataset),
        model=Model(path=str(places.base)),
        objective=Objective(kind="sft"),
        seed=seed,
        data=Data(resolution=size.side, buckets=False),
        theta=Theta(mode="full"),
        lora=Lora(rank=4),
        optimization=Optimization(
            max_steps=steps,
            batch_size=batch,
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
