"""Which images are in which style, for statements that count: what `app.images.traits` says of one image at a time."""

import json

from sqlalchemy import BigInteger, Subquery, Text, text
from sqlalchemy.orm import Session

from app.images.traits import trait_keys
from app.projects.models import Project
from taxonomy.applicability import Vocabulary
from taxonomy.tree import Criteria

_SAID = text(
    """
    SELECT DISTINCT asked.key, CAST(details -> asked.key AS text)
    FROM image CROSS JOIN unnest(CAST(:keys AS text[])) AS asked(key)
    WHERE project_id = :project_id AND state <> 'erased' AND jsonb_exists(details, asked.key)
    """
)
# What metadata says, in the words in which it stands there, and what people and agents state. Only people state that
# a style is not there; they count before all others.
_STYLED = text(
    """
    SELECT image.id AS image_id, word.style
    FROM image CROSS JOIN unnest(CAST(:keys AS text[])) AS asked(key)
    JOIN jsonb_to_recordset(CAST(:words AS jsonb)) AS word(key text, said jsonb, style text)
        ON word.key = asked.key AND word.said = image.details -> asked.key
    WHERE image.project_id = :project_id
    UNION SELECT image_id, value FROM image_trait WHERE kind = 'style' AND present
    EXCEPT SELECT image_id, value FROM image_trait WHERE kind = 'style' AND NOT present
    """
)


def styled_images(db: Session, project: Project, criteria: Criteria) -> Subquery:
    """A table of `image_id` and `style`, by the styles of these criteria; one query finds the words that the
    project's metadata has for them.
    """
    keys = list(trait_keys(project)["style"])
    vocabulary = criteria.derived(Vocabulary)
    words = [
        {"key": key, "said": said, "style": style}
        for key, each in db.execute(_SAID, {"keys": keys, "project_id": project.id})
        for said in [json.loads(each)]
        for style in vocabulary.find("style", said)
    ]
    asked = _STYLED.bindparams(keys=keys, project_id=project.id, words=json.dumps(words))
    return asked.columns(image_id=BigInteger, style=Text).subquery("styled")
