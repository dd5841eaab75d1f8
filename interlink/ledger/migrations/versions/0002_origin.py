"""Where a pod comes from: the cluster whose kubelet sent it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("pods", sa.Column("origin", sa.String, nullable=False, server_default=""))
