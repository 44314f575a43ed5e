"""Storage commitment as a proof of what arrived at a store node."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("verify_by", sa.String(length=16), nullable=False, server_default="auto")
        )
    with op.batch_alter_table("retrieve_objects", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("sop_class_uid", sa.String(length=64), nullable=False, server_default="")
        )
        batch_op.add_column(
            sa.Column("committed_in", sa.String(length=64), nullable=False, server_default="")
        )
    op.create_table(
        "retrieve_commitments",
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("committed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["retrieves.id"],
            name=op.f("fk_retrieve_commitments_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transaction_uid", name=op.f("pk_retrieve_commitments")),
    )
    with op.batch_alter_table("retrieve_commitments", schema=None) as batch_op:
        batch_op.create_index("ix_retrieve_commitments_job", ["job_id", "task_id"], unique=False)
    op.create_table(
        "commitment_reports",
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("committed", sa.JSON(), nullable=False),
        sa.Column("failed", sa.JSON(), nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("transaction_uid", name=op.f("pk_commitment_reports")),
    )


def downgrade() -> None:
    op.drop_table("commitment_reports")
    with op.batch_alter_table("retrieve_commitments", schema=None) as batch_op:
        batch_op.drop_index("ix_retrieve_commitments_job")
    op.drop_table("retrieve_commitments")
    with op.batch_alter_table("retrieve_objects", schema=None) as batch_op:
        batch_op.drop_column("committed_in")
        batch_op.drop_column("sop_class_uid")
    with op.batch_alter_table("nodes", schema=None) as batch_op:
        batch_op.drop_column("verify_by")
