"""`make demo` walks the whole loop; here with fewer pictures and steps."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SHORT = """
import app.demo.seeding as seeding, app.demo.walking as walking
seeding.PAINTINGS = 8
walking.MORE_PAINTINGS = range(1000, 1006)
walking.CORRECTED, walking.AUDITED, walking.PARTICIPANTS = 14, 3, 2
walking.TRAINING_OPTIONS = {"optimization.max_steps": 4, "samples.every": 4, "checkpoints.every": 2}
walking.walk(print)
"""


def test_the_demo_walks_the_whole_loop(tmp_path: Path) -> None:
    home = tmp_path / "home"
    model = home / "models" / "tiny-sdxl"
    model.parent.mkdir(parents=True)
    make_model = ["-m", "worker.training.tiny_model", str(model), "--seed", "0", "--unfitted"]
    subprocess.run([sys.executable, *make_model], check=True, cwd=ROOT)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MORELLI_")}
    done = subprocess.run(
        [sys.executable, "-c", SHORT],
        cwd=ROOT,
        env={**environment, "MORELLI_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    assert "246 attribute pairs" in said
    assert "6 added, 0 already there, 1 refused" in said
    assert re.search(r"[1-9]\d* labels proposed on 14 images", said)
    assert re.search(r"[1-9]\d* confirmed, \d+ rejected, \d+ added", said)
    assert re.search(r"[1-9]\d* of the added labels are negative attributes", said)
    assert re.search(r"[1-9]\d* negative labels, SHA-256", said)
    assert re.search(r"edition 2 changes [1-9]\d* things of edition 1", said)
    assert re.search(r"[1-9]\d* pairs merged, [1-9]\d* of their labels carried over", said)
    assert re.search(r"[1-9]\d* images looked at again", said)
    assert re.search(r"Overall +\d+\.\d\d %", said)
    assert "14 images" in said
    assert "1 SFT and 1 CPO runs" in said
    assert re.search(
        r"Light and dark lie \d+ of 255 apart in the base's pictures and \d+ in the", said
    )
    assert "Look at everything with `make up`." in said
    adapters = list(home.glob("runs/*/adapter/pytorch_lora_weights.safetensors"))
    assert len(adapters) == 2
