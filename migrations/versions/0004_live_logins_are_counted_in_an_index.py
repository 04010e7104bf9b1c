"""Live logins are counted in an index.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-25
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BEFORE = "ix_refresh_tokens_idle_expires_at"
AFTER = "ix_refresh_tokens_idle_expires_at_revoked_at"


def upgrade() -> None:
    op.create_index(AFTER, "refresh_tokens", ["idle_expires_at", "revoked_at"])
    op.drop_index(BEFORE, "refresh_tokens")


def downgrade() -> None:
    op.create_index(BEFORE, "refresh_tokens", ["idle_expires_at"])
    op.drop_index(AFTER, "refresh_tokens")
