"""The audit trail: who did what to which thing. Ids, names and counts; never text of a document or a question."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection, insert

from ingest import schema
from ingest.access import Reader


def record(
    connection: Connection, reader: Reader, action: str, subject: UUID | None, detail: Mapping[str, object]
) -> None:
    """Append one event in the caller's transaction; it stands or falls with what it tells of."""
    connection.execute(
        insert(schema.audit_event)
        .inline()
        .values(
            principal=reader.name,
            operator=reader.operator,
            action=action,
            subject=subject,
            detail=dict(detail),
        )
    )
