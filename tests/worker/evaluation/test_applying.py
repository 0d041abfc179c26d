"""What counts in generated images, by the style and content of the image that each prompt is of."""

from pathlib import Path

from taxonomy.applicability import Traits
from taxonomy.prompt import conditions
from tests.taxonomy.test_applicability import TREE
from tests.taxonomy.trees import small_tree
from worker.evaluation.applying import as_they_read
from worker.evaluation.reading import Case
from worker.training.examples import Dataset, Example

TRAITS = [Traits(), Traits(frozenset({"ink"})), Traits(frozenset({"impressionism"}), absent=frozenset({"figures"}))]  # fmt: skip
CASES = [Case(number, f"prompt {number}", 7, "test", str(number)) for number in range(3)]
DATASET = Dataset(
    Path("dataset"),
    "Test",
    "0" * 64,
    "Test",
    "0" * 64,
    tuple(
        Example(str(number), "", Path("x"), (1, 1), "test", conditions("", [], []), 0, traits)
        for number, traits in enumerate(TRAITS)
    ),
)
FOUND = {
    model: [frozenset({("clear", "negative"), ("stance", "negative"), ("clear", "positive")})] * 3
    for model in ("base", "target")
}


def test_neutral_negatives_and_what_does_not_apply_are_not_counted() -> None:
    read = as_they_read(FOUND, TREE, DATASET, CASES)
    plain = FOUND["base"][0]
    assert read["base"] == read["target"]
    assert read["base"] == [
        plain,
        plain - {("clear", "negative")},
        frozenset({("clear", "positive")}),
    ]


def test_criteria_without_applicability_count_as_before() -> None:
    assert as_they_read(FOUND, small_tree(), DATASET, CASES) is FOUND


def test_the_order_of_the_prompts_decides_which_image_is_meant() -> None:
    read = as_they_read({"base": FOUND["base"][:1]}, TREE, DATASET, CASES[1:2])
    assert ("clear", "negative") not in read["base"][0]
