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
    *("ms/step", "examples/s", "x plain", "images/s", "encoding", "all counted"),
    *("peak MiB", "x plain", "GFLOP/step", "GFLOP/s", "share"),
)
HEAD = " " * 40 + "".join(f"{name:>12}" for name in COLUMNS)
GPU_COMMAND = (
    "python -m bench.training --device cuda --repetitions 1 --windows 3 --minutes 9 "
    "--folder FOLDER --json FILE"
)
"""Sized to fit into ten minutes of an H200."""

FASTER_COLD, FASTER_FILLED, MEMORY, SHARE, STABILISATION = 1.5, 3.0, 0.5, 0.5, 0.01

EXPLANATION = """\
An example is what one term of the loss is made of: a pair of images for DPO, one image for CPO. Ratios
compare examples, each of which teaches one preference; by images they would be half as large for CPO, since
every pair counts twice. 'All counted' adds the time in which this trainer encodes an image and its texts,
once, before the first step ('encoding', ms); the plain loop does so in every step."""


@dataclass(frozen=True)
class Row:
    """A contender, as medians over its processes and windows."""

    step_seconds: float
    cpu_seconds: float
    """CPU seconds of the training thread in a step."""
    examples: float
    """Training examples a second, in the steps."""
    images: float
    encoding_seconds: float
    """To encode one example, once."""
    all_counted: float
    """Training examples a second, with the time to encode each of them once."""
    memory_mb: float
    resident_mb: float
    flops: int
    """Of a step."""
    matrix_rate: float
    """Operations a second in large products of matrices."""

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
        encoding_seconds=encoding,
        all_counted=1 / (seconds / batch_size + encoding),
        memory_mb=statistics.median(each["memory_mb"] for each in results),
        resident_mb=statistics.median(each["resident_mb"] for each in results),
        flops=results[0]["flops_per_step"],
        matrix_rate=statistics.median(each["matrix_rate"] for each in results),
    )


def rows_of(job: Job, found: Found) -> dict[str, Row]:
    """The contenders that were measured; the stabilisation is none."""
    return {name: row_of(name, found[name], job.batch_size) for name in TITLES if name in found}


def line_of(contender: str, result: dict[str, Any], job: Job, found: Found) -> str:
    """What one process measured, as a line of the table; ratios are to the plain loop's median so far."""
    if contender not in TITLES:
        return f"stabilisation: {_losses(result)}"
    rows = rows_of(job, found)
    return _line(contender, row_of(contender, [result], job.batch_size), rows.get("baseline"))


def table(job: Job, found: Found) -> str:
    """The contenders side by side."""
    rows = rows_of(job, found)
    where = "allocated on the GPU, over the whole process"
    if job.device != "cuda":
        where = "what tensors held at once in a step; of those that would not lie on a GPU, none"
    lines = [HEAD, *(_line(name, row, rows.get("baseline")) for name, row in rows.items())]
    lacking = [TITLES[name] for name in TITLES if name not in rows]
    if "stabilisation" not in found:
        lacking.append("what stabilising costs")
    lines += [f"NOT MEASURED: {'; '.join(lacking)}"] if lacking else []
    if not rows:
        return "\n".join(lines)
    rate = statistics.median(row.matrix_rate for row in rows.values())
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


def _line(name: str, row: Row, base: Row | None) -> str:
    faster = f"{row.examples / base.examples:.2f}" if base else ""
    larger = f"{row.memory_mb / base.memory_mb:.2f}" if base else ""
    return (
        f"{TITLES[name]:<40}{1000 * row.step_seconds:>12.1f}{row.examples:>12.3f}{faster:>12}"
        f"{row.images:>12.3f}{1000 * row.encoding_seconds:>12.1f}{row.all_counted:>12.3f}"
        f"{row.memory_mb:>12.0f}{larger:>12}{row.flops / 1e9:>12.3f}"
        f"{row.rate / 1e9:>12.1f}{row.rate / row.matrix_rate:>12.0%}"
    )


