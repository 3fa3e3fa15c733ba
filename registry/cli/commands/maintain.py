"""House: init, config, collect, demo, completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry.cli.command import at_option, command
from registry.cli.output import json_output
from registry.cli.output.tables import table
from registry.cli.output.text import Name, Size, plain, size
from registry.cli.params import Duration, File, Folder, VersionReference
from registry.cli.session import Session
from registry.cli.usage import WrongUsage
from registry.core.text import counted, shell_word
from registry.errors import Corrupt

if TYPE_CHECKING:
    from registry.cli.output.text import Cell
    from registry.results.audit import Audited, Finding, Repaired
    from registry.results.storage import Collected, Unbundled


KEPT_SHOWN = 20


@command("init")
@click.argument("folder", metavar="[DIR]", required=False, type=Folder())
@click.pass_obj
def init(session: Session, /, folder: str | None) -> None:
    """Make a home for a registry, and try there what it needs: locks, links, lasting writes. Prints the home.

    \b
    Example:
      registry init ~/models && export REGISTRY_HOME=~/models
    """
    from registry.api import registry

    made = session.adopt(registry.init(folder if folder is not None else session.home))
    session.put({"home": str(made.settings.home)}, [str(made.settings.home)])
    place = "" if folder is None else f" --home {shell_word(folder)}"
    session.note(
        f"next: registry add FOLDER --as NAME{place}"
        + ("; or let REGISTRY_HOME name it" if place else "")
    )


def _keys(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from registry.core.settings import KEYS

    return [key for key in KEYS if key.startswith(incomplete)]


@command("config")
@click.argument("key", metavar="[KEY]", required=False, shell_complete=_keys)
@click.argument("value", metavar="[VALUE]", required=False)
@click.option("--unset", is_flag=True, help="Forget the value of KEY.")
@click.pass_obj
def config(session: Session, /, key: str | None, value: str | None, unset: bool) -> None:
    """Show or change the settings of the home.

    user.name is who you are in the log. load.device, load.probes and push.parents-to are what the options of these names are where
    they are not given.

    \b
    Examples:
      registry config
      registry config user.name "Anna Example"
      registry config load.device cuda
    """
    if unset and (key is None or value is not None):
        raise WrongUsage(
            "--unset is given without KEY"
            if key is None
            else f"--unset does not accept the value {value!r}",
            hint="give KEY alone, as in: registry config --unset user.name",
        )
    found = session.registry.config(key, value, unset=unset)
    lines = [
        plain(text) if key is not None else f"{name}={plain(text)}" for name, text in found.items()
    ]
    session.put(json_output.settings(found), lines)
    if not found:
        session.note("nothing is set; to set something: registry config user.name NAME")


@command("collect")
@click.option(
    "--older-than",
    type=Duration(),
    default="1h",
    show_default=True,
    metavar="TIME",
    help="Leave alone what is younger: 0, 90 (seconds), 30m, 1h, 7d.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be freed, and free nothing.")
@click.pass_obj
def collect(session: Session, /, older_than: float, dry_run: bool) -> None:
    """Free the bytes that no version needs; say what was freed, and what stays and why.

    \b
    Example:
      registry collect --dry-run
    """
    with session.progress() as progress:
        result = session.registry.collect(older_than=older_than, dry_run=dry_run, progress=progress)
    session.put(json_output.collected(result), table([], _rows(result)))


@command("demo")
@click.option(
    "--model",
    metavar="DIR",
    type=Folder(),
    help="The base to use, else the packaged MiniLM of the extra `demo`.",
)
@click.option("--keep", is_flag=True, help="Leave the temporary home there, and say where.")
@click.pass_obj
def demo(session: Session, /, model: str | None, keep: bool) -> None:
    """Tell the whole story on a real model: resize, train, move, load exactly, and a wrong base refused.

    \b
    Example:
      registry demo --keep
    """
    from registry.api import registry

    said: list[str] = []
    registry.demo(
        model,
        say=said.append if session.as_json else lambda line: click.echo(plain(line)),
        keep=keep,
    )
    session.put(said, [])


@command("completion")
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_obj
def completion(session: Session, /, shell: str) -> None:
    """Print the script that completes commands, options and references in a shell.

    \b
    Examples:
      eval "$(registry completion bash)"       in ~/.bashrc
      eval "$(registry completion zsh)"        in ~/.zshrc
      registry completion fish > ~/.config/fish/completions/registry.fish
    """
    from registry.cli.completion import script
    from registry.cli.root import root

    text = script(root, shell)
    session.put({"shell": shell, "script": text}, text.splitlines())


def _rows(result: Collected) -> list[tuple[Cell, ...]]:
    freed = "would free" if result.dry_run else "freed"
    rows: list[tuple[Cell, ...]] = [
        (
            freed,
            Size(result.size),
            counted(result.blobs, "file that nobody needs", "files that nobody needs"),
        ),
        (
            freed,
            Size(result.checkouts_size),
            counted(result.checkouts, "checkout that nothing uses", "checkouts that nothing uses"),
        ),
        (freed, Size(result.staging), "half written"),
        (freed, Size(result.catalogs), "catalogs that a newer one took the place of"),
        ("kept", Size(result.young), "not needed, and not yet old"),
        *(
            ("kept", Size(more), f"of it, that --older-than {age} would free")
            for age, more in result.shorter
        ),
    ]
    rows = [row for row in rows if row[1]] or [(freed, Size(0), "nothing")]
    rows += [("kept", Size(kept.size), kept.why) for kept in result.kept[:KEPT_SHOWN]]
    rest = result.kept[KEPT_SHOWN:]
    return rows + (
        [
            (
                "kept",
                Size(sum(kept.size for kept in rest)),
                f"for {counted(len(rest), 'more reason')}; --json tells all",
            )
        ]
        if rest
        else []
    )


VERSIONS_SHOWN = 5


@command("audit")
@click.option(
    "--full",
    is_flag=True,
    help="Read every byte: hash all blobs on all processors, compute facts and checkouts anew.",
)
@click.option(
    "--probes",
    is_flag=True,
    help="Load the latest versions and those with an alias, and compare their recorded encodings.",
)
@click.option(
    "--receipt",
    metavar="FILE",
    type=File(),
    help="Write the head of the journal there, to be kept elsewhere.",
)
@click.option(
    "--against",
    metavar="FILE",
    type=File(),
    help="Prove by an earlier receipt that nothing before it was rewritten.",
)
@click.pass_obj
def audit(
    session: Session, /, full: bool, probes: bool, receipt: str | None, against: str | None
) -> None:
    """Prove that everything is what it says: the journal's chain, the catalog, the blobs. Changes nothing.

    Exit code 0 where nothing is found, 5 where something is; each finding names the versions it concerns and what mends it.

    \b
    Examples:
      registry audit --full
      registry audit --receipt head.json      keep that file elsewhere, and later:
      registry audit --against head.json
    """
    with session.progress() as progress:
        result = session.registry.audit(
            full=full, probes=probes, receipt=receipt, against=against, progress=progress
        )
    session.put(result.to_dict(), _lines(result), [item.name for item in result.findings])
    for note in result.notes:
        session.note(note)
    if result.findings:
        session.exit_code = Corrupt.exit_code


@command("repair")
@click.option(
    "--from",
    "sources",
    metavar="SOURCE",
    type=File(),
    multiple=True,
    help="Another home, a bundle, or a folder of a model, that may have lost bytes; again for more.",
)
@click.option(
    "--accept-journal",
    is_flag=True,
    help="Take the journal as it is, though a catalog or a later entry says it was longer or other; what breaks it is set aside, and all "
    "that follows.",
)
@click.pass_obj
def repair(session: Session, /, sources: tuple[str, ...], accept_journal: bool) -> None:
    """Make the catalog anew from the journal, and fetch lost or damaged bytes by their digest.

    Looked into without being named: the folders that versions were added from, this home's checkouts, and the Hub's repositories
    that are known to have them. Nothing is trusted but the digest. What no source has is listed with the versions it costs, and
    what audit --full still finds; then the exit code is 5.

    \b
    Examples:
      registry repair
      registry repair --from /mnt/backup/models --from handover.tar
    """
    with session.progress() as progress:
        result = session.registry.repair(sources, accept_journal=accept_journal, progress=progress)
    lines = [f"mended {plain(item.what)} from {plain(item.source)}" for item in result.mended]
    lines += [f"lost {plain(item.what)}{_of(item.versions)}" for item in result.lost]
    lines += [f"set aside {plain(str(item))}" for item in result.set_aside]
    lines += [f"forgotten {plain(item)}" for item in result.forgotten]
    lines += [line for finding in result.remaining for line in _finding(finding)]
    session.put(result.to_dict(), [*lines, _outcome(result)])
    if result.lost:
        session.note(f"what is lost comes back from whoever has it: {result.lost[0].mend}")
    if result.lost or result.remaining:
        session.exit_code = Corrupt.exit_code


@command("du")
@click.argument("version", metavar="[REF]", required=False, type=VersionReference())
@at_option("What REF meant then; its bytes are counted now.")
@click.pass_obj
def du(session: Session, /, version: str | None, at: str | None) -> None:
    """Say what a version costs on disk, and what deleting it would free.

    Its own bytes, what of them others need too, what collect would free if it were deleted, and its checkout.
    Without REF each version, and last the whole registry: there, freed is all that collect would free now, checkouts and leftovers too.

    \b
    Examples:
      registry du
      registry du medical@1 --json
    """
    found = session.registry.du(version, at=at)
    rows = [
        (
            Name(item.reference or "everything"),
            Size(item.own),
            Size(item.shared) if item.reference else None,
            Size(item.freed),
            Size(item.checkouts),
        )
        for item in found
    ]
    session.put(
        [item.to_dict() for item in found],
        table(["version", "own", "shared", "freed", "checkouts"], rows, ["checkouts", "shared"]),
        [item.reference for item in found if item.reference],
    )
    for what, taken in found[-1].details.items():
        session.note(f"{what}: {size(taken)}")


@command("bundle")
@click.argument("versions", metavar="REF...", nargs=-1, type=VersionReference())
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    required=True,
    type=File(),
    help="The file to write; it is there whole or not at all.",
)
@click.option(
    "--have",
    metavar="FILE",
    type=File(),
    help="Leave out what the other side has: an earlier bundle, or a text with a digest in each line.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="The whole home, its journal too: a backup, or a handover.",
)
@at_option(
    "What each REF meant then: 17 (an entry), 2026-03-03 (its end, UTC) or 2026-03-03T12:30Z."
)
@click.pass_obj
def bundle(
    session: Session,
    /,
    versions: tuple[str, ...],
    output: str,
    have: str | None,
    everything: bool,
    at: str | None,
) -> None:
    """Write versions and all they stand on into one file, for a machine without a network.

    There, registry pull FILE takes it. It is an uncompressed tar: index.json, then the bytes by digest, and with --all the entries
    of the journal. Names, numbers and digests travel with a version; aliases and notes do only with --all.

    \b
    Examples:
      registry bundle medical@prod -o medical.tar
      registry bundle medical@8 -o update.tar --have medical.tar
      registry bundle --all -o backup.tar
    """
    with session.progress() as progress:
        done = session.registry.bundle(
            versions, output, have=have, everything=everything, at=at, progress=progress
        )
    what = counted(done.entries, "entry", "entries") if done.entries else ", ".join(done.versions)
    left = f", {done.left_out} left out" if done.left_out else ""
    session.put(
        done.to_dict(),
        [f"{plain(output)} {size(done.size)}: {plain(what)}, {counted(done.blobs, 'blob')}{left}"],
        [plain(output)],
    )


def put_unbundled(session: Session, done: Unbundled) -> None:
    """What came out of a bundle, printed as pull prints it."""
    if done.entries:
        whole = counted(done.entries, "entry", "entries")
        lines = [f"{done.added} of {whole} restored" if done.added else f"{whole} already"]
    else:
        lines = [
            f"{item.reference} {item.digest}{' already' if item.reference in done.already else ''}"
            for item in done.versions
        ]
    for reference in done.registered:
        session.note(f"{reference} registered")
    session.put(done.to_dict(), lines, [item.reference for item in done.versions])


def _lines(result: Audited) -> list[str]:
    looked = f"{counted(result.entries, 'entry', 'entries')}, {counted(result.blobs, 'blob')}, {size(result.size)}"
    looked += ", every byte read" if result.hashed else ""
    if not result.findings:
        return [f"whole: {looked}"]
    return [line for item in result.findings for line in _finding(item)] + [
        f"{counted(len(result.findings), 'finding')} in {looked}"
    ]


def _outcome(result: Repaired) -> str:
    if result.catalog is None:
        return "no catalog was made: the journal is broken"
    made = f"catalog made anew from {counted(result.entries, 'entry', 'entries')}; {counted(result.blobs, 'blob')}, {size(result.size)}, hashed"
    if result.lost:
        return f"{made}; {len(result.lost)} lost"
    if result.remaining:
        return f"{made}; {counted(len(result.remaining), 'finding')} left"
    return f"whole: {made}{'' if result.mended else ', nothing had to be mended'}"


def _finding(item: Finding) -> list[str]:
    return [f"{item.name}: {plain(item.what)}{_of(item.versions)}", f"  mend: {plain(item.mend)}"]


def _of(versions: tuple[str, ...]) -> str:
    if not versions:
        return ""
    more = f" and {len(versions) - VERSIONS_SHOWN} more" if len(versions) > VERSIONS_SHOWN else ""
    return f" (concerns {', '.join(map(plain, versions[:VERSIONS_SHOWN]))}{more})"
