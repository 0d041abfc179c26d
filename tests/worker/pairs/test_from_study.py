"""Pairs from the judgements of a pairwise study."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from method.manifests import verify
from method.pair_folder import read_pairs
from tests.worker.pairs.pictures import png
from worker.pairs.building import Built, CannotBuild
from worker.pairs.from_study import from_study

Answer = tuple[str, str]
"""Participant and choice."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(("cpo.png", "dpo.png", "sdxl.png")):
        (folder / name).write_bytes(png(number))
    return folder


def judgement(who: str, choice: str, **changes: Any) -> dict[str, Any]:
    return {
        "prompt": "a house",
        "image_a": "cpo.png",
        "image_b": "dpo.png",
        "choice": choice,
        "participant": who,
    } | changes


def build(
    images: Path, rows: Sequence[dict[str, Any]], **options: Any
) -> tuple[Built, list[dict[str, Any]]]:
    path = images.parent / "judgements.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    built = from_study(path, images, images.parent / "pairs", name="study", **options)
    lines = (built.folder / "train/pairs.jsonl").read_text().splitlines()
    return built, [json.loads(line) for line in lines]


def refusal(images: Path, rows: Sequence[dict[str, Any]], **options: Any) -> str:
    with pytest.raises(CannotBuild) as caught:
        build(images, rows, **options)
    assert not (images.parent / "pairs").exists()
    return str(caught.value)


def test_the_majority_of_participants_decides_whichever_side_an_image_was_on(images: Path) -> None:
    turned = {"image_a": "dpo.png", "image_b": "cpo.png"}
    rows = [judgement("ann", "a"), judgement("bob", "b", **turned), judgement("cem", "a", **turned)]
    built, (pair,) = build(images, rows)
    assert (pair["winner_id"], pair["loser_id"]) == ("cpo.png", "dpo.png")
    assert pair["reason"] == {"participants": {"winner": 2, "loser": 1, "neither": 0}}
    assert verify(built.folder) == []
    assert read_pairs(built.folder, "train").source == "study"
    assert (built.counts["judgements"], built.counts["participants"]) == (3, 3)


def test_each_participant_has_one_voice_over_all_dimensions(images: Path) -> None:
    """Ann answers often, Bob and Cem once each."""
    rows = [judgement("ann", "a", dimension=name) for name in ("color", "edges", "light", "space")]
    rows += [judgement("ann", "b", dimension="shape")]
    rows += [judgement("bob", "b"), judgement("cem", "b", dimension="color")]
    _, (pair,) = build(images, rows)
    assert pair["winner_id"] == "dpo.png"
    assert pair["reason"] == {"participants": {"winner": 2, "loser": 1, "neither": 0}}


def test_who_is_torn_between_dimensions_prefers_neither(images: Path) -> None:
    rows = [judgement("ann", "a", dimension="color"), judgement("ann", "b", dimension="edges")]
    rows += [judgement("bob", "a"), judgement("cem", "tie"), judgement("dia", "a")]
    _, (pair,) = build(images, rows)
    assert pair["reason"] == {"participants": {"winner": 2, "loser": 0, "neither": 2}}


def test_ties_are_dropped_and_counted(images: Path) -> None:
    rows = [judgement("ann", "a"), judgement("bob", "b")]
    rows += [judgement(who, "tie", image_b="sdxl.png") for who in ("ann", "bob")]
    rows += [judgement("ann", "a", image_b="sdxl.png")]
    rows += [
        judgement(who, choice, prompt="a boat") for who, choice in zip("abc", "aab", strict=True)
    ]
    built, found = build(images, rows)
    # Where Ann said tie and a she prefers a; hers is half of the voices, which is enough agreement.
    assert [(pair["prompt"], pair["loser_id"]) for pair in found] == [
        ("a boat", "dpo.png"),
        ("a house", "sdxl.png"),
    ]
    assert built.counts["dropped"] == {"tie": 1}


def test_the_least_agreement_is_a_share_of_all_participants(images: Path) -> None:
    rows = [
        judgement(who, choice) for who, choice in zip("abcd", ("a", "a", "a", "b"), strict=True)
    ]
    rows += [judgement(who, "a", prompt="a boat") for who in "ab"]
    rows += [judgement(who, "a", prompt="unclear") for who in "abc"]
    rows += [judgement("d", "tie", prompt="unclear")]
    built, found = build(images, rows, min_agreement=0.8)
    assert [pair["prompt"] for pair in found] == ["a boat"]
    assert built.counts["dropped"] == {"too_little_agreement": 2}
    assert built.counts["candidates"] == 3
    (images.parent / "pairs").rename(images.parent / "before")
    assert build(images, rows, min_agreement=0.75)[0].counts["pairs"] == 3


def test_the_order_of_lines_and_two_names_of_one_picture_change_no_pair(images: Path) -> None:
    (images / "copy.png").write_bytes(png(0))
    rows = [judgement("ann", "a"), judgement("bob", "a", image_a="copy.png"), judgement("cem", "b")]
    built, (pair,) = build(images, rows)
    assert (pair["winner_id"], built.counts["images"]) == ("cpo.png", 2)
    (images.parent / "pairs").rename(images.parent / "before")
    _, (again,) = build(images, [rows[0], rows[2], rows[1]])
    assert again == pair


def test_participants_are_not_named_in_the_pair_dataset(images: Path) -> None:
    built, _ = build(images, [judgement("ann-who-is-secret", "a")])
    texts = [path.read_text() for path in built.folder.rglob("*.json*")]
    assert len(texts) == 2
    assert not any("secret" in text for text in texts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"choice": "left"}, "choice is 'left'; it must be a, b or tie"),
        ({"participant": ""}, "participant is empty"),
        ({"prompt": 4}, "prompt must be text"),
        ({"dimension": 3}, "dimension must be text, or left out"),
        ({"image_b": "cpo.png"}, "image_a and image_b are the same picture"),
        ({"image_b": "copy.png"}, "image_a and image_b are the same picture"),
        ({"image_b": "../judgements.jsonl"}, "'../judgements.jsonl' is not a plain file name"),
        ({"image_b": "gone.png"}, "gone.png is not there"),
        ({"image_b": "broken.png"}, "broken.png cannot be used: it is no JPEG, PNG or WebP"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_count(
    images: Path, changes: dict[str, Any], message: str
) -> None:
    (images / "broken.png").write_bytes(b"broken")
    (images / "copy.png").write_bytes(png(0))
    built, found = build(images, [judgement("ann", "a"), judgement("bob", "a") | changes])
    (problem,) = built.problems
    assert message in problem and "judgements.jsonl, line 2" in problem
    assert len(found) == 1 and built.counts["left_out"] == {"wrong_line": 1}
    (images.parent / "pairs").rename(images.parent / "before")
    assert message in refusal(images, [judgement("bob", "a") | changes])


def test_nothing_to_learn_and_a_wrong_share_are_refused(images: Path) -> None:
    assert "dropped: tie 1" in refusal(images, [judgement("ann", "tie")])
    assert "min_agreement is a share" in refusal(images, [judgement("ann", "a")], min_agreement=1.5)
