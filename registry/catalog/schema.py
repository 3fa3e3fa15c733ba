"""Tables: what the fold of the journal is kept in. Rows have natural keys and nothing from the time of folding.

What can change is kept as intervals of entry numbers: a row holds from entry `since` on, until the state after entry
`until`, exclusively; an open one has NULL there. The migrations make the same schema, which a test compares.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, primary_key=key)


def _number(name: str, *, null: bool = False, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=null, primary_key=key, autoincrement=False)


def _interval() -> tuple[sa.Column[int], sa.Column[int], sa.CheckConstraint]:
    return (
        _number("since", key=True),
        _number("until", null=True),
        sa.CheckConstraint("until > since", name="interval"),
    )


def _one_open(table: str, *columns: str) -> sa.Index:
    return sa.Index(
        f"uq_{table}_open", *columns, unique=True, sqlite_where=sa.text("until IS NULL")
    )


def _of_model() -> sa.Column[str]:
    return sa.Column(
        "name", sa.Text, sa.ForeignKey("models.name"), nullable=False, primary_key=True
    )


# what was done

entries = sa.Table(
    "entries",
    metadata,
    _number("number", key=True),
    _text("id"),
    _text("time"),
    _text(
        "clock"
    ),  # the running maximum of the times, so that a moment means one entry although clocks go back
    _text("by"),
    _text("kind"),
    _text("name", null=True),
    _number("version", null=True),
    _text("digest"),
    sa.Column("body", sa.JSON, nullable=False),
    sa.Column("format", sa.Integer, nullable=False, server_default=sa.text("1")),
    _text("login", null=True),
    _number("uid", null=True),
    sa.UniqueConstraint("id"),
    sa.Index(None, "name", "version"),
    sa.Index(None, "clock"),
)

# what is called what

models = sa.Table(
    "models",
    metadata,
    _text("name", key=True),
    _text("folded"),
    _number("since"),
    sa.UniqueConstraint("folded"),
)
versions = sa.Table(
    "versions",
    metadata,
    _of_model(),
    _number("number", key=True),
    _text("manifest"),
    _text("probes", null=True),
    _text("message", null=True),
    sa.Column("source", sa.JSON, nullable=False),
    _number("checkpoint"),
    sa.Column("forced", sa.JSON, nullable=False),
    *_interval(),
    _one_open("versions", "name", "number"),
    sa.Index(None, "manifest"),
)
version_facts = sa.Table(
    "version_facts",
    metadata,
    _of_model(),
    _number("number", key=True),
    _text("facts"),
    *_interval(),
    _one_open("version_facts", "name", "number"),
    sa.Index(None, "facts"),
)
version_probes = sa.Table(
    "version_probes",
    metadata,
    _of_model(),
    _number("number", key=True),
    _text("probes"),
    *_interval(),
    _one_open("version_probes", "name", "number"),
)
edges = sa.Table(
    "edges",
    metadata,
    _text("name", key=True),
    _number("number", key=True),
    _number("since", key=True),
    _number("position", key=True),
    _text("role"),
    _text("parent"),
    _text("evidence"),
    _text("reference"),
    sa.ForeignKeyConstraint(
        ["name", "number", "since"], ["versions.name", "versions.number", "versions.since"]
    ),
    sa.Index(None, "parent"),
)
aliases = sa.Table(
    "aliases",
    metadata,
    _of_model(),
    _text("alias", key=True),
    _number("number"),
    _text("message", null=True),
    *_interval(),
    _one_open("aliases", "name", "alias"),
    sa.Index(None, "name", "number"),
)
yanks = sa.Table(
    "yanks",
    metadata,
    _of_model(),
    _number("number", key=True),
    _text("reason", null=True),
    *_interval(),
    _one_open("yanks", "name", "number"),
)
notes = sa.Table(
    "notes",
    metadata,
    _of_model(),
    _number("number", key=True),
    _text("key", key=True),
    _text("value"),
    sa.Column("real", sa.REAL, nullable=True),  # the value, where it is the text of a finite number
    *_interval(),
    _one_open("notes", "name", "number", "key"),
)
metrics = sa.Table(
    "metrics",
    metadata,
    _of_model(),
    _number("number", key=True),
    _text("key", key=True),
    _text("value"),
    sa.Column("real", sa.REAL, nullable=True),  # the value, where it is the text of a finite number
    *_interval(),
    _one_open("metrics", "name", "number", "key"),
    sa.Index(None, "key", "real"),
)
copies = sa.Table(
    "copies",
    metadata,
    _of_model(),
    _number("number", key=True),
    _text("repository", key=True),
    _text("commit"),
    _text("tag", null=True),
    *_interval(),
    _one_open("copies", "name", "number", "repository"),
    sa.Index(None, "repository"),
)

# what things are: told by content, so for ever

manifests = sa.Table(
    "manifests",
    metadata,
    _text("digest", key=True),
    _text("kind"),
    _text("class"),
    _number("size"),
)
files = sa.Table(
    "files",
    metadata,
    sa.Column(
        "manifest", sa.Text, sa.ForeignKey("manifests.digest"), nullable=False, primary_key=True
    ),
    _text("path", key=True),
    _text("digest"),
    _number("size"),
    sa.Index(None, "digest"),
)
parents = sa.Table(
    "parents",
    metadata,
    sa.Column(
        "manifest", sa.Text, sa.ForeignKey("manifests.digest"), nullable=False, primary_key=True
    ),
    _text("role", key=True),
    _text("parent"),
    sa.Index(None, "parent"),
)
facts = sa.Table(
    "facts",
    metadata,
    _text("digest", key=True),
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
    sa.Index(None, "tokenizer"),
    sa.Index(None, "vocabulary"),
    sa.Index(None, "added_digest"),
    sa.Index(None, "weights"),
)
tokens = sa.Table(
    "tokens",
    metadata,
    _text("added_digest", key=True),
    _number("id", key=True),
    _text("content"),
    _number("special"),
    _number("lstrip"),
    _number("rstrip"),
    _number("single_word"),
    _number("normalized"),
    sa.Index(None, "content"),
)
weights = sa.Table(
    "weights",
    metadata,
    _text("digest", key=True),
    _text("dtype"),
    _number("parameters"),
    _number("tensors"),
)
tensors = sa.Table(
    "tensors",
    metadata,
    sa.Column(
        "weights", sa.Text, sa.ForeignKey("weights.digest"), nullable=False, primary_key=True
    ),
    _text("name", key=True),
    _text("dtype"),
    sa.Column("shape", sa.JSON, nullable=False),
    _text("digest"),
    sa.Index(None, "digest"),
)
skipped = sa.Table(
    "skipped",
    metadata,
    _text("digest", key=True),
    _text("what"),  # manifest or facts
    _text("reason"),  # the error's name; its message may hold a path of this machine
)

INTERVALS = (versions, version_facts, version_probes, aliases, yanks, notes, metrics, copies)
"""Tables whose rows begin and end."""
