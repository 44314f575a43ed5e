"""Headers in the store are found by their study; where there are none, this costs nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_stored_objects_headers",
        "stored_objects",
        ["study_instance_uid"],
        sqlite_where=sa.text("content = 'headers'"),
        postgresql_where=sa.text("content = 'headers'"),
    )


def downgrade() -> None:
    op.drop_index("ix_stored_objects_headers", "stored_objects")
