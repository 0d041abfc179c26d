"""Counting what two runs found, a stretch of images at a time: a million images are fifty statements, none of them long.

What a run found is what it said of the image then (`agent_run_image.found`). Runs of older releases did not keep that:
of theirs the events count, which tell of what was new or refreshed and of nothing that people had decided before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.comparisons.ground import Ground

STRETCH = 20_000
EXAMPLES = 100

_FOUND = """
    coalesce({run}.found, (
        SELECT array_agg(CASE e.polarity WHEN 'positive' THEN e.node_id ELSE -e.node_id END)
        FROM label_event AS e
        WHERE e.image_id = {run}.image_id AND e.agent_run_id = {run}.agent_run_id
            AND e.node_id IS NOT NULL AND e.kind IN ('propose', 'refresh', 'import')
    ))
"""
# The images in use that both runs labelled, with what each found.
_LOOKED = f"""
    SELECT one.image_id, {_FOUND.format(run="one")} AS of_first, {_FOUND.format(run="two")} AS of_second
    FROM agent_run_image AS one
    JOIN agent_run_image AS two ON two.image_id = one.image_id AND two.agent_run_id = :second
        AND two.state = 'labelled'
    WHERE one.agent_run_id = :first AND one.state = 'labelled'
        AND NOT EXISTS (SELECT FROM image WHERE image.id = one.image_id AND image.state <> 'used')
"""
_NEXT = text(
    """
    SELECT max(image_id) FROM (
        SELECT image_id FROM agent_run_image WHERE agent_run_id = :first AND image_id > :after
        ORDER BY image_id LIMIT :stretch
    ) AS stretch
    """
)
_COUNT = text(
    f"""
    WITH looked AS MATERIALIZED ({_LOOKED} AND one.image_id > :after AND one.image_id <= :last),
    said AS (
        SELECT image_id, place, bool_or(is_first) AS of_first, bool_or(NOT is_first) AS of_second
        FROM looked CROSS JOIN LATERAL (
            SELECT unnest(of_first) AS number, true AS is_first
            UNION ALL SELECT unnest(of_second), false
        ) AS found
        JOIN unnest(CAST(:numbers AS bigint[]), CAST(:places AS int[])) AS m(number, place) USING (number)
        GROUP BY image_id, place
    )
    SELECT place, count(*) FILTER (WHERE of_first AND of_second),
        count(*) FILTER (WHERE NOT of_second), count(*) FILTER (WHERE NOT of_first),
        (array_agg(image_id ORDER BY hashint8(image_id), image_id) FILTER (WHERE NOT of_second))[1:{EXAMPLES}],
        (array_agg(image_id ORDER BY hashint8(image_id), image_id) FILTER (WHERE NOT of_first))[1:{EXAMPLES}]
    FROM said GROUP BY place
    UNION ALL SELECT NULL, count(*), 0, 0, NULL, NULL FROM looked
    """
)
_SAMPLE = text(
    f"""
    SELECT image_id FROM ({_LOOKED}) AS looked ORDER BY hashint8extended(image_id, 1), image_id
    LIMIT :size
    """
)
_OF_IMAGES = text(f"{_LOOKED} AND one.image_id = ANY(:images) ORDER BY one.image_id")
_DRAWN = text("SELECT id FROM unnest(CAST(:images AS bigint[])) AS id ORDER BY hashint8(id), id")


@dataclass(frozen=True, slots=True)
class Counted:
    """In how many images both found a side, or one alone, with examples of the last two."""

    both: int = 0
    only_first: int = 0
    only_second: int = 0
    lost: tuple[int, ...] = ()
    gained: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a stretch of images up to `last` came to: how many both looked at, and the counts by place."""

    last: int
    images: int
    counts: dict[int, Counted]


@dataclass(frozen=True, slots=True)
class Looked:
    """An image that both looked at, and the places of the sides that each found."""

    image_id: int
    of_first: frozenset[int]
    of_second: frozenset[int]


def count_stretch(db: Session, ground: Ground, after: int) -> Stretch | None:
    """Count over the next images behind `after`; None where there are none."""
    runs = {"first": ground.first_id, "second": ground.second_id}
    last = db.scalar(_NEXT, {**runs, "after": after, "stretch": STRETCH})
    if last is None:
        return None
    rows = db.execute(_COUNT, {**runs, **_map(ground), "after": after, "last": last}).all()
    images = next(row[1] for row in rows if row[0] is None)
    counts = {
        row[0]: Counted(row[1], row[2], row[3], tuple(row[4] or ()), tuple(row[5] or ()))
        for row in rows
        if row[0] is not None
    }
    return Stretch(last, images, counts)


def add_up(db: Session, stretches: Sequence[Stretch], num_sides: int) -> list[Counted]:
    """The counts of all stretches by place; of their examples those that were drawn first over all."""
    return [
        _sum(db, [each.counts[place] for each in stretches if place in each.counts])
        for place in range(num_sides)
    ]


def _sum(db: Session, some: Sequence[Counted]) -> Counted:
    examples = (
        [image for each in some for image in each.lost],
        [image for each in some for image in each.gained],
    )
    lost, gained = (
        tuple(db.scalars(_DRAWN, {"images": each}).all()[:EXAMPLES])
        if len(some) > 1
        else tuple(each)
        for each in examples
    )
    return Counted(
        both=sum(each.both for each in some),
        only_first=sum(each.only_first for each in some),
        only_second=sum(each.only_second for each in some),
        lost=lost,
        gained=gained,
    )


def draw_sample(db: Session, ground: Ground, size: int) -> list[int]:
    """Up to so many of the images that both looked at, drawn evenly; the same ones each time."""
    values = {"first": ground.first_id, "second": ground.second_id, "size": size}
    return list(db.scalars(_SAMPLE, values))


def find_looked(db: Session, ground: Ground, images: Sequence[int]) -> list[Looked]:
    """What was found in those of these images that both looked at."""
    values = {"first": ground.first_id, "second": ground.second_id, "images": list(images)}
    places = ground.places
    return [
        Looked(
            image_id,
            *(frozenset(places[e] for e in found or () if e in places) for found in (one, two)),
        )
        for image_id, one, two in db.execute(_OF_IMAGES, values)
    ]


def _map(ground: Ground) -> dict[str, list[int]]:
    places = ground.places
    return {"numbers": list(places), "places": list(places.values())}
