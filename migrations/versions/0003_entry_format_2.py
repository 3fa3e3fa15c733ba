"""The format of each entry, and the login and user id that format 2 records."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


INDEXES = (("ix_entries_name_version", ["name", "version"]), ("ix_entries_clock", ["clock"]))
"""In the order of the first migration: SQLite prefers the later of two equal ones."""


def upgrade() -> None:
    # Every entry that an older catalog holds has format 1, hence the default. The table is
    # made again, so that its text is the one that the declared tables give.
    _drop_indexes()
    with op.batch_alter_table("entries", recreate="always") as batch:
        batch.add_column(
            sa.Column("format", sa.Integer, nullable=False, server_default=sa.text("1"))
        )
        batch.add_column(sa.Column("login", sa.Text))
        batch.add_column(sa.Column("uid", sa.Integer))
    _create_indexes()


def downgrade() -> None:
    _drop_indexes()
    with op.batch_alter_table("entries", recreate="always") as batch:
        for column in ("uid", "login", "format"):
            batch.drop_column(column)
    _create_indexes()


def _drop_indexes() -> None:
    for name, _ in INDEXES:
        op.drop_index(name, "entries")


def _create_indexes() -> None:
    for name, columns in INDEXES:
        op.create_index(name, "entries", columns)
