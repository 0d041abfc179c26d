"""What is promised to the last bit holds with the kernels of other processors, too.

Libraries choose their kernels by the processor. They can be told which ones to take, so that one machine
stands for several: each runs the tests that are marked `bits` in a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROCESSORS = {
    # MKL's kernels for processors that it does not know best: those that look where numbers lie.
    "of another maker": {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "without wide registers": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
    },
    "of some years ago": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
    },
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_bits_are_promised_on_every_processor(processor: str) -> None:
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "-m", "bits", str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        env=os.environ | PROCESSORS[processor],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
