"""Retrieved objects are found by their study, without the job: what arrived of it, and who expected it."""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_retrieve_objects_study", "retrieve_objects", ["study_instance_uid"])


def downgrade() -> None:
    op.drop_index("ix_retrieve_objects_study", "retrieve_objects")
