"""How large a base model is: counted in its files where it lies in a folder, else what its family is known for."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log2, prod
from pathlib import Path
from typing import Any, TypeGuard

MAX_HEADER = 64 * 1024 * 1024
GIB = 2**30
MILLION = 1_000_000
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


@dataclass(frozen=True)
class Costs:
    """What one picture costs in one way of training."""

    passes: float
    """Forward and backward pass together, as a multiple of one forward pass."""
    kept_gib: tuple[float, float]
    """GiB kept for the backward pass in bf16: whatever the size, and more for each 1024 x 1024 pixels."""


@dataclass(frozen=True)
class Family:
    """One architecture. torch counted the numbers on networks without memory (meta tensors), with attention
    that keeps no matrices. Taken over and not counted: passes of full fine-tuning of SD 1.5 (those of
    SDXL) and of FLUX (backward twice forward).
    """

    title: str
    pipeline: str
    network: int
    """Number of weights that are trained or adapted."""
    encoders: int
    """Number of weights that only encode texts and pictures."""
    adapter: int
    """Number of weights of an adapter of rank 1 on the usual layers."""
    targets: tuple[str, ...]
    tflop: tuple[float, float]
    """One forward pass of one picture at 512 and at 1024 pixels, in 10^12 operations."""
    costs: Mapping[tuple[str, bool], Costs]
    """By what is trained, and whether with gradient checkpointing."""

    def forward_tflop(self, resolution: int) -> float:
        """One forward pass of one picture; between and beyond the two known sizes by their power law."""
        small, large = self.tflop
        return float(large * (resolution / 1024) ** log2(large / small))


SD15 = Family(
    title="SD 1.5",
    pipeline="StableDiffusionPipeline",
    network=859_520_964,
    encoders=207 * MILLION,
    adapter=199_296,
    targets=ATTENTION,
    tflop=(0.803, 4.674),
    costs={
        ("lora", False): Costs(2.15, (0.0, 2.19)),
        ("lora", True): Costs(2.88, (0.0, 0.64)),
        ("full", False): Costs(2.99, (0.0, 3.13)),
        ("full", True): Costs(3.76, (0.0, 0.85)),
    },
)
SDXL = Family(
    title="SDXL",
    pipeline="StableDiffusionXLPipeline",
    network=2_567_463_684,
    encoders=902 * MILLION,
    adapter=1_451_520,
    targets=ATTENTION,
    tflop=(1.589, 6.761),
    costs={
        ("lora", False): Costs(2.09, (0.0, 4.20)),
        ("lora", True): Costs(2.84, (0.0, 0.55)),
        ("full", False): Costs(2.99, (0.0, 5.63)),
        ("full", True): Costs(3.76, (0.0, 0.69)),
    },
)
FLUX = Family(
    title="FLUX",
    pipeline="FluxPipeline",
    network=11_901_408_320,
    encoders=4_969 * MILLION,
    adapter=2_801_664,
    targets=(
        *ATTENTION, "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out", "ff.net.0.proj", "ff.net.2",
        "ff_context.net.0.proj", "ff_context.net.2",
    ),
    tflop=(21.5, 74.4),
    costs={
        ("lora", False): Costs(2.20, (2.57, 20.56)),
        ("lora", True): Costs(3.20, (0.23, 1.83)),
        ("full", False): Costs(3.00, (4.25, 33.96)),
        ("full", True): Costs(4.00, (0.27, 2.05)),
    },
)  # fmt: skip
FAMILIES = (SD15, SDXL, FLUX)


@dataclass(frozen=True)
class Size:
    """One base model: its family, and the numbers of its weights."""

    family: Family
    network: int
    encoders: int
    adapter: int
    is_counted: bool
    """Whether the numbers come from the model's own files."""

    @property
    def scale(self) -> float:
        """How large the network is beside its family's."""
        return self.network / self.family.network


def size_of(model: str, *, variant: str | None = None, targets: Sequence[str] = ()) -> Size:
    """The size of a base model as a config names it; `targets` are the layers that are adapted."""
    folder = Path(model)
    index = _read_json(folder / "model_index.json")
    family = _family(model, index)
    known = Size(family, family.network, family.encoders, family.adapter, is_counted=False)
    if index is None:
        return known
    network_name = "transformer" if family is FLUX else "unet"
    shapes = dict(_read_shapes(folder / network_name, variant))
    if not shapes:
        return known
    others = [n for n in index if n.startswith(("text_encoder", "vae"))]
    return Size(
        family,
        network=sum(map(prod, shapes.values())),
        encoders=sum(prod(s) for n in others for _, s in _read_shapes(folder / n, variant)),
        adapter=_count_adapter(shapes, tuple(targets) or family.targets),
        is_counted=True,
    )


def _family(model: str, index: Mapping[str, Any] | None) -> Family:
    if index is not None:
        for family in FAMILIES:
            if index.get("_class_name") == family.pipeline:
                return family
    name = model.lower()
    return FLUX if "flux" in name else SDXL if "xl" in name else SD15


def _count_adapter(shapes: Mapping[str, Sequence[int]], targets: Sequence[str]) -> int:
    """The weights of rank 1 on layers whose names end so: one for each input and each output."""
    ends = tuple(f".{each}.weight" for each in targets)
    return sum(
        shape[0] + shape[1]
        for name, shape in shapes.items()
        if len(shape) >= 2 and f".{name}".endswith(ends)
    )


def _read_shapes(folder: Path, variant: str | None) -> Iterator[tuple[str, list[int]]]:
    """Names and shapes of the weights in a part of a model, from the heads of its safetensors files.

    A folder may hold the same weights as several variants: those asked for are read, else the plain ones.
    """
    files = sorted(folder.glob("*.safetensors"))
    plain = [each for each in files if each.name.count(".") == 1]
    wanted = [each for each in files if f".{variant}" in each.name] if variant else []
    for path in wanted or plain or files:
        for name, tensor in (_read_head(path) or {}).items():
            shape = tensor.get("shape") if isinstance(tensor, dict) else None
            if name != "__metadata__" and _is_shape(shape):
                yield name, shape


def _is_shape(shape: object) -> TypeGuard[list[int]]:
    return isinstance(shape, list) and all(isinstance(each, int) and each >= 0 for each in shape)


def _read_head(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(length)) if length <= MAX_HEADER else None
    except (OSError, ValueError, RecursionError):
        return None
    return head if isinstance(head, dict) else None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
