"""JSON shapes of comparisons."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from app.comparisons.comparing import Compared, SideRow
from app.comparisons.figures import Coefficient, Figures, Share


class CoefficientOut(BaseModel):
    """An agreement beyond chance with its 95 % interval; null where nothing can be said."""

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, found: Coefficient) -> "CoefficientOut":
        return cls(value=found.value, low=found.low, high=found.high)


class ShareOut(BaseModel):
    """A share of `of` verdicts with its 95 % interval, which takes whole images; null where nothing can be said."""

    value: float | None
    low: float | None
    high: float | None
    of: int

    @classmethod
    def from_share(cls, found: Share) -> "ShareOut":
        return cls(value=found.value, low=found.low, high=found.high, of=found.of)


class JudgedOut(BaseModel):
    """How right a run is by what people said without a suggestion in view. `precision`: of what it found and somebody was
    asked about, the share that is there. `recall`: of what people say is there, the share that it found.
    """

    precision: ShareOut
    recall: ShareOut


class FiguresOut(BaseModel):
    """Agreement (Gwet's AC1, Cohen's kappa), and how right each run is."""

    ac1: CoefficientOut
    kappa: CoefficientOut
    first: JudgedOut
    second: JudgedOut

    @classmethod
    def from_figures(cls, found: Figures) -> "FiguresOut":
        def judged(precision: Share, recall: Share) -> JudgedOut:
            shares = (ShareOut.from_share(each) for each in (precision, recall))
            return JudgedOut(**dict(zip(("precision", "recall"), shares, strict=True)))

        return cls(
            ac1=CoefficientOut.of(found.ac1),
            kappa=CoefficientOut.of(found.kappa),
            first=judged(found.precision_first, found.recall_first),
            second=judged(found.precision_second, found.recall_second),
        )


class ComparedRunOut(BaseModel):
    """One of the two runs, and what it took."""

    id: int
    agent: str
    agent_version: str
    prompt_hash: str | None
    criteria_version: int
    images: int
    labels: int
    dropped: int
    requests: int
    tokens_in: int
    tokens_out: int
    cost: float


class SideOut(BaseModel):
    """One side of an attribute pair: in how many images both runs found it, the first alone (`lost`), the second alone
    (`gained`). `keys` are several where a pair was merged, split or given another meaning between both. `asked_by` says
    who looked for it: where that is one run, nothing is lost or gained.
    """

    place: int
    keys: list[str]
    polarity: Literal["positive", "negative"]
    asked_by: Literal["both", "first", "second"]
    both: int
    lost: int
    gained: int
    figures: FiguresOut

    @classmethod
    def from_row(cls, row: SideRow) -> "SideOut":
        side = row.side
        return cls.model_validate(
            {
                "place": side.place,
                "keys": [node.key for node in row.nodes],
                "polarity": side.polarity,
                "asked_by": side.asked_by,
                "both": side.in_both,
                "lost": side.only_first,
                "gained": side.only_second,
                "figures": FiguresOut.from_figures(row.figures),
            }
        )


class ComparisonOut(BaseModel):
    """Two runs side by side, over the images in use that both labelled, as of `made_at`. `state` is that of the job which
    computes it; until it has done so once, `made_at` and `figures` are null. `figures` and the sums are of what both
    looked for.
    """

    first: ComparedRunOut
    second: ComparedRunOut
    job_id: int
    state: str
    made_at: datetime | None
    criteria_version: int
    images: int
    both: int
    lost: int
    gained: int
    figures: FiguresOut | None
    attributes: list[SideOut]

    @classmethod
    def of(cls, found: Compared) -> "ComparisonOut":
        def run(which: Literal["first", "second"]) -> ComparedRunOut:
            each = getattr(found, which)
            names = ("id", "agent", "agent_version", "prompt_hash", "images", "labels", "dropped")
            plain = {
                name: getattr(each, name)
                for name in (*names, "requests", "tokens_in", "tokens_out")
            }
            number = found.versions[each.version_id]
            return ComparedRunOut(**plain, criteria_version=number, cost=float(each.cost))

        return cls(
            first=run("first"),
            second=run("second"),
            job_id=found.job.id,
            state=found.job.state,
            made_at=found.comparison.made_at,
            criteria_version=found.versions[found.comparison.version_id],
            images=found.comparison.images,
            both=found.total("in_both"),
            lost=found.total("only_first"),
            gained=found.total("only_second"),
            figures=FiguresOut.from_figures(found.figures) if found.figures else None,
            attributes=[SideOut.from_row(each) for each in found.sides],
        )


class SideImagesOut(BaseModel):
    """Images that one run alone found a side in: up to 100 of each, drawn evenly."""

    lost: list[int]
    gained: list[int]
