"""Has a tiny model's pooled text tell what the picture looks like, as a published CLIP's does.

A text encoder drawn at random gives every word some vector, and a network then has to find out about each word by itself: more than
minutes on a CPU allow. Here the mean over a text's words is, by ridge regression on the paintings that the model learns from,
the best linear guess of how the painting looks: tone, colour, contrast, detail, and the main ways in which layouts differ.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

LEVEL = 8.0
"""Of two constant features in every word, beside which layer normalisation hardly moves with the others."""
RIDGE = 0.05
"""Of the mean square of how often a word stands in a text."""
APART = 50.0
"""A drawn embedding has a deviation of 0.02, of positions too."""


def describe_pictures(latents_BCHW: Tensor, count: int) -> Tensor:
    """How pictures look, from latents whose first channel is lightness and the next two colour: (B, count)."""
    light, colour = latents_BCHW[:, 0].flatten(1), latents_BCHW[:, 1:3].flatten(2)
    down = latents_BCHW[:, 0].diff(dim=1).abs().mean((1, 2))
    grey = colour.mean((0, 2), keepdim=True)
    looks = [
        light.std(1).log(),
        light.quantile(0.05, dim=1),
        light.quantile(0.95, dim=1),
        down.clamp_min(1e-3).log(),
        (colour - grey).square().mean((1, 2)).clamp_min(1e-6).log(),
        *colour.std(2).clamp_min(1e-3).log().unbind(1),
        *latents_BCHW[:, :4].mean((2, 3)).unbind(1),
        *latents_BCHW[:, 3:4].flatten(2).std(2).clamp_min(1e-3).log().unbind(1),
    ]
    looks_BF = torch.stack(looks, 1)
    looks_BF = (looks_BF - looks_BF.mean(0)) / looks_BF.std(0)
    small = avg_pool2d(latents_BCHW[:, :4], 4).flatten(1)
    small = small - small.mean(0)
    _, sizes, ways = torch.linalg.svd(small, full_matrices=False)
    layout = small @ ways[: count - looks_BF.shape[1]].T
    sizes = sizes[: layout.shape[1]]
    return torch.cat([looks_BF, layout / layout.std(0) * (sizes / sizes[0]).sqrt()], 1)


@torch.no_grad()
def set_apart(encoder: Any) -> None:
    """Make a drawn text encoder's words as large as what its layers add to them, and its padding small."""
    words, places = _embeddings(encoder)
    words *= APART
    places *= APART / 5
    words[encoder.config.eos_token_id] /= APART


@torch.no_grad()
def teach_words(encoder: Any, texts: Sequence[Sequence[int]], looks_BF: Tensor) -> None:
    """Set a CLIP text encoder of two layers so that its pooled output for a text is a guess of its picture's looks.

    `texts` are tokens from start to end. There may be three features less than the encoder is wide: their sum's
    negative and two constants keep every layer normalisation where it is.
    """
    words, places = _embeddings(encoder)
    width = words.shape[1]
    guesses, used = _regress(texts, looks_BF, len(words))
    size = guesses.std()
    words.zero_()
    places.zero_()
    words[used, : width - 3] = guesses / size
    words[:, width - 3] = -words[:, : width - 3].sum(1)
    words[:, width - 2], words[:, width - 1] = LEVEL, -LEVEL
    # Of a layer normalisation that sees these constants and little else.
    deviation = LEVEL * (2 / width) ** 0.5
    features = torch.eye(width)
    features[width - 2 :] = 0
    for number, layer in enumerate(_transformer(encoder).encoder.layers):
        attention = layer.self_attn
        for part in (attention.q_proj, attention.k_proj, attention.out_proj, layer.mlp.fc2):
            part.weight.zero_()
            part.bias.zero_()
        attention.v_proj.bias.zero_()
        if number == 0:  # attends to all words alike, so that it passes on their mean
            attention.v_proj.weight.copy_(deviation * torch.eye(width))
            attention.out_proj.weight.copy_(features)
    final = _transformer(encoder).final_layer_norm
    if hasattr(encoder, "text_projection"):
        encoder.text_projection.weight.copy_(2 * size * deviation * features)
    else:
        final.weight.copy_(2 * size * deviation * features.diag())


def _regress(
    texts: Sequence[Sequence[int]], looks_BF: Tensor, num_tokens: int
) -> tuple[Tensor, Tensor]:
    """A guess for each token that stands in some text, and which these are."""
    shares_BT = torch.zeros(len(texts), num_tokens)
    for row, tokens in zip(shares_BT, texts, strict=True):
        row += torch.bincount(torch.tensor(tokens), minlength=num_tokens) / len(tokens)
    used = shares_BT.sum(0) > 0
    shares_BT = shares_BT[:, used]
    together = shares_BT.T @ shares_BT
    together += RIDGE * together.diag().mean() * torch.eye(len(together))
    return torch.linalg.solve(together, shares_BT.T @ looks_BF), used


def _embeddings(encoder: Any) -> tuple[Tensor, Tensor]:
    found = _transformer(encoder).embeddings
    return found.token_embedding.weight, found.position_embedding.weight


def _transformer(encoder: Any) -> Any:
    return getattr(encoder, "text_model", encoder)
