"""Whole configs as functions. Derive your own with dataclasses.replace, or write its YAML and edit.

Each takes the kind of run, the run folder, and the folder of the data: a pair dataset where the kind learns
from pairs, a dataset else. `expert` is the run folder of stage 1, for stage 2.
"""

from collections.abc import Sequence
from typing import Any

from method.objectives import OBJECTIVES
from method.training.config import (
    Checkpoints,
    Config,
    Data,
    Flow,
    Lora,
    Model,
    Objective,
    Optimization,
    Samples,
    Spo,
    Theta,
)

SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
FLUX = "black-forest-labs/FLUX.1-dev"


def tiny(
    kind: str,
    run_folder: str,
    data_folder: str,
    model: str,
    *,
    expert: str | None = None,
    prompts: Sequence[str] = (),
) -> Config:
    """Any kind of run on the tiny model: about half a minute on two cores, spo a minute."""
    steps, rate = {"sft": (120, 2e-3), "spo": (15, 5e-4)}.get(kind, (60, 5e-4))
    return Config(
        **materials(kind, run_folder, data_folder, expert),
        model=Model(path=model),
        objective=Objective(kind=kind),
        spo=Spo(steps=8, first=2, guidance=3.0, train_steps=2) if kind == "spo" else Spo(),
        data=Data(resolution=64),
        optimization=Optimization(max_steps=steps, learning_rate=rate, warmup_steps=5),
        samples=Samples(every=20, prompts=tuple(prompts), steps=12, guidance=3.0),
        checkpoints=Checkpoints(every=20),
        device="cpu",
        threads=1,  # the operations are too small to be worth sharing out
    )


def tiny_sft(
    run_folder: str, dataset_folder: str, model: str, prompts: tuple[str, ...] = ()
) -> Config:
    """Stage 1 on the tiny model."""
    return tiny("sft", run_folder, dataset_folder, model, prompts=prompts)


def tiny_cpo(
    run_folder: str,
    dataset_folder: str,
    model: str,
    expert: str,
    prompts: tuple[str, ...] = (),
) -> Config:
    """Stage 2 (stabilised) on the tiny model."""
    return tiny("cpo_s", run_folder, dataset_folder, model, expert=expert, prompts=prompts)


def sd15_small(
    kind: str,
    run_folder: str,
    data_folder: str,
    *,
    expert: str | None = None,
    model: str = SD15,
    prompts: Sequence[str] = (),
) -> Config:
    """SD 1.5 at 512 px for a small GPU: adapters of rank 16, bf16, gradient checkpointing."""
    return Config(
        **materials(kind, run_folder, data_folder, expert),
        model=Model(path=model),
        objective=Objective(kind=kind),
        spo=Spo(candidates=4) if kind == "spo" else Spo(),
        lora=Lora(rank=16),
        data=Data(resolution=512),
        optimization=Optimization(
            epochs=2 if _is_first(kind) else 1,
            batch_size=4,
            learning_rate=_adapter_rate(kind),
            warmup_steps=_warmup(kind),
            gradient_checkpointing=True,
        ),
        samples=Samples(prompts=tuple(prompts), guidance=7.5),
        precision="bf16",
        device="cuda",
        log_every=10,  # each line waits for the GPU
    )


def sdxl(
    kind: str,
    run_folder: str,
    data_folder: str,
    *,
    expert: str | None = None,
    model: str = SDXL,
    prompts: Sequence[str] = (),
) -> Config:
    """SDXL at 1024 px with adapters of rank 16, for one GPU: what to start with.

    Stage 1 is the paper's but for caption dropout, so that the expert knows the empty prompt and A_neg
    alone, which stage 2 asks it for. Stage 2 trains an adapter at learning rate 1e-5, as diffusers'
    DPO does, with an effective batch of 16; beta 5000 is Diffusion-DPO's.
    """
    return Config(
        **materials(kind, run_folder, data_folder, expert),
        model=Model(path=model),
        objective=Objective(kind=kind),
        lora=Lora(rank=16),
        data=Data(resolution=1024, encode="beside"),
        optimization=Optimization(
            epochs=2 if _is_first(kind) else 1,
            batch_size=1 if _is_first(kind) else 4,
            gradient_accumulation=1 if _is_first(kind) else 4,
            learning_rate=_adapter_rate(kind),
            warmup_steps=_warmup(kind),
            gradient_checkpointing=True,
        ),
        samples=Samples(prompts=tuple(prompts)),
        precision="bf16",
        device="cuda",
        log_every=10,  # each line waits for the GPU
    )


