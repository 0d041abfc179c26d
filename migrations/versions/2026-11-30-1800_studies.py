"""Studies: participants compare images of several models; and pair datasets from what they chose."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
TABLES = ("study_choice", "study_pair", "study_image", "study_model", "study_dimension", "study")
SOURCE, HAS_DATASET = "ck_pair_dataset_source", "ck_pair_dataset_source_has_its_dataset"


def upgrade() -> None:
    _make_studies()
    _make_images()
    _make_pairs()
    _take_part_in_either()
    _put_rules("'labels', 'generated', 'import', 'study'", "source IN ('import', 'study')")


def downgrade() -> None:
    op.execute("LOCK TABLE study, pair_dataset IN ACCESS EXCLUSIVE MODE")
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM study) OR EXISTS (SELECT FROM pair_dataset WHERE source = 'study') THEN
                RAISE EXCEPTION 'there are studies, which release 0041 cannot hold';
            END IF;
        END $$
    """)
    _put_rules("'labels', 'generated', 'import'", "source = 'import'")
    op.drop_table("study_choice")
    for table in ("participant", "consent_notice"):
        op.drop_constraint(op.f(f"ck_{table}_instrument"), table)
    op.drop_constraint(op.f("fk_participant_study_id_notice_id"), "participant")
    for table in ("participant", "consent_notice"):
        op.drop_column(table, "study_id")
        op.alter_column(table, "audit_id", nullable=False)
    for table in TABLES[1:]:
        op.drop_table(table)


def _key() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _whole(name: str, default: str | None = None) -> sa.Column[int]:
    given = None if default is None else sa.text(default)
    return sa.Column(name, sa.Integer(), server_default=given, nullable=False)


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(), server_default=default, nullable=False)


def _moment(name: str, *, nullable: bool = True) -> sa.Column[sa.DateTime]:
    default = None if nullable else NOW
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=nullable)


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def _refers(table: str, columns: list[str], to: list[str]) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(columns, to, name=op.f(f"fk_{table}_{'_'.join(columns)}"))


