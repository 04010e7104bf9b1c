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
    replace(BEFORE, AFTER, ["idle_expires_at", "revoked_at"])


def downgrade() -> None:
    replace(AFTER, BEFORE, ["idle_expires_at"])


def replace(old: str, new: str, columns: list[str]) -> None:
    """Make one index and drop another, while others write to the table.

    Making one in this way may be broken off in the middle and leaves what is no use; hence the
    first step, for the next time.
    """
    with op.get_context().autocommit_block():
        drop(new)
        op.create_index(new, "refresh_tokens", columns, postgresql_concurrently=True)
        drop(old)


def drop(index: str) -> None:
    op.drop_index(index, "refresh_tokens", if_exists=True, postgresql_concurrently=True)
