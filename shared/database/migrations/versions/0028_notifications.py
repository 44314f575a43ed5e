"""Notifications: addresses, causes, events and deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    _addresses()
    op.create_table(
        "notification_causes",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("details", _JSON, nullable=False),
        sa.Column("state", _JSON, nullable=False),
        sa.Column("number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("observed", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_notification_causes")),
    )
    op.create_index("ix_notification_causes_kind", "notification_causes", ["kind"])
    op.create_table(
        "notification_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("details", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_events")),
        sa.UniqueConstraint("key", name=op.f("uq_notification_events_key")),
    )
    op.create_index("ix_notification_events_at", "notification_events", ["at"])
    _deliveries()
    op.create_table(
        "notification_marks",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("holder", sa.String(length=200), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_notification_marks")),
    )


def _addresses() -> None:
    op.create_table(
        "notification_addresses",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.Column("kinds", _JSON, nullable=False),
        sa.Column("outcomes", _JSON, nullable=False),
        sa.Column("digest_at", sa.String(length=5), server_default="", nullable=False),
        sa.Column("time_zone", sa.String(length=64), server_default="", nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("paused_at", _TIME, nullable=True),
        sa.Column("tested_at", _TIME, nullable=True),
        sa.Column("sent_at", _TIME, nullable=True),
        sa.Column("failed_at", _TIME, nullable=True),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.Column("claim", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimed_until", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_notification_addresses_owner_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_addresses")),
    )
    op.create_index("ix_notification_addresses_owner_id", "notification_addresses", ["owner_id"])


def _deliveries() -> None:
    op.create_table(
        "notification_deliveries",
        sa.Column("event_id", sa.Integer(), nullable=False),
        sa.Column("address_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["notification_events.id"],
            name=op.f("fk_notification_deliveries_event_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["address_id"],
            ["notification_addresses.id"],
            name=op.f("fk_notification_deliveries_address_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "address_id", name=op.f("pk_notification_deliveries")),
    )
    op.create_index("ix_notification_deliveries_due", "notification_deliveries", ["state", "due_at"])
    op.create_index(
        "ix_notification_deliveries_address", "notification_deliveries", ["address_id", "event_id"]
    )


def downgrade() -> None:
    for name in ("marks", "deliveries", "events", "causes", "addresses"):
        op.drop_table(f"notification_{name}")
