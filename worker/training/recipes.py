"""Whole configs as functions. Derive your own with dataclasses.replace, or write its YAML and edit."""

from worker.training.config import (
    Checkpoints,
    Config,
    Data,
    Lora,
    Model,
    Objective,
    Optimization,
    Samples,
)

SDXL = "stabilityai/stable-diffusion-xl-base-1.0"


def tiny_sft(
    run_folder: str, dataset_folder: str, model: str, prompts: tuple[str, ...] = ()
) -> Config:
    """Stage 1 on the tiny model: well under a minute on two cores."""
    return Config(
        run_folder=run_folder,
        dataset_folder=dataset_folder,
        model=Model(path=model),
        objective=Objective(kind="sft"),
        data=Data(resolution=64),
        optimization=Optimization(max_steps=120, learning_rate=2e-3, warmup_steps=5),
        samples=_tiny_samples(prompts),
        checkpoints=Checkpoints(every=20),
        device="cpu",
        threads=1,  # the operations are too small to be worth sharing out
    )


def tiny_cpo(
    run_folder: str,
    dataset_folder: str,
    model: str,
    expert: str,
    prompts: tuple[str, ...] = (),
) -> Config:
    """Stage 2 (stabilised) on the tiny model: well under a minute on two cores."""
    return Config(
        run_folder=run_folder,
        dataset_folder=dataset_folder,
        model=Model(path=model),
        objective=Objective(kind="cpo_s"),
        expert=expert,
        data=Data(resolution=64),
        optimization=Optimization(max_steps=60, learning_rate=5e-4, warmup_steps=5),
        samples=_tiny_samples(prompts),
        checkpoints=Checkpoints(every=20),
        device="cpu",
        threads=1,  # the operations are too small to be worth sharing out
    )


def paper_sdxl_sft(
    run_folder: str,
    dataset_folder: str,
    model: str = SDXL,
    prompts: tuple[str, ...] = (),
) -> Config:
    """Stage 1 as the paper states it: rank 16, learning rate 1e-4, two epochs, no caption dropout.

    Inferred, because the paper does not say: batch 1, 1024 px, bf16.
    """
    return Config(
        run_folder=run_folder,
        dataset_folder=dataset_folder,
        model=Model(path=model),
        objective=Objective(kind="sft", drop_all=0.0, drop_to_neg=0.0),
        lora=Lora(rank=16),
        data=Data(resolution=1024),
        optimization=Optimization(epochs=2, batch_size=1, learning_rate=1e-4),
        samples=Samples(prompts=prompts),
        precision="bf16",
        device="cuda",
    )


def paper_sdxl_cpo(
    run_folder: str,
    dataset_folder: str,
    expert: str,
    model: str = SDXL,
    prompts: tuple[str, ...] = (),
) -> Config:
    """Stage 2 for SDXL, stabilised: omegas 2.0, one epoch at batch 1 (8,221 steps on the paper's data).

    Where the paper points to Diffusion-DPO's full fine-tuning, this trains an adapter of rank 16 at
    learning rate 1e-5; beta 5000 is Diffusion-DPO's.
    """
    return Config(
        run_folder=run_folder,
        dataset_folder=dataset_folder,
        model=Model(path=model),
        objective=Objective(kind="cpo_s", omega_w=2.0, omega_l=2.0, beta=5000.0),
        expert=expert,
        lora=Lora(rank=16),
        data=Data(resolution=1024),
        optimization=Optimization(epochs=1, batch_size=1, learning_rate=1e-5, warmup_steps=200),
        samples=Samples(prompts=prompts),
        precision="bf16",
        device="cuda",
    )


def _tiny_samples(prompts: tuple[str, ...]) -> Samples:
    return Samples(every=20, prompts=prompts, steps=12, guidance=3.0)
