"""Probes that are recorded later, metrics, and where versions are known to be; filled from what registering entries said."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPEN = sa.text("until IS NULL")


def upgrade() -> None:
    op.create_table(
        "version_probes",
        _text("name"),
        _number("number"),
        _text("probes"),
        *_rest("version_probes", "name", "number"),
    )
    _one_open("version_probes", "name", "number")
    op.create_table(
        "metrics",
        _text("name"),
        _number("number"),
        _text("key"),
        _text("value"),
        sa.Column("real", sa.REAL),
        *_rest("metrics", "name", "number", "key"),
    )
    _one_open("metrics", "name", "number", "key")
    op.create_index("ix_metrics_key_real", "metrics", ["key", "real"])
    op.create_table(
        "copies",
        _text("name"),
        _number("number"),
        _text("repository"),
        _text("commit"),
        _text("tag", null=True),
        *_rest("copies", "name", "number", "repository"),
    )
    _one_open("copies", "name", "number", "repository")
    op.create_index("ix_copies_repository", "copies", ["repository"])
    _fill()


def downgrade() -> None:
    for table in ("copies", "metrics", "version_probes"):
        op.drop_table(table)


def _fill() -> None:
    """What the earlier schema knew as columns of a version. No metric was recorded before this revision."""
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "INSERT INTO version_probes (name, number, probes, since, until) "
            "SELECT name, number, probes, since, until FROM versions WHERE probes IS NOT NULL"
        )
    )
    rows = connection.execute(
        sa.text("SELECT name, number, source, since, until FROM versions")
    ).all()
    for name, number, source, since, until in rows:
        hub = json.loads(source).get("hub") or {}
        if "repository" in hub and "commit" in hub:
            connection.execute(
                sa.text(
                    'INSERT INTO copies (name, number, repository, "commit", since, until) '
                    "VALUES (:name, :number, :repository, :commit, :since, :until)"
                ),
                {
                    "name": name,
                    "number": number,
                    "repository": hub["repository"],
                    "commit": hub["commit"],
                    "since": since,
                    "until": until,
                },
            )


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null, autoincrement=False)


def _rest(table: str, *key: str) -> tuple[sa.schema.SchemaItem, ...]:
    """The interval, and the constraints of a table whose rows belong to a model."""
    return (
        _number("since"),
        _number("until", null=True),
        sa.PrimaryKeyConstraint(*key, "since", name=f"pk_{table}"),
        sa.CheckConstraint("until > since", name=op.f(f"ck_{table}_interval")),
        sa.ForeignKeyConstraint(["name"], ["models.name"], name=f"fk_{table}_name_models"),
    )


def _one_open(table: str, *columns: str) -> None:
    op.create_index(
        f"uq_{table}_open",
        table,
        list(columns),
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
