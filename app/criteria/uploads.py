"""Files of criteria that people hand in, in any format, read beside the criteria that are there."""

import zlib
from base64 import b64decode, b64encode

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.criteria.loading import refusal
from app.criteria.models import Node
from app.criteria.reading import working_criteria
from app.projects.models import Project
from method.saved_texts import UnreadableText, read_text
from taxonomy.formats.data import MAX_BYTES
from taxonomy.formats.existing import Existing
from taxonomy.formats.files import read_file
from taxonomy.formats.json import read_json, write_json
from taxonomy.tree import Criteria, InvalidCriteria


def read_upload(db: Session, project: Project, name: str, content: bytes) -> Criteria:
    """The criteria of a file by the ending of its name, or else by how it begins.

    A node without a key in the file is the one of that name at that place here, or a new one. Raises
    Invalid with every fault, its place in the file and what to do in `problems`.
    """
    gone = db.scalars(select(Node.key).where(Node.project_id == project.id, Node.removed))
    existing = Existing(working_criteria(db, project), set(gone))
    try:
        criteria = read_file(name, content, existing, decode)
    except InvalidCriteria as error:
        raise refusal(error.problems) from error
    if not criteria.dimensions:
        raise refusal(["The file holds no dimension, so there is nothing to load."])
    return criteria


def decode(content: bytes) -> str:
    """The text of a file. Raises InvalidCriteria where its encoding is uncertain."""
    try:
        return read_text(content).text
    except UnreadableText as error:
        raise InvalidCriteria([error.reason]) from error


def pack(criteria: Criteria) -> str:
    """Criteria as a short text, for a form that asks before they are put in."""
    return b64encode(zlib.compress(write_json(criteria).encode())).decode()


def unpack(text: str) -> Criteria:
    """The criteria that `pack` wrote. Raises Invalid where it did not."""
    try:
        opened = zlib.decompressobj()
        content = opened.decompress(b64decode(text, validate=True), MAX_BYTES + 1)
        return read_json(content.decode())
    except (ValueError, zlib.error) as error:
        raise refusal(["What was shown is no longer there; choose the file again."]) from error
