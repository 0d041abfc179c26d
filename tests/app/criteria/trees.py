"""Small criteria for tests."""

from taxonomy.tree import Attribute, Criteria, Dimension, Pair

SMALL = Criteria(
    name="Small",
    max_levels=4,
    dimensions=(
        Dimension(
            key="light",
            name="Light",
            definition="How light falls.",
            dimensions=(
                Dimension(
                    key="source",
                    name="Source of light",
                    definition="Where light comes from.",
                    pairs=(
                        Pair(
                            key="clear-source",
                            relation="opposed",
                            positive=Attribute("One clear source", "Shadows agree."),
                            negative=Attribute("Contradicting shadows", "Shadows disagree."),
                        ),
                    ),
                ),
            ),
            pairs=(
                Pair(
                    key="glow",
                    relation="flaw",
                    positive=Attribute("Glow", "Light seems to come from within."),
                    negative=Attribute("Chalky glow", "The glow has gone white."),
                ),
            ),
        ),
        Dimension(
            key="edges",
            name="Edges",
            definition="Where forms meet.",
            pairs=(
                Pair(
                    key="clear-edges",
                    relation="opposed",
                    positive=Attribute("Clear edges", "Forms end sharply."),
                    negative=Attribute("Blurred edges", "Forms have no end."),
                ),
            ),
        ),
    ),
)
