"""A worker with an agent run is killed (SIGKILL) and paused, its model's server errs: the accounts agree all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(300)
def test_killed_and_paused_a_run_labels_every_image_once_and_loses_only_what_was_under_way(
    tmp_path: Path,
) -> None:
    command = ["-m", "bench.vlm_run", "--images", "40", "--kills", "1", "--pauses", "1"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MORELLI_")}
    done = subprocess.run(
        [sys.executable, *command],
        env={**clean, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kill at" in done.stdout and "pause at" in done.stdout
