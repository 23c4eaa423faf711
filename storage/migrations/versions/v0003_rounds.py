"""Sweeps go through rounds of trials."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the newest round of a sweep and why its rounds ended, and the round of a job; sweeps so far have none."""
    op.add_column("sweeps", sa.Column("round", sa.Integer(), nullable=True))
    op.add_column("sweeps", sa.Column("ended_because", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("round", sa.Integer(), nullable=True))
