"""What the libraries under a run have to know before they are loaded.

`worker.training` calls this when it is imported, so before any of its modules can import torch: whatever
trains, samples or encodes comes by here, and what it starts inherits it. What the person has set stays.
"""

import os
from collections.abc import Mapping

WANTED: Mapping[str, str] = {
    # MKL picks a matrix product's kernel by where in memory the operands happen to lie, on processors where
    # that is faster. The same numbers at another place then give other last bits: a run could not be
    # repeated. AUTO still uses the processor's fastest kernels, but always the same.
    "MKL_CBWR": "AUTO",
    # Threads that wait for each other by spinning make a busy machine several times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
    # What these libraries say about optional packages is not for the reader of a log.
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
FORCED: Mapping[str, str] = {
    # Nothing in a run may reach for the network.
    "HF_HUB_OFFLINE": "1",
}


def prepare() -> None:
    """Set what is not set. Loads no library, as what it sets is read while libraries load."""
    for name, value in WANTED.items():
        os.environ.setdefault(name, value)
    os.environ.update(FORCED)
    # Where torch is told to use older kernels than the processor has, its attention in bf16 still asks oneDNN
    # what the processor can do, and then finds no kernel of its own for it: both have to be told.
    is_older = os.environ.get("ATEN_CPU_CAPABILITY", "").lower() in ("default", "avx2")
    if is_older and "DNNL_MAX_CPU_ISA" not in os.environ:
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
