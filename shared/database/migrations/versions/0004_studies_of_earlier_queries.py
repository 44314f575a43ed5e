"""Find what earlier queries decided about a study."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("query_studies", schema=None) as batch_op:
        batch_op.create_index("ix_query_studies_uid", ["study_instance_uid"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("query_studies", schema=None) as batch_op:
        batch_op.drop_index("ix_query_studies_uid")
