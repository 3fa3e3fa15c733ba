"""House: init, config, collect, demo, completion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..plural import counted
from ..shown import shell_word
from . import values
from .commands import command
from .parameters import Duration, Folder
from .session import Session
from .tables import table
from .text import Size, plain
from .usage import WrongUsage

if TYPE_CHECKING:
    from ..results import Collected
    from .text import Cell


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
    from .. import api

    made = session.adopt(api.init(folder if folder is not None else session.home))
    session.put({"home": str(made.settings.home)}, [str(made.settings.home)])
    place = "" if folder is None else f" --home {shell_word(folder)}"
    session.note(
        f"next: registry add FOLDER --as NAME{place}"
        + ("; or let REGISTRY_HOME name it" if place else "")
    )


def _keys(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from ..settings import KEYS

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
    session.put(values.settings(found), lines)
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
    session.put(values.collected(result), table([], _rows(result)))


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
    from .. import api

    said: list[str] = []
    api.demo(
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
    from .completing import script
    from .root import root

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
