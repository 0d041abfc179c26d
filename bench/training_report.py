"""What was measured, as text: a table of the contenders, and each bar with its verdict."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.training_contender import Job
from bench.training_counting import interval_of_median

Found = dict[str, list[dict[str, Any]]]
"""By contender, what each of its processes measured."""

TITLES = {
    "baseline": "plain loop: Diffusion-DPO",
    "cold": "CPO-S, cold: expert asked in each step",
    "filling": "CPO-S, cold: filling the teacher cache",
    "filled": "CPO-S, filled teacher cache",
    "dpo": "Diffusion-DPO in this trainer",
}
IMAGES = {"baseline": 2, "dpo": 2}
"""Images in a training example: CPO learns from one, DPO from a pair."""

COLUMNS = (
    *("ms/step", "examples/s", "x plain", "images/s", "all counted"),
    *("peak MiB", "x plain", "GFLOP/step", "GFLOP/s", "share"),
)
GPU_COMMAND = "python -m bench.training --device cuda --folder FOLDER"

FASTER_COLD, FASTER_FILLED, MEMORY, SHARE, STABILISATION = 1.5, 3.0, 0.5, 0.5, 0.01

EXPLANATION = """\
An example is what one term of the loss is made of: a pair of images for DPO, one image for CPO. Ratios
compare examples, each of which teaches one preference; by images they would be half as large for CPO, since
every pair counts twice. 'All counted' adds the time in which this trainer encodes an image and its texts,
once, before the first step; the plain loop does so in every step."""


@dataclass(frozen=True)
class Row:
    """A contender, as medians over its processes and windows."""

    step_seconds: float
    cpu_seconds: float
    """CPU seconds of the training thread in a step."""
    examples: float
    """Training examples a second, in the steps."""
    images: float
    all_counted: float
    """Training examples a second, with the time to encode each of them once."""
    memory_mb: float
    resident_mb: float
    flops: int
    """Of a step."""

    @property
    def rate(self) -> float:
        """Operations a second in the step."""
        return self.flops / self.step_seconds


def row_of(contender: str, results: list[dict[str, Any]], batch_size: int) -> Row:
    """Medians of what the processes of a contender measured."""
    seconds = statistics.median(s for each in results for s in each["seconds_per_step"])
    encoding = statistics.median(each["encoding_seconds"] for each in results)
    return Row(
        step_seconds=seconds,
        cpu_seconds=statistics.median(s for r in results for s in r["cpu_seconds_per_step"]),
        examples=batch_size / seconds,
        images=IMAGES.get(contender, 1) * batch_size / seconds,
        all_counted=1 / (seconds / batch_size + encoding),
        memory_mb=statistics.median(each["memory_mb"] for each in results),
        resident_mb=statistics.median(each["resident_mb"] for each in results),
        flops=results[0]["flops_per_step"],
    )


def rows_of(job: Job, found: Found) -> dict[str, Row]:
    """All contenders but the stabilisation's."""
    return {name: row_of(name, found[name], job.batch_size) for name in TITLES}


def table(job: Job, found: Found) -> str:
    """The contenders side by side."""
    rows = rows_of(job, found)
    base = rows["baseline"]
    rate = found["stabilisation"][0]["matrix_rate"]
    where = "allocated on the GPU, over the whole process"
    if job.device != "cuda":
        where = "what tensors held at once in a step; of those that would not lie on a GPU, none"
    lines = [" " * 40 + "".join(f"{name:>12}" for name in COLUMNS)]
    for name, row in rows.items():
        lines.append(
            f"{TITLES[name]:<40}{1000 * row.step_seconds:>12.1f}{row.examples:>12.3f}"
            f"{row.examples / base.examples:>12.2f}{row.images:>12.3f}{row.all_counted:>12.3f}"
            f"{row.memory_mb:>12.0f}{row.memory_mb / base.memory_mb:>12.2f}{row.flops / 1e9:>12.3f}"
            f"{row.rate / 1e9:>12.1f}{row.rate / rate:>12.0%}"
        )
    lines += [
        f"peak MiB: {where}{_peaks_in_steps(found)}",
        "resident in the machine's memory beyond the libraries: "
        + ", ".join(f"{name} {row.resident_mb:.0f} MiB" for name, row in rows.items()),
        f"measured rate of large products of matrices in {job.precision}: {rate / 1e9:.1f} GFLOP/s",
        f"median step of all processes, and how far their medians spread: {_spreads(found)}",
        *_waits(found),
        "",
        EXPLANATION,
    ]
    return "\n".join(lines)


