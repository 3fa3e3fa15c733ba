"""${message}.

Say why, and where the data comes from. A migration runs on a copy, never on a file that somebody has open, and what the
old tables cannot tell comes from a new fold: then drop the rows, and the home folds the journal again. Both directions;
names by the convention of tables.py; never edited once landed. With it change REVISION in registry/catalog/schema.py.
"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
