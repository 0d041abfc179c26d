"""The config of a training run: the one truth about its options, their ranges and their meaning.

`config_reading` reads and writes configs, `config_fields` lists every option for the launch form and the
documentation, `config_checks` says what does not go together. An option's description is the docstring under it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from method.objectives import OBJECTIVES, Facts
from method.training.config_checks import check

# What a generator of random numbers takes.
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number. `low` itself is allowed unless `open_low`."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False


@dataclass(frozen=True, slots=True)
class Length:
    """Bounds of the number of characters or items."""

    low: int = 0
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder: ~ and environment variables in it are put in where a config is read."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """The allowed words, each with its meaning."""

    meanings: Mapping[str, str]


PLACE = Place()
Folder = Annotated[str, PLACE]
Positive = Range(0, open_low=True)
Text = Annotated[str, Length(1, 4096)]
Share = Annotated[float, Range(0, 1)]

Kind = Annotated[str, OneOf({name: facts.meaning for name, facts in OBJECTIVES.items()})]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The pretrained model that is adapted."""

    path: Annotated[Text, PLACE]
    """Folder of an SD 1.5, SDXL or FLUX model in diffusers layout, or a hub id that is already in the
    local cache."""
    revision: str | None = None
    """Revision of the hub id. Only for a hub id."""
    variant: str | None = None
    """Which weight files to read, for example fp16 for *.fp16.safetensors. Empty: the plain ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow:
    """What only flow-matching models (FLUX) know; other models do not read it."""

    train_guidance: Annotated[float, Range(0, 100)] = 1.0
    """Value of the guidance embedding while training, the same for theta, expert and reference. 1 keeps
    what was distilled into FLUX.1-dev."""
    space: Literal["v", "eps", "x0"] = "v"
    """In which space squared errors weigh the same at every timestep: velocity, noise or image."""
    shift: Annotated[float, Positive] = 1.0
    """Above 1: noisier timesteps are drawn more often."""
    max_text_tokens: Annotated[int, Range(16, 512)] = 512
    """Length of a T5 window; longer prompts take several. Must be what images are generated with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Which images of the dataset, and at what size."""

    split: Literal["train", "all"] = "train"
    """Images to learn from. "all" includes the test images, so later scores on them mean nothing;
    the result says so."""
    share: Annotated[float, Range(0, 1, open_low=True)] = 1.0
    """Share of the images to learn from (Table 3). Smaller shares are contained in larger ones."""
    resolution: Annotated[int, Range(16, 4096)] = 1024
    """Side of the square whose area pictures are scaled to, in pixels."""
    buckets: bool = True
    """Keep each picture's shape: crop to the nearest of several rectangles of the same area. No: all are
    cropped to a square."""
    bucket_step: Annotated[int, Range(8, 512)] = 64
    """Sides of the rectangles are multiples of this, in pixels."""
    bucket_aspect: Annotated[float, Range(1, 8)] = 2.0
    """The longest rectangle is this many times as long as it is wide."""
    cache_folder: Folder | None = None
    """Folder for latents and text embeddings, which several runs may share. Empty: they are kept in
    this run's memory."""
    encode: Literal["before", "beside"] = "before"
    """When pictures and texts are encoded. before: all of them before the first step; the encoders then leave the
    GPU. beside: what the first step needs, and the rest while steps go on, which takes the encoders' memory
    until all is encoded. What is learned is the same. With optimization.compile always before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """How prompt and attributes become the text a model sees."""

    polarity_markers: bool = False
    """Write "positive:" and "negative:" before the attributes. Must be the same in both stages."""
    order: Literal["tree", "name"] = "tree"
    """Order of attributes: that of the criteria tree, or alphabetical."""
    null: Literal["empty_string", "zeros"] = "empty_string"
    """The empty condition: the encoded empty prompt, or zeros in its place."""
    reducer: Literal["complex", "binary", "scalar"] = "complex"
    """What is kept of the labels (Table 2). complex: all attributes. binary: one good or bad label for
    each root dimension. scalar: one label of quality. Must be the same in both stages."""
    empty_neg: Literal["skip", "null", "generic"] = "skip"
    """Images without negative attributes have nothing to learn from in stage 2. skip: leave them out and
    count them. null: use the empty prompt. generic: use generic_neg."""
    generic_neg: Text = "low quality, poor composition, bad anatomy"
    """What stands for A_neg with empty_neg generic."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """What is minimised."""

    kind: Kind = "cpo_s"
    """What is learned, and from what."""
    omega_w: Annotated[float, Range(1, 100)] = 2.0
    """Guidance of the winner target, from A_neg toward y and A_pos (Eq. 10)."""
    omega_l: Annotated[float, Range(1, 100)] = 2.0
    """Guidance of the loser target, from the empty prompt toward y, A_pos and A_neg (Eq. 11)."""
    beta: Annotated[float, Positive] = 5000.0
    """Strength of the pull toward the reference, as in Diffusion-DPO: half of it multiplies mean
    squared errors. Larger: the model stops sooner."""
    margin: Literal["eq14", "eq12"] = "eq14"
    """Which equation gives the stabilised loss its scalar factor; its direction is Eq. 14's."""
    norm_eps: Annotated[float, Positive] | None = None
    """Least distance to the loser in Eq. 13. Empty: 1e-6 times the root of the number of values."""
    drift_cap: Annotated[float, Positive] | None = None
    """Largest squared distance from the reference, as a share of that between winner and loser target:
    beyond it an image is pulled back, by half of beta times what is too much. Empty: no cap."""
    gap: Annotated[float, Range(0, 100, open_low=True)] = 0.5
    """Share of the gap between winner and loser that theta goes. At omega 2 a third brings it nearest to
    the winner, and beyond two thirds it leaves it again."""
    gap_drift: Annotated[float, Positive] | None = None
    """Instead of a share: the mean squared distance that theta goes along the gap, however small the gap
    is. Empty: the share counts."""
    reference: Literal["base", "sft"] = "base"
    """The frozen reference: the pretrained model, or the expert."""
    time_weight: Literal["const", "min_snr", "snr"] = "const"
    """omega(lambda_t), the weight of a timestep. min_snr: at most snr_gamma on errors of the image."""
    snr_gamma: Annotated[float, Positive] = 5.0
    """The bound of min_snr."""
    drop_all: Share = 0.1
    """Share of stage 1 draws that see the empty prompt, so that the expert knows it. The paper: 0."""
    drop_to_neg: Share = 0.1
    """Share of stage 1 draws that see A_neg alone, so that the expert knows it. The paper: 0."""
    drop_content: Share = 0.0
    """Share of draws after stage 1 in which theta and reference see the empty prompt. Diffusion-DPO's
    own code: 0.2."""

    @property
    def facts(self) -> Facts:
        """What an objective of this kind is."""
        return OBJECTIVES[self.kind]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spo:
    """How candidates are sampled and judged. Only for spo."""

    steps: Annotated[int, Range(3, 1000)] = 20
    """Denoising steps of a trajectory."""
    first: Annotated[int, Range(0, 999)] = 4
    """The first step whose candidates are judged: before it pictures show too little."""
    candidates: Annotated[int, Range(2, 16)] = 2
    """Candidates at each judged step."""
    beta: Annotated[float, Positive] = 10.0
    """Strength of the pull toward the reference: multiplies differences of log probabilities."""
    guidance: Annotated[float, Range(1, 100)] = 5.0
    """Classifier-free guidance of the trajectory, and of theta and reference in the loss."""
    clip: Annotated[float, Range(0, 1, open_low=True)] = 0.1
    """How far a probability ratio may move from 1."""
    least_gap: Annotated[float, Range(0)] = 1.0
    """Least difference in negative attributes between best and worst candidate; smaller ones are not
    learned from."""
    train_steps: Annotated[int, Range(1, 1000)] = 4
    """Judged steps of a trajectory that are learned from, drawn at random."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """Which timesteps and what noise images get."""

    timesteps: Literal["uniform", "logit_normal"] = "uniform"
    """Distribution of timesteps. logit_normal: more often in the middle."""
    offset: Annotated[float, Range(0, 1)] = 0.0
    """Weight of one more draw for each channel, with which a model learns to change a picture's
    brightness. 0.05 is usual; 0: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Theta:
    """The model that is trained."""

    mode: Literal["lora", "full"] = "lora"
    """lora: an adapter on the frozen model. full: all weights of the network, in fp32."""
    init: Literal["base", "sft", "path"] = "base"
    """Where it starts: as the pretrained model, as the expert, or as the run or adapter at init_path. Away
    from the reference the first loss is not log 2."""
    init_path: Folder | None = None
    """Run or adapter folder to start from. Only with init path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lora:
    """The adapter that is trained."""

    rank: Annotated[int, Range(1, 1024)] = 16
    """Rank of the two factors."""
    alpha: Annotated[float, Positive] | None = None
    """The adapter's output is multiplied by alpha / rank. Give alpha or scaling, not both; neither
    means alpha = rank."""
    scaling: Annotated[float, Positive] | None = None
    """The factor alpha / rank itself."""
    targets: Annotated[tuple[Text, ...], Length(0, 64)] = ()
    """Ends of the names of the layers that are adapted. Empty: the attention layers; for FLUX the feed
    forward layers too, as in diffusers' own scripts."""

    @property
    def effective_alpha(self) -> float:
        """The alpha that weights files carry."""
        if self.scaling is not None:
            return self.scaling * self.rank
        return float(self.rank) if self.alpha is None else self.alpha