def bars(job: Job, found: Found) -> str:
    """Each bar, what was found, and whether it is met; of what was measured."""
    rows = rows_of(job, found)
    lines = [f"{'bar':<66}{'found':>9}  verdict"]
    base, cold, filled = (rows.get(name) for name in ("baseline", "cold", "filled"))
    if base and cold:
        lines += _cold_bars(base, cold, is_gpu=job.device == "cuda")
    if base and filled:
        lines.append(_faster_bar("CPO-S on a filled teacher cache", filled, base, FASTER_FILLED))
    if filled and "stabilisation" in found:
        lines += _stabilisation_bar(found["stabilisation"][0], filled)
    if base and cold and filled:
        lines += _other_ratios(base, cold, filled, is_gpu=job.device == "cuda")
    if job.device != "cuda":
        lines.append("SDXL in full at 1024 px in bf16 on a GPU: to measure it: " + GPU_COMMAND)
    return "\n".join(lines)


def _faster_bar(what: str, row: Row, base: Row, wanted: float) -> str:
    return _bar(
        f"{what}, at least {wanted:g} x the plain loop's examples/s",
        row.examples / base.examples,
        "x",
        is_met=row.examples >= wanted * base.examples,
    )


def _cold_bars(base: Row, cold: Row, *, is_gpu: bool) -> list[str]:
    share = cold.rate / cold.matrix_rate
    return [
        _faster_bar("CPO-S cold", cold, base, FASTER_COLD),
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
    ]


def _stabilisation_bar(result: dict[str, Any], filled: Row) -> list[str]:
    cost, interval, alone = stabilisation_cost(result, filled.step_seconds)
    low, high = (100 * each for each in interval)
    return [
        _bar(
            "stabilising costs less than 1 % of a step on a filled cache",
            100 * alone,
            "%",
            is_met=alone < STABILISATION,
        ),
        f"  that from the loss functions alone; {_losses(result)}",
        f"  whole cold steps in alternation: {100 * cost:+.2f} % (95 %: {low:+.2f} to {high:+.2f} %)",
    ]


def _other_ratios(base: Row, cold: Row, filled: Row, *, is_gpu: bool) -> list[str]:
    by_images = {
        name: row.images / base.images for name, row in (("cold", cold), ("filled", filled))
    }
    lines = [
        f"  by images, not examples: cold {by_images['cold']:.2f} x, filled {by_images['filled']:.2f} x"
    ]
    if not is_gpu:
        lines.append(
            "  by CPU seconds of all threads, which other processes cannot lengthen: "
            f"cold {base.cpu_seconds / cold.cpu_seconds:.2f} x, filled {base.cpu_seconds / filled.cpu_seconds:.2f} x"
        )
    return lines


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


def _losses(result: Mapping[str, Any]) -> str:
    seconds = result["loss_seconds_1024"]
    shown = ", ".join(f"{name} {1000 * each:.3f} ms" for name, each in seconds.items())
    return f"loss and gradient at SDXL's 4 x 128 x 128: {shown}"


def _peaks_in_steps(found: Found) -> str:
    peaks = {name: found[name][0]["memory_in_steps_mb"] for name in TITLES if name in found}
    if None in peaks.values():
        return ""
    return "; in the steps alone: " + ", ".join(f"{name} {peak}" for name, peak in peaks.items())


def _spreads(found: Found) -> str:
    shown = []
    for name in [each for each in TITLES if each in found]:
        medians = [1000 * statistics.median(each["seconds_per_step"]) for each in found[name]]
        shown.append(f"{name} {min(medians):.1f} to {max(medians):.1f} ms")
    return ", ".join(shown)


def _waits(found: Found) -> list[str]:
    return [
        f"{name} waits for the GPU in a step at: "
        + ", ".join(f"{place} ({count} x)" for place, count in found[name][0]["waits"].items())
        for name in TITLES
        if name in found and found[name][0]["waits"]
    ]
