"""What an objective is: one entry for each, which config, trainer, launch form and estimates read.

A new objective is an entry here, and the file in `worker/training/objectives/` that its `module` names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What others have to know of an objective."""

    title: str
    """In the launch form and on pages."""
    meaning: str
    """In the documentation of `objective.kind`."""
    card: str
    """In the model card of what it has trained."""
    module: str
    """The file in `worker/training/objectives/` whose `make` makes it."""
    reads_pairs: bool = False
    """Learns from a pair dataset and not from a dataset."""
    reads_attributes: bool = False
    """Learns from the labels of images, and not from prompts or preferences alone."""
    makes_expert: bool = False
    """Is stage 1: what it trains is an expert. It has no reference and draws among conditions."""
    needs_expert: bool = False
    """Is stage 2: an expert teaches it, guided by attributes."""
    makes_negative: bool = False
    """What it trains takes the negative branch of guidance."""
    is_guided: bool = False
    """Its targets are guided (Eq. 10 and 11)."""
    is_stabilised: bool = False
    """Divides by the distance to the loser (Eq. 13-14)."""
    pushes_freely: bool = False
    """Its loser may push against its winner, unless `guard.winner` holds it back."""
    guards_winner: bool = False
    """Always holds its loser back so."""
    has_gap: bool = False
    """Goes a share of the gap between winner and loser."""
    ends_at_target: bool = False
    """Is a regression: it needs no pull toward the reference to come to an end."""
    samples_itself: bool = False
    """Makes its own pictures step by step and judges them: it reads no pictures of its data, and draws no
    timesteps and noise for them."""
    ahead: tuple[Literal["expert", "reference"], ...] = ()
    """Who has about as much to do as theta has with the rest of a step, and may do it beside it."""

    @property
    def pulls_by_beta(self) -> bool:
        """Whether `objective.beta` pulls it toward the reference."""
        return not (self.makes_expert or self.samples_itself or self.ends_at_target)


OBJECTIVES: Mapping[str, Facts] = {
    "sft": Facts(
        title="SFT: stage 1, makes the expert",
        meaning="stage 1, makes the expert",
        card="stage 1, supervised fine-tuning on prompts with their attributes (the expert)",
        module="sft",
        reads_attributes=True,
        makes_expert=True,
    ),
    "cpo_s": Facts(
        title="CPO-S: stage 2, stabilised",
        meaning="stage 2, stabilised (Eq. 13-14)",
        card="stage 2, complex preference optimisation, stabilised",
        module="cpo",
        reads_attributes=True,
        needs_expert=True,
        is_guided=True,
        is_stabilised=True,
        ahead=("expert",),
    ),
    "cpo": Facts(
        title="CPO: stage 2, as in Eq. 12",
        meaning="stage 2 (Eq. 12)",
        card="stage 2, complex preference optimisation",
        module="cpo",
        reads_attributes=True,
        needs_expert=True,
        is_guided=True,
        pushes_freely=True,
        ahead=("expert",),
    ),
    "gap": Facts(
        title="Gap: a share of the way from loser to winner",
        meaning="stage 2, a share of the gap between winner and loser and no further",
        card="stage 2, a regression on a share of the gap between winner and loser target",
        module="gap",
        reads_attributes=True,
        needs_expert=True,
        is_guided=True,
        has_gap=True,
        ends_at_target=True,
        ahead=("expert",),
    ),
    "y_gap": Facts(
        title="Y-gap: the same between (y, A_pos) and (y, A_neg)",
        meaning="the same between what the expert says of y with A_pos and of y with A_neg, unguided",
        card="stage 2, a regression on a share of the gap between (y, A_pos) and (y, A_neg)",
        module="gap",
        reads_attributes=True,
        needs_expert=True,
        has_gap=True,
        ends_at_target=True,
        ahead=("expert",),
    ),
    "orthogonal": Facts(
        title="Orthogonal: the loser pushes across the way to the winner",
        meaning="stage 2, the loser's push without its part along the way to the winner",
        card="stage 2, complex preference optimisation with the loser's push across the way to the winner",
        module="orthogonal",
        reads_attributes=True,
        needs_expert=True,
        is_guided=True,
        ahead=("expert",),
    ),
    "distil": Facts(
        title="Distil: the winner alone, the control",
        meaning="stage 2, the winner target alone: the control of all that also push away",
        card="stage 2, distilled from the expert's winner target alone",
        module="distil",
        reads_attributes=True,
        needs_expert=True,
        is_guided=True,
        ends_at_target=True,
        ahead=("expert",),
    ),
    "dpo": Facts(
        title="Diffusion-DPO: from pairs of images",
        meaning="Diffusion-DPO on pairs of images (Eq. 9)",
        card="Diffusion-DPO on pairs of images",
        module="dpo",
        reads_pairs=True,
        ahead=("reference",),
    ),
    "sdpo": Facts(
        title="Diffusion-SDPO: from pairs, the winner safeguarded",
        meaning="the same with the loser held back where it would push the winner away",
        card="Diffusion-SDPO, that is Diffusion-DPO with its loser held back for the winner's sake",
        module="dpo",
        reads_pairs=True,
        guards_winner=True,
        ahead=("reference",),
    ),
    "npo": Facts(
        title="NPO: from swapped pairs, for the negative branch",
        meaning="Diffusion-DPO on swapped pairs, for the negative branch of guidance",
        card="Diffusion-NPO, that is Diffusion-DPO on swapped pairs (a negative for guidance)",
        module="dpo",
        reads_pairs=True,
        makes_negative=True,
        ahead=("reference",),
    ),
    "spo": Facts(
        title="SPO: candidates judged while sampling",
        meaning="step-aware preference optimisation, with candidates judged while sampling",
        card="step-aware preference optimisation on the model's own denoising steps, judged by the "
        "measured agent",
        module="spo",
        samples_itself=True,
    ),
}
"""By the name that configs give; in the order in which people choose."""
