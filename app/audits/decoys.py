"""Draws decoys: attributes that the agent did not give an image, asked for among those that it did.

People tend to say yes. How often they say it to an attribute that is not there is measured by asking for
some; without that, an accuracy says little. A decoy is drawn by base rate, as often as the agent gave it to
the sample's other images, so that decoys are no different in kind from labels. What somebody or some agent
holds to be there is no decoy.
"""

import hashlib
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import accumulate, count

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
    # In an order that is the same on any machine, which that of ids is not.
    attributes = sorted(rates, key=names.__getitem__)
    until = list(accumulate(rates[each] for each in attributes))
    labels = drawn = 0
    for image_id, sha256 in images:
        own = given.get(image_id, frozenset())
        labels += len(own)
        wanted = round(labels * percent / (100 - percent)) - drawn
        not_asked = not_applicable.get(image_id, frozenset())
        left = rates.keys() - own - held.get(image_id, frozenset())
        left = {attribute for attribute in left if attribute[0] not in not_asked}
        chances = _chances(f"{seed}:{sha256}")
        while wanted > 0 and left:
            # By rates among all; what cannot be a decoy here, or is one already, is passed over.
            attribute = attributes[bisect(until, next(chances) * until[-1])]
            if attribute in left:
                left.remove(attribute)
                wanted, drawn = wanted - 1, drawn + 1
                yield image_id, attribute


def _chances(words: str) -> Iterator[float]:
    """Numbers in [0, 1) without end that follow from the words."""
    for number in count():
        digest = hashlib.sha256(f"{words}:{number}".encode()).digest()
        yield from (
            int.from_bytes(digest[at : at + 6]) / 2**48 for at in range(0, len(digest) - 7, 8)
        )


def by_image(rows: Iterable[tuple[int, int, str]]) -> dict[int, set[Attribute]]:
    """Rows of (image id, node id, polarity) as the attributes of each image."""
    found: dict[int, set[Attribute]] = {}
    for image_id, node_id, polarity in rows:
        found.setdefault(image_id, set()).add((node_id, polarity))
    return found
