"""One table of searches. Every search has to find these, in this order: the one in memory, the one in
the database, and what browsers show.

Each case: what there is (name, place, text), what is typed, and which of them are found, best first.
"""

from typing import NamedTuple


class Thing(NamedTuple):
    """Something to be found: its name, where it belongs, what is said about it."""

    name: str
    place: str = ""
    text: str = ""


class Search(NamedTuple):
    """What is typed, among what, and the numbers of the things that are found, best first."""

    typed: str
    things: tuple[Thing, ...]
    found: tuple[int, ...]


def _names(typed: str, *names: str, found: tuple[int, ...] = (0,)) -> Search:
    return Search(typed, tuple(Thing(name) for name in names), found)


FOLDED = (
    # Case and accents, composed or not, and letters that no decomposition makes plain.
    _names("OLIVE", "Olive grove", "Mill"),
    _names("matisse etude", "Étude d'après Matisse"),
    _names("e\u0301tude", "Étude", "Study"),
    _names("étude", "E\u0301tude"),
    _names("hammershoi", "Hammershøi"),
    _names("lodz", "Łódź"),
    _names("strasse", "Berliner Straße"),
    _names("STRASSE", "straße"),
    _names("aether", "Æther"),
    _names("dakovo", "Đakovo"),
    _names("isik", "Işık"),
    _names("istanbul", "İSTANBUL"),
    _names("duerer", "Dürer's hare", "Durance"),
    _names("dürer", "Albrecht Duerer"),
    _names("durer", "Dürer"),
    _names("αθηνασ", "ΑΘΉΝΑΣ"),
    _names("репин", "РЕ́ПИН"),
    _names("елка", "Ёлка"),
    # Apostrophes, dashes and underscores: written, left out, or a space instead.
    _names("artists", "The artist’s studio"),
    _names("artist's", "The artist\u02bcs studio"),
    _names("artist`s", "The artist´s studio"),
    _names("estaque", "L’Estaque"),
    _names("lestaque", "L'Estaque"),
    _names("l'estaque", "L Estaque"),
    _names("self portrait", "Self-portrait"),
    _names("self‑portrait", "Self portrait"),
    _names("self–portrait", "Selfportrait"),
    _names("selfportrait", "Self\u2014portrait"),
    _names("two tone", "two_tone"),
    _names("two_tone", "Two tone", "Two"),
    _names("usa", "U.S.A."),
    # White space, widths, ligatures, what is not seen.
    _names("  olive\u00a0\u3000 grove ", "Olive\tgrove"),
    _names("ｏｌｉｖｅ", "Olive"),
    _names("olive", "ＯＬＩＶＥ　grove"),
    _names("fine", "ﬁne lines"),
    _names("sunset", "sun\u00adset"),
    _names("m2", "12 m²"),
    _names("12 m2", "12 m²"),
    # Scripts without spaces are found from the middle too.
    _names("水百合", "睡莲池", found=()),
    _names("莲池", "睡莲池", "睡眠"),
    _names("莲", "睡莲池"),
    _names("睡莲 油画", "油画：睡莲"),
    _names("ひまわり", "花瓶のヒマワリ"),
    _names("ﾋﾏﾜﾘ", "ひまわり"),
    _names("がか", "画家がか", "かか"),
    _names("고흐", "빈센트 반 고흐"),
    # Names of files.
    _names("night", "StarryNight.jpg"),
    _names("starrynight", "starry_night-02.png"),
    _names("2041", "IMG2041.JPG"),
    _names("img2041", "IMG_2041.JPG"),
    # Words by their beginnings, in any order, and no others.
    _names("sha lig", "Light and shade", "Light", "Shade"),
    _names("ight", "Light", found=()),
    # Signs count alone, literally; beside words they do not.
    _names("%", "Half", "100%", found=(1,)),
    _names("_", "a_b", "ab"),
    _names("\\", "a\\b", "a/b"),
    _names("*", "Light", found=()),
    _names("’", "it's"),
    _names("light & shade", "Light and shade"),
    _names("(light)", "Light"),
    _names("'x' | !", "x"),
)

RANKED = (
    Search(
        "edge",
        (
            Thing("Soft modelling", "Light", "No edge is seen."),
            Thing("Lost outline", "Edges"),
            Thing("Hard edge"),
            Thing("Edge-lit face"),
            Thing("Ledger"),
            Thing("Edge"),
        ),
        (5, 3, 2, 1, 0),
    ),
    Search(
        "warm light",
        (
            Thing("Warm palette", "Colour", "As if by light."),
            Thing("Warm palette", "Light"),
            Thing("Light that is warm"),
            Thing("Warm light at dusk"),
            Thing("Warm light"),
        ),
        (4, 3, 2, 1, 0),
    ),
    # What fits equally well stays in its order.
    Search("sky", (Thing("Wide sky"), Thing("Low sky"), Thing("Sea", "", "Sky")), (0, 1, 2)),
    Search("cafe", (Thing("Bar", "", "A café."), Thing("CAFÉ"), Thing("Cafe\u0301 by night")), (1, 2, 0)),
    Search("softedged", (Thing("Soft edged"), Thing("Soft")), (0,)),
    Search("  ", (Thing("Anything"),), ()),
    Search("\u200b\x00", (Thing("Anything"),), ()),
)  # fmt: skip

SEARCHES = FOLDED + RANKED
