from collections import Counter
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import pytest

from taxonomy.applicability import Applicability, Traits, Vocabulary
from taxonomy.changes import difference
from taxonomy.checks import check
from taxonomy.formats.turtle import read_turtle, write_turtle
from taxonomy.formats.yaml import read_yaml
from taxonomy.report import report
from taxonomy.searching import Index
from taxonomy.shipped import painting_edition
from taxonomy.tree import POLARITIES, RELATIONS, Attribute, Criteria, Dimension, Pair, counts

MEASURED = {
    "brushwork-and-texture": (
        "brushwork-in-evidence polished-finish rich-impasto-texture even-surface-grain "
        "varied-stroke-direction"
    ),
    "light-and-shadow": (
        "wide-tonal-range strong-light-dark-contrast clear-light-direction luminous-high-key "
        "controlled-low-key layered-midtones"
    ),
    "composition": (
        "bilateral-symmetry focal-point-composition visual-balance off-center-placement "
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

# What the paper says (sections 3, S1, S2, S10, figure 2, table S5), and the node that is meant.
DIMENSIONS_OF_THE_PAPER = {
    "Brushstroke and Texture": "brushwork-and-texture",
    "Brushwork and Texture": "brushwork-and-texture",
    "Color Relations": "color-relationship",
    "Color Relationship": "color-relationship",
    "Composition category": "composition-category",
    "Edge Relationship": "edge-relationship",
    "Geometric composition": "geometric-composition",
    "Geometry": "geometry",
    "Image richness": "image-richness",
    "Light and Shadow": "light-and-shadow",
    "Light Aspect": "light-aspect",
    "Light Quality": "light-quality",
    "Perspective and Space": "perspective-and-space",
    "Shape and Form": "shape-and-form",
    "Shape and Posture": "shape-and-form",
    "Symmetry": "symmetry",
    "Asymmetry": "asymmetry",
    "Visual equilibrium": "visual-equilibrium",
    "Visual guidance": "visual-guidance",
    "Visual rhythm": "visual-rhythm",
}
ATTRIBUTES_OF_THE_PAPER = {
    "Absence of shape-breaking elements": ("circular-composition", "negative"),
    "Ambiguous center": ("radial-composition", "negative"),
    "Axis-symmetric": ("bilateral-symmetry", "positive"),
    "Blurred edges": ("clear-edges", "negative"),
    "Center-symmetric": ("central-symmetry", "positive"),
    "Circular composition": ("circular-composition", "positive"),
    "Circular symmetry": ("circular-symmetry", "positive"),
    "Clear edges": ("clear-edges", "positive"),
    "Close circle without shape breaking": ("circular-composition", "negative"),
    "Focal Point Composition": ("focal-point-composition", "positive"),
    "Radial composition": ("radial-composition", "positive"),
    "Soft and hard light": ("coherent-light-quality", "negative"),
    "Upward triangle": ("upward-triangle", "positive"),
}

# Words about what the painter wanted; a picture shows what is there.
INTENTIONS = ["deliberate", "knowing", "meant to", "claims", "careless", "sought", "on purpose"]

# Things that a text encoder would draw.
METAPHORS = [
    *("lollipop", "helmet", "balloon", "mitten", "bobblehead", "organ-pipe", "spaghetti", "soap"),
    *("cookie", "wallpaper", "picket", "keyhole", "doll", "giants", "salad", "measles", "razor"),
    *(
        "stained-glass",
        "sticker",
        "chessboard",
        "checkerboard",
        "waxworks",
        "mannequin",
        "tin-foil",
    ),
    *("cotton", "toothpaste", "porridge", "syrup", "chicken", "confetti", "butter", "poster"),
    *("bull", "pinwheel", "bookend", "drumbeat", "papier", "postcard", "curtain", "traffic"),
    *("coloring-book", "wire", "toy", "jewel", "steelyard", "skull", "ghoul", "nursery"),
]


def text() -> str:
    return files("taxonomy").joinpath("painting.yaml").read_text("utf-8")


@pytest.fixture(scope="module")
def painting() -> Criteria:
    return read_yaml(text())


@pytest.fixture(scope="module")
def first_edition() -> Criteria:
    return painting_edition(1)


def sides(painting: Criteria) -> list[tuple[str, Attribute]]:
    return [
        (f"{pair.key}: {side.name}", side)
        for pair in painting.pairs()
        for side in (pair.positive, pair.negative)
    ]


def test_has_the_size_the_paper_gives(painting: Criteria) -> None:
    found = counts(painting)
    assert (found.root_dimensions, found.levels, found.attribute_pairs) == (7, 5, 246)
    assert painting.max_levels == 5
    assert sorted(dimension.name for dimension in painting.dimensions) == sorted(ROOTS)
    assert found.by_root.keys() == MEASURED.keys()


def test_has_no_faults() -> None:
    found = report(lambda: read_yaml(text()))
    assert (found["root_dimensions"], found["levels"], found["attribute_pairs"]) == (7, 5, 246)
    assert found["problems"] == []


def test_the_first_edition_is_the_one_that_was_shipped(first_edition: Criteria) -> None:
    assert [asdict(each) for each in check(first_edition)] == []
    assert counts(first_edition).attribute_pairs == 246


@pytest.mark.parametrize(("root", "keys"), MEASURED.items())
def test_holds_what_the_measured_agent_decides(painting: Criteria, root: str, keys: str) -> None:
    roots = {key: painting.root_of(key).key for key in keys.split() if painting.pair(key)}
    assert roots == dict.fromkeys(keys.split(), root)


@pytest.mark.parametrize(("name", "key"), DIMENSIONS_OF_THE_PAPER.items())
def test_finds_the_dimensions_the_paper_names(painting: Criteria, name: str, key: str) -> None:
    node = painting.dimension(key)
    assert name.casefold() in {each.casefold() for each in (node.name, *node.words.alternatives)}
    assert key in {found.key for found in Index(painting).nodes(name) if found.where == "name"}


@pytest.mark.parametrize(("name", "side"), ATTRIBUTES_OF_THE_PAPER.items())
def test_finds_the_attributes_the_paper_names(
    painting: Criteria, name: str, side: tuple[str, str]
) -> None:
    found = Index(painting).attributes(name)[0]
    assert (found.key, found.polarity) == side


def test_the_papers_example_of_exclusion_holds(painting: Criteria) -> None:
    dimension = painting.dimension("geometric-composition")
    assert dimension.exclusive
    assert {"upward-triangle", "circular-symmetry"} <= {pair.key for pair in dimension.pairs}


def test_every_key_of_the_first_edition_leads_somewhere(
    painting: Criteria, first_edition: Criteria
) -> None:
    for entry in first_edition.walk():
        found = [painting.entry(key) for key in painting.resolve(entry.node.key)]
        assert found, entry.node.key
        assert {type(each.node) for each in found} == {type(entry.node)}
        assert not any(each.retired for each in found)
    gone = {
        change.key for change in difference(first_edition, painting) if change.kind == "removed"
    }
    assert gone == set()


def test_names_of_the_first_edition_are_found_where_their_labels_went(
    painting: Criteria, first_edition: Criteria
) -> None:
    for pair in first_edition.pairs():
        keys = painting.resolve(pair.key)
        for polarity in POLARITIES if len(keys) == 1 else ():
            side = painting.pair(keys[0]).attribute(polarity)
            names = {name.casefold() for name in (side.name, *side.words.alternatives)}
            assert pair.attribute(polarity).name.casefold() in names, (pair.key, polarity)


def test_every_dimension_and_side_is_named_and_defined_in_chinese(painting: Criteria) -> None:
    named = [(title, side.words) for title, side in sides(painting)]
    named += [
        (entry.node.key, entry.node.words)
        for entry in painting.walk()
        if isinstance(entry.node, Dimension)
    ]
    assert len(named) == 492 + counts(painting).dimensions
    for title, words in named:
        said = {each.language: each for each in words.translations}
        assert is_chinese(said["zh-Hans"].name), title
        assert is_chinese(said["zh-Hans"].definition), title


def is_chinese(words: str) -> bool:
    return any("\u4e00" <= letter <= "\u9fff" for letter in words)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("留白", "reserved-empty-space"),
        ("皴法", "texture-strokes"),
        ("散点透视", "shifting-viewpoint"),
    ],
)
def test_painters_find_attributes_in_chinese(painting: Criteria, name: str, key: str) -> None:
    assert Index(painting).attributes(name)[0].key == key


