"""What a run will take before it is launched: steps, time, memory. Needs no torch and no GPU.

Steps are exact up to buckets of shapes and to images without negatives, which are only known to the
trainer. Time is that of a finished run like it; where there is none, operations over an assumed rate.
Memory is counted from weights, optimizer and what is kept for the backward pass. The last two are
estimates, and say so.
"""

import math
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.datasets import erasures
from app.projects.models import Project
from app.runs import launching
from app.runs.launching import Sources
from app.runs.model_sizes import GIB, Size, size_of
from app.runs.models import Run
from method.training.config import Config, Spo

# Sustained 10^12 operations a second that are assumed where no run tells: a GPU for data centres, which
# measured inference of SDXL reaches (148 to 276), in fp32 a quarter of it; and two CPU cores.
GPU_TFLOPS = {"bf16": 150.0, "fp32": 40.0}
CPU_TFLOPS = 0.05
# What a step takes however small the network is, and a start: reading libraries and weights.
STEP_SECONDS = {"cpu": 0.15, "gpu": 0.03}
START_SECONDS = {"cpu": 10, "gpu": 40}
VAE_TFLOP = (4.9, 10.5)
"""Encoding and decoding a picture of 1024 x 1024 pixels."""
# Bytes of optimizer state for each trained weight.
STATE_BYTES = {"adamw": 8.0, "adamw_8bit": 2.0, "adafactor": 0.01}
LEAST_RATE = 2e-7
CUDA_BYTES = GIB
# What Python takes with torch, diffusers and transformers loaded and nothing computed: 432 MiB, measured.
LIBRARY_BYTES = 0.42 * GIB


@dataclass(frozen=True)
class Memory:
    """Bytes on each GPU, by what they are for."""

    weights: float
    trained: float
    """Trained weights, gradients and optimizer state."""
    activations: float
    encoders: float
    """Text encoders and autoencoder, which are given back before training."""
    reserve: float
    """What CUDA takes for itself."""

    @property
    def total(self) -> float:
        """The most that is needed at once."""
        return self.weights + max(self.trained + self.activations, self.encoders) + self.reserve


@dataclass(frozen=True)
class Estimate:
    """How long a run will be, and what it needs."""

    unit: str
    """What is counted: images, or pairs."""
    examples: int
    skipped: int
    """Images without negative attributes that stage 2 leaves out."""
    steps: int
    seconds: float
    like: Run | None
    """The finished run whose speed the seconds are by; else they are by the two numbers below."""
    tflop: float
    """Operations for one example, in 10^12."""
    assumed_tflops: float
    memory: Memory
    size: Size
    processes: int
    warnings: list[str]


def estimate(db: Session, project: Project, sources: Sources, config: Config) -> Estimate:
    """What a config takes on its data. Only the data of the sources is looked at."""
    wanted, model = config.optimization, config.model
    examples = launching.count_examples(sources, config)
    size = size_of(model.path, variant=model.variant, targets=config.lora.targets)
    per_step = config.images_per_step
    steps = wanted.max_steps or wanted.epochs * math.ceil(examples / per_step)
    like = _find_like(db, project, config)
    rate = ((like.result or {}).get("final") or {}).get("images_per_second") if like else None
    seen = steps * min(per_step, max(examples, 1))
    return Estimate(
        unit="pairs" if sources.pairs else "images",
        examples=examples,
        skipped=launching.count_skipped(sources, config),
        steps=steps,
        seconds=seen / rate if rate else _seconds(config, size, steps, seen, examples),
        like=like if rate else None,
        tflop=example_tflop(config, size),
        assumed_tflops=assumed_tflops(config),
        memory=memory_of(config, size),
        size=size,
        processes=config.scale.processes,
        warnings=_find_doubts(config, erasures.doubt(db, sources.data)),
    )


def _find_doubts(config: Config, of_data: str | None) -> list[str]:
    """What a run may do that nobody wants, in sentences."""
    found = [of_data] if of_data else []
    rate = config.effective_learning_rate
    if rate >= LEAST_RATE:
        return found
    sentence = (
        f"At a learning rate of {rate:g} no weight moves by more than about {rate:g} in a step: expect no "
        "visible change. Diffusion-DPO's 1e-8 is multiplied by an effective batch of 2048."
    )
    return [*found, sentence]


def _find_like(db: Session, project: Project, config: Config) -> Run | None:
    """The newest finished run whose steps take as long."""
    return db.scalar(
        select(Run)
        .where(
            Run.project_id == project.id,
            Run.result.is_not(None),
            Run.kind == config.objective.kind,
            Run.config["model"]["path"].as_string() == config.model.path,
            Run.config["precision"].as_string() == config.precision,
            Run.config["theta"]["mode"].as_string() == config.theta.mode,
            Run.config["scale"]["processes"].as_integer() == config.scale.processes,
            Run.config["data"]["resolution"].as_integer() == config.data.resolution,
        )
        .order_by(Run.id.desc())
        .limit(1)
    )


