"""Uploaded lists of studies that are longer than one query may be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study_lists",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("field", sa.String(length=32), nullable=False),
        sa.Column("remote_id", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.Integer(), nullable=False),
        sa.Column("criteria", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("retrieve", sa.Boolean(), nullable=False),
        sa.Column("identifiers", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_by", sa.String(length=128), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["remote_id"], ["nodes.id"], name=op.f("fk_study_lists_remote_id")),
        sa.ForeignKeyConstraint(["store_id"], ["nodes.id"], name=op.f("fk_study_lists_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_lists")),
    )
    op.create_index("ix_study_lists_requested", "study_lists", ["requested_at", "id"])
    op.create_index(op.f("ix_study_lists_ended_at"), "study_lists", ["ended_at"])
    op.create_table(
        "study_list_parts",
        sa.Column("list_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identifiers", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["list_id"], ["study_lists.id"], name=op.f("fk_study_list_parts_list_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("list_id", "number", name=op.f("pk_study_list_parts")),
    )


def downgrade() -> None:
    op.drop_table("study_list_parts")
    op.drop_table("study_lists")