def test_every_side_has_a_definition_of_what_is_seen(painting: Criteria) -> None:
    for title, side in sides(painting):
        assert len(side.definition.split()) >= 8, title
        assert side.definition.endswith("."), title
        assert [word for word in INTENTIONS if word in side.definition.casefold()] == [], title


def test_prompts_name_what_a_text_encoder_should_draw(painting: Criteria) -> None:
    for title, side in sides(painting):
        told = side.prompt_wording.casefold()
        assert [word for word in METAPHORS if word in told] == [], title
        assert not {"no", "not", "without", "nothing"} & set(told.split()), title
        assert len(told.split()) <= 6, title


def test_has_exclusive_dimensions_and_every_relation(painting: Criteria) -> None:
    assert {pair.relation for pair in painting.pairs()} == set(RELATIONS)
    exclusive = {
        entry.node.key
        for entry in painting.walk()
        if isinstance(entry.node, Dimension) and entry.node.exclusive
    }
    assert len(exclusive) >= 7
    assert "kind-of-light" not in exclusive  # A nocturne has a moon and a candle.


def needed(painting: Criteria, key: str) -> set[str]:
    """What a node needs, from the root dimension down."""
    nodes = [painting.entry(each).node for each in painting.path_of(key)]
    return {content for node in nodes for content in node.needs}


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("articulate-hands", {"recognizable-subject", "figure", "hands"}),
        ("atmospheric-perspective", {"distance"}),
        ("convincing-textile-texture", {"recognizable-subject", "cloth"}),
        ("two-point-perspective", {"built-things"}),
        ("breathing-ground", {"paint-surface"}),
        ("warm-dominance", set()),
        ("visual-balance", set()),
    ],
)
def test_a_branch_needs_what_it_is_about(painting: Criteria, key: str, content: set[str]) -> None:
    assert needed(painting, key) == content


