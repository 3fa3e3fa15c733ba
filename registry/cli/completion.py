"""Completing: what the shell asks for while somebody types. Fast: click and a glance at the catalog, no more.

Bash takes `@`, `:` and `=` for ends of words, and references hold them, so its script puts the words together again.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    shell_complete,
    split_arg_string,
)

from registry.errors import RegistryError

from .session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from click.shell_completion import ShellComplete

PROGRAM = "registry"
VARIABLE = "_REGISTRY_COMPLETE"

_BASH = """\
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" breaks="" mark word prefix="" type value
    for mark in @ : =; do
        [[ $COMP_WORDBREAKS == *"$mark"* ]] && breaks+="$mark"
    done
    word="${line##*[[:space:]]}"
    [[ -n $breaks && $word == *["$breaks"]* ]] && prefix="${word%%"${word##*["$breaks"]}"}"
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$prefix"}") ;;
        esac
    done < <(env COMP_WORDS="$line" COMP_CWORD=0 %(complete_var)s=bash_complete "$1")
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *@ ]] && compopt -o nospace
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Bash, with the line as it was typed instead of bash's words."""

    source_template = _BASH

    def source(self) -> str:
        """The script; whether a bash is installed here does not matter for printing it."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """(words before the one being typed, what is typed of it)."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        return words, incomplete


add_completion_class(Bash)


def answer(root: click.Command, instruction: str) -> int:
    """Print completions for what the shell's script asks; nothing if the home cannot be read."""
    return shell_complete(root, {}, PROGRAM, VARIABLE, instruction)


def script(root: click.Command, shell: str) -> str:
    """The script that a shell reads."""
    kind: type[ShellComplete] | None = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell!r}")
    return kind(root, {}, PROGRAM, VARIABLE).source()


def references(context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    """Names, name@numbers and name@aliases that begin so."""
    from registry.catalog import fast_reads

    return _glanced(context, incomplete, fast_reads.complete)


def files(context: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
    """Files of the version before the colon that begin so, each behind the reference."""
    from registry.catalog import fast_reads

    return _glanced(context, incomplete, fast_reads.complete_files)


def _glanced(
    context: click.Context, incomplete: str, ask: Callable[[Path, str], Sequence[str] | None]
) -> list[CompletionItem[Any]]:
    session = context.find_object(Session) or Session()
    try:
        return [CompletionItem(text) for text in ask(session.settings.home, incomplete) or ()]
    except (OSError, sqlite3.Error, RegistryError):
        return []
