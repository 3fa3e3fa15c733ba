"""Word lists in files: lines, a JSON list, or one column of a CSV or TSV file.

A file that is evidently something else (a table without a column name, a Git LFS
pointer, UTF-16 without a byte order mark) is refused with the command that makes a word
list of it.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from registry.core.text import counted, plain, shell_word
from registry.errors import InvalidTokens
from registry.model_files.lfs_pointer import is_pointer

LITERAL = "or --literal, to register the lines as typed"
_TABLES = {".csv": ",", ".tsv": "\t"}
_DELIMITERS = ",;\t|"
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order marks; that of UTF-32 begins with that of UTF-16, so it comes first."""
_ICONV = {"utf-16-le": "UTF-16LE", "utf-16-be": "UTF-16BE", "cp1252": "WINDOWS-1252"}
_COLUMN_NAME = re.compile(r"[^\W\d][\w .()-]*")
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?%?\s*")
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "‘": "’", "«": "»", "»": "«"}
_COMMENT = re.compile(r"#[ \t]")
_SHOWN_COLUMNS = 8


def read_token_file(
    content: bytes, path: Path, *, column: str | None = None, literal: bool = False
) -> Sequence[Any]:
    """Return the words of a file in order: texts, or mappings with flags.

    Arguments:
        content: The bytes of the file.
        path: The path of the file, which decides about `.csv` and `.tsv`.
        column: The name of the column to read from a CSV or TSV file.
        literal: Take each line as typed; nothing but the encoding is checked.

    Raises InvalidTokens.
    """
    text = _decode(content, path)
    if column is not None:
        return _column(text, path, column)
    if literal:
        return lines_of(text)
    if is_pointer(content):
        folder, name = shell_word(str(path.parent)), shell_word(path.name)
        raise InvalidTokens(
            f"the token list {str(path)!r} is a Git LFS pointer",
            hint=f"git -C {folder} lfs pull --include {name}",
        )
    if text.lstrip().startswith("["):
        values = _json_list(text, path)
        if values is not None:
            return values
    lines = lines_of(text)
    _refuse_comments(lines, path)
    _refuse_table(lines, path)
    _refuse_quotes(lines, path)
    return lines


def lines_of(text: str) -> list[str]:
    """Return the lines that are not empty; only a line feed ends a line."""
    return [line for raw in text.split("\n") if (line := raw.removesuffix("\r"))]


def is_comment(line: str) -> bool:
    """Return whether a line begins with a hash and a blank, as comments do."""
    return _COMMENT.match(line) is not None


def unquoted(line: str) -> str | None:
    """Return the word between the quotes of a line, or None; ignore a comma behind."""
    word = line.strip().rstrip(",;")
    if len(word) < 3 or not (_QUOTES.get(word[0]) == word[-1] or word[0] == word[-1] == "”"):
        return None
    return word[1:-1]


def _refuse_comments(lines: Sequence[str], path: Path) -> None:
    comments = [line for line in lines if is_comment(line)]
    if comments:
        raise InvalidTokens(
            f"the token list {str(path)!r} contains {counted(len(comments), 'comment')}: "
            f"{comments[0]!r:.80}",
            hint=f"{_filtered('grep -v', '^#[[:blank:]]', path)}; {LITERAL}",
        )


def _refuse_quotes(lines: Sequence[str], path: Path) -> None:
    quoted = [line.strip() for line in lines if unquoted(line) is not None]
    if quoted:
        first, last = quoted[0][0], quoted[0].rstrip(",;")[-1]
        script = f"s/^[[:space:]]*{first}(.*){last}[,;]*[[:space:]]*$/\\1/"
        raise InvalidTokens(
            f"the token list {str(path)!r} contains {counted(len(quoted), 'quoted word')}: "
            f"{quoted[0]!r:.80}",
            hint=f"{_filtered('sed -E', script, path)}; {LITERAL}",
        )


def _filtered(program: str, argument: str, path: Path) -> str:
    """Return a command that writes a filtered copy of the file next to it."""
    target = path.with_name(f"{path.stem}.clean{path.suffix}")
    return " ".join(
        (program, shell_word(argument), shell_word(str(path)), ">", shell_word(str(target)))
    )


def _decode(content: bytes, path: Path) -> str:
    """Return the text; a byte order mark names its encoding, otherwise it is UTF-8."""
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    try:
        text = content.removeprefix(mark).decode(encoding)
    except UnicodeDecodeError as error:
        reason = f"is not {encoding.upper()} (byte {error.start + len(mark)})"
    else:
        if "\0" not in text:
            return text
        reason = "contains NUL bytes"
    if mark:
        raise InvalidTokens(f"the token list {str(path)!r} {reason}")
    guess = _guess(content)
    why = {"cp1252": "", None: ""}.get(guess, ", as UTF-16 without a byte order mark does")
    raise InvalidTokens(
        f"the token list {str(path)!r} {reason}{why}",
        hint=None if guess is None else _iconv(guess, path),
    )


