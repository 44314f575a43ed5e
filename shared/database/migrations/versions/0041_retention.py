"""Old jobs are folded into the numbers of their studies and days, and old files removed, by settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("queries", sa.Column("folding", sa.String(length=8), nullable=False, server_default=""))
    op.add_column("node_studies", sa.Column("folded", sa.Text(), nullable=True))
    op.add_column("node_days", sa.Column("folded_proofs", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(
        "ix_node_studies_folded_accession",
        "node_studies",
        ["accession_number"],
        postgresql_using="hash",
        sqlite_where=sa.text("folded IS NOT NULL"),
        postgresql_where=sa.text("folded IS NOT NULL"),
    )
    op.create_index("ix_study_list_parts_job_id", "study_list_parts", ["job_id"])
    op.create_table(
        "folded_identifiers",
        sa.Column("remote_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("field", sa.String(length=32), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("remote_id", "field", "identifier", name=op.f("pk_folded_identifiers")),
    )
    op.create_table(
        "retention_runs",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_run", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("totals", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_retention_runs")),
    )


def downgrade() -> None:
    op.drop_table("retention_runs")
    op.drop_table("folded_identifiers")
    op.drop_index("ix_study_list_parts_job_id", "study_list_parts")
    op.drop_index("ix_node_studies_folded_accession", "node_studies")
    op.drop_column("node_days", "folded_proofs")
    op.drop_column("node_studies", "folded")
    op.drop_column("queries", "folding")
