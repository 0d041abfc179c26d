"""Pairs from labels: the rules, for any dataset, and what stands in the folder."""

import json
import tempfile
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from method.manifests import SPLITS, verify
from method.pair_folder import read_pairs
from tests.spoiling import SPOILT, Spoil
from tests.worker.pairs.pictures import Painting, name_of, png, write_labelled
from worker.pairs.building import Built, CannotBuild
from worker.pairs.from_labels import from_labels

PROMPTS = ("a red house", "a red boat", "the sea at night", "night", "!!", "")

paintings = st.lists(
    st.builds(
        Painting,
        picture=st.integers(0, 14),
        prompt=st.sampled_from(PROMPTS),
        negative=st.integers(0, 4),
        positive=st.integers(0, 3),
        split=st.sampled_from(("train", "train", "train", "validation", "test")),
    ),
    min_size=2,
    max_size=14,
)
rules = st.fixed_dictionaries(
    {
        "max_pairs_per_image": st.integers(1, 4),
        "min_difference": st.integers(1, 3),
        "nearest": st.integers(0, 3),
    }
)


def lines_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        split: [json.loads(line) for line in path.read_text().splitlines()]
        for split in SPLITS
        if (path := folder / split / "pairs.jsonl").exists()
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(paintings, rules)
def test_the_rules_hold_for_any_dataset(made: list[Painting], rule: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as place:
        dataset = write_labelled(Path(place) / "dataset", made)
        built = build_if_any(dataset, rule)
        if built is None:
            assert not decidable(made, rule["min_difference"])
            assert [path.name for path in Path(place).iterdir()] == ["dataset"]
            return
        again = from_labels(dataset, Path(place) / "again", name="pairs", **rule)
        assert again.sha256 == built.sha256
        assert verify(built.folder) == []
        check(built, made, rule)


def build_if_any(dataset: Path, rule: dict[str, Any]) -> Built | None:
    try:
        return from_labels(dataset, dataset.with_name("pairs"), name="pairs", **rule)
    except CannotBuild:
        return None


def decidable(made: list[Painting], min_difference: int) -> bool:
    """Whether two pictures of one split and prompt are far enough apart; each picture counts once."""
    first = {each.picture: each for each in reversed(in_order(made)) if each.prompt}
    return any(
        one.prompt == two.prompt and one.split == two.split and lead(one, two) >= min_difference
        for one, two in combinations(first.values(), 2)
    )


def in_order(made: list[Painting]) -> list[Painting]:
    return sorted(made, key=lambda each: SPLITS.index(each.split))


def lead(one: Painting, two: Painting) -> int:
    return abs(one.negative - two.negative or one.positive - two.positive)


def check(built: Built, made: list[Painting], rule: dict[str, Any]) -> None:
    used: Counter[str] = Counter()
    for split, rows in lines_of(built.folder).items():
        for row in rows:
            winner, loser = made[int(row["winner_id"])], made[int(row["loser_id"])]
            assert (winner.split, loser.split) == (split, split)
            assert winner.picture != loser.picture
            assert row["winner"] == name_of(png(winner.picture))
            assert row["loser"] == name_of(png(loser.picture))
            assert winner.negative <= loser.negative
            if winner.negative == loser.negative:
                assert winner.positive > loser.positive
            assert lead(winner, loser) >= rule["min_difference"]
            assert row["prompt"] == winner.prompt != ""
            assert ("similarity" in row["reason"]) == (winner.prompt != loser.prompt)
            assert rule["nearest"] or winner.prompt == loser.prompt
            used.update((row["winner"], row["loser"]))
    assert max(used.values()) <= rule["max_pairs_per_image"]
    assert {path.name for path in (built.folder / "images").iterdir()} == set(used)
    counts = built.counts
    assert counts["candidates"] == counts["pairs"] + sum(counts["dropped"].values())
    assert counts["pairs"] == sum(counts[split] for split in SPLITS)
    assert counts["pairs"] == sum(used.values()) // 2
    assert counts["dataset_images"] == len(made)
    assert counts["dataset_images"] == counts["images"] + sum(counts["left_out"].values())
    assert len(read_pairs(built.folder, "all").pairs) == counts["pairs"]


def build(tmp_path: Path, made: list[Painting], **rule: Any) -> tuple[Built, list[dict[str, Any]]]:
    dataset = write_labelled(tmp_path / "dataset", made)
    built = from_labels(dataset, tmp_path / "pairs", name="houses", **rule)
    return built, lines_of(built.folder).get("train", [])


def sides(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["winner_id"], row["loser_id"]) for row in rows]