def paper_sdxl(
    kind: str,
    run_folder: str,
    data_folder: str,
    *,
    expert: str | None = None,
    model: str = SDXL,
    prompts: Sequence[str] = (),
) -> Config:
    """SDXL as the paper states it, and its baselines as their own code does.

    sft: stated: rank 16, learning rate 1e-4, two epochs, no caption dropout. Inferred: batch 1, 1024 px.

    cpo, cpo_s: stated: omegas 2.0, 8,221 images in 8,221 steps of one epoch, so batch 1; "we follow the
    Diffusion-DPO configuration". Read as: the whole UNet, Adafactor, beta 5000, warm-up 200, and the
    learning rate 1e-8 times the effective batch (the launchers' --scale_lr), which is 1 here.
    BEWARE: 1e-8 moves hardly anything. Adafactor moves a weight by about the learning rate in a step: 8e-5
    in all here, 4e-2 in Diffusion-DPO, whose effective batch is 2048. Raise the effective batch or the
    learning rate (5e-6 moves as far as Diffusion-DPO), or take the recipe `sdxl`.

    dpo, sdpo: Diffusion-DPO's launcher on one GPU: the same with 128 accumulated pairs, 2000 steps, and a fifth of
    the prompts dropped. npo: Diffusion-NPO's script: rank 8, beta 2000, learning rate 5e-6, 30 x 2 pairs,
    2000 steps (those of the published weights). spo: SPO's: rank 64, beta 10, learning rate 1e-5, 10 epochs.
    """
    return Config(
        **materials(kind, run_folder, data_folder, expert),
        model=Model(path=model),
        precision="bf16",
        device="cuda",
        log_every=10,  # each line waits for the GPU
        data=Data(resolution=1024, encode="beside"),
        samples=Samples(prompts=tuple(prompts)),
        **_paper_sdxl_parts(kind),
    )


def _paper_sdxl_parts(kind: str) -> dict[str, Any]:
    """What the kinds of the paper's SDXL runs differ in."""
    if _is_first(kind):
        return {
            "objective": Objective(kind=kind, drop_all=0.0, drop_to_neg=0.0),
            "lora": Lora(rank=16),
            "optimization": Optimization(epochs=2, batch_size=1, learning_rate=1e-4),
        }
    if kind == "npo":
        return {
            "objective": Objective(kind=kind, beta=2000.0),
            "lora": Lora(rank=8),
            "optimization": Optimization(
                max_steps=2000,
                batch_size=30,
                gradient_accumulation=2,
                learning_rate=5e-6,
                gradient_checkpointing=True,
            ),
        }
    if kind == "spo":
        return {
            "objective": Objective(kind=kind),
            "lora": Lora(rank=64),
            "spo": Spo(train_steps=3),
            "optimization": Optimization(
                epochs=10,
                batch_size=2,
                gradient_accumulation=8,
                learning_rate=1e-5,
                weight_decay=1e-4,
                gradient_checkpointing=True,
            ),
        }
    is_paired = OBJECTIVES[kind].reads_pairs
    return {
        "objective": Objective(kind=kind, drop_content=0.2 if is_paired else 0.0),
        "theta": Theta(mode="full"),
        "optimization": Optimization(
            max_steps=2000 if is_paired else None,
            batch_size=1,
            gradient_accumulation=128 if is_paired else 1,
            optimizer="adafactor",
            learning_rate=1e-8,
            scale_lr=True,
            warmup_steps=200,
            gradient_checkpointing=True,
        ),
    }


def paper_flux(
    kind: str,
    run_folder: str,
    data_folder: str,
    *,
    expert: str | None = None,
    model: str = FLUX,
    prompts: Sequence[str] = (),
) -> Config:
    """FLUX.1 as the paper states it: adapters, learning rate 1e-4; stage 1 rank 16 and two epochs without
    caption dropout, stage 2 rank 8 with "scaling factor alpha 0.1".

    Inferred: 0.1 is the factor alpha / rank itself; batch 1, one epoch, 1024 px, bf16; beta 2000, because
    others report spikes at 500; guidance embedding 1 while training and 3.5 in samples. The paper has no
    NPO or SPO on FLUX: those kinds are stage 2's numbers on their own data.
    """
    is_sft = _is_first(kind)
    objective = (
        Objective(kind=kind, drop_all=0.0, drop_to_neg=0.0)
        if is_sft
        else Objective(kind=kind, beta=2000.0)
        if OBJECTIVES[kind].pulls_by_beta
        else Objective(kind=kind)
    )
    return Config(
        **materials(kind, run_folder, data_folder, expert),
        model=Model(path=model),
        flow=Flow(train_guidance=1.0),
        objective=objective,
        lora=Lora(rank=16) if is_sft else Lora(rank=8, scaling=0.1),
        data=Data(resolution=1024),
        optimization=Optimization(
            epochs=2 if is_sft else 1,
            batch_size=1,
            learning_rate=1e-4,
            warmup_steps=_warmup(kind),
            gradient_checkpointing=True,
        ),
        samples=Samples(prompts=tuple(prompts), guidance=3.5),
        precision="bf16",
        device="cuda",
        log_every=10,  # each line waits for the GPU
    )


def materials(kind: str, run_folder: str, data_folder: str, expert: str | None) -> dict[str, Any]:
    """The places of a run, under the names that its kind reads."""
    facts = OBJECTIVES[kind]
    data = "pairs_folder" if facts.reads_pairs else "dataset_folder"
    found: dict[str, Any] = {"run_folder": run_folder, data: data_folder}
    return found | ({"expert": expert} if facts.needs_expert else {})


def _is_first(kind: str) -> bool:
    return OBJECTIVES[kind].makes_expert


def _adapter_rate(kind: str) -> float:
    return 1e-4 if _is_first(kind) else 1e-5


def _warmup(kind: str) -> int:
    return 0 if _is_first(kind) else 200
