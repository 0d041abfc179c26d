"""Compares the counts that triggers keep with the rows they count, and puts right what differs.

One statement each, so that both sides are of the same moment, and a difference may be appended while
others go on labelling.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

_DOES_NOT_APPLY = """
    SELECT DISTINCT t.image_id, n.node_id FROM image_trait AS t JOIN pair_need AS n ON n.content = t.value
    WHERE t.kind = 'content' AND NOT t.present
"""
_GROUP = "project_id, node_id, polarity, state, source, lacking, in_bulk"
_OF_RUN = "agent_run_id, node_id, polarity, state"
_LABELS = f"""
    SELECT {_GROUP}, sum(num) AS num FROM (
        SELECT l.project_id, l.node_id, l.polarity, l.state, l.source,
               n.node_id IS NOT NULL AS lacking, l.bulk_action_id IS NOT NULL AS in_bulk, count(*) AS num
        FROM label AS l JOIN image AS i ON i.id = l.image_id AND i.state = 'used'
        LEFT JOIN ({_DOES_NOT_APPLY}) AS n ON n.image_id = l.image_id AND n.node_id = l.node_id
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        UNION ALL SELECT {_GROUP}, -num FROM label_count
    ) AS both_sides GROUP BY {_GROUP} HAVING sum(num) <> 0 ORDER BY project_id, node_id
"""
_RUNS = f"""
    SELECT {_OF_RUN}, sum(num) AS num FROM (
        SELECT l.agent_run_id, l.node_id, l.polarity, l.state, count(*) AS num
        FROM label AS l JOIN image AS i ON i.id = l.image_id AND i.state = 'used'
        WHERE l.agent_run_id IS NOT NULL GROUP BY 1, 2, 3, 4
        UNION ALL SELECT {_OF_RUN}, -num FROM agent_run_count
    ) AS both_sides GROUP BY {_OF_RUN} HAVING sum(num) <> 0 ORDER BY agent_run_id, node_id
"""
_TALLIES = f"""
    SELECT image_id, project_id, sum(proposed) AS proposed, sum(of_agents) AS of_agents FROM (
        SELECT l.image_id, l.project_id, count(*) FILTER (WHERE l.state = 'proposed') AS proposed,
               count(*) FILTER (WHERE l.source = 'agent') AS of_agents
        FROM label AS l
        LEFT JOIN ({_DOES_NOT_APPLY}) AS n ON n.image_id = l.image_id AND n.node_id = l.node_id
        WHERE n.node_id IS NULL GROUP BY l.image_id, l.project_id
        UNION ALL SELECT image_id, project_id, -proposed, -of_agents FROM image_tally
    ) AS both_sides GROUP BY image_id, project_id HAVING sum(proposed) <> 0 OR sum(of_agents) <> 0
"""
_CONTRADICTIONS = f"""
    SELECT i.id AS image_id, i.project_id, coalesce(c.number, 0) - coalesce(k.number, 0) AS more, k.image_id IS NULL AS is_new
    FROM image AS i LEFT JOIN (
        SELECT image_id, count(*) AS number FROM (
            SELECT l.image_id FROM label AS l
            JOIN contradiction_side AS s ON s.node_id = l.node_id AND s.polarity = l.polarity
            LEFT JOIN ({_DOES_NOT_APPLY}) AS n ON n.image_id = l.image_id AND n.node_id = l.node_id
            WHERE l.state IN ('proposed', 'confirmed') AND n.node_id IS NULL
            GROUP BY l.image_id, s.rule HAVING sum(s.weight) >= 2
        ) AS broken GROUP BY image_id
    ) AS c ON c.image_id = i.id LEFT JOIN image_contradiction AS k ON k.image_id = i.id
    WHERE k.number IS DISTINCT FROM coalesce(c.number, 0)
"""
_KINDS = ("used", "done", "undone", "new", "aside", "asked", "contradictory")
_SUMS = ", ".join(f"sum({each}) AS {each}" for each in _KINDS)
_IMAGES = f"""
    SELECT project_id, {_SUMS} FROM (
        SELECT i.project_id,
               count(*) FILTER (WHERE i.state = 'used') AS used,
               count(*) FILTER (WHERE i.state = 'used' AND i.done_at IS NOT NULL) AS done,
               count(*) FILTER (WHERE i.state = 'used' AND (i.done_at IS NULL OR i.came_back_at IS NOT NULL)) AS undone,
               count(*) FILTER (WHERE i.state = 'used' AND i.came_back_at IS NOT NULL) AS new,
               count(*) FILTER (WHERE i.state = 'aside') AS aside,
               count(*) FILTER (WHERE i.state = 'used' AND t.is_asked) AS asked,
               count(*) FILTER (WHERE i.state = 'used' AND k.is_contradictory) AS contradictory
        FROM image AS i LEFT JOIN image_tally AS t ON t.image_id = i.id
        LEFT JOIN image_contradiction AS k ON k.image_id = i.id GROUP BY i.project_id
        UNION ALL SELECT project_id, {", ".join(f"-{each}" for each in _KINDS)} FROM image_count
    ) AS both_sides GROUP BY project_id HAVING {" OR ".join(f"sum({each}) <> 0" for each in _KINDS)}
"""
_MEND = {
    "labels": f"INSERT INTO label_count ({_GROUP}, num) {_LABELS} RETURNING 1",
    "agent runs' labels": f"INSERT INTO agent_run_count ({_OF_RUN}, num) {_RUNS} RETURNING 1",
    "images' labels": f"""
        INSERT INTO image_tally AS t (image_id, project_id, proposed, of_agents) {_TALLIES}
        ON CONFLICT (image_id) DO UPDATE
        SET proposed = t.proposed + excluded.proposed, of_agents = t.of_agents + excluded.of_agents
        RETURNING 1
    """,
    "images' contradictions": f"""
        WITH differing AS MATERIALIZED ({_CONTRADICTIONS}), brought AS (
            INSERT INTO image_contradiction (image_id, project_id, number)
            SELECT image_id, project_id, more FROM differing WHERE is_new RETURNING 1
        ), put AS (
            UPDATE image_contradiction AS k SET number = k.number + d.more FROM differing AS d
            WHERE d.image_id = k.image_id AND NOT d.is_new RETURNING 1
        )
        SELECT 1 FROM brought UNION ALL SELECT 1 FROM put
    """,
    # Last: the images with proposals and contradictions are counted by what is kept of each.
    "images": f"INSERT INTO image_count (project_id, {', '.join(_KINDS)}) {_IMAGES} RETURNING 1",
}
_CHECK = {
    "labels": _LABELS,
    "agent runs' labels": _RUNS,
    "images' labels": _TALLIES,
    "images' contradictions": _CONTRADICTIONS,
    "images": _IMAGES,
}


@dataclass(frozen=True, slots=True)
class Drift:
    """In how many groups one of the kept counts differs from what is there."""

    counts: str
    groups: int


def find_drift(db: Session) -> list[Drift]:
    """What the kept counts of all projects get wrong; changes nothing. Reads every label."""
    return [
        Drift(name, db.scalar(text(f"SELECT count(*) FROM ({asked}) AS differing")) or 0)
        for name, asked in _CHECK.items()
    ]


def recount(db: Session) -> list[Drift]:
    """Put right what the kept counts of all projects get wrong, and say where that was."""
    return [Drift(name, len(db.execute(text(mend)).all())) for name, mend in _MEND.items()]
