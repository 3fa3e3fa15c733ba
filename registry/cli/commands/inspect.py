"""Looking: list, show, tokens, find, resolve. What is there, whole or in a line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import click

from registry.cli.command import at_option, command, version_argument
from registry.cli.output import json_output
from registry.cli.output.tables import table
from registry.cli.output.text import Moment, Name, Size, plain
from registry.cli.params import File, ModelName, VersionOrFile, VersionOrFolder
from registry.cli.session import Session
from registry.cli.usage import WrongUsage
from registry.core.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.core.facts import Token
    from registry.core.version import Model, Version
    from registry.results.queries import Details


TOKENS_SHOWN = 8


@command("list")
@click.argument("name", metavar="[NAME]", required=False, type=ModelName())
@click.option(
    "--sort",
    metavar="KEY",
    help="By a column, a metric or a note that is a number, the highest first.",
)
@click.option("--ascending", is_flag=True, help="With --sort: the lowest first.")
@at_option()
@click.pass_obj
def list_(
    session: Session, /, name: str | None, sort: str | None, ascending: bool, at: str | None
) -> None:
    """List the models, or the versions of one, newest first.

    \b
    Examples:
      registry list
      registry list medical --json
      registry list medical --sort eval_dev_spearman_cosine
      registry list --at 2026-03-03
    """
    if ascending and sort is None:
        raise WrongUsage("--ascending requires --sort KEY", hint="add --sort KEY")
    if name is None:
        _put_models(session, sort, at, ascending=ascending)
    else:
        _put_versions(session, name, sort, at, ascending=ascending)


@command("show")
@click.argument("version", metavar="REF[:PATH]", type=VersionOrFile())
@at_option()
@click.pass_obj
def show(session: Session, /, version: str, at: str | None) -> None:
    """Show one version whole; with :PATH print that file of it, byte for byte.

    \b
    Examples:
      registry show medical@prod
      registry show medical@prod:adapter_config.json
    """
    from registry.core.reference import parse

    if parse(version).path is not None:
        _put_file(session, version, at)
    else:
        details = session.registry.show(version, at=at)
        session.put(details.to_dict(), table([], _rows(details)), [details.version.reference])


@command("tokens")
@version_argument()
@click.option(
    "--texts",
    metavar="FILE",
    type=File(),
    help="Count how often each stands in these texts, and warn of those too seldom to be learnt.",
)
@at_option()
@click.pass_obj
def tokens(session: Session, /, version: str, texts: str | None, at: str | None) -> None:
    """List the tokens that a version has and the first ancestor of its line lacks, by id, and where each came from.

    Which version brought it, when, by whom and why; its pieces before; and the version that last trained its row.

    \b
    Examples:
      registry tokens minilm-med@1
      registry tokens medical@prod --texts corpus.txt
    """
    found = session.registry.tokens(version, texts=texts, at=at)
    headers = [
        "id",
        "token",
        "flags",
        "brought by",
        "when",
        "who",
        "why",
        "pieces before",
        "trained by",
        *(["count"] if texts is not None else []),
    ]
    rows = [
        (
            item.id,
            Name(item.content),
            _flags(item.token),
            Name(item.brought.reference),
            Moment(item.brought.created_at),
            item.brought.created_by,
            item.brought.message,
            " ".join(item.pieces or ()),
            Name(item.trained.reference) if item.trained is not None else None,
            *([item.count] if texts is not None else []),
        )
        for item in found
    ]
    session.put(
        [item.to_dict() for item in found],
        table(headers, rows, ["flags", "when", "who"]),
        [plain(item.content) for item in found],
    )
    if not found:
        session.note(f"{version} has no token that the first of its line lacks")


@command("find")
@click.argument("what", metavar="TEXT|./FOLDER", type=VersionOrFolder())
@at_option()
@click.pass_obj
def find(session: Session, /, what: str, at: str | None) -> None:
    """Find versions by name, kind, token, digest or note; or tell which version a folder on disk is.

    A comparison finds those whose metric, or note that is a number, meets it: < <= > >= = !=.

    \b
    Examples:
      registry find zorvaxin
      registry find 'eval_dev_spearman_cosine > 0.8'
      registry find ./some/adapter
    """
    found = session.registry.find(what, at=at)
    rows = [(Name(item.version.reference), item.version.kind, item.why) for item in found]
    session.put(
        [json_output.match(item) for item in found],
        table(["version", "kind", "why"], rows),
        dict.fromkeys(row[0] for row in rows),
    )
    if not found:
        session.note(f"nothing matches {what!r}")


@command("resolve")
@version_argument()
@at_option()
@click.pass_obj
def resolve(session: Session, /, version: str, at: str | None) -> None:
    """Print what a reference means now, pinned for a lock file: NAME@N@sha256:…

    \b
    Examples:
      registry resolve medical@prod
      registry resolve medical@prod --at 2026-03-03
    """
    found = session.registry.resolve(version, at=at)
    session.put(json_output.version(found), [found.pinned], [found.reference])


def _put_models(session: Session, sort: str | None, at: str | None, *, ascending: bool) -> None:
    from registry.catalog import fast_reads

    glanced: Sequence[Model] | None = (
        fast_reads.list_models(session.settings.home) if at is None else None
    )
    found = (
        glanced if glanced is not None else cast("Sequence[Model]", session.registry.list(at=at))
    )
    if sort is not None:
        from registry.core.filters import sort_models

        found = sort_models(found, sort, ascending=ascending)
    rows = [
        (
            Name(item.name),
            item.latest,
            item.versions,
            item.kind,
            Name(item.model_class or ""),
            ", ".join(f"{alias}={number}" for alias, number in item.aliases.items()),
            Moment(item.updated_at or ""),
        )
        for item in found
    ]
    headers = ["model", "latest", "versions", "kind", "class", "aliases", "updated"]
    session.put(
        [json_output.model(item) for item in found],
        table(headers, rows, ["class", "versions", "kind"]),
        [item.name for item in found],
    )
    if not found:
        session.note(
            "no models yet; to register one: registry add FOLDER --as NAME"
            if at is None
            else f"there was no model at {at}"
        )


def _put_versions(
    session: Session, name: str, sort: str | None, at: str | None, *, ascending: bool
) -> None:
    from registry.catalog import fast_reads

    glanced: Sequence[Version] | None = (
        fast_reads.list_versions(session.settings.home, name) if at is None else None
    )
    found = (
        glanced
        if glanced is not None
        else cast("Sequence[Version]", session.registry.list(name, at=at))
    )
    more: list[str] = []
    if sort is not None:
        from registry.core.filters import OF_VERSIONS, sort_versions

        found = sort_versions(found, sort, ascending=ascending)
        more = [sort] if sort not in OF_VERSIONS else []
    rows = [
        (
            Name(item.reference),
            item.kind,
            Name(item.model_class),
            ", ".join(_marks(item)),
            Size(item.size),
            Moment(item.created_at),
            *(item.metrics.get(key, item.notes.get(key)) for key in more),
            item.message,
        )
        for item in found
    ]
    headers = ["version", "kind", "class", "aliases", "size", "created", *more, "message"]
    session.put(
        [json_output.version(item) for item in found],
        table(headers, rows, ["class", "kind", "size"]),
        [item.reference for item in found],
    )
    if not found:
        session.note(
            f"all versions of {name} are deleted"
            if at is None
            else f"no version of {name} was there at {at}"
        )


def _put_file(session: Session, reference: str, at: str | None) -> None:
    content = session.registry.read(reference, at=at)
    if session.as_json:
        from registry.core.digest import digest_of

        text = content.decode("utf-8", "replace")
        session.put(
            {
                "reference": reference,
                "digest": digest_of(content),
                "size": len(content),
                "text": text if text.encode() == content else None,
            },
            [],
        )
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(content)


def _marks(version: Version) -> list[str]:
    return [
        *version.aliases,
        *(["latest"] if version.latest else []),
        *(["yanked"] if version.yanked else []),
        *(f"forced {id}" for id in version.forced),
    ]


def _flags(token: Token) -> str:
    from registry.core.facts import TOKEN_FLAGS

    return ", ".join(name for name in TOKEN_FLAGS if getattr(token, name))


def _rows(details: Details) -> list[tuple[str, Any]]:
    """Key and value of everything worth a line."""
    version, facts = details.version, details.facts
    rows: list[tuple[str, Any]] = [
        ("version", version.reference),
        ("kind", version.kind),
        ("class", version.model_class),
        ("digest", version.digest),
        *(
            (parent.role, f"{parent.reference} {parent.digest.short} (known: {parent.evidence})")
            for parent in version.parents
        ),
        ("aliases", ", ".join(_marks(version))),
        ("yanked", version.yank_reason if version.yanked else None),
        *(
            ("forced", f"{id}: this check failed when it was registered, and was let pass")
            for id in version.forced
        ),
        (
            "vocabulary",
            f"{counted(facts.vocabulary.size, 'entry', 'entries')}, {len(facts.vocabulary.added)} added, {facts.vocabulary.digest.short}",
        ),
        ("tokens", _some([token.content for token in facts.vocabulary.added])),
        (
            "weights",
            f"{counted(facts.weights.parameters, 'parameter')}, {facts.weights.dtype}, {facts.weights.digest.short}",
        ),
        ("table", f"{counted(facts.rows, 'row')} of {facts.width}" if facts.rows else None),
        ("modules", ", ".join(facts.modules)),
        ("adapter", _adapter(details)),
        ("size", Size(version.size)),
        ("message", version.message),
        *((f"metric {key}", value) for key, value in version.metrics.items()),
        *((f"note {key}", value) for key, value in version.notes.items()),
        *(
            (f"source {key}", _short(value))
            for key, value in version.source.items()
            if key not in ("metrics", "fix")
        ),
        *(("fixed", sentence) for sentence in _list(version.source.get("fix"))),
        ("created", f"{version.created_at} by {version.created_by}"),
        *(("file", f"{file.path} {file.size} {file.digest.short}") for file in details.files),
    ]
    return [(key, value) for key, value in rows if value not in (None, "")]


def _adapter(details: Details) -> str | None:
    adapter = details.facts.adapter
    if adapter is None:
        return None
    return f"{adapter.type}, rank {adapter.rank}, alpha {adapter.alpha}, on {', '.join(adapter.targets)}"


def _some(texts: Sequence[str]) -> str:
    return ", ".join(texts[:TOKENS_SHOWN]) + (", …" if len(texts) > TOKENS_SHOWN else "")


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [value]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