def bars(job: Job, found: Found) -> str:
    """Each bar, what was found, and whether it is met."""
    rows, is_gpu = rows_of(job, found), job.device == "cuda"
    base, cold, filled = rows["baseline"], rows["cold"], rows["filled"]
    cost, interval, alone = stabilisation_cost(found["stabilisation"][0], filled.step_seconds)
    low, high = (100 * each for each in interval)
    by_images = {name: row.images / base.images for name, row in rows.items()}
    share = cold.rate / found["stabilisation"][0]["matrix_rate"]
    lines = [
        f"{'bar':<66}{'found':>9}  verdict",
        _bar(
            f"CPO-S cold, at least {FASTER_COLD} x the plain loop's DPO examples/s",
            cold.examples / base.examples,
            "x",
            is_met=cold.examples >= FASTER_COLD * base.examples,
        ),
        _bar(
            f"CPO-S on a filled teacher cache, at least {FASTER_FILLED:g} x",
            filled.examples / base.examples,
            "x",
            is_met=filled.examples >= FASTER_FILLED * base.examples,
        ),
        _bar(
            f"CPO-S cold, at most {MEMORY} x the plain loop's memory",
            cold.memory_mb / base.memory_mb,
            "x",
            is_met=cold.memory_mb <= MEMORY * base.memory_mb,
        ),
        _bar(
            f"CPO-S cold, at least {SHARE:.0%} of the GPU's bf16 matrix rate in the step",
            100 * share,
            "%",
            is_met=share >= SHARE if is_gpu else None,
        ),
        _bar(
            "stabilising costs less than 1 % of a step on a filled cache",
            100 * alone,
            "%",
            is_met=alone < STABILISATION,
        ),
        f"  that from the loss functions alone; {_losses(found)}",
        f"  whole cold steps in alternation: {100 * cost:+.2f} % (95 %: {low:+.2f} to {high:+.2f} %)",
        f"  by images, not examples: cold {by_images['cold']:.2f} x, filled {by_images['filled']:.2f} x",
    ]
    if not is_gpu:
        by_cpu = {name: base.cpu_seconds / row.cpu_seconds for name, row in rows.items()}
        lines.append(
            "  by CPU seconds of all threads, which other processes cannot lengthen: "
            f"cold {by_cpu['cold']:.2f} x, filled {by_cpu['filled']:.2f} x"
        )
        lines.append(
            "SDXL in full at 1024 px in bf16 on a GPU of 80 GB: not yet measured, none of the bars. "
            f"To measure: {GPU_COMMAND}"
        )
    return "\n".join(lines)


def stabilisation_cost(
    result: Mapping[str, Any], step_seconds: float
) -> tuple[float, tuple[float, float], float]:
    """How much longer stabilised steps take: median over neighbours, its 95 % interval, and what the
    loss functions alone differ by as a share of a step.
    """
    pairs = zip(result["stabilised_seconds"], result["plain_seconds"], strict=True)
    costs = [stabilised / plain - 1 for stabilised, plain in pairs]
    seconds = result["loss_seconds"]
    alone = (seconds["cpo_s"] - seconds["cpo"]) / step_seconds
    return statistics.median(costs), interval_of_median(costs), alone


def on_paper(flops: Mapping[str, int], memory: Mapping[int, Mapping[str, int]]) -> str:
    """Operations of one example of SDXL in full and the ratio that they alone would give; and the memory of
    a step, by batch size.
    """
    lines = [
        "SDXL at 1024 px, LoRA of rank 16, one example, counted on tensors without memory",
        f"{'':<40}{'TFLOP':>9}{'plain loop / this':>19}",
    ]
    for name, count in flops.items():
        ratio = flops["baseline"] / count
        lines.append(f"{TITLES[name]:<40}{count / 1e12:>9.2f}{ratio:>19.2f}")
    lines.append(
        "memory of a step in bf16, without gradient checkpointing, counted on such tensors"
    )
    for batch_size, peaks in memory.items():
        shown = (
            f"{name} {peak / 2**30:.1f} GiB ({peak / peaks['baseline']:.2f} x)"
            for name, peak in peaks.items()
        )
        lines.append(f"batch size {batch_size}: {', '.join(shown)}")
    lines.append("Speed is not yet measured. To measure: " + GPU_COMMAND)
    return "\n".join(lines)


def _bar(what: str, value: float, unit: str, *, is_met: bool | None) -> str:
    verdict = {True: "met", False: "NOT MET", None: "not measured here: needs a GPU"}[is_met]
    return f"{what:<66}{value:>8.2f}{unit}  {verdict}"


def _losses(found: Found) -> str:
    seconds = found["stabilisation"][0]["loss_seconds_1024"]
    shown = ", ".join(f"{name} {1000 * each:.3f} ms" for name, each in seconds.items())
    return f"loss and gradient at SDXL's 4 x 128 x 128: {shown}"


def _peaks_in_steps(found: Found) -> str:
    peaks = {name: found[name][0]["memory_in_steps_mb"] for name in TITLES}
    if None in peaks.values():
        return ""
    return "; in the steps alone: " + ", ".join(f"{name} {peak}" for name, peak in peaks.items())


def _spreads(found: Found) -> str:
    shown = []
    for name in TITLES:
        medians = [1000 * statistics.median(each["seconds_per_step"]) for each in found[name]]
        shown.append(f"{name} {min(medians):.1f} to {max(medians):.1f} ms")
    return ", ".join(shown)


def _waits(found: Found) -> list[str]:
    return [
        f"{name} waits for the GPU in a step at: "
        + ", ".join(f"{place} ({count} x)" for place, count in found[name][0]["waits"].items())
        for name in TITLES
        if found[name][0]["waits"]
    ]
