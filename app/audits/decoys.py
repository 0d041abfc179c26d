"""Draws decoys: attributes that the agent did not give an image, asked for among those that it did.

People tend to say yes. How often they say it to an attribute that is not there is measured by asking for
some; without that, an accuracy says little. A decoy is drawn by base rate, as often as the agent gave it to
the sample's other images, so that decoys are no different in kind from labels. What somebody or some agent
holds to be there is no decoy.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

MOST_PERCENT = 50
Attribute = tuple[int, str]
"""The id of a pair's node, and a polarity."""


def draw_decoys(
    *,
    seed: int,
    percent: int,
    images: Sequence[tuple[int, str]],
    given: Mapping[int, AbstractSet[Attribute]],
    held: Mapping[int, AbstractSet[Attribute]],
    not_applicable: Mapping[int, AbstractSet[int]],
    names: Mapping[Attribute, str],
) -> Iterator[tuple[int, Attribute]]:
    """Decoys as (image id, attribute), so that they are `percent` of all questions.

    `images` are ids and file hashes in the order of the sample, `given` what the agent stated of each,
    `held` what anybody holds to be there, `not_applicable` the nodes that are not asked of it, `names` what
    an attribute is called on any machine. Images with too few attributes left get fewer, and the next ones
    make up for it. The same seed draws the same.
    """
    rates = Counter(attribute for each in given.values() for attribute in each)
    labels = drawn = 0
    for image_id, sha256 in images:
        own = given.get(image_id, frozenset())
        labels += len(own)
        wanted = round(labels * percent / (100 - percent)) - drawn
        not_asked = not_applicable.get(image_id, frozenset())
        left = rates.keys() - own - held.get(image_id, frozenset())
        left = {attribute for attribute in left if attribute[0] not in not_asked}
        chosen = sorted(
            left, key=lambda each: _lateness(f"{seed}:{sha256}:{names[each]}", rates[each])
        )[: max(0, wanted)]
        drawn += len(chosen)
        yield from ((image_id, attribute) for attribute in chosen)


def _lateness(words: str, weight: int) -> float:
    """Sorted by it, things come in a random order where each is first in proportion to its weight."""
    number = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8])
    return -math.log((number + 1) / (2**64 + 1)) / weight


def by_image(rows: Iterable[tuple[int, int, str]]) -> dict[int, set[Attribute]]:
    """Rows of (image id, node id, polarity) as the attributes of each image."""
    found: dict[int, set[Attribute]] = {}
    for image_id, node_id, polarity in rows:
        found.setdefault(image_id, set()).add((node_id, polarity))
    return found
