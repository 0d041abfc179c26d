"""Tokenizers learned from a few hundred words, without a network: CLIP's and T5's."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from transformers import CLIPTokenizer, T5Tokenizer

NUM_MERGES = 600
ALL_MERGES = 6000
"""More than any words here need."""
START, END = "<|startoftext|>", "<|endoftext|>"

# What the vocabulary is learned from: the words that prompts about pictures are made of.
WORDS = """
a an the of and in on with without by from to into over under between near at is are
painting picture portrait landscape still life scene sea sky field forest river mountain city street house
garden flowers tree trees water clouds light shadow sun moon night morning evening winter summer autumn
woman man child figure figures horse boat bridge table window fruit vase
composition circular diagonal horizontal vertical symmetrical bilateral symmetry balance balanced visual focal point
thirds placement pictorial richness reserved empty space crowded unbalanced clear unclear weak strong
color colour colors relationship rich saturation warm cool dominance contrast complementary analogous harmony
limited palette value led muddy dull garish clashing red orange yellow green blue violet black white grey brown
brushwork texture visible impasto even surface grain varied stroke strokes direction smooth flat monotonous
tonal range wide narrow dark high low key layered midtones luminous controlled lost details missing
edge edges found hierarchy soft transitions hard blurred sharp uniform
perspective depth atmospheric foreground background separation linear distorted confused
shape shapes form forms simplified masses variety distinct repetitive fragmented volume
gradient blobs bands stripes thin broad round
"""


Vocabulary = tuple[dict[str, int], list[tuple[str, str]]]
"""The tokens with their ids, and the merges of byte-pair encoding in order."""


def clip_tokenizer(learned: Vocabulary, pad: str) -> Any:
    """A CLIP tokenizer of 77 tokens; `pad` is what fills a window."""
    vocabulary, merges = learned
    kind: Any = CLIPTokenizer  # its annotation forbids the pairs it takes
    return kind(vocab=vocabulary, merges=merges, pad_token=pad, model_max_length=77)


def t5_tokenizer() -> Any:
    """A T5 tokenizer that knows the words whole, and everything else in Latin-1 letter by letter."""
    letters = [chr(code) for code in (*range(33, 127), *range(161, 256))]
    words = sorted({f"\u2581{word}" for word in WORDS.split()})
    pieces = [
        *((special, 0.0) for special in ("<pad>", "</s>", "<unk>")),
        *((word, -1.0) for word in words),
        *((letter, -10.0) for letter in ("\u2581", *letters)),
    ]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def learn_vocabulary(more: Sequence[str] = ()) -> Vocabulary:
    """Byte-pair encoding over bytes: any text tokenises, known words into one or two tokens, `more` words into one."""
    alphabet = _byte_alphabet()
    spelled = Counter(
        (
            *(alphabet[b] for b in word[:-1].encode()),
            alphabet[word.encode()[-1]] + "</w>",
        )
        for word in (*WORDS.split(), *more)
    )
    merges: list[tuple[str, str]] = []
    while len(merges) < (ALL_MERGES if more else NUM_MERGES):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in spelled.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        # Ties are broken by the letters, so that no dictionary order decides the vocabulary.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        merged: Counter[tuple[str, ...]] = Counter()
        for word, count in spelled.items():
            merged[_merge(word, best)] += count
        spelled = merged
    letters = list(alphabet.values())
    tokens = [
        *letters,
        *(x + "</w>" for x in letters),
        *("".join(m) for m in merges),
        START,
        END,
    ]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}, merges


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for letter in word:
        if merged and (merged[-1], letter) == pair:
            merged[-1] += letter
        else:
            merged.append(letter)
    return tuple(merged)


def _byte_alphabet() -> dict[int, str]:
    """The printable letter that stands for each byte, as CLIP's tokenizer writes bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
