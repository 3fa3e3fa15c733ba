"""The catalog: every table, empty; a fold of the journal fills them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPEN = sa.text("until IS NULL")


def upgrade() -> None:
    _what_was_done()
    _what_is_called_what()
    _what_changes()
    _what_things_are()
    _what_facts_say()


def downgrade() -> None:
    for table in (
        "skipped",
        "tensors",
        "weights",
        "tokens",
        "facts",
        "parents",
        "files",
        "manifests",
        "notes",
        "yanks",
        "aliases",
        "edges",
        "version_facts",
        "versions",
        "models",
        "entries",
    ):
        op.drop_table(table)


def _what_was_done() -> None:
    op.create_table(
        "entries",
        _number("number"),
        _text("id"),
        _text("time"),
        _text("clock"),
        _text("by"),
        _text("kind"),
        _text("name", null=True),
        _number("version", null=True),
        _text("digest"),
        sa.Column("body", sa.JSON, nullable=False),
        _key("entries", "number"),
        sa.UniqueConstraint("id", name="uq_entries_id"),
    )
    op.create_index("ix_entries_name_version", "entries", ["name", "version"])
    op.create_index("ix_entries_clock", "entries", ["clock"])


def _what_is_called_what() -> None:
    op.create_table(
        "models",
        _text("name"),
        _text("folded"),
        _number("since"),
        _key("models", "name"),
        sa.UniqueConstraint("folded", name="uq_models_folded"),
    )
    op.create_table(
        "versions",
        _text("name"),
        _number("number"),
        _text("manifest"),
        _text("probes", null=True),
        _text("message", null=True),
        sa.Column("source", sa.JSON, nullable=False),
        _number("checkpoint"),
        sa.Column("forced", sa.JSON, nullable=False),
        _number("since"),
        _number("until", null=True),
        _key("versions", "name", "number", "since"),
        *_interval_of_model("versions"),
    )
    _one_open("versions", "name", "number")
    op.create_index("ix_versions_manifest", "versions", ["manifest"])
    op.create_table(
        "edges",
        _text("name"),
        _number("number"),
        _number("since"),
        _number("position"),
        _text("role"),
        _text("parent"),
        _text("evidence"),
        _text("reference"),
        _key("edges", "name", "number", "since", "position"),
        sa.ForeignKeyConstraint(
            ["name", "number", "since"],
            ["versions.name", "versions.number", "versions.since"],
            name="fk_edges_name_number_since_versions",
        ),
    )
    op.create_index("ix_edges_parent", "edges", ["parent"])


def _what_changes() -> None:
    op.create_table(
        "version_facts",
        _text("name"),
        _number("number"),
        _text("facts"),
        _number("since"),
        _number("until", null=True),
        _key("version_facts", "name", "number", "since"),
        *_interval_of_model("version_facts"),
    )
    _one_open("version_facts", "name", "number")
    op.create_index("ix_version_facts_facts", "version_facts", ["facts"])
    op.create_table(
        "aliases",
        _text("name"),
        _text("alias"),
        _number("number"),
        _text("message", null=True),
        _number("since"),
        _number("until", null=True),
        _key("aliases", "name", "alias", "since"),
        *_interval_of_model("aliases"),
    )
    _one_open("aliases", "name", "alias")
    op.create_index("ix_aliases_name_number", "aliases", ["name", "number"])
    op.create_table(
        "yanks",
        _text("name"),
        _number("number"),
        _text("reason", null=True),
        _number("since"),
        _number("until", null=True),
        _key("yanks", "name", "number", "since"),
        *_interval_of_model("yanks"),
    )
    _one_open("yanks", "name", "number")
    op.create_table(
        "notes",
        _text("name"),
        _number("number"),
        _text("key"),
        _text("value"),
        sa.Column("real", sa.REAL),
        _number("since"),
        _number("until", null=True),
        _key("notes", "name", "number", "key", "since"),
        *_interval_of_model("notes"),
    )
    _one_open("notes", "name", "number", "key")


def _what_things_are() -> None:
    op.create_table(
        "manifests",
        _text("digest"),
        _text("kind"),
        _text("class"),
        _number("size"),
        _key("manifests", "digest"),
    )
    op.create_table(
        "files",
        _text("manifest"),
        _text("path"),
        _text("digest"),
        _number("size"),
        _key("files", "manifest", "path"),
        _refers("files", "manifest", "manifests.digest"),
    )
    op.create_index("ix_files_digest", "files", ["digest"])
    op.create_table(
        "parents",
        _text("manifest"),
        _text("role"),
        _text("parent"),
        _key("parents", "manifest", "role"),
        _refers("parents", "manifest", "manifests.digest"),
    )
    op.create_index("ix_parents_parent", "parents", ["parent"])


def _what_facts_say() -> None:
    op.create_table(
        "facts",
        _text("digest"),
        _number("schema"),
        _text("class"),
        _text("tokenizer"),
        _text("vocabulary"),
        _number("vocabulary_size"),
        _text("added_digest"),
        _number("added"),
        _text("weights"),
        _number("rows", null=True),
        _number("width", null=True),
        _number("max_length", null=True),
        _text("architecture", null=True),
        _text("adapter", null=True),
        _number("rank", null=True),
        _key("facts", "digest"),
    )
    for column in ("tokenizer", "vocabulary", "added_digest", "weights"):
        op.create_index(f"ix_facts_{column}", "facts", [column])
    op.create_table(
        "tokens",
        _text("added_digest"),
        _number("id"),
        _text("content"),
        _number("special"),
        _number("lstrip"),
        _number("rstrip"),
        _number("single_word"),
        _number("normalized"),
        _key("tokens", "added_digest", "id"),
    )
    op.create_index("ix_tokens_content", "tokens", ["content"])
    op.create_table(
        "weights",
        _text("digest"),
        _text("dtype"),
        _number("parameters"),
        _number("tensors"),
        _key("weights", "digest"),
    )
    op.create_table(
        "tensors",
        _text("weights"),
        _text("name"),
        _text("dtype"),
        sa.Column("shape", sa.JSON, nullable=False),
        _text("digest"),
        _key("tensors", "weights", "name"),
        _refers("tensors", "weights", "weights.digest"),
    )
    op.create_index("ix_tensors_digest", "tensors", ["digest"])
    op.create_table(
        "skipped",
        _text("digest"),
        _text("what"),
        _text("reason"),
        _key("skipped", "digest"),
    )


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null, autoincrement=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], name=f"fk_{table}_{column}_{to.split('.')[0]}")


def _interval_of_model(table: str) -> tuple[sa.CheckConstraint, sa.ForeignKeyConstraint]:
    return sa.CheckConstraint("until > since", name=op.f(f"ck_{table}_interval")), _refers(
        table, "name", "models.name"
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
