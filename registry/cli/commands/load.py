"""Using: load and checkout, which turn a version into something that works."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import click

from registry.cli.command import at_option, command, version_argument
from registry.cli.output import json_output
from registry.cli.params import Folder, Named
from registry.cli.session import Session
from registry.core.settings import PROBES
from registry.errors import Invalid

if TYPE_CHECKING:
    from registry.api.registry import Probes


@command("load")
@version_argument()
@click.option(
    "--adapter",
    "adapters",
    metavar="A=REF",
    multiple=True,
    type=Named(),
    help="Put an adapter on, under a name; again for more, of which the first acts. REF is their base.",
)
@click.option(
    "--encode",
    "texts",
    metavar="TEXT",
    multiple=True,
    help="Print its encoding as a JSON line; - reads standard input.",
)
@click.option(
    "--device",
    metavar="D",
    help="Where it runs: cpu, cuda, cuda:1, mps. Default: registry config load.device.",
)
@click.option(
    "--probes",
    type=click.Choice(PROBES),
    help="What to do if a recorded text encodes otherwise here. Default: registry config load.probes, else refuse.",
)
@click.option(
    "--verify",
    is_flag=True,
    help="Hash all files. Default: small ones, and weights after config load.verify-age.",
)
@at_option()
@click.pass_obj
def load(
    session: Session,
    /,
    version: str,
    adapters: tuple[tuple[str, str], ...],
    texts: tuple[str, ...],
    device: str | None,
    probes: Probes | None,
    verify: bool,
    at: str | None,
) -> None:
    """Load a version, prove that it is what was registered, and print its folder.

    The class is named on standard error. With --encode the results are printed instead, a JSON line for each text: a list of
    numbers; {token: weight} of a SparseEncoder; a list of lists of a MultiVectorEncoder. A CrossEncoder takes pairs like
    '["a", "b"]' and gives scores.

    \b
    Examples:
      python -c "from sentence_transformers import SentenceTransformer as S; print(S('$(registry load medical@1)'))"
      registry load medical@prod --encode "zorvaxin 20 mg"
      registry load minilm@1 --adapter a=medical@2 --adapter b=legal@1 --encode "zorvaxin 20 mg"
      registry load reranker@1 --encode '["what is zorvaxin", "zorvaxin is a drug"]'
    """
    names = [name for name, _ in adapters]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Invalid(
            f"--adapter gives the name {twice!r} twice", hint="give each adapter a name of its own"
        )
    found = session.registry.resolve(version, at=at)
    inputs = list(_inputs(texts, pairs=found.model_class == "CrossEncoder"))
    device = device or session.default("load.device")
    probes = probes or cast("Probes", session.default("load.probes") or "refuse")
    with session.progress() as progress:
        model = session.registry.load(
            found,
            adapters=dict(adapters) or None,
            probes=probes,
            verify=verify,
            at=at,
            progress=progress,
            **({"device": device} if device else {}),
        )
    session.note(
        f"{found.reference} is loaded as {type(model).__name__}"
        + (f", and {adapters[0][0]} acts" if adapters else "")
    )
    if texts:
        session.stream(session.registry.encode(model, inputs))
    else:
        _put_checkout(session, session.registry.checkout(found))


@command("checkout")
@version_argument()
@click.argument("folder", metavar="[DIR]", required=False, type=Folder())
@click.option(
    "--for",
    "for_path",
    metavar="PATH",
    help="Where DIR will lie later, e.g. /app/model in an image.",
)
@click.option("--force", is_flag=True, help="Replace a checkout that lies in DIR.")
@at_option()
@click.pass_obj
def checkout(
    session: Session,
    /,
    version: str,
    folder: str | None,
    for_path: str | None,
    force: bool,
    at: str | None,
) -> None:
    """Lay a version out as files, its base with it, and print the folder.

    Plain sentence-transformers loads the folder without this package. Without DIR it is the home's own, shared checkout.

    \b
    Examples:
      registry checkout medical@prod ./medical
      registry checkout medical@prod build/model --for /app/model
    """
    plain = folder is None and for_path is None and at is None and not (force or session.as_json)
    ready = session.registry.ready(version) if plain else None
    if ready is not None:
        click.echo(str(ready))
        return
    with session.progress() as progress:
        result = session.registry.checkout(
            version, folder, for_path=for_path, force=force, at=at, progress=progress
        )
    _put_checkout(session, result)


def _put_checkout(session: Session, result: Any) -> None:
    session.put(json_output.checkout(result), [str(result.folder)])


def _inputs(texts: Iterable[str], *, pairs: bool) -> Iterator[Any]:
    """What is to be encoded; lines of standard input where `-` stands."""
    for text in texts:
        for line in (item.rstrip("\r\n") for item in sys.stdin) if text == "-" else [text]:
            yield _pair(line) if pairs else line


def _pair(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(isinstance(item, str) for item in value)
    ):
        raise Invalid(
            f"{text!r} is not a pair of texts",
            hint='a CrossEncoder encodes pairs: write two texts as JSON, like ["a", "b"]',
        )
    return value
