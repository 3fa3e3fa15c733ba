"""Checking: whether a model loads and encodes right, for people, for hooks and for gates. Exit code 5 where anything failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from registry.cli.command import at_option, command
from registry.cli.output.tables import table
from registry.cli.output.text import Name, plain
from registry.cli.params import VersionOrFolder, VersionReference
from registry.cli.session import Session
from registry.cli.usage import WrongUsage
from registry.core.text import counted
from registry.errors import Corrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.results.check import CheckInfo, Outcome, Report

HEADERS = (
    "verdict",
    "net",
    "check",
    "stage",
    "probe",
    "expected",
    "found",
    "difference",
    "message",
)


@command("check")
@click.argument("target", metavar="[REF|./FOLDER]", required=False, type=VersionOrFolder())
@click.option("--list", "listed", is_flag=True, help="Name every check and what it protects from.")
@click.option(
    "--line", is_flag=True, help="Compare each stage with the one it came from, text by text."
)
@click.option(
    "--parent",
    metavar="REF|DIR",
    type=VersionOrFolder(),
    help="Of a folder: what it stands on or came from.",
)
@click.option(
    "--against",
    metavar="REF",
    type=VersionReference(),
    help="Tell how far encodings have drifted from this version's: 1 - cosine.",
)
@click.option("--max-drift", type=float, metavar="D", help="With --against: fail above this.")
@click.option(
    "--require",
    metavar="METRIC>=N",
    multiple=True,
    help="Fail unless a metric of the version is so; give it again for more.",
)
@click.option(
    "--record",
    is_flag=True,
    help="Record probes now, for a version that has none, or in place of those it has.",
)
@click.option(
    "--probes",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --record: texts of yours to keep, as in registry add.",
)
@click.option(
    "--measure/--no-measure",
    default=True,
    help="--no-measure leaves out all that needs the loaded model: a second, and no torch.",
)
@at_option(
    "What REF meant then, as it is now: 17 (an entry), 2026-03-03 (its end, UTC) or 2026-03-03T12:30Z."
)
@click.pass_obj
def check(session: Session, /, target: str | None, listed: bool, **options: Any) -> None:
    """Check that a version, or a folder that is not registered, loads and encodes right. Exit code 5 if it does not.

    Prints a line for each thing that was looked at: tokenizer faults are told from weight faults by the token ids. Of a folder
    nothing is written.

    \b
    Examples:
      registry check medical@prod
      registry check medical@4 --line
      registry check ./my-adapter --parent minilm-med@1
      registry check medical@4 --against medical@prod --max-drift 0.05 --require 'eval_dev_spearman_cosine >= 0.85'
      registry check --list
    """
    if listed:
        _refuse_more(("target", *options))
        _put_list(session)
        return
    if target is None:
        raise WrongUsage(
            "neither a version nor a folder is given", hint="give REF, ./FOLDER, or --list"
        )
    with session.progress() as progress:
        report = session.registry.check(target, progress=progress, **options)
    _put_report(session, report)


def _refuse_more(names: Sequence[str]) -> None:
    """Raise WrongUsage if an option of a check is given with --list."""
    context = click.get_current_context()
    if any(context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in names):
        raise WrongUsage(
            "--list lists all checks and accepts no other arguments",
            hint="give --list alone, or leave it out",
        )


def _put_list(session: Session) -> None:
    from registry.api.registry import checks

    found: Sequence[CheckInfo] = checks()
    rows = [(Name(item.id), item.net, _kind(item), item.claim, item.reason) for item in found]
    session.put(
        [
            {
                "id": item.id,
                "net": item.net,
                "claim": item.claim,
                "reason": item.reason,
                "refuses": item.refuses,
                "judgement": item.judgement,
            }
            for item in found
        ],
        table(["check", "net", "kind", "what is true", "why"], rows, ["net"]),
        [item.id for item in found],
    )


def _kind(item: CheckInfo) -> str:
    return "judgement" if item.judgement else "refuses" if item.refuses else "tells"


def _put_report(session: Session, report: Report) -> None:
    shown = report.failures if session.quiet else report.outcomes
    session.put(
        report.to_dict(),
        table(
            HEADERS, [*_passed(shown), *(_row(item) for item in shown if not _says_nothing(item))]
        ),
    )
    for item in report.failures:
        session.complain(_sentence(item))
    said = ", ".join(
        f"{report.count(verdict)} {verdict}"
        for verdict in ("ok", "warned", "forced", "unmeasured", "failed")
        if report.count(verdict)
    )
    drift = f"; the largest drift is {report.drift:.3g}" if report.drift is not None else ""
    session.note(f"{report.target} {'passed' if report.passed else 'FAILED'}: {said}{drift}")
    if not report.passed:
        session.exit_code = Corrupt.exit_code


def _says_nothing(item: Outcome) -> bool:
    """Whether an outcome is no more than that a check passed; --json has each."""
    return item.verdict == "ok" and not (item.expected or item.found or item.message)


def _passed(shown: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """A row for each stage and net with how many checks passed there and have no more to say."""
    counts: dict[tuple[str, str], int] = {}
    for item in shown:
        if _says_nothing(item):
            counts[item.stage, item.net] = counts.get((item.stage, item.net), 0) + 1
    return [
        ("ok", Name(net), Name(counted(count, "check")), Name(stage), "", "", "", "", "")
        for (stage, net), count in counts.items()
    ]


def _row(item: Outcome) -> tuple[str, ...]:
    apart = (
        ""
        if item.difference is None
        else f"{item.difference:.3g}"
        + (f" of {item.tolerance:g}" if item.tolerance is not None else "")
    )
    return (
        Name(item.verdict),
        Name(item.net),
        Name(item.check),
        Name(item.stage),
        plain(item.subject),
        item.expected,
        item.found,
        apart,
        item.message,
    )


def _sentence(item: Outcome) -> str:
    """A failure in one line: which check, of what, what was expected and what was found."""
    values = [
        f"expected {item.expected}" if item.expected else "",
        f"found {item.found}" if item.found else "",
        f"apart by {item.difference:.3g}" if item.difference is not None else "",
        f"tolerated {item.tolerance:g}" if item.tolerance is not None else "",
    ]
    said = item.message or ", ".join(value for value in values if value)
    return (
        f"{item.stage} failed {item.check}{f' at {item.subject!r}' if item.subject else ''}: {said}"
    )