def test_of_one_prompt_every_difference_is_a_pair_while_there_is_room(tmp_path: Path) -> None:
    made = [Painting(i, "a house", negative) for i, negative in enumerate((0, 1, 5))]
    built, rows = build(tmp_path, made)
    assert sorted(sides(rows)) == [("0", "1"), ("0", "2"), ("1", "2")]
    assert built.counts["dropped"] == {}
    assert rows[0]["reason"] == {
        "negative": {"winner": 0, "loser": 5},
        "positive": {"winner": 0, "loser": 0},
    }


def test_the_best_meets_the_worst_first_and_the_cap_is_counted(tmp_path: Path) -> None:
    made = [Painting(i, "a house", negative) for i, negative in enumerate((0, 1, 5, 6))]
    built, rows = build(tmp_path, made, max_pairs_per_image=1)
    assert sides(rows) == [("0", "3"), ("1", "2")]
    assert built.counts["dropped"] == {"image_has_enough_pairs": 4}


def test_losers_of_equal_counts_take_turns(tmp_path: Path) -> None:
    made = [Painting(i, "a house", 0) for i in range(2)]
    made += [Painting(i, "a house", 3) for i in range(2, 6)]
    built, rows = build(tmp_path, made, max_pairs_per_image=2)
    assert Counter(loser for _, loser in sides(rows)) == dict.fromkeys("2345", 1)
    assert built.counts["dropped"] == {"tie": 1 + 6, "image_has_enough_pairs": 4}


def test_equal_negatives_are_decided_by_positives_and_ties_dropped(tmp_path: Path) -> None:
    made = [
        Painting(0, "a house", 2, 1),
        Painting(1, "a house", 2, 3),
        Painting(2, "a house", 2, 3),
    ]
    built, rows = build(tmp_path, made)
    assert sorted(sides(rows)) == [("1", "0"), ("2", "0")]
    assert built.counts["dropped"] == {"tie": 1}


def test_what_differs_by_too_little_is_no_pair(tmp_path: Path) -> None:
    made = [Painting(0, "a house", 1), Painting(1, "a house", 2), Painting(2, "a house", 3)]
    built, rows = build(tmp_path, made, min_difference=2)
    assert sides(rows) == [("0", "2")]
    assert built.counts["dropped"] == {"too_close": 2}
    assert built.counts["left_out"] == {"without_pair": 1}


def test_a_lonely_picture_looks_among_the_nearest_prompts(tmp_path: Path) -> None:
    made = [
        Painting(0, "a stormy sea by night", 3),
        Painting(1, "a calm sea by night", 0),
        Painting(2, "a house", 5),
        Painting(3, "portrait of somebody", 0),
    ]
    built, rows = build(tmp_path, made, nearest=1)
    # "a house" shares one frequent word with the seas, and nothing with the portrait.
    first = rows[0]
    assert sides(rows)[0] == ("1", "0")
    assert first["prompt"] == "a calm sea by night"
    assert first["reason"]["prompts"] == {
        "winner": "a calm sea by night",
        "loser": "a stormy sea by night",
    }
    assert 0.4 < first["reason"]["similarity"] < 0.9
    assert ("3", "2") not in sides(rows)
    assert built.counts["left_out"] == {"without_pair": 1}
    assert built.counts["dropped"] == {}


def test_a_picture_with_partners_of_its_own_prompt_looks_no_further(tmp_path: Path) -> None:
    made = [
        Painting(0, "a house", 0),
        Painting(1, "a house", 2),
        Painting(2, "a boat", 0),
        Painting(3, "a boat", 2),
    ]
    _, rows = build(tmp_path, made, nearest=5)
    assert sides(rows) == [("2", "3"), ("0", "1")]