@pytest.mark.parametrize(
    ("key", "style"),
    [
        ("clear-edges", "impressionism"),
        ("light-fall-off", "icon"),
        ("pictorial-richness", "ink-painting"),
        ("converging-parallels", "icon"),
        ("varied-contour-weight", "synthetism"),
        ("focal-point-composition", "abstract-expressionism"),
        ("convincing-anatomy", "cubism"),
    ],
)
def test_a_means_of_a_style_is_no_fault_in_it(painting: Criteria, key: str, style: str) -> None:
    applicability = Applicability(painting)
    assert applicability.reads(key, "negative", Traits(frozenset({style}))) != "negative"
    assert applicability.reads(key, "negative", Traits(frozenset({"baroque"}))) == "negative"


@pytest.mark.parametrize(
    ("written", "styles"),
    [
        ("Ukiyo-e (woodblock print)", ["ukiyo-e"]),
        ("Northern Renaissance", ["early-netherlandish"]),
        ("Art_Nouveau_Modern", ["art-nouveau"]),
        ("Naïve art", ["naive"]),
        ("Impressionism / Realism", ["impressionism", "realism"]),
        ("水墨画", ["ink-painting"]),
    ],
)
def test_styles_are_known_by_the_names_that_lists_use(
    painting: Criteria, written: str, styles: list[str]
) -> None:
    assert list(Vocabulary(painting).find("style", written)) == styles


def test_only_negative_sides_read_otherwise_in_a_style(painting: Criteria) -> None:
    assert [pair.key for pair in painting.pairs() if pair.positive.styles] == []


def test_no_style_forgives_half_of_the_faults(painting: Criteria) -> None:
    for style in painting.styles:
        forgiven = [
            pair.key
            for pair in painting.pairs()
            if style.id in {each.style for each in pair.negative.styles}
        ]
        assert len(forgiven) < 246 / 4, style.id


def test_all_content_is_needed_somewhere(painting: Criteria) -> None:
    used = {content for entry in painting.walk() for content in entry.node.needs}
    assert {each.id for each in painting.content} == used


def test_no_vocabulary_number_is_claimed(painting: Criteria) -> None:
    """Terms of museum vocabularies are given as names; their numbers could not be looked up."""
    for entry in painting.walk():
        node = entry.node
        parts = (node.positive, node.negative) if isinstance(node, Pair) else (node,)
        for part in parts:
            assert (part.words.exact_match, part.words.close_match) == ((), ()), node.key


def test_the_page_about_it_counts_as_the_tree_does(painting: Criteria) -> None:
    page = (Path(__file__).parents[2] / "docs" / "criteria-painting.md").read_text("utf-8")
    for root in painting.dimensions:
        relations = Counter(
            pair.relation for pair in painting.pairs() if painting.root_of(pair.key) == root
        )
        below = ", ".join(dimension.name for dimension in root.dimensions)
        cells = [root.name, below, relations.total(), *(relations[each] for each in RELATIONS)]
        assert "| " + " | ".join(str(cell) for cell in cells) + " |" in page
    readings = [len(pair.negative.styles) for pair in painting.pairs()]
    needing = sum(bool(needed(painting, pair.key)) for pair in painting.pairs())
    assert f"{needing} of the pairs need something" in page
    assert f"the {len(painting.styles)} styles listed at the head" in page
    assert f"{sum(map(bool, readings))} negatives read otherwise" in page
    assert f"in {sum(readings)} readings" in page


def test_a_museums_vocabulary_tool_gives_the_tree_back_unchanged(painting: Criteria) -> None:
    """Turtle keeps no order of names; the file has them sorted."""
    assert read_turtle(write_turtle(painting)) == painting
