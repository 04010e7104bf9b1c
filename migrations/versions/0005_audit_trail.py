"""The audit trail, and whether a login's last refresh came from another client.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-25
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("login_id", sa.Uuid()),
        sa.Column("operator", sa.String(64)),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("user_agent", sa.String(512)),
        sa.Column("detail", sa.JSON()),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    op.create_index("ix_audit_events_login_id_id", "audit_events", ["login_id", "id"])
    op.create_index("ix_audit_events_user_id_id", "audit_events", ["user_id", "id"])
    op.add_column(
        "refresh_tokens",
        sa.Column("client_changed", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("refresh_tokens", "client_changed")
    op.drop_table("audit_events")
