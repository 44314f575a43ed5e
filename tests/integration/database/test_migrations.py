"""The migrations make the tables that the models speak of, on both databases."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from shared.database.models import Base
from shared.database.session import Database


def test_the_newest_schema_is_that_of_the_models(database: Database):
    # Given
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        # When
        differences = compare_metadata(context, Base.metadata)
    # Then
    assert differences == []
