"""What libraries have to be told before they are loaded is told, in every way into the trainer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.training.environment import FORCED, WANTED

ROOT = Path(__file__).resolve().parents[3]
ENTRANCES = (
    "worker.training",
    "worker.training.__main__",
    "worker.training.run",
    "worker.training.tiny_model",
    "worker.several_processes",
    "worker.pair_images",
    "worker.evaluation.__main__",
    "bench.training",
    "bench.training_contender",
    "tests",
)
# A matrix product of the same numbers, wherever in memory they lie.
PLACES = """
{first}
{second}

def at(offset, values):
    space = torch.empty(values.numel() + 64)
    start = -(space.data_ptr() // 4) % 16 + offset
    return space[start : start + values.numel()].view(values.shape).copy_(values)

torch.set_num_threads(1)
shapes = [(1, 32, 32), (2, 48, 40), (77, 32, 64), (3, 1280, 320)]
for rows, inner, columns in shapes:
    x, w, b = torch.randn(rows, inner), torch.randn(columns, inner), torch.randn(columns)
    products = [
        torch.nn.functional.linear(at(i, x), at(j, w), b) for i in (0, 1, 4, 8) for j in (0, 1, 4, 8)
    ]
    assert all(torch.equal(products[0], each) for each in products), (rows, inner, columns)
"""


def in_a_fresh_process(code: str, **variables: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if k not in WANTED and k not in FORCED}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=inherited | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("module", ENTRANCES)
def test_every_entrance_prepares_before_torch_is_loaded(module: str) -> None:
    code = f"""
import builtins, json, os
ordinary, seen = builtins.__import__, []

def watch(name, *arguments, **named):
    if name.partition(".")[0] == "torch" and not seen:
        seen.append(dict(os.environ))
    return ordinary(name, *arguments, **named)

builtins.__import__ = watch
import {module}
print(json.dumps(seen[0] if seen else dict(os.environ)))
"""
    found = json.loads(in_a_fresh_process(code).splitlines()[-1])
    assert {name: found.get(name) for name in (*WANTED, *FORCED)} == {**WANTED, **FORCED}


def test_what_a_person_has_set_stays_and_nothing_heavy_is_loaded() -> None:
    code = (
        "import os, sys, worker.training\n"
        "print(os.environ['MKL_CBWR'], os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    said = in_a_fresh_process(code, MKL_CBWR="AVX2", OMP_WAIT_POLICY="ACTIVE")
    assert said.split() == ["AVX2", "ACTIVE", "False"]


@pytest.mark.parametrize("order", [("worker.training", "torch"), ("torch", "worker.training")])
@pytest.mark.parametrize("kernels", ["SSE4_2", "AVX2", "AVX512"])
def test_a_product_does_not_depend_on_where_its_numbers_lie(
    order: tuple[str, str], kernels: str
) -> None:
    first, second = (f"import {name}" for name in order)
    code = PLACES.format(first=first, second=second)
    in_a_fresh_process(code, MKL_ENABLE_INSTRUCTIONS=kernels)


@pytest.mark.parametrize("kernels", ["default", "avx2"])
def test_torch_and_onednn_agree_on_an_older_processor(kernels: str) -> None:
    code = """
import worker.training, torch
x = torch.randn(1, 2, 16, 32, dtype=torch.bfloat16)
found = torch.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
assert found.isfinite().all()
"""
    in_a_fresh_process(code, ATEN_CPU_CAPABILITY=kernels)