def test_pictures_that_cannot_be_paired_are_counted(tmp_path: Path) -> None:
    made = [
        Painting(0, "a house", 0),
        Painting(1, "a house", 2),
        Painting(2, "", 4),
        Painting(1, "a house", 3, split="test"),
        Painting(4, "elsewhere", 1),
    ]
    built, _ = build(tmp_path, made)
    assert built.counts["left_out"] == {
        "without_prompt": 1,
        "repeated_picture": 1,
        "without_pair": 1,
    }


def test_the_manifest_says_what_the_pairs_were_made_from(tmp_path: Path) -> None:
    made = [Painting(0, "a house", 0), Painting(1, "a house", 2)]
    built, _ = build(tmp_path, made, nearest=0)
    manifest = json.loads((built.folder / "manifest.json").read_text())
    source = json.loads((tmp_path / "dataset/manifest.json").read_text())
    assert (manifest["name"], manifest["source"]) == ("houses", "labels")
    assert manifest["made_from"] == {
        "dataset": {"name": "houses", "sha256": source["sha256"]},
        "criteria": {"name": "Painting 1", "sha256": source["criteria"]["sha256"]},
        "rule": {
            "max_pairs_per_image": 4,
            "min_difference": 1,
            "nearest": 0,
            "with_unfinished": False,
            "similarity": "tf-idf/1",
        },
    }
    assert built.sha256 == manifest["sha256"]


def test_a_dataset_that_was_changed_gives_nothing(tmp_path: Path) -> None:
    made = [Painting(0, "a house", 0), Painting(1, "a house", 2)]
    dataset = write_labelled(tmp_path / "dataset", made)
    next(dataset.glob("train/*.png")).write_bytes(png(200))
    with pytest.raises(CannotBuild, match="not what the dataset recorded"):
        from_labels(dataset, tmp_path / "pairs", name="houses")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_picture_that_was_changed_is_named_and_the_other_pairs_stand(tmp_path: Path) -> None:
    made = [Painting(0, "a house", 0), Painting(1, "a house", 2)]
    made += [Painting(2, "a boat", 0), Painting(3, "a boat", 2)]
    dataset = write_labelled(tmp_path / "dataset", made)
    next(dataset.glob("train/*.png")).write_bytes(png(200))
    built = from_labels(dataset, tmp_path / "pairs", name="houses")
    assert built.counts["pairs"] == 1 and built.counts["dropped"] == {"unreadable_picture": 1}
    (problem,) = built.problems
    assert "not what the dataset recorded" in problem and str(tmp_path) not in problem
    assert verify(built.folder) == []


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_picture_that_is_lost_is_named_and_the_other_pairs_stand(
    tmp_path: Path, spoil: Spoil
) -> None:
    made = [Painting(0, "a house", 0), Painting(1, "a house", 2)]
    made += [Painting(2, "a boat", 0), Painting(3, "a boat", 2)]
    dataset = write_labelled(tmp_path / "dataset", made)
    spoil(dataset / "train" / name_of(png(made[0].picture)))
    built = from_labels(dataset, tmp_path / "pairs", name="houses")
    assert built.counts["pairs"] == 1 and built.counts["dropped"] == {"unreadable_picture": 1}
    (problem,) = built.problems
    assert str(tmp_path) not in problem
    assert verify(built.folder) == []


def test_no_difference_anywhere_is_an_error_with_the_counts(tmp_path: Path) -> None:
    with pytest.raises(CannotBuild, match="No pair came out of 3 candidates; dropped: tie 3"):
        build(tmp_path, [Painting(i, "a house", 1) for i in range(3)])


@pytest.mark.parametrize(
    "rule", [{"max_pairs_per_image": 0}, {"min_difference": 0}, {"nearest": -1}]
)
def test_a_rule_that_makes_no_sense_is_refused(tmp_path: Path, rule: dict[str, Any]) -> None:
    with pytest.raises(CannotBuild, match="must be 1 at least"):
        build(tmp_path, [Painting(0, "a house", 0), Painting(1, "a house", 2)], **rule)
