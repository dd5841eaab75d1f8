"""Pods, deletes of unknown pods, payloads, and what concerns the ledger itself."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "pods",
        sa.Column("uid", sa.String, primary_key=True),
        sa.Column("namespace", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("node", sa.String, nullable=False),
        sa.Column("restart_policy", sa.String, nullable=False),
        sa.Column("grace", sa.Integer, nullable=False),
        sa.Column("deadline", sa.Integer),
        sa.Column("containers", sa.JSON, nullable=False),
        sa.Column("accepted_at", sa.Double, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("delete_grace", sa.Integer),
        sa.Column("deleted_at", sa.Double),
        sa.Column("host", sa.String),
        sa.Column("jid", sa.String, nullable=False),
        sa.Column("launched_at", sa.Double),
        sa.Column("refused_at", sa.Double),
        sa.Column("confirmed_at", sa.Double),
        sa.Column("status", sa.JSON(none_as_null=True)),
        sa.Column("final", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("writer", sa.String, nullable=False),
    )
    op.create_index("ix_pods_revision", "pods", ["revision"])
    op.create_table(
        "unknown_deletes",
        sa.Column("uid", sa.String, primary_key=True),
        sa.Column("deleted_at", sa.Double, nullable=False),
    )
    op.create_table(
        "payloads",
        sa.Column("uid", sa.String, primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "meta",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
    op.execute("INSERT INTO meta (key, value) VALUES ('revision', '0')")
