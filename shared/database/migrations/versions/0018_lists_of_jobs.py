"""Lists of jobs are found by status, node, person and end without reading every job."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_FILTERS = ("status", "remote_id", "store_id", "requested_by")


def upgrade() -> None:
    for table in ("queries", "retrieves"):
        for column in _FILTERS:
            op.create_index(f"ix_{table}_{column}_requested", table, [column, "requested_at", "id"])
        op.create_index(f"ix_{table}_ended", table, ["ended_at", "id"])


def downgrade() -> None:
    for table in ("queries", "retrieves"):
        for column in _FILTERS:
            op.drop_index(f"ix_{table}_{column}_requested", table)
        op.drop_index(f"ix_{table}_ended", table)