# Time ---------------------------------------------------------------------------------------------


def assumed_tflops(config: Config) -> float:
    """Operations a second of one process, in 10^12."""
    return CPU_TFLOPS if config.device == "cpu" else GPU_TFLOPS[config.precision]


def example_tflop(config: Config, size: Size) -> float:
    """Operations for one image (or pair) in one step, in 10^12, with nothing in the teacher cache."""
    objective, facts = config.objective, config.objective.facts
    forward = size.scale * size.family.forward_tflop(config.data.resolution)
    trained = size.family.costs[_way(config)].passes
    if facts.needs_expert:
        # Guidance of 1 leaves one of the expert's four conditions without weight.
        unused = (objective.omega_w == 1) + (objective.omega_l == 1)
        expert = 4 - unused if facts.is_guided else 2
        return float(forward * (expert + 1 + trained))
    if facts.reads_pairs:
        return forward * 2 * (1 + trained)
    if facts.samples_itself:
        return _spo_tflop(config, size, trained)
    return forward * trained


def _spo_tflop(config: Config, size: Size, trained: float) -> float:
    """A trajectory with a prediction for each candidate, the decoding of those that are judged, and the
    steps that are learned from; guidance takes each prediction twice.
    """
    spo = config.spo
    judged = spo.candidates * max(spo.steps - 1 - spo.first, 0)
    predicted = 1 + spo.first + judged
    learned = spo.train_steps * (1 + trained)
    resolution = config.data.resolution
    decode = VAE_TFLOP[1] * (resolution / 1024) ** 2
    forward = size.family.forward_tflop(resolution) * _sides(spo)
    return float(size.scale * (forward * (predicted + learned) + judged * decode))


def _sides(spo: Spo) -> int:
    return 1 if spo.guidance == 1 else 2


def _seconds(config: Config, size: Size, steps: int, seen: int, examples: int) -> float:
    pixels = (config.data.resolution / 1024) ** 2
    encode = VAE_TFLOP[0] * pixels * examples * (2 if config.objective.facts.reads_pairs else 1)
    tflop = (
        seen * example_tflop(config, size) + size.scale * encode + _sampling(config, size, steps)
    )
    device = "cpu" if config.device == "cpu" else "gpu"
    passes = steps * config.optimization.gradient_accumulation
    rate = assumed_tflops(config) * config.scale.processes
    return float(START_SECONDS[device] + tflop / rate + passes * STEP_SECONDS[device])


def _sampling(config: Config, size: Size, steps: int) -> float:
    """Operations for all sample pictures, in 10^12."""
    wanted = config.samples
    rounds = 2 + (steps // wanted.every if wanted.every else 0)
    pictures = rounds * len(wanted.prompts) * len(wanted.seeds)
    forward = size.scale * size.family.forward_tflop(config.data.resolution)
    return float(pictures * wanted.steps * 2 * forward)


def _way(config: Config) -> tuple[str, bool]:
    return config.theta.mode, config.optimization.gradient_checkpointing


# Memory -------------------------------------------------------------------------------------------


def memory_of(config: Config, size: Size) -> Memory:
    """Bytes on each GPU: every weight, gradient and state once, and what the backward pass needs."""
    wanted = config.optimization
    width = 2 if config.precision == "bf16" else 4
    is_full = config.theta.mode == "full"
    adapter = size.adapter * config.lora.rank
    trained = size.network if is_full else adapter
    # Trained weights and gradients are fp32; in bf16 a whole network is kept once more as computed with.
    each = 8 + STATE_BYTES[wanted.optimizer] + (4 if wanted.ema_decay is not None else 0)
    copy = size.network * 2 if is_full and width == 2 else 0
    expert = adapter * 4 if config.needs_expert else 0
    fixed, growing = size.family.costs[_way(config)].kept_gib
    pixels = (config.data.resolution / 1024) ** 2
    shared = config.scale.processes if config.scale.sharding == "fsdp" else 1
    return Memory(
        weights=(size.network * width + expert) / shared,
        trained=(trained * each + copy) / shared,
        activations=wanted.batch_size
        * _pictures(config)
        * (fixed + growing * pixels)
        * size.scale
        * GIB
        * width
        / 2,
        encoders=size.encoders * width,
        reserve=LIBRARY_BYTES if config.device == "cpu" else CUDA_BYTES,
    )


def _pictures(config: Config) -> int:
    """How many predictions of theta for one example are kept for the backward pass."""
    facts, spo = config.objective.facts, config.spo
    if facts.samples_itself:
        return spo.train_steps * _sides(spo)
    return 2 if facts.reads_pairs else 1
