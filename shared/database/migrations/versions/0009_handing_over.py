"""Batches that are handed over to an importer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "handover_batches",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover_batches")),
    )
    with op.batch_alter_table("handover_batches", schema=None) as batch_op:
        batch_op.create_index("ix_handover_batches_state_due", ["state", "due_at"], unique=False)
        batch_op.create_index("ix_handover_batches_job", ["job_id"], unique=False)
    op.create_table(
        "handover_objects",
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("series_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_class_uid", sa.String(length=64), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["handover_batches.id"],
            name=op.f("fk_handover_objects_batch_id_handover_batches"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("sop_instance_uid", "sha256", name=op.f("pk_handover_objects")),
    )
    with op.batch_alter_table("handover_objects", schema=None) as batch_op:
        batch_op.create_index("ix_handover_objects_batch", ["batch_id"], unique=False)
    op.create_table(
        "handover_marks",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("received_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover_marks")),
    )


def downgrade() -> None:
    op.drop_table("handover_marks")
    with op.batch_alter_table("handover_objects", schema=None) as batch_op:
        batch_op.drop_index("ix_handover_objects_batch")

    op.drop_table("handover_objects")
    with op.batch_alter_table("handover_batches", schema=None) as batch_op:
        batch_op.drop_index("ix_handover_batches_job")
        batch_op.drop_index("ix_handover_batches_state_due")

    op.drop_table("handover_batches")