def _guess(content: bytes) -> str | None:
    """Return the encoding that content without a mark has; None for binary content."""
    if b"\0" not in content:
        return "cp1252"
    for encoding, wrong_byte in (("utf-16-le", 0), ("utf-16-be", 1)):
        # a line feed or a letter of English has a NUL as its upper byte
        if len(content) % 2 == 0 and b"\0" not in content[wrong_byte::2]:
            with contextlib.suppress(UnicodeDecodeError):
                content.decode(encoding)
                return encoding
    return None


def _iconv(encoding: str, path: Path) -> str:
    source = shell_word(str(path))
    target = shell_word(str(path.with_name(f"{path.stem}.utf8{path.suffix}")))
    return f"iconv -f {_ICONV[encoding]} -t UTF-8 {source} > {target}"


def _json_list(text: str, path: Path) -> list[Any] | None:
    """Return the words of a JSON list, or None for lines that begin with a bracket."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        if path.suffix.lower() != ".json" and not re.match(r'\s*\[\s*("|$)', text):
            return None
        raise InvalidTokens(
            f"the token list {str(path)!r} is not JSON ({error})",
            hint=f"repair the JSON list; {LITERAL}",
        ) from None
    wrong = [word for word in values if not isinstance(word, (str, dict))]
    if wrong:
        raise InvalidTokens(
            f"the token list {str(path)!r} is a JSON list that contains {wrong[0]!r:.80} "
            "(expected strings)",
            hint=f"write the words as strings; {LITERAL}",
        )
    return list(values)


def _refuse_table(lines: Sequence[str], path: Path) -> None:
    """Raise InvalidTokens for a table: its name, tabs or equal columns show it."""
    delimiter = _TABLES.get(path.suffix.lower())
    if delimiter is None:
        delimiter = next((sign for sign in "\t,;|" if _is_table(lines, sign)), None)
    elif lines:
        delimiter = max(_DELIMITERS, key=lambda sign: (lines[0].count(sign), sign == delimiter))
    if delimiter is None or not lines:
        return
    names = _row(lines[0], delimiter)
    if all(_COLUMN_NAME.fullmatch(name.strip()) for name in names):
        hint = f"name the column with the words, e.g. --column {shell_word(names[0])}; {LITERAL}"
    else:
        source = shell_word(str(path))
        target = shell_word(str(path.with_name(f"{path.stem}.clean.txt")))
        sign = "" if delimiter == "\t" else f"-d {shell_word(delimiter)} "
        hint = f"cut {sign}-f1 {source} > {target}; {LITERAL}"
    kind = "TSV" if delimiter == "\t" else "CSV"
    columns = ", ".join(map(repr, names[:_SHOWN_COLUMNS]))
    raise InvalidTokens(
        f"the token list {str(path)!r} is a {kind} table (columns {columns})", hint=hint
    )


def _is_table(lines: Sequence[str], delimiter: str) -> bool:
    """Return whether the lines are rows of one length with names or numbers.

    Commas also stand inside words (2,3-dimethylbutane), so equal counts are not enough.
    """
    if delimiter == "\t":
        return any("\t" in line.strip() for line in lines)
    if len(lines) < 2 or not all(delimiter in line for line in lines):
        return False
    rows = [_row(line, delimiter) for line in lines]
    if len({len(row) for row in rows}) != 1:
        return False
    has_names = all(_COLUMN_NAME.fullmatch(name.strip()) for name in rows[0])
    columns = list(zip(*rows, strict=True))[1:]
    return has_names or any(all(map(_NUMBER.fullmatch, column)) for column in columns)


def _row(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return [line]


def _column(text: str, path: Path, column: str) -> list[str]:
    """Return the cells of a column that are not empty. Raises InvalidTokens."""
    first = text.split("\n", 1)[0].removesuffix("\r")
    candidates = {sign: _row(first, sign) for sign in _DELIMITERS}
    delimiter = next((sign for sign, names in candidates.items() if column in names), None)
    if delimiter is None:
        names = max(candidates.values(), key=len)
        listed = ", ".join(repr(name) for name in names[:_SHOWN_COLUMNS])
        raise InvalidTokens(
            f"the token list {str(path)!r} does not have the column {column!r} (its first line "
            f"has {listed})",
            hint=f"give --column one of {listed}" if len(names) > 1 else None,
        )
    names = candidates[delimiter]
    if names.count(column) > 1:
        raise InvalidTokens(
            f"the token list {str(path)!r} has {names.count(column)} columns {column!r}"
        )
    position = names.index(column)
    words: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        next(reader)
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise InvalidTokens(
                    f"the token list {str(path)!r} has {counted(len(row), 'cell')} in line "
                    f"{reader.line_num} (expected {len(names)})"
                )
            if row[position]:
                words.append(row[position])
    except csv.Error as error:
        raise InvalidTokens(
            f"the token list {str(path)!r} is not a table: line {reader.line_num} "
            f"({plain(str(error))})"
        ) from None
    return words
