"""Datasets: immutable snapshots of images, prompts, A_pos, A_neg and split; and pairs of images."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model


class Dataset(Model):
    """A frozen dataset. It is `ready` when its manifest's hash is known, and never changes after. `images_are` `kept`
    in `dataset_image` with their splits, `unread` where a worker has still to read them from its folder, or `gone` with it.
    """

    __tablename__ = "dataset"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        CheckConstraint(
            "(manifest_sha256 IS NULL) = (folder IS NULL)", name="ready_has_folder_and_hash"
        ),
        Index(None, "project_id", "id"),
        CheckConstraint("images_are IN ('unread', 'kept', 'gone')", name="images_are"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    number: Mapped[int]
    name: Mapped[str]
    images_are: Mapped[str] = mapped_column(server_default="unread")
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), unique=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    options: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    counts: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    folder: Mapped[str | None]
    manifest_sha256: Mapped[str | None]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class DatasetImage(Model):
    """The split of a frozen dataset that an image is in (`app.datasets.splits`)."""

    __tablename__ = "dataset_image"
    __table_args__ = (
        CheckConstraint("split IN ('train', 'validation', 'test')", name="split"),
        Index(None, "dataset_id", "split", "image_id"),
        Index(None, "image_id"),
    )

    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    split: Mapped[str]


class UnfrozenImage(Model):
    """An image that no dataset holds, so that these are found in their order. Triggers on `image` and
    `dataset_image` put rows in and take them out, whoever writes there.
    """

    __tablename__ = "unfrozen_image"
    __table_args__ = (Index(None, "project_id", "image_id"),)

    image_id: Mapped[int] = mapped_column(
        ForeignKey("image.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int] = mapped_column(BigInteger)


class DatasetErasure(Model):
    """An image that a frozen dataset holds and that was erased since. The dataset itself never changes."""

    __tablename__ = "dataset_erasure"

    dataset_id: Mapped[int] = mapped_column(ForeignKey("dataset.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    at: Mapped[Created]


class PairDataset(Model):
    """Prompts with a preferred and another image each, for Diffusion-DPO and NPO.

    `ready` when its manifest's hash is known, as a dataset is. `options` say how pairs are made from
    what `source` names; `dataset_id` is where prompts or labels come from.
    """

    __tablename__ = "pair_dataset"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        CheckConstraint("source IN ('labels', 'generated', 'import', 'study')", name="source"),
        CheckConstraint(
            "source IN ('import', 'study') OR dataset_id IS NOT NULL",
            name="source_has_its_dataset",
        ),
        CheckConstraint(
            "(manifest_sha256 IS NULL) = (folder IS NULL)", name="ready_has_folder_and_hash"
        ),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    number: Mapped[int]
    name: Mapped[str]
    source: Mapped[str]
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("dataset.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), unique=True)
    options: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    counts: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    folder: Mapped[str | None]
    manifest_sha256: Mapped[str | None]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class PairDatasetErasure(Model):
    """An image that a frozen pair dataset holds and that was erased since."""

    __tablename__ = "pair_dataset_erasure"

    pair_dataset_id: Mapped[int] = mapped_column(ForeignKey("pair_dataset.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    at: Mapped[Created]
