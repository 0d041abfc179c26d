from dataclasses import asdict
from importlib.resources import files

import pytest

from taxonomy.checks import check
from taxonomy.formats.yaml import read_yaml
from taxonomy.report import report
from taxonomy.tree import Criteria, Dimension, counts

MEASURED = {
    "brushwork-and-texture": (
        "visible-brushwork rich-impasto-texture even-surface-grain varied-stroke-direction"
    ),
    "light-and-shadow": (
        "wide-tonal-range strong-light-dark-contrast clear-light-direction luminous-high-key "
        "controlled-low-key layered-midtones"
    ),
    "composition": (
        "bilateral-symmetry focal-point-composition visual-balance thirds-placement "
        "pictorial-richness reserved-empty-space horizontal-composition vertical-composition "
        "diagonal-composition circular-composition"
    ),
    "color-relationship": (
        "rich-saturation warm-dominance cool-dominance warm-cool-contrast complementary-contrast "
        "analogous-harmony limited-palette value-led-color"
    ),
    "edge-relationship": "clear-edges lost-and-found-edges edge-hierarchy soft-transitions",
    "perspective-and-space": "atmospheric-perspective foreground-background-separation",
    "shape-and-form": "simplified-masses shape-variety",
}

ROOTS = [
    "Brushwork and Texture",
    "Light and Shadow",
    "Shape and Form",
    "Composition",
    "Perspective and Space",
    "Color Relationship",
    "Edge Relationship",
]

# Names the paper gives (sections 3, S1, S2, S10); capitals are left to the tree.
DIMENSIONS_OF_THE_PAPER = [
    *("Composition category", "Visual guidance", "Image richness", "Visual equilibrium"),
    *("Visual rhythm", "Symmetry", "Asymmetry", "Geometry"),
]
ATTRIBUTES_OF_THE_PAPER = [
    *("Clear edges", "Blurred edges", "Focal point composition", "Circular composition"),
    *("Radial composition", "Ambiguous center"),
]


def text() -> str:
    return files("taxonomy").joinpath("painting.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def painting() -> Criteria:
    return read_yaml(text())


def test_has_the_size_the_paper_gives(painting: Criteria) -> None:
    found = counts(painting)
    assert (found.root_dimensions, found.levels, found.attribute_pairs) == (7, 5, 246)
    assert painting.max_levels == 5
    assert sorted(dimension.name for dimension in painting.dimensions) == sorted(ROOTS)
    assert found.by_root.keys() == MEASURED.keys()


def test_has_no_faults(painting: Criteria) -> None:
    assert [problem for problem in check(painting) if problem.severity == "error"] == []
    found = report(text())
    assert (found["root_dimensions"], found["levels"], found["attribute_pairs"]) == (7, 5, 246)
    assert found["problems"] == [asdict(problem) for problem in check(painting)]


@pytest.mark.parametrize(("root", "keys"), MEASURED.items())
def test_holds_what_the_measured_agent_decides(painting: Criteria, root: str, keys: str) -> None:
    roots = {key: painting.root_of(key).key for key in keys.split() if painting.pair(key)}
    assert roots == dict.fromkeys(keys.split(), root)


@pytest.mark.parametrize("name", DIMENSIONS_OF_THE_PAPER)
def test_holds_the_dimensions_the_paper_names(painting: Criteria, name: str) -> None:
    composition = {
        entry.node.name.casefold()
        for entry in painting.walk()
        if isinstance(entry.node, Dimension) and entry.root.key == "composition"
    }
    assert name.casefold() in composition


@pytest.mark.parametrize("name", ATTRIBUTES_OF_THE_PAPER)
def test_holds_the_attributes_the_paper_names(painting: Criteria, name: str) -> None:
    names = {
        side.name.casefold() for pair in painting.pairs() for side in (pair.positive, pair.negative)
    }
    assert name.casefold() in names


def test_every_side_has_a_definition(painting: Criteria) -> None:
    for pair in painting.pairs():
        for side in (pair.positive, pair.negative):
            assert len(side.definition.split()) >= 5, f"{pair.key}: {side.name}"


def test_has_exclusive_dimensions_and_both_relations(painting: Criteria) -> None:
    assert {pair.relation for pair in painting.pairs()} == {"opposed", "flaw"}
    exclusive = {
        entry.node.key
        for entry in painting.walk()
        if isinstance(entry.node, Dimension) and entry.node.exclusive
    }
    assert len(exclusive) >= 7
