"""Adding: add, resize and merge. All end with the line `NAME@N sha256:…`, or that and `already`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from registry.cli.code_options import code_options, print_code
from registry.cli.command import command, recording_options, version_argument
from registry.cli.output import json_output
from registry.cli.params import Folder, VersionReference
from registry.cli.session import Session
from registry.cli.usage import WrongUsage
from registry.core.manifest import CLASSES

if TYPE_CHECKING:
    from registry.results.registration import Added, Verdict

LEFT_OUT_SHOWN = 5
SPOKEN = {
    "base": "a base",
    "resized": "a resized base",
    "adapter": "an adapter",
    "merged": "a merged model",
}


@command("add")
@click.argument("folder", metavar="FOLDER...", nargs=-1, required=True, type=Folder())
@click.option("--as", "name", metavar="NAME", help="What the model is called; for one folder.")
@click.option(
    "--prefix", metavar="P/", help="For several: each is called P/ and its folder's name."
)
@click.option(
    "--parent",
    metavar="REF",
    type=VersionReference(),
    help="What it was made from, where the folder does not tell.",
)
@click.option(
    "--with-parents",
    is_flag=True,
    help="Register the base too, if it lies here and is not registered.",
)
@click.option(
    "--class",
    "model_class",
    type=click.Choice(CLASSES),
    metavar="CLASS",
    help=f"Which class loads it, where that cannot be told: {', '.join(CLASSES)}.",
)
@click.option(
    "--tokenizer",
    metavar="DIR",
    type=Folder(),
    help="Take the tokenizer files of a folder, or of the parent (the word parent).",
)
@click.option(
    "--force",
    metavar="CHECK",
    multiple=True,
    help="Let this check of judgement fail, and record that it did; give it again for more.",
)
@click.option(
    "--allow-no-effect", is_flag=True, help="For an adapter that is meant to be untrained."
)
@click.option(
    "--fix",
    is_flag=True,
    help="Put right an adapter folder that no library loads any more; says what it did and what proves it.",
)
@click.option(
    "--trained-rows",
    is_flag=True,
    help="With --fix: the old token rows that the adapter carries were trained.",
)
@click.option(
    "--accept-lost-rows",
    is_flag=True,
    help="With --fix: use spare rows of the base in place of lost rows of tokens.",
)
@click.option(
    "--convert",
    is_flag=True,
    help="Convert pickled weights to safetensors; write a missing tokenizer.json.",
)
@click.option(
    "--metrics",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Metrics of the version: JSON, or an evaluator's CSV.",
)
@click.option(
    "--metric",
    "numbers",
    metavar="KEY=VALUE",
    multiple=True,
    help="One metric; give it again for more.",
)
@click.option(
    "--probes",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help='Texts of yours whose encodings are kept and compared, one a line, or JSON lines like {"text": "…", "prompt": "…"}.',
)
@click.option(
    "--measure/--no-measure",
    default=True,
    help="Load the model once: an adapter must change something, and what it encodes is kept. --no-measure is for many at once.",
)
@code_options
@recording_options
@click.pass_obj
def add(session: Session, /, folder: tuple[str, ...], **options: Any) -> None:
    """Register a folder: a base, a resized base, an adapter or a merged model.

    Finds out what it is and who its parent is, checks that they fit, and records it. Adding the same again writes nothing.

    \b
    Examples:
      registry add ./medical-minilm --as medical --alias prod
      registry add ./runs/a ./runs/b --prefix runs/
      registry add ./old-adapter --as medical --fix --parent minilm@1
      registry add ./bge-m3 --as bge-m3 --convert
      registry add ./jina-v3 --as jina --trust-code
      registry add ./nomic-v1 --as nomic --trust-code --code ./nomic-bert-2048
      registry add ./stella --as stella --ignore-code
      registry add ./medical --as medical --metric eval_dev_spearman_cosine=0.861
    """
    options["metrics"] = _metrics(options.pop("file"), options.pop("numbers"))
    if options["trust_code"] and len(folder) > 1:
        raise WrongUsage("--trust-code accepts one folder", hint="add the folders one by one")
    if options["trust_code"]:
        options["trust_code"] = print_code(session, folder[0], options)
    if len(folder) == 1:
        with session.progress() as progress:
            result = session.registry.add(folder[0], progress=progress, **options)
        _put_added(session, result, dry_run=options["dry_run"])
    else:
        _add_several(session, folder, options)


@command("resize")
@version_argument()
@click.option(
    "--as", "name", metavar="NAME", required=True, help="What the resized base is called."
)
@click.option(
    "--tokens",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help='The tokens in order: lines, a JSON list, or JSON lines like {"content": "zorvaxin", "single_word": true}.',
)
@click.option("--column", metavar="NAME", help="Read this column of a CSV or TSV file.")
@click.option(
    "--token", "words", metavar="WORD", multiple=True, help="A token; give it again for more."
)
@click.option(
    "--special", is_flag=True, help="Special tokens: never split, left out when decoding."
)
@click.option("--single-word", is_flag=True, help="Match whole words only.")
@click.option(
    "--normalized/--no-normalized",
    default=None,
    help="Match after or before normalisation (lower case, accents).",
)
@click.option(
    "--init",
    type=click.Choice(["subwords", "mean", "random"]),
    default="subwords",
    show_default=True,
    help="How new rows begin: from the word's own pieces, from all rows, or drawn.",
)
@click.option("--seed", type=int, metavar="N", help="For --init random.")
@click.option("--skip-existing", is_flag=True, help="Skip tokens that the vocabulary has.")
@click.option("--literal", is_flag=True, help="Register quotes, markers (##x) and # as typed.")
@recording_options
@click.pass_obj
def resize(
    session: Session,
    /,
    version: str,
    name: str,
    file: Path | None,
    words: tuple[str, ...],
    **options: Any,
) -> None:
    """Add tokens to a version and register the resized base.

    \b
    Examples:
      registry resize minilm@1 --as minilm-med --tokens words.txt
      registry resize minilm@1 --as minilm-med --token zorvaxin --token "[DRUG]"
      registry resize minilm@1 --as minilm-med --tokens drugs.csv --column name
    """
    if (file is None) == (not words):
        raise WrongUsage(
            "tokens are given in two ways" if words else "no tokens are given",
            hint="give --tokens FILE, or --token WORD once or more",
        )
    if words and options["column"] is not None:
        raise WrongUsage("--column has no effect on --token", hint="give --tokens FILE")
    with session.progress() as progress:
        result = session.registry.resize(
            version, name, file if file is not None else words, progress=progress, **options
        )
    _put_added(session, result, dry_run=options["dry_run"])


@command("merge")
@version_argument()
@click.option(
    "--as", "name", metavar="NAME", required=True, help="What the merged model is called."
)
@recording_options
@click.pass_obj
def merge(session: Session, /, version: str, name: str, **options: Any) -> None:
    """Merge an adapter into its base and register the full model.

    It is loaded from disk and compared with the unmerged one before it gets a version: 1e-5 is tolerated in fp32, 2e-3 in fp16,
    1.5e-2 in bf16. Merging the same again writes nothing.

    \b
    Example:
      registry merge medical@prod --as medical-merged
    """
    with session.progress() as progress:
        result = session.registry.merge(version, name, progress=progress, **options)
    _put_added(session, result, dry_run=options["dry_run"])


def _metrics(file: Path | None, numbers: tuple[str, ...]) -> Path | dict[str, str] | None:
    if file is not None and numbers:
        raise WrongUsage(
            "metrics are given in two ways",
            hint="give --metrics FILE, or --metric KEY=VALUE once or more",
        )
    odd = next((word for word in numbers if "=" not in word), None)
    if odd is not None:
        raise WrongUsage(
            f"{odd!r} is not a metric", hint="write KEY=VALUE, e.g. eval_dev_spearman_cosine=0.86"
        )
    return (
        file
        if file is not None
        else {
            key.strip(): value.strip()
            for key, _, value in (word.partition("=") for word in numbers)
        }
        or None
    )


def _add_several(session: Session, folders: tuple[str, ...], options: dict[str, Any]) -> None:
    with session.progress() as progress:
        results: tuple[Verdict, ...] = session.registry.add(
            list(folders), progress=progress, **options
        )
    _put_verdicts(session, results, dry_run=options["dry_run"])


def _put_added(session: Session, result: Added, *, dry_run: bool) -> None:
    _tell(session, result)
    session.put(
        json_output.added(result),
        [_line(result, dry_run=dry_run)],
        [f"{result.name}@{result.number}"],
    )


def _put_verdicts(session: Session, results: Sequence[Verdict], *, dry_run: bool) -> None:
    for result in results:
        if result.added is not None:
            _tell(session, result.added, folder=result.folder)
        if result.error is not None:
            session.exit_code = max(session.exit_code, result.error.exit_code)
            session.complain(f"{result.folder}: {result.error}", result.error.hint)
    done = [result.added for result in results if result.added is not None]
    session.put(
        [json_output.verdict(result) for result in results],
        [_line(item, dry_run=dry_run) for item in done],
        [f"{item.name}@{item.number}" for item in done],
    )


def _line(result: Added, *, dry_run: bool) -> str:
    state = " already" if result.already else " dry-run" if dry_run else ""
    return f"{result.name}@{result.number} {result.digest}{state}"


def _tell(session: Session, result: Added, folder: str | None = None) -> None:
    """What was found out, for the person who watches."""
    parent = f" on {result.parent} (known: {result.evidence})" if result.parent else ""
    session.note(
        f"{folder + ': ' if folder else ''}{result.name}@{result.number} is {SPOKEN[result.kind]}{parent}"
    )
    for sentence in (*result.fixed, result.plan, result.rows):
        if sentence:
            session.note(sentence)
    for path, reason in result.left_out[:LEFT_OUT_SHOWN]:
        session.note(f"left out {path}: {reason}")
    if len(result.left_out) > LEFT_OUT_SHOWN:
        session.note(f"left out {len(result.left_out) - LEFT_OUT_SHOWN} more; --json lists them")
    session.warn(result.warnings)
