"""Which prompts are alike, by their words alone: TF-IDF vectors and the cosine between them.

No model, so that the same prompts give the same pairs everywhere. A word is a run of letters, digits
and underscores, folded to lower case; there is no stemming and no list of stop words.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

# Goes up whenever the measure changes, so that pairs can be traced to what made them.
MEASURE = "tf-idf/1"
BLOCK = 256
# What differs by less is the order in which floats were added.
DECIMALS = 6


def find_nearest(
    prompts: Sequence[str], asked: Sequence[str], number: int
) -> dict[str, list[tuple[str, float]]]:
    """For each asked prompt the `number` most similar others of `prompts`, with their similarity.

    Similarity lies in (0, 1]; prompts without a common word are never near. Equal ones stand in the
    order of `prompts`, which must be different and hold the asked ones.
    """
    vectors = _vectors(prompts)
    place = {prompt: index for index, prompt in enumerate(prompts)}
    nearest: dict[str, list[tuple[str, float]]] = {}
    for start in range(0, len(asked), BLOCK):
        block = asked[start : start + BLOCK]
        asked_rows = [place[prompt] for prompt in block]
        similarity = (vectors[asked_rows] @ vectors.T).toarray().round(DECIMALS)
        similarity[np.arange(len(block)), asked_rows] = 0.0
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :number]
        for prompt, row, best in zip(block, similarity, order, strict=True):
            nearest[prompt] = [
                (prompts[index], float(row[index])) for index in best if row[index] > 0
            ]
    return nearest


def _vectors(prompts: Sequence[str]) -> csr_array:
    """A row of length 1 for each prompt: how often each word stands in it, the rarer the heavier."""
    words = [Counter(re.findall(r"\w+", prompt.casefold())) for prompt in prompts]
    column_of = {word: index for index, word in enumerate(sorted(set().union(*words)))}
    rows = np.array([i for i, counter in enumerate(words) for _ in counter], dtype=np.int64)
    columns = np.array([column_of[word] for counter in words for word in counter], dtype=np.int64)
    times = np.array([n for counter in words for n in counter.values()], dtype=np.float64)
    prompts_with = np.bincount(columns, minlength=len(column_of))
    # One is added so that a word of all prompts weighs little, but not nothing.
    weights = times * np.log1p(len(prompts) / prompts_with)[columns]
    lengths = np.sqrt(np.bincount(rows, weights**2, minlength=len(prompts)))
    shape = (len(prompts), len(column_of))
    return csr_array((weights / lengths[rows], (rows, columns)), shape=shape)