@dataclass(frozen=True, kw_only=True, slots=True)
class Teacher:
    """The cache of what expert and reference predict; runs that differ in guidance, beta, loss or share of
    the data read the same entries.
    """

    cache_folder: Folder | None = None
    """Folder of the cache, which several runs may share. Empty: expert and reference predict anew in
    each step."""
    dtype: Literal["fp16", "fp32"] = "fp16"
    """Number format of cached predictions: 128 KiB or 256 KiB each at 1024 pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimization:
    """How long, in which portions, and how fast."""

    epochs: Annotated[int, Range(1, 10_000)] = 1
    """Passes over the images, unless a number of steps is given."""
    max_steps: Annotated[int, Range(1, 10_000_000)] | None = None
    """Number of optimizer steps, over as many passes as that takes. Empty: epochs decides."""
    batch_size: Annotated[int, Range(1, 4096)] = 4
    """Images in one pass through the model, on each GPU."""
    gradient_accumulation: Annotated[int, Range(1, 4096)] = 1
    """Passes per optimizer step on each GPU; batch_size times this times the GPUs is the effective
    batch."""
    optimizer: Literal["adamw", "adamw_8bit", "adafactor"] = "adamw"
    """adamw: fused. adamw_8bit: a quarter of its memory, needs the package bitsandbytes. adafactor: hardly
    any memory, as Diffusion-DPO fine-tunes SDXL."""
    learning_rate: Annotated[float, Range(0, 1, open_low=True)] = 1e-5
    """Learning rate after warm-up. The paper's stage 1: 1e-4."""
    scale_lr: bool = False
    """Multiply the learning rate by the effective batch, as Diffusion-DPO's launchers do."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """After warm-up: stay, or fall to zero at the last step."""
    warmup_steps: Annotated[int, Range(0, 1_000_000)] = 0
    """Steps over which the learning rate grows linearly from zero."""
    weight_decay: Annotated[float, Range(0, 1)] = 0.01
    """Decoupled weight decay."""
    max_grad_norm: Annotated[float, Positive] = 1.0
    """Gradients are scaled down to this norm."""
    ema_decay: Annotated[float, Range(0, 1)] | None = None
    """Keep an exponential mean of the weights with this decay (usual: 0.999), and make it the result.
    Empty: none."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third more time."""
    compile: bool = False
    """Compile the network's repeated blocks: faster after the first minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guard:
    """What happens when gradients explode or the loss freezes. Steps with a NaN never change a weight."""

    spike_factor: Annotated[float, Range(1, open_low=True)] | None = 20.0
    """A step whose gradient norm is this many times the running mean is skipped. Empty: none is."""
    settle_steps: Annotated[int, Range(1, 1_000_000)] = 50
    """Steps before the running mean counts."""
    patience: Annotated[int, Range(1, 10_000)] = 5
    """Skipped steps in a row after which the run goes back to its newest checkpoint."""
    frozen_steps: Annotated[int, Range(1, 1_000_000)] | None = 50
    """Steps in a row with a frozen loss (the factor before the gradient below 0.001, and the winning part
    above 0) after which the run goes back to its newest checkpoint, or its start. Empty: never."""
    max_rollbacks: Annotated[int, Range(0, 100)] = 3
    """How often it may go back; the run ends the next time. Each halves the learning rate."""
    winner: bool = False
    """Hold the loser's push back where it would push the prediction away from the winner, as Diffusion-SDPO
    does. For cpo, which does not see to that by itself."""
    winner_by: Literal["prediction", "weights"] = "prediction"
    """Where both pushes are compared. prediction: in each image's own. weights: in all trained weights, summed
    over the images of a pass, which takes two more backward passes. Only with winner."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """Pictures made along the way, always for the same prompts and seeds."""

    every: Annotated[int, Range(0, 10_000_000)] = 500
    """Steps between samples. They are also made before the first step and after the last. 0: only
    those two."""
    prompts: Annotated[tuple[Text, ...], Length(0, 64)] = ()
    """Prompts to sample. Empty: no samples."""
    seeds: Annotated[tuple[Annotated[int, Range(0, LARGEST_SEED)], ...], Length(1, 64)] = (0,)
    """Seeds; every prompt is sampled with every seed."""
    steps: Annotated[int, Range(1, 1000)] = 30
    """Denoising steps per sample."""
    guidance: Annotated[float, Range(0, 100)] = 5.0
    """Classifier-free guidance; FLUX: its guidance embedding, usually 3.5. 1 or less: none."""
    negative: Folder | None = None
    """Run or adapter folder of an npo run on the same base, whose prediction takes the place of the
    unconditional one in guidance."""
    negative_merge: Share = 0.0
    """How much of this run's own change is left out of the negative branch (b of Diffusion-NPO)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """The loss on images that are not learned from, always with the same timesteps and noise."""

    every: Annotated[int, Range(0, 10_000_000)] = 0
    """Steps between validations. 0: none."""
    images: Annotated[int, Range(1, 1_000_000)] = 64
    """How many of the dataset's validation images."""
    expert_images: Annotated[int, Range(0, 1_000_000)] = 64
    """Held-out images on which the expert is examined: at the end of stage 1, and before stage 2 where its run
    has not been. 0: it is not."""
    keep_best: bool = True
    """Make the weights with the lowest validation loss the result, not the last ones."""
    patience: Annotated[int, Range(1, 10_000)] | None = None
    """End the run after this many validations without a better one. Empty: never."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoints:
    """What a killed run resumes from."""

    every: Annotated[int, Range(1, 10_000_000)] = 500
    """Steps between checkpoints. One is also written after the last step and when stopped."""
    keep: Annotated[int, Range(1, 1000)] = 2
    """How many of the newest are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """Which files of weights the run leaves."""

    kohya: bool = True
    """Also write the adapter as kohya's scripts name it, for ComfyUI and A1111. Only for lora."""
    dtype: Literal["fp32", "fp16", "bf16"] = "fp32"
    """Number format of that file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracking:
    """Where metrics go besides the run folder; each needs its package."""

    tensorboard: bool = False
    """Write TensorBoard events to the run folder."""
    mlflow: Folder | None = None
    """Tracking URI of MLflow: a server's address or a folder."""
    wandb: str | None = None
    """Project of Weights & Biases. Offline unless its own settings say otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """Several processes, started by accelerate."""

    processes: Annotated[int, Range(1, 4096)] = 1
    """Processes in all, one for each GPU."""
    sharding: Literal["none", "fsdp"] = "none"
    """none: every process holds the whole model. fsdp: each holds a part, for FLUX on small GPUs."""
    accelerate_config: Folder | None = None
    """Config file of accelerate for several hosts. Empty: one host."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """One training run, whole."""

    run_folder: Annotated[Text, PLACE]
    """Folder the run writes. Starting again with the same folder and config resumes the run."""
    dataset_folder: Folder | None = None
    """Folder of a dataset: manifest.json, criteria.json, and a folder for each split. For all objectives
    but those that learn from pairs."""
    pairs_folder: Folder | None = None
    """Folder of a pair dataset. For objectives that learn from pairs of images (dpo, sdpo, npo)."""
    model: Model
    objective: Objective = field(default_factory=Objective)
    expert: Folder | None = None
    """Adapter folder (or run folder) of the stage 1 run. Needed in stage 2."""
    seed: Annotated[int, Range(0, LARGEST_SEED)] = 0
    """Decides the adapter's start, the order of images, and every timestep and noise."""
    data: Data = field(default_factory=Data)
    text: Words = field(default_factory=Words)
    noise: Noise = field(default_factory=Noise)
    flow: Flow = field(default_factory=Flow)
    spo: Spo = field(default_factory=Spo)
    theta: Theta = field(default_factory=Theta)
    lora: Lora = field(default_factory=Lora)
    teacher: Teacher = field(default_factory=Teacher)
    optimization: Optimization = field(default_factory=Optimization)
    guard: Guard = field(default_factory=Guard)
    samples: Samples = field(default_factory=Samples)
    validation: Validation = field(default_factory=Validation)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    export: Export = field(default_factory=Export)
    tracking: Tracking = field(default_factory=Tracking)
    scale: Scale = field(default_factory=Scale)
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the model. The trained weights and the loss are fp32 in both."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute. auto: the GPU if there is one."""
    threads: Annotated[int, Range(0, 1024)] = 0
    """CPU threads of an operation. 0: the number of cores, 8 at most. Where as many cores are left, cpo, dpo
    and npo take them too: what is frozen then predicts beside what learns. A CPU run repeats bit for bit
    only with the same number."""
    log_every: Annotated[int, Range(1, 1_000_000)] = 1
    """Steps per line of metrics.jsonl; each line holds the means over them. A GPU is only waited for when
    a line is written."""

    def __post_init__(self) -> None:
        check(self)

    @property
    def needs_expert(self) -> bool:
        """Whether it takes an expert: to be taught by, to compare with, or to start from."""
        wanted = (self.objective.reference, self.theta.init)
        return self.objective.facts.needs_expert or "sft" in wanted

    @property
    def images_per_step(self) -> int:
        """The effective batch."""
        wanted = self.optimization
        return wanted.batch_size * wanted.gradient_accumulation * self.scale.processes

    @property
    def effective_learning_rate(self) -> float:
        """The learning rate after warm-up, scaled if asked for."""
        wanted = self.optimization
        return wanted.learning_rate * (self.images_per_step if wanted.scale_lr else 1)
