"""The days of a query as columns; studies are found by date and by accession number."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_ROWS_AT_ONCE = 1000


def upgrade() -> None:
    with op.batch_alter_table("queries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("days_from", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("days_until", sa.Date(), nullable=True))
    op.create_index("ix_queries_remote_days", "queries", ["remote_id", "days_until", "days_from"])
    op.create_index("ix_query_studies_date", "query_studies", ["study_date"])
    op.create_index(
        "ix_query_studies_accession", "query_studies", ["accession_number"], postgresql_using="hash"
    )
    _fill_days(op.get_bind())


def _fill_days(connection: sa.Connection) -> None:
    """Write the days of the queries that are there; where the criteria have none they stay open."""
    queries = sa.table(
        "queries",
        sa.column("id", sa.String()),
        sa.column("criteria", sa.JSON()),
        sa.column("today", sa.Date()),
        sa.column("days_from", sa.Date()),
        sa.column("days_until", sa.Date()),
    )
    values = [
        days
        for row in connection.execute(sa.select(queries.c.id, queries.c.criteria, queries.c.today))
        if (days := _days_of(row)) is not None
    ]
    change = (
        sa.update(queries)
        .where(queries.c.id == sa.bindparam("job_id"))
        .values(days_from=sa.bindparam("first"), days_until=sa.bindparam("last"))
    )
    for start in range(0, len(values), _ROWS_AT_ONCE):
        connection.execute(change, values[start : start + _ROWS_AT_ONCE])


def _days_of(row: Any) -> dict[str, Any] | None:
    first, last = row.criteria.get("date_from"), row.criteria.get("date_until")
    if not first and not last:
        return None
    return {
        "job_id": row.id,
        "first": date.fromisoformat(first) if first else None,
        "last": date.fromisoformat(last) if last else row.today,
    }


def downgrade() -> None:
    op.drop_index("ix_query_studies_accession", "query_studies")
    op.drop_index("ix_query_studies_date", "query_studies")
    op.drop_index("ix_queries_remote_days", "queries")
    with op.batch_alter_table("queries", schema=None) as batch_op:
        batch_op.drop_column("days_until")
        batch_op.drop_column("days_from")
