from pathlib import Path

import pytest
import torch

from method.training.failures import Ended
from worker.training.checkpoints import newest_checkpoint, refuse_other, save_checkpoint


def save(folder: Path, step: int, keep: int = 3) -> Path:
    return save_checkpoint(
        folder,
        step,
        {"dataset": "d"},
        {"step": step, "numbers": torch.arange(step)},
        lambda place: (place / "adapter.bin").write_bytes(bytes(step)),
        keep,
    )


def test_the_newest_is_found_and_reads_back(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for step in (2, 10, 9):
        save(tmp_path, step)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 10
    state = found.load_state()
    assert state["step"] == 10
    assert torch.equal(state["numbers"], torch.arange(10))


@pytest.mark.parametrize("name", ["adapter.bin", "training_state.pt", "manifest.json"])
@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_broken_checkpoint_is_passed_over(tmp_path: Path, name: str, how: str) -> None:
    save(tmp_path, 1)
    path = save(tmp_path, 2) / name
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 1


def test_an_unfinished_one_is_cleared_away_and_a_broken_one_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-000007").mkdir(parents=True)
    (save(tmp_path, 3) / "adapter.bin").unlink()
    assert newest_checkpoint(tmp_path) is None
    assert not (tmp_path / ".unfinished-000007").exists()
    save(tmp_path, 3)
    assert newest_checkpoint(tmp_path) is not None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in range(1, 6):
        save(tmp_path, step, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000004", "step-000005"]


def test_another_input_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 1)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    refuse_other(found, {"dataset": "d"})
    with pytest.raises(Ended, match="another dataset"):
        refuse_other(found, {"dataset": "e"})
