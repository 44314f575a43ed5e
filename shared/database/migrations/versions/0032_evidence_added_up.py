"""What all queries of a node found is added up by study and day; workers do it, newest queries first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_UNTALLIED = sa.text("coalesce(tallied_round, -2) <> round")


def upgrade() -> None:
    op.add_column("queries", sa.Column("tallied_round", sa.Integer(), nullable=True))
    op.add_column(
        "queries", sa.Column("open_search", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(
        "ix_queries_untallied",
        "queries",
        ["remote_id", "requested_at"],
        sqlite_where=_UNTALLIED,
        postgresql_where=_UNTALLIED,
    )
    op.create_index(
        "ix_queries_open_search",
        "queries",
        ["remote_id"],
        sqlite_where=sa.text("open_search = 1"),
        postgresql_where=sa.text("open_search"),
    )
    op.create_index("ix_report_summaries_read_at", "report_summaries", ["read_at"])
    op.create_table(
        "tallies",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tallies")),
    )
    op.create_table(
        "node_days",
        sa.Column("remote_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("numbers", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("proofs", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("versions", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("remote_id", "day", name=op.f("pk_node_days")),
    )
    op.create_table(
        "node_studies",
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("remote_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("study_time", sa.String(length=32), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("accession_number", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("settled_types", sa.String(length=32), nullable=False),
        sa.Column("open_types", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("study_instance_uid", "remote_id", name=op.f("pk_node_studies")),
    )
    op.create_index("ix_node_studies_day", "node_studies", ["remote_id", "day"])


def downgrade() -> None:
    for table in ("node_studies", "node_days", "tallies"):
        op.drop_table(table)
    op.drop_index("ix_report_summaries_read_at", "report_summaries")
    for index in ("ix_queries_open_search", "ix_queries_untallied"):
        op.drop_index(index, "queries")
    for column in ("open_search", "tallied_round"):
        op.drop_column("queries", column)
