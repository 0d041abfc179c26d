import json
from pathlib import Path

import pytest
import torch

from bench.training_contender import Job, measure_baseline, measure_trainer
from bench.training_materials import full_parts, make_expert, make_model, write_dataset, write_pairs
from method.pair_folder import read_pairs
from worker.training.examples import read_dataset, read_picture

# diffusers' schedulers read tensors in a way that NumPy 2 will drop; nothing we could change.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("bench") / "tiny", is_full=False)


def test_the_full_model_has_as_many_weights_as_the_published_one() -> None:
    counts = {
        name: sum(weight.numel() for weight in part.parameters())
        for name, part in full_parts().items()
    }
    assert counts == {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    }


def test_the_dataset_is_one_that_stage_2_learns_from(tmp_path: Path) -> None:
    examples = read_dataset(write_dataset(tmp_path / "images", 5, 32), "train").examples
    assert len({each.sha256 for each in examples}) == 5
    assert all(each.num_negative == 3 and each.size == (32, 32) for each in examples)
    assert read_picture(examples[0].path, examples[0].sha256, (32, 32)).pixels_CHW.std() > 0


def test_the_pair_dataset_is_one_that_dpo_learns_from(tmp_path: Path) -> None:
    pairs = read_pairs(write_pairs(tmp_path / "pairs", 3, 32), "train").pairs
    assert len({side.sha256 for pair in pairs for side in (pair.winner, pair.loser)}) == 6


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "pairs", 2, 16)
    before = json.loads((folder / "manifest.json").read_text())
    write_pairs(tmp_path / "pairs", 9, 16)
    assert json.loads((folder / "manifest.json").read_text()) == before


def test_the_trainer_and_the_plain_loop_are_measured_alike(model: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    job = Job(
        contender="cold",
        folder=str(tmp_path),
        model=str(model),
        expert=str(make_expert(tmp_path / "expert", model)),
        dataset=str(write_dataset(tmp_path / "images", 6, 64)),
        pairs=str(write_pairs(tmp_path / "pairs", 6, 64)),
        teacher="",
        resolution=64,
        batch_size=1,
        window=3,
        windows=1,
        device="cpu",
        precision="fp32",
        threads=1,
    )
    try:
        cold, plain = measure_trainer(job, 0), measure_baseline(job, 0)
    finally:
        torch.set_num_threads(threads)
    assert len(cold.seconds_per_step) == len(plain.seconds_per_step) == 1
    assert cold.encoding_seconds > 0 == plain.encoding_seconds
    # The plain loop: two images for theta and for the reference, and their encoding. CPO: one for theta
    # and for the reference, four for the expert.
    assert 0 < plain.flops_per_step < 2 * cold.flops_per_step
    assert 0 < cold.flops_per_step < 2 * plain.flops_per_step
