"""Images and what an import said about each file."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model
from app.images.looks import Looks


class Image(Model):
    """One image of a project. Its bytes lie in the storage under the SHA-256 of the file that came in.

    `state` is `used`, `aside` (kept, but left out of everything until it is taken back) or `erased`: a
    trace without content. `revision` counts the changes to what is known of it, its name and its file.

    `label_revision` counts the saved actions on its labels. `came_back_at` is set where something new
    came after the labels were done: proposals, which open the image again, or pairs in force. `width` and `height` are as seen, after
    the EXIF orientation. `pixels` and `looks` tell files of one picture (`app.images.looks`); null where
    nobody has looked yet, empty where the file cannot be decoded any more. `search` holds the words that it is found by (`app.images.searching`).
    """

    __tablename__ = "image"
    __table_args__ = (
        # A picture that was erased may come in again, where someone wants that.
        Index(
            "uq_image_project_id_sha256",
            "project_id",
            "sha256",
            unique=True,
            postgresql_where=text("state <> 'erased'"),
        ),
        CheckConstraint("state IN ('used', 'aside', 'erased')", name="state"),
        CheckConstraint("(state = 'used') = (state_at IS NULL)", name="state_at"),
        CheckConstraint("state <> 'aside' OR state_reason <> ''", name="aside_has_reason"),
        CheckConstraint(
            "state <> 'erased' OR (prompt = '' AND details = '{}' AND search = '' AND looks IS NULL)",
            name="erased_is_empty",
        ),
        Index(
            "ix_image_left_out",
            "project_id",
            "id",
            postgresql_where=text("state <> 'used'"),
        ),
        Index(None, "project_id", "name"),
        # Looked at whenever the row is written anew, at each of the image's labels: a regular expression took
        # as long as all the rest.
        CheckConstraint(
            "length(sha256) = 64 AND encode(decode(sha256, 'hex'), 'hex') = sha256", name="sha256"
        ),
        CheckConstraint("width > 0 AND height > 0 AND bytes > 0", name="size"),
        Index(None, "project_id", "id"),
        Index("ix_image_search", "search", postgresql_using="gin"),
        Index(
            "ix_image_not_looked_at", "project_id", "id", postgresql_where=text("pixels IS NULL")
        ),
        Index(
            "ix_image_undone",
            "project_id",
            "id",
            postgresql_where=text("done_at IS NULL OR came_back_at IS NOT NULL"),
        ),
        # An image's label revision rises all the time, that of all images at once where a publication merges:
        # with room in its page a row is written anew without a new entry in each of the indexes.
        {"postgresql_with": {"fillfactor": 50}},
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    sha256: Mapped[str]
    name: Mapped[str]
    format: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    prompt: Mapped[str] = mapped_column(server_default="")
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    pixels: Mapped[str | None] = mapped_column(deferred=True)
    looks: Mapped[Looks | None] = mapped_column(deferred=True)
    search: Mapped[str] = mapped_column(
        TSVECTOR, server_default=text("''::tsvector"), deferred=True
    )
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    state: Mapped[str] = mapped_column(server_default="used")
    state_at: Mapped[datetime | None]
    state_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    state_reason: Mapped[str] = mapped_column(server_default="")
    label_revision: Mapped[int] = mapped_column(server_default=text("0"))
    done_at: Mapped[datetime | None]
    done_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    came_back_at: Mapped[datetime | None]
    import_id: Mapped[int | None] = mapped_column(ForeignKey("image_import.id"), index=True)
    created_at: Mapped[Created]


class ImageValue(Model):
    """A value of an image's metadata (of a list each), up to 200 characters of it, so that the images of one value
    are found in their order, in whatever letters it is written. A trigger on `image` keeps these rows.
    """

    __tablename__ = "image_value"
    __table_args__ = (
        Index("ix_image_value_found", "project_id", "field", text("lower(value)"), "image_id"),
    )

    image_id: Mapped[int] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int] = mapped_column(BigInteger)
    field: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)


class ImageCount(Model):
    """How many images of a project there are of each kind: the sums over its rows. Triggers append what
    every statement changed, in its transaction, and fold the rows now and then; nobody else writes here.

    `used`, `done`, `undone`, `new`, `asked` and `contradictory` count images in use: marked as done, waiting, with
    something new since they were done, with proposals that apply to them, with labels that contradict one another.
    """

    __tablename__ = "image_count"
    __table_args__ = (Index(None, "project_id"),)

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(BigInteger)
    used: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    done: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    undone: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    new: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    aside: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    asked: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    contradictory: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class PictureGroups(Model):
    """Which images of a project showed one picture when they were last compared (`app.images.pictures`):
    for each of `image_ids` the first one of its group, and a mark of what it showed then.
    """

    __tablename__ = "picture_groups"
    __table_args__ = (
        CheckConstraint(
            "cardinality(image_ids) = cardinality(leaders)"
            " AND cardinality(image_ids) = cardinality(marks)",
            name="as_many_of_each",
        ),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    way: Mapped[int]
    image_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    leaders: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    marks: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


class ImageTrait(Model):
    """A style that an image is in (or is not), or content that it holds (or lacks), as a person or an
    agent stated it. `value` is an id of the criteria. What metadata says is read from the metadata.

    Agents state what they see: what they do not see may be there all the same. So what an image lacks is
    always a person's word, which counts before any other.
    """

    __tablename__ = "image_trait"
    __table_args__ = (
        CheckConstraint("kind IN ('style', 'content')", name="kind"),
        CheckConstraint("value ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name="value"),
        CheckConstraint("source IN ('person', 'agent')", name="source"),
        CheckConstraint("(source = 'person') = (person_id IS NOT NULL)", name="person"),
        CheckConstraint("(source = 'agent') = (agent_run_id IS NOT NULL)", name="agent_run"),
        CheckConstraint("present OR source = 'person'", name="absence"),
        Index(
            "ix_image_trait_lacking",
            "image_id",
            "value",
            postgresql_where=text("kind = 'content' AND NOT present"),
        ),
    )

    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    present: Mapped[bool]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"))
    at: Mapped[Created]


class ImageEvent(Model):
    """One change to an image: who, when, what, before, after. Append-only, but for one thing: when an
    image is erased, what its events say of its content goes too.
    """

    __tablename__ = "image_event"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('edit', 'list', 'import', 'aside', 'back', 'replace', 'erase')", name="kind"
        ),
        Index(None, "image_id", "id"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    kind: Mapped[str]
    before: Mapped[Json | None]
    after: Mapped[Json | None]
    revision: Mapped[int]
    import_id: Mapped[int | None] = mapped_column(ForeignKey("image_import.id"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    at: Mapped[Created]


class StorageRemoval(Model):
    """A file that is to leave the storage with its derivatives. The row goes when the bytes are gone."""

    __tablename__ = "storage_removal"
    __table_args__ = (CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),)

    sha256: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    not_before: Mapped[Created]
    asked_at: Mapped[Created]


class ImageImport(Model):
    """One import: where the files came from and how many came in."""

    __tablename__ = "image_import"
    __table_args__ = (
        CheckConstraint("source IN ('folder', 'zip', 'csv', 'files', 'demo')", name="source"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), unique=True)
    source: Mapped[str]
    origin: Mapped[str]
    added: Mapped[int] = mapped_column(server_default=text("0"))
    duplicates: Mapped[int] = mapped_column(server_default=text("0"))
    refused: Mapped[int] = mapped_column(server_default=text("0"))
    changed: Mapped[int] = mapped_column(server_default=text("0"))
    replaced: Mapped[int] = mapped_column(server_default=text("0"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class ImportProblem(Model):
    """A file that an import did not take, by name, with the reason; one it already had; or a note about
    something that was found and is no image.
    """

    __tablename__ = "import_problem"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('refused', 'duplicate', 'note', 'changed', 'replaced', 'same_name')",
            name="kind",
        ),
        UniqueConstraint("import_id", "name"),
        Index(None, "image_id", postgresql_where=text("image_id IS NOT NULL")),
    )

    id: Mapped[Key]
    import_id: Mapped[int] = mapped_column(ForeignKey("image_import.id"))
    image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"))
    name: Mapped[str]
    kind: Mapped[str]
    reason: Mapped[str]
