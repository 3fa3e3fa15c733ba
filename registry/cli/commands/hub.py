"""The Hub: push, pull, status, sync. What was done to each repository is a line; the version is the last one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from registry.cli.code_options import code_options, print_code
from registry.cli.command import command, version_argument
from registry.cli.output.tables import table
from registry.cli.output.text import Name, size
from registry.cli.params import File, ModelName, VersionReference
from registry.cli.session import Session
from registry.core.manifest import CLASSES
from registry.core.text import counted
from registry.errors import Invalid

if TYPE_CHECKING:
    from registry.results.hub import Received, Sent, State

FILES_SHOWN = 5


@command("push")
@version_argument()
@click.option("--to", metavar="ORG/REPO", help="The repository; remembered for the model.")
@click.option(
    "--parents-to",
    metavar="ORG",
    help="Whose repositories the parents go to that are not on the Hub; each is named like its model. "
    "Default: registry config push.parents-to.",
)
@click.option(
    "--all-parents",
    is_flag=True,
    help="Publish parents too that came from the Hub unmodified; repositories of others vanish.",
)
@click.option("--private", is_flag=True, help="Repositories that are made are private.")
@click.option(
    "--pr",
    is_flag=True,
    help="Propose the commit instead of making it; nothing is tagged or recorded.",
)
@click.option(
    "--dry-run", is_flag=True, help="Look at everything, say what would be sent, send nothing."
)
@click.option("--message", "-m", metavar="TEXT", help="First line of the commits.")
@click.option(
    "--as-new",
    metavar="ORG/REPO",
    help="Where a base goes instead, if it would break the adapters on what is there.",
)
@click.option(
    "--break",
    "break_others",
    is_flag=True,
    help="Replace what main has, although others stand on it or it is another model.",
)
@click.option(
    "--allow-path",
    metavar="FILE",
    multiple=True,
    help="Let this file name a place on this machine; give it again for more.",
)
@click.pass_obj
def push(session: Session, /, version: str, **options: Any) -> None:
    """Publish a version on the Hub, and first those of its parents that are not there.

    One commit for each repository, tagged v<number>; what is there already is not sent again. An alias moves the tag of its name.

    \b
    Examples:
      registry push medical@1 --to org/medical --parents-to org
      registry push medical@prod
    """
    options["parents_to"] = options["parents_to"] or session.default("push.parents-to")
    with session.progress() as progress:
        done = session.registry.push(version, progress=progress, **options)
    for item in done.sent:
        session.note(_sentence(item))
        if item.url is not None:
            session.note(f"it waits to be merged: {item.url}")
    last = done.sent[-1]
    session.put(
        {
            "reference": done.version.reference,
            "digest": done.version.digest,
            "dry_run": done.dry_run,
            "sent": [_sent(item) for item in done.sent],
        },
        [
            f"{last.reference} hf://{last.repository}"
            + (f"@{last.commit}" if last.commit else " dry-run")
        ],
        [last.reference],
    )


@command("pull")
@click.argument("repository", metavar="hf://ORG/REPO[@REV]|FILE", type=File())
@click.option(
    "--as", "name", metavar="NAME", help="What the model is called here; by default as there."
)
@click.option("--aliases", is_flag=True, help="Make aliases of the names of tags that point to it.")
@click.option(
    "--renumber", is_flag=True, help="Give it the next number here, not the one it has there."
)
@click.option(
    "--parent-as",
    metavar="OLD=NEW",
    multiple=True,
    help="What a parent is called here; give it again for more.",
)
@click.option(
    "--from-any",
    is_flag=True,
    help="Take it although the versions of its name here came from elsewhere.",
)
@click.option(
    "--parent",
    metavar="REF",
    type=VersionReference(),
    help="What it was made from, for a repository that no registry made.",
)
@click.option(
    "--class",
    "model_class",
    type=click.Choice(CLASSES),
    metavar="CLASS",
    help=f"Which class loads it, where that cannot be told: {', '.join(CLASSES)}.",
)
@click.option(
    "--convert",
    is_flag=True,
    help="Convert pickled weights to safetensors; write a missing tokenizer.json.",
)
@code_options
@click.option(
    "--message",
    "-m",
    metavar="TEXT",
    help="Why it was taken; for a version of a registry its own message stays.",
)
@click.pass_obj
def pull(session: Session, /, repository: str, parent_as: tuple[str, ...], **options: Any) -> None:
    """Register what a repository of the Hub, or a bundle, has, its whole line with it, every byte checked.

    Names and numbers stay what they are there. What is here is not fetched; a transfer that broke off goes on where it was.
    A bundle of a whole home is restored into a place that holds none yet: registry --home NEW pull backup.tar
    One of versions comes into a home that is there, made by: registry init NEW

    \b
    Examples:
      registry pull hf://org/medical
      registry pull hf://org/medical@v3 --as medical-eu --parent-as minilm=org-minilm
      registry pull hf://BAAI/bge-m3 --convert
      registry pull hf://jinaai/jina-embeddings-v3 --trust-code
      registry pull ./handover.tar
    """
    from registry.results.hub import Pulled

    if options["trust_code"] and repository.startswith("hf://"):
        options["trust_code"] = print_code(session, repository, options)
    with session.progress() as progress:
        done = session.registry.pull(
            repository, parent_as=_pairs(parent_as), progress=progress, **options
        )
    if not isinstance(done, Pulled):
        from .maintain import put_unbundled

        put_unbundled(session, done)
        return
    for item in done.received:
        session.note(_receipt(item))
    version = done.version
    session.put(
        {
            "reference": version.reference,
            "digest": version.digest,
            "already": done.already,
            "aliases": list(done.aliases),
            "received": [_received(item) for item in done.received],
        },
        [f"{version.reference} {version.digest}{' already' if done.already else ''}"],
        [version.reference],
    )


@command("status")
@click.argument("version", metavar="[NAME|REF]", required=False, type=VersionReference())
@click.option("--offline", is_flag=True, help="Ask nobody; say where versions are known to be.")
@click.pass_obj
def status(session: Session, /, version: str | None, offline: bool) -> None:
    """Say what each published version is to its repository.

    same; ahead, here only; behind, there only; diverged, another model under its number; changed there; base changed; gone; unreachable; unreadable.

    \b
    Examples:
      registry status
      registry status medical --offline
    """
    with session.progress() as progress:
        states = session.registry.status(version, offline=offline, progress=progress)
    if not states:
        session.note(
            "nothing here is known to be on the Hub; to publish a version: registry push REF --to ORG/REPO"
        )
    rows = [
        [
            Name(state.reference),
            Name(f"hf://{state.repository}"),
            Name(state.commit[:12] if state.commit else "-"),
            state.state or "known",
            _detail(state),
        ]
        for state in states
    ]
    session.put(
        [_state(state) for state in states],
        table(["VERSION", "REPOSITORY", "COMMIT", "STATE", ""], rows, ["commit"]),
    )


@command("sync")
@click.argument("name", metavar="NAME", type=ModelName())
@click.option(
    "--with",
    "with_repository",
    metavar="ORG/REPO",
    help="The repository; by default where the model was published last.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be sent and fetched, and do neither.")
@click.pass_obj
def sync(session: Session, /, name: str, with_repository: str | None, dry_run: bool) -> None:
    """Push the versions of a model that are here only, and pull those that its repository has.

    What went apart, was edited there or is gone is left alone, and said.

    \b
    Examples:
      registry sync medical
      registry sync medical --with org/medical --dry-run
    """
    with session.progress() as progress:
        done = session.registry.sync(
            name, with_repository=with_repository, dry_run=dry_run, progress=progress
        )
    for state in done.left:
        session.note(
            f"left alone: {state.reference} is {state.state}"
            + (f" ({_detail(state)})" if _detail(state) else "")
        )
    lines = [_sentence(item) for item in done.pushed] + [_receipt(item) for item in done.pulled]
    session.put(
        {
            "name": done.name,
            "repository": done.repository,
            "dry_run": done.dry_run,
            "pushed": [_sent(item) for item in done.pushed],
            "pulled": [_received(item) for item in done.pulled],
            "left": [_state(state) for state in done.left],
        },
        lines
        or [
            f"{done.name} and hf://{done.repository} have the same versions"
            + (", those left alone apart" if done.left else "")
        ],
        [item.reference for item in done.pushed] + [item.reference for item in done.pulled],
    )


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        old, equals, new = text.partition("=")
        if not equals or not old or not new:
            raise Invalid(
                f"{text!r} does not give a parent a name",
                hint="write OLD=NEW, as in minilm=org-minilm",
            )
        found[old] = new
    return found


def _sentence(item: Sent) -> str:
    at = f"hf://{item.repository}" + (f"@{item.commit[:12]}" if item.commit else "")
    if item.what in ("already", "upstream"):
        return f"{item.reference} is at {at}" + (
            ", where it came from" if item.what == "upstream" else " already"
        )
    return f"{item.what} {item.reference} to {at}: {counted(item.files, 'file')}, {size(item.size)}"


def _receipt(item: Received) -> str:
    at = f"hf://{item.repository}@{item.commit[:12]}"
    if item.what == "already":
        return f"{item.reference} is here already"
    return f"{item.what} {item.reference} from {at}" + (
        f": {size(item.size)} fetched" if item.what == "registered" else ""
    )


def _detail(state: State) -> str:
    files = ", ".join(state.files[:FILES_SHOWN]) + (", …" if len(state.files) > FILES_SHOWN else "")
    return ": ".join(part for part in (state.detail, files) if part)


def _sent(item: Sent) -> dict[str, Any]:
    return {
        "reference": item.reference,
        "repository": item.repository,
        "commit": item.commit,
        "tag": item.tag,
        "what": item.what,
        "files": item.files,
        "size": item.size,
        "url": item.url,
    }


def _received(item: Received) -> dict[str, Any]:
    return {
        "reference": item.reference,
        "repository": item.repository,
        "commit": item.commit,
        "what": item.what,
        "size": item.size,
    }


def _state(state: State) -> dict[str, Any]:
    return {
        "reference": state.reference,
        "repository": state.repository,
        "commit": state.commit,
        "state": state.state,
        "detail": state.detail,
        "files": list(state.files),
    }
