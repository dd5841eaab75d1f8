"""The ledger's tables as the present code uses them; `migrations` holds how they came to be.

Target (what was asked) and status (what was observed) never share a column (design.md, decision 4), and
nothing here may carry a secret: no env, arguments, annotations or file contents (decisions.md 6).
Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

pods = sa.Table(
    "pods",
    metadata,
    sa.Column("uid", sa.String, primary_key=True),
    sa.Column("namespace", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("node", sa.String, nullable=False),
    sa.Column("origin", sa.String, nullable=False, server_default=""),
    # the skeleton of the manifest
    sa.Column("restart_policy", sa.String, nullable=False),
    sa.Column("grace", sa.Integer, nullable=False),
    sa.Column("deadline", sa.Integer),
    sa.Column("containers", sa.JSON, nullable=False),
    sa.Column("accepted_at", sa.Double, nullable=False),
    # the target
    sa.Column("target", sa.String, nullable=False),
    sa.Column("delete_grace", sa.Integer),
    sa.Column("deleted_at", sa.Double),
    # the placement
    sa.Column("host", sa.String),
    sa.Column("jid", sa.String, nullable=False),
    sa.Column("launched_at", sa.Double),
    sa.Column("refused_at", sa.Double),
    sa.Column("confirmed_at", sa.Double),
    # what was observed
    sa.Column("status", sa.JSON(none_as_null=True)),
    sa.Column("final", sa.Boolean, nullable=False),
    # orders all writes, so that another process can ask for what has changed
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.Column("writer", sa.String, nullable=False),
)

unknown_deletes = sa.Table(
    "unknown_deletes",
    metadata,
    sa.Column("uid", sa.String, primary_key=True),
    sa.Column("deleted_at", sa.Double, nullable=False),
)

payloads = sa.Table(
    "payloads",
    metadata,
    sa.Column("uid", sa.String, primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)
