from typing import Any

import pytest

from bench.training import easier, parse
from bench.training_contender import Job
from bench.training_report import Found, bars, line_of, on_paper, row_of, stabilisation_cost, table


def job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "contender": "baseline",
        "resolution": 64,
        "batch_size": 4,
        "window": 5,
        "windows": 2,
        "device": "cuda",
        "precision": "bf16",
        "threads": 1,
    }
    places = dict.fromkeys(("folder", "model", "expert", "dataset", "pairs", "teacher"), "")
    return Job(**(values | places | changes))


def measured(seconds: float, memory_mb: int, encoding: float = 0.0) -> dict[str, Any]:
    return {
        "seconds_per_step": [seconds, seconds, 9.0],
        "cpu_seconds_per_step": [seconds],
        "encoding_seconds": encoding,
        "flops_per_step": 500,
        "memory_mb": memory_mb,
        "memory_in_steps_mb": memory_mb,
        "resident_mb": memory_mb,
        "waits": {},
        "matrix_rate": 200.0,
    }


def everything(cold: float, filled: float, memory_mb: int, loss: float) -> Found:
    return {
        "baseline": [measured(6.0, 1000)],
        "cold": [measured(cold, memory_mb, encoding=1.0)],
        "filling": [measured(cold, memory_mb)],
        "filled": [measured(filled, memory_mb)],
        "dpo": [measured(4.0, memory_mb)],
        "stabilisation": [
            {
                "plain_seconds": [1.0, 1.0, 1.0],
                "stabilised_seconds": [1.02, 1.01, 1.01],
                "loss_seconds": {"cpo": 0.01, "cpo_s": loss},
                "loss_seconds_1024": {"cpo": 0.01, "cpo_s": loss},
            }
        ],
    }


def verdicts(text: str) -> list[str]:
    lines = text.split("\n")[1:6]
    return ["NOT MET" if "NOT MET" in line else line.split()[-1] for line in lines]


def test_what_reaches_the_bars_is_met() -> None:
    found = everything(cold=4.0, filled=2.0, memory_mb=500, loss=0.0101)
    assert verdicts(bars(job(), found)) == ["met"] * 5


def test_what_misses_the_bars_is_not_met() -> None:
    found = everything(cold=5.5, filled=2.1, memory_mb=501, loss=0.1)
    assert verdicts(bars(job(), found)) == ["NOT MET"] * 5


def test_without_a_gpu_the_report_says_how_to_measure_on_one() -> None:
    text = bars(job(device="cpu"), everything(4.0, 2.0, 500, 0.01))
    assert "not measured here: needs a GPU" in text
    assert "to measure it: python -m bench.training --device cuda" in text


def test_rates_count_pairs_as_one_example_and_two_images() -> None:
    dpo = row_of("dpo", [measured(2.0, 100)], batch_size=4)
    cpo = row_of("cold", [measured(2.0, 100, encoding=0.5)], batch_size=4)
    assert (dpo.examples, dpo.images) == (2.0, 4.0)
    assert (cpo.examples, cpo.images) == (2.0, 2.0)
    # Half a second in steps and half a second before them, for each image.
    assert cpo.all_counted == 1.0


def test_the_table_names_places_that_wait() -> None:
    found = everything(4.0, 2.0, 500, 0.01)
    found["filled"][0]["waits"] = {"teacher.py:60": 5}
    assert "filled waits for the GPU in a step at: teacher.py:60 (5 x)" in table(job(), found)


def test_what_was_not_measured_is_said_and_the_rest_is_told() -> None:
    found = everything(4.0, 2.0, 500, 0.01)
    for name in ("filled", "stabilisation"):
        del found[name]
    text = table(job(), found)
    assert "NOT MEASURED: CPO-S, filled teacher cache; what stabilising costs" in text
    assert "CPO-S, cold: expert asked in each step" in text
    told = bars(job(), found)
    assert "CPO-S cold, at least 1.5 x" in told and "filled" not in told
    del found["baseline"]
    assert "plain loop: Diffusion-DPO" in table(job(), found).split("NOT MEASURED")[1]
    assert bars(job(), found).count("\n") == 0, "nothing can be judged without the plain loop"
    assert table(job(), {}).count("\n") == 1


def test_a_row_is_told_as_soon_as_it_is_measured() -> None:
    found = everything(4.0, 2.0, 500, 0.01)
    line = line_of("cold", found["cold"][0], job(), found)
    assert line.split()[-11:][:3] == ["4000.0", "1.000", "1.50"]
    alone = line_of("cold", found["cold"][0], job(), {})
    assert len(alone.split()) == len(line.split()) - 2, "there is nothing to compare it with"
    cost = line_of("stabilisation", found["stabilisation"][0], job(), found)
    assert cost.startswith("stabilisation: loss and gradient at SDXL's")


def test_the_cost_of_stabilising_is_a_share_of_a_step() -> None:
    result = everything(4.0, 2.0, 500, 0.03)["stabilisation"][0]
    cost, (low, high), alone = stabilisation_cost(result, step_seconds=2.0)
    assert cost == pytest.approx(0.01)
    assert low <= cost <= high
    assert alone == pytest.approx(0.01)


def test_on_paper_ratios_are_those_of_the_operations() -> None:
    text = on_paper(
        {"baseline": 60 * 10**12, "filled": 15 * 10**12},
        {4: {"baseline": 8 * 2**30, "filled": 2 * 2**30}},
    )
    assert "batch size 4: baseline 8.0 GiB (1.00 x), filled 2.0 GiB (0.25 x)" in text
    assert text.split("\n")[3].split()[-2:] == ["15.00", "4.00"]


def test_what_does_not_fit_is_halved_and_then_checkpointed() -> None:
    sizes = []
    found: Job | None = job()
    while found is not None:
        sizes.append((found.batch_size, found.gradient_checkpointing))
        found = easier(found)
    assert sizes == [(4, False), (2, False), (1, False), (1, True)]


def test_a_window_too_short_to_warm_up_in_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--window", "2"])
    assert "--window must be at least 3" in capsys.readouterr().err


def test_the_full_architecture_is_measured_in_bf16() -> None:
    assert parse(["--full-architecture"]).precision == "bf16"
    assert parse([]).precision == "fp32"
