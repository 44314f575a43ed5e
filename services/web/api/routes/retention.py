"""What retention would remove now, and what it has removed."""

from __future__ import annotations

from services.web.api.operations import OperationTable
from services.web.components import components
from shared.reading.retention.preview import RetentionResult, retention_preview

table = OperationTable("system")


@table.add("GET", "/retention", scope="read", result=RetentionResult)
def read_retention() -> object:
    """Return what retention would remove now, by the settings, and its last runs."""
    parts = components()
    with parts.database.read() as session:
        return retention_preview(session, parts.settings.retention, parts.settings.objects_dir, parts.clock())
