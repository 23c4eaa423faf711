"""Jobs hold on to a checkpoint, and know before which step it stands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the steps, and allow the role."""
    op.add_column("jobs", sa.Column("checkpoint_step", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("resumed_step", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("job_blobs") as batch:
        batch.drop_constraint("job_blobs_role", type_="check")
        batch.create_check_constraint("job_blobs_role", "role IN ('model', 'data', 'artifact', 'checkpoint')")
