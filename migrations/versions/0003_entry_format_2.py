"""The format of each entry, and the login and user id that format 2 records."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Every entry that an older catalog holds has format 1, hence the default. The table is made
    # again, so that its text is the one that the declared tables give.
    with op.batch_alter_table("entries", recreate="always") as batch:
        batch.add_column(
            sa.Column("format", sa.Integer, nullable=False, server_default=sa.text("1"))
        )
        batch.add_column(sa.Column("login", sa.Text))
        batch.add_column(sa.Column("uid", sa.Integer))


def downgrade() -> None:
    with op.batch_alter_table("entries", recreate="always") as batch:
        for column in ("uid", "login", "format"):
            batch.drop_column(column)
