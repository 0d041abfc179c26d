"""Where the expert's two targets lie as seen from the reference, and how far theta may leave it.

Letters as in `losses`: e theta's prediction, r the reference's, w and l the winner and loser targets, all
(B, ...). Theta that moves the share c of w - l has win = c^2 |w - l|^2 - 2 c <w - r, w - l> (Eq. 12), so the
winning part is lowest at c = lead / gap and above 0 beyond twice that.
"""

from torch import Tensor

from worker.training.per_sample import check_shapes, mean_of, outside_autocast, precise


def gap_and_lead(reference: Tensor, winner: Tensor, loser: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the elements, (B,) each: the gap |w - l|^2, and the lead <w - r, w - l>, which says how far
    the winner lies ahead of the reference along the gap. Raises ValueError for shapes that differ.
    """
    check_shapes(reference=reference, winner=winner, loser=loser)
    with outside_autocast(winner):
        r, w, l = (precise(x).detach() for x in (reference, winner, loser))
        between = w - l
        return mean_of(between * between), mean_of((w - r) * between)


def excess_drift(prediction: Tensor, reference: Tensor, gap_B: Tensor, share: float) -> Tensor:
    """How far |e - r|^2 is beyond a share of the gap, (B,), with a gradient; 0 where it is not.

    Its gradient, 2 (e - r) / D, does not die with distance as the logistic factor does.
    """
    check_shapes(prediction=prediction, reference=reference)
    with outside_autocast(prediction):
        moved = precise(prediction) - precise(reference).detach()
        return (mean_of(moved * moved) - share * gap_B).clamp_min(0)
