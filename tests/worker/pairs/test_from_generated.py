"""Pairs from generated images: making them with any model, ranking them with any judge."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from method.manifests import verify
from method.pair_folder import read_pairs
from method.training.failures import OutOfMemory, PictureNotFinite
from taxonomy.formats.json import write_json
from taxonomy.tree import (
    Attribute,
    Criteria,
    Dimension,
    ImageContent,
    ImageStyle,
    Pair,
    StyleReading,
)
from tests.worker.pairs.pictures import Painting, write_labelled
from tests.worker.training.datasets import seal
from worker.agents.measured import VERSION, label_image
from worker.pairs.building import Built, CannotBuild
from worker.pairs.from_generated import agent_judge, from_generated, generate_images

FAKE = {"agent": "colour of the corner"}


def fake_judge(image: Image.Image, _prompt: str) -> tuple[int, int]:
    """Red is the number of negatives, green of positives."""
    red, green, _ = image.convert("RGB").getpixel((0, 0))  # type: ignore[misc]
    return int(red), int(green)


def picture(negative: int, positive: int = 0, blue: int = 0) -> Image.Image:
    return Image.new("RGB", (8, 8), (negative, positive, blue))


def write_images(folder: Path, rows: Sequence[tuple[str, Image.Image]]) -> Path:
    folder.mkdir()
    lines = []
    for seed, (prompt, image) in enumerate(rows):
        image.save(folder / f"{seed}.png")
        row = {"prompt": prompt, "seed": seed, "file": f"{seed}.png", "model": "fake"}
        lines.append(json.dumps(row) + "\n")
    (folder / "index.jsonl").write_text("".join(lines))
    return folder


def rank(folder: Path, **options: Any) -> tuple[Built, list[dict[str, Any]]]:
    built = from_generated(
        folder,
        folder.parent / "pairs",
        name="generated",
        judge=fake_judge,
        judged_by=FAKE,
        say=lambda _: None,
        **options,
    )
    lines = (built.folder / "train/pairs.jsonl").read_text().splitlines()
    return built, [json.loads(line) for line in lines]


def seeds(rows: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(row["reason"]["seed"]["winner"], row["reason"]["seed"]["loser"]) for row in rows]


def test_the_best_and_the_worst_of_each_prompt(tmp_path: Path) -> None:
    folder = write_images(
        tmp_path / "images",
        [
            ("a house", picture(3)),
            ("a boat", picture(2, 1)),
            ("a house", picture(1)),
            ("a house", picture(9)),
            ("a boat", picture(2, 4)),
        ],
    )
    built, rows = rank(folder)
    assert [row["prompt"] for row in rows] == ["a boat", "a house"]
    assert seeds(rows) == [(4, 1), (2, 3)]
    assert rows[1]["reason"] == {
        "negative": {"winner": 1, "loser": 9},
        "positive": {"winner": 0, "loser": 0},
        "seed": {"winner": 2, "loser": 3},
        "model": {"winner": "fake", "loser": "fake"},
    }
    assert verify(built.folder) == []
    assert built.counts["images"] == 4
    assert len(read_pairs(built.folder, "train").pairs) == 2


def test_all_pairs_of_a_prompt_are_ordered(tmp_path: Path) -> None:
    made = [("a house", picture(n, p)) for n, p in ((2, 0), (1, 3), (1, 5), (2, 0))]
    made[3][1].putpixel((7, 7), (0, 0, 99))
    built, rows = rank(write_images(tmp_path / "images", made), all_pairs=True)
    assert sorted(seeds(rows)) == [(1, 0), (1, 3), (2, 0), (2, 1), (2, 3)]
    assert built.counts["candidates"] == 6
    assert built.counts["dropped"] == {"tie": 1}


def test_ties_and_single_images_are_dropped_and_counted(tmp_path: Path) -> None:
    folder = write_images(
        tmp_path / "images",
        [
            ("a house", picture(0)),
            ("a house", picture(4)),
            ("equal", picture(2, 1, 5)),
            ("equal", picture(2, 1, 6)),
            ("close", picture(1)),
            ("close", picture(2)),
            ("alone", picture(1)),
            ("twice the same", picture(1)),
            ("twice the same", picture(1)),
        ],
    )
    built, rows = rank(folder, min_difference=2)
    assert seeds(rows) == [(0, 1)]
    assert built.counts["dropped"] == {"tie": 1, "too_close": 1, "single_image": 2}
    assert built.counts["candidates"] == 5 == built.counts["prompts"]
    assert built.counts["left_out"] == {"repeated_picture": 1}
    assert built.counts["generated_images"] == 9


def test_one_picture_may_answer_two_prompts(tmp_path: Path) -> None:
    made = [("a", picture(1)), ("a", picture(5)), ("b", picture(1)), ("b", picture(7))]
    built, _ = rank(write_images(tmp_path / "images", made))
    assert (built.counts["pairs"], built.counts["images"]) == (2, 3)
    assert len(read_pairs(built.folder, "train").pairs) == 2


def test_the_same_images_give_the_same_pairs(tmp_path: Path) -> None:
    made = [("a", picture(1)), ("a", picture(5)), ("b", picture(2)), ("b", picture(7))]
    folder = write_images(tmp_path / "images", made)
    first, _ = rank(folder)
    first.folder.rename(tmp_path / "before")
    assert rank(folder)[0].sha256 == first.sha256
    manifest = json.loads((tmp_path / "before/manifest.json").read_text())
    assert manifest["source"] == "generated"
    assert manifest["made_from"]["judge"] == FAKE
    assert manifest["made_from"]["models"] == ["fake"]
    assert manifest["made_from"]["rule"] == {"pairs": "best_and_worst", "min_difference": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a", "seed": 1, "file": "0.png"}', "line 3: model is missing"),
        ('{"prompt": "a", "seed": true, "file": "0.png", "model": "m"}', "seed must be a whole"),
        ('{"prompt": " ", "seed": 1, "file": "0.png", "model": "m"}', "line 3: prompt is empty"),
        ('{"prompt": "a", "seed": 1, "file": "0.png", "model": "m"}', "line 3: 0.png stands in"),
        ('{"prompt": "a", "seed": 1, "file": "../0.png", "model": "m"}', "not a plain file name"),
        ('{"prompt": "a", "seed": 1, "file": "9.png", "model": "m"}', "9.png is not there"),
        ('{"prompt": "a", "seed": 1, "file": "index.jsonl", "model": "m"}', "cannot be used"),
        ("nothing", "line 3: is not JSON"),
        ("[]", "line 3: must be a mapping"),
    ],
)
def test_a_wrong_line_of_the_index_is_named_and_the_others_stand(
    tmp_path: Path, line: str, message: str
) -> None:
    folder = write_images(tmp_path / "images", [("a", picture(1)), ("a", picture(5))])
    with (folder / "index.jsonl").open("a") as file:
        file.write(line + "\n")
    built = rank(folder)[0]
    (problem,) = built.problems
    assert message in problem and "index.jsonl, line 3" in problem
    assert built.counts["pairs"] == 1 and built.counts["left_out"]["wrong_line"] == 1
    assert str(tmp_path) not in (built.folder / "manifest.json").read_text()


class FakeModel:
    """Draws a plain picture whose colour follows from prompt and seed; may stop before its end."""

    def __init__(self, stop_after: int = 999) -> None:
        self.asked: list[tuple[str, int]] = []
        self.stop_after = stop_after

    def __call__(self, prompt: str, seed: int) -> Image.Image:
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append((prompt, seed))
        return picture(seed, len(prompt))


def make(folder: Path, generate: FakeModel, prompts: Sequence[str], **changes: Any) -> Path:
    options: dict[str, Any] = {"images_per_prompt": 3, "seed": 10, "model": "fake 1"} | changes
    return generate_images(folder, prompts, generate=generate, say=lambda _: None, **options)


def test_images_are_made_for_every_prompt_and_seed(tmp_path: Path) -> None:
    model = FakeModel()
    folder = make(tmp_path / "images", model, ["a house", "a boat", " a house "])
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    assert [(row["prompt"], row["seed"]) for row in rows] == model.asked
    assert Counter(prompt for prompt, _ in model.asked) == {"a house": 3, "a boat": 3}
    assert {seed for _, seed in model.asked} == {10, 11, 12}
    assert {row["model"] for row in rows} == {"fake 1"}
    _, pairs = rank(folder)
    assert seeds(pairs) == [(10, 12), (10, 12)]


def test_a_stopped_generation_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "images", FakeModel(stop_after=4), ["a house", "a boat"])
    assert not (tmp_path / "images").exists()
    rest = FakeModel()
    folder = make(tmp_path / "images", rest, ["a house", "a boat"])
    assert rest.asked == [("a boat", 11), ("a boat", 12)]
    whole = make(tmp_path / "whole", FakeModel(), ["a house", "a boat"])
    assert [(p.name, p.read_bytes()) for p in sorted(folder.iterdir())] == [
        (p.name, p.read_bytes()) for p in sorted(whole.iterdir())
    ]


def test_what_another_model_left_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "images", FakeModel(stop_after=4), ["a house", "a boat"])
    model = FakeModel()
    folder = make(tmp_path / "images", model, ["a house"], model="fake 2")
    assert len(model.asked) == 3
    assert len(list(folder.glob("*.png"))) == 3


def test_what_cannot_give_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotBuild, match="two images per prompt"):
        make(tmp_path / "images", FakeModel(), ["a house"], images_per_prompt=1)
    with pytest.raises(CannotBuild, match="prompts that say something"):
        make(tmp_path / "images", FakeModel(), ["a house", " "])
    (tmp_path / "images").mkdir()
    with pytest.raises(CannotBuild, match="exists already"):
        make(tmp_path / "images", FakeModel(), ["a house"])


def test_the_agent_judge_counts_what_the_agent_finds(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200), (120, 118, 119))
    findings = label_image(image)
    found = Counter(each.polarity for each in findings)
    judge, identity = agent_judge()
    assert judge(image, "a wall") == (found["negative"], found["positive"]) != (0, 0)
    assert (identity["agent"], identity["version"]) == ("measured", VERSION)

    one = next(each for each in findings if each.polarity == "negative")
    judge, identity = agent_judge(write_criteria(tmp_path, one.key))
    assert judge(image, "a wall")[0] == 1
    assert identity["pairs_decided"] == 1
    assert len(identity["criteria_sha256"]) == 64


def test_attributes_count_as_they_read_for_the_images_of_a_prompt(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 200), (120, 118, 119))
    one = next(each for each in label_image(image) if each.polarity == "negative")
    bad = Attribute(
        "Bad", styles=(StyleReading("ink", "neutral"), StyleReading("glow", "positive"))
    )
    pair = Pair(one.key, "opposed", Attribute("Good"), bad, needs=("figures",))
    criteria = Criteria(
        "C",
        dimensions=(Dimension("d", "D", pairs=(pair,)),),
        content=(ImageContent("figures", "Figures"),),
        styles=(ImageStyle("ink", "Ink"), ImageStyle("glow", "Glow")),
    )
    prompts: dict[str, list[dict[str, Any]]] = {
        "unknown": [{}],
        "ink": [{"styles": ["ink"]}],
        "glow": [{"styles": ["ink", "glow"]}],
        "nobody": [{"absent": ["figures"]}],
        "some ink": [{"styles": ["ink"]}, {"styles": ["glow"]}],
    }
    paintings = [
        Painting(number, prompt, 0)
        for number, prompt in enumerate(name for name, said in prompts.items() for _ in said)
    ]
    folder = write_labelled(tmp_path, paintings)
    lines = folder / "train/examples.jsonl"
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    said = [each for all_said in prompts.values() for each in all_said]
    lines.write_text(
        "".join(
            json.dumps(row | {"traits": each}) + "\n" for row, each in zip(rows, said, strict=True)
        )
        + "{ damaged\n"
    )
    (folder / "criteria.json").write_text(write_json(criteria))
    seal(folder)
    judge, identity = agent_judge(dataset_folder=folder)
    assert {prompt: judge(image, prompt) for prompt in prompts} == {
        "unknown": (1, 0),
        "ink": (0, 0),
        "glow": (0, 1),
        "nobody": (0, 0),
        "some ink": (1, 0),
    }
    assert len(identity["dataset_sha256"]) == len(identity["criteria_sha256"]) == 64


def write_criteria(folder: Path, key: str) -> Path:
    pair = Pair(key, "opposed", Attribute("Good"), Attribute("Bad"))
    path = folder / "criteria.json"
    path.write_text(write_json(Criteria("C", dimensions=(Dimension("d", "D", pairs=(pair,)),))))
    return path


def test_criteria_that_cannot_be_read_or_judged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotBuild, match="has no attribute pair that the measured agent decides"):
        agent_judge(write_criteria(tmp_path, "taste"))
    (tmp_path / "criteria.json").write_text("{}")
    with pytest.raises(CannotBuild, match=r"criteria\.json: cannot be read as criteria"):
        agent_judge(tmp_path / "criteria.json")
    with pytest.raises(CannotBuild, match="none: cannot be read: No such file"):
        agent_judge(tmp_path / "none")


class FailingModel(FakeModel):
    """Fails for some seeds."""

    def __init__(self, errors: dict[int, Exception]) -> None:
        super().__init__()
        self.errors = errors

    def __call__(self, prompt: str, seed: int) -> Image.Image:
        if seed in self.errors:
            raise self.errors[seed]
        return super().__call__(prompt, seed)


def test_an_image_that_cannot_be_made_is_left_out_and_named(tmp_path: Path) -> None:
    model = FailingModel({10: PictureNotFinite(), 12: MemoryError()})
    folder = make(tmp_path / "images", model, ["a house", "ein Käse"], images_per_prompt=4)
    built, pairs = rank(folder)
    assert seeds(pairs) == [(11, 13), (11, 13)]
    assert built.counts["left_out"] == {"not_generated": 4}
    assert built.counts["generated_images"] == 8
    assert [each.partition(":")[0] for each in built.problems] == [
        "a house, seed 10", "a house, seed 12", "ein Käse, seed 10", "ein Käse, seed 12"
    ]  # fmt: skip
    assert "NaN" in built.problems[0] and "memory" in built.problems[1]


@pytest.mark.parametrize(
    ("error", "ends", "said"),
    [
        (MemoryError(), OutOfMemory, "lower resolution"),
        (PictureNotFinite(), CannotBuild, "NaN"),
        (OSError(28, "No space left on device"), CannotBuild, "No space left"),
    ],
)
def test_generating_ends_where_nothing_can_be_made(
    tmp_path: Path, error: Exception, ends: type[Exception], said: str
) -> None:
    with pytest.raises(ends, match=said):
        make(tmp_path / "images", FailingModel(dict.fromkeys((10, 11, 12), error)), ["a house"])
    assert not (tmp_path / "images").exists()
