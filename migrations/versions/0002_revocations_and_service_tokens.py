"""Revocations and service tokens.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-25
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "revocations",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("login_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_revocations"),
    )
    op.create_table(
        "service_tokens",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_service_tokens"),
        sa.UniqueConstraint("digest", name="uq_service_tokens_digest"),
    )


def downgrade() -> None:
    op.drop_table("service_tokens")
    op.drop_table("revocations")