def _primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _make_studies() -> None:
    op.create_table(
        "study",
        _key(),
        _number("project_id"),
        _text("name"),
        _text("state", "draft"),
        _number("seed"),
        _whole("prompts"),
        sa.Column("has_ties", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _whole("identical_percent", "0"),
        _whole("repeated_percent", "0"),
        _number("version_id"),
        _number("created_by", nullable=True),
        _moment("created_at", nullable=False),
        _moment("opened_at"),
        _moment("closed_at"),
        _check("study", "state", "state IN ('draft', 'open', 'closed')"),
        _check("study", "drawing", "seed >= 0 AND prompts > 0"),
        _check("study", "identical_percent", "identical_percent BETWEEN 0 AND 50"),
        _check("study", "repeated_percent", "repeated_percent BETWEEN 0 AND 50"),
        _check("study", "identical_pairs_need_ties", "has_ties OR identical_percent = 0"),
        _check("study", "opened", "(state = 'draft') = (opened_at IS NULL)"),
        _check("study", "closed", "(state = 'closed') = (closed_at IS NOT NULL)"),
        _refers("study", ["project_id"], ["project.id"]),
        _refers("study", ["version_id"], ["criteria_version.id"]),
        _refers("study", ["created_by"], ["person.id"]),
        _primary("study", "id"),
    )
    op.create_index(op.f("ix_study_project_id_id"), "study", ["project_id", "id"])
    op.create_table(
        "study_dimension",
        _number("study_id"),
        _text("root_key"),
        _whole("position"),
        _refers("study_dimension", ["study_id"], ["study.id"]),
        _primary("study_dimension", "study_id", "root_key"),
    )


def _make_images() -> None:
    op.create_table(
        "study_model",
        _key(),
        _number("study_id"),
        _text("group_name"),
        _text("name"),
        _text("origin"),
        _check("study_model", "names", "name <> '' AND group_name <> ''"),
        _refers("study_model", ["study_id"], ["study.id"]),
        _primary("study_model", "id"),
        _unique("study_model", "study_id", "group_name", "name"),
        _unique("study_model", "study_id", "id"),
    )
    op.create_table(
        "study_image",
        _key(),
        _number("study_id"),
        _number("model_id"),
        _text("prompt"),
        _text("prompt_sha256"),
        _text("sha256"),
        _text("format"),
        _whole("width"),
        _whole("height"),
        _check("study_image", "size", "width > 0 AND height > 0"),
        _refers("study_image", ["study_id", "model_id"], ["study_model.study_id", "study_model.id"]),
        _primary("study_image", "id"),
        _unique("study_image", "model_id", "prompt_sha256"),
        _unique("study_image", "study_id", "id"),
    )
    op.create_index(op.f("ix_study_image_sha256"), "study_image", ["sha256"])


def _make_pairs() -> None:
    op.create_table(
        "study_pair",
        _key(),
        _number("study_id"),
        _text("kind"),
        _number("first_image_id"),
        _number("second_image_id"),
        _number("repeats_id", nullable=True),
        _check("study_pair", "kind", "kind IN ('pair', 'identical', 'repeated')"),
        _check("study_pair", "identical", "(kind = 'identical') = (first_image_id = second_image_id)"),
        _check("study_pair", "repeated", "(kind = 'repeated') = (repeats_id IS NOT NULL)"),
        _refers("study_pair", ["study_id"], ["study.id"]),
        *(
            _refers("study_pair", ["study_id", image], ["study_image.study_id", "study_image.id"])
            for image in ("first_image_id", "second_image_id")
        ),
        _refers("study_pair", ["study_id", "repeats_id"], ["study_pair.study_id", "study_pair.id"]),
        _primary("study_pair", "id"),
        _unique("study_pair", "study_id", "id"),
        _unique("study_pair", "study_id", "kind", "first_image_id", "second_image_id"),
    )
    op.execute(
        "CREATE TRIGGER study_pair_append_only BEFORE UPDATE OR DELETE ON study_pair"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def _take_part_in_either() -> None:
    for table in ("consent_notice", "participant"):
        op.add_column(table, _number("study_id", nullable=True))
        op.alter_column(table, "audit_id", nullable=True)
        op.create_foreign_key(op.f(f"fk_{table}_study_id"), table, "study", ["study_id"], ["id"])
        for other in ("number", "id"):
            name = op.f(f"uq_{table}_study_id_{other}")
            op.create_unique_constraint(name, table, ["study_id", other])
        rule = "num_nonnulls(audit_id, study_id) = 1"
        op.create_check_constraint(op.f(f"ck_{table}_instrument"), table, rule)
    op.create_unique_constraint(
        op.f("uq_participant_study_id_code"), "participant", ["study_id", "code"]
    )
    op.create_foreign_key(
        op.f("fk_participant_study_id_notice_id"),
        "participant",
        "consent_notice",
        ["study_id", "notice_id"],
        ["study_id", "id"],
    )
    op.create_table(
        "study_choice",
        _number("participant_id"),
        _number("pair_id"),
        _text("root_key"),
        _number("study_id"),
        _text("answer"),
        _whole("revision", "1"),
        _moment("at", nullable=False),
        _check("study_choice", "answer", "answer IN ('first', 'second', 'tie')"),
        _refers(
            "study_choice", ["study_id", "participant_id"], ["participant.study_id", "participant.id"]
        ),
        _refers("study_choice", ["study_id", "pair_id"], ["study_pair.study_id", "study_pair.id"]),
        _refers(
            "study_choice",
            ["study_id", "root_key"],
            ["study_dimension.study_id", "study_dimension.root_key"],
        ),
        _primary("study_choice", "participant_id", "pair_id", "root_key"),
    )
    op.create_index(op.f("ix_study_choice_study_id_pair_id"), "study_choice", ["study_id", "pair_id"])


def _put_rules(sources: str, without_dataset: str) -> None:
    """What a pair dataset may be made from, and what needs no dataset."""
    for name, rule in (
        (SOURCE, f"source IN ({sources})"),
        (HAS_DATASET, f"{without_dataset} OR dataset_id IS NOT NULL"),
    ):
        op.drop_constraint(op.f(name), "pair_dataset")
        op.create_check_constraint(op.f(name), "pair_dataset", rule)
