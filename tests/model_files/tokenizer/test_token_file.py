"""Word lists in files: what is read, and what is refused with a command to type."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from registry.errors import InvalidTokens
from registry.model_files.tokenizer.token_file import read_token_file
from registry.model_files.tokenizer.token_list import parse_tokens
from tests.support.refusals import raises

WORDS = ["zorvaxin", "hylantrex"]
LINES = "zorvaxin\nhylantrex\n"


def read(content: str | bytes, name: str = "words.txt", **options: Any) -> list[str]:
    """Return the contents of the tokens that resize would see."""
    encoded = content.encode() if isinstance(content, str) else content
    values = read_token_file(encoded, Path(name), **options)
    return [token.content for token in parse_tokens(values, literal=options.get("literal", False))]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (LINES, "words.txt"),
        ("\ufeff" + LINES.replace("\n", "\r\n\r\n"), "words.txt"),
        ("\ufeff".encode("utf-16-le") + LINES.encode("utf-16-le"), "words.txt"),
        ("\ufeff".encode("utf-16-be") + LINES.encode("utf-16-be"), "words.txt"),
        (LINES.encode("utf-32"), "words.txt"),
        ('["zorvaxin", "hylantrex"]', "words.txt"),
        ('\n[\n  "zorvaxin",\n  "hylantrex"\n]\n', "words.json"),
        ('[{"content": "zorvaxin"}, "hylantrex"]', "words.json"),
    ],
)
def test_lines_and_json_lists_are_read(content: str | bytes, name: str) -> None:
    assert read(content, name) == WORDS


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("n,word\n1,zorvaxin\n\n2,hylantrex\n3,\n", "words.csv"),
        ('n;word\r\n"1;5";zorvaxin\r\n2;"hylantrex"\r\n', "words.csv"),
        ("word\tn\nzorvaxin\t1\nhylantrex\t2\n", "words.tsv"),
        ("word|n\nzorvaxin|1\nhylantrex|2\n", "words.txt"),
        ("word\nzorvaxin\nhylantrex\n", "words.csv"),
    ],
)
def test_a_column_of_a_table_is_read(content: str, name: str) -> None:
    assert read(content, name, column="word") == WORDS


@pytest.mark.parametrize(
    "words",
    [
        ["2,3-dimethylbutane", "1,2-dichloroethane"],
        ["[DRUG]", "[GENE]"],
        ["[1]", "zorvaxin"],
        ["#hashtag", "C#"],
        ["5'-UTR", "'s-hertogenbosch", '5"'],
        ["a,b", "c"],
    ],
)
def test_signs_inside_words_are_kept(words: list[str]) -> None:
    assert read("\n".join(words)) == words


@pytest.mark.parametrize(
    ("content", "name", "quoted"),
    [
        ("word,n\nzorvaxin,1\n", "words.csv", ["--column word", "'n'", "--literal"]),
        ("word,n\nzorvaxin,1\n", "words.txt", ["--column word"]),
        ("word;n\nzorvaxin;1\n", "words.csv", ["--column word"]),
        ("zorvaxin\n", "words.csv", ["--column zorvaxin"]),
        ("zorvaxin\t1\nhylantrex\t2\n", "words.txt", ["cut -f1 words.txt"]),
        ("zorvaxin,1\nhylantrex,2.5\n", "words.txt", ["cut -d , -f1 words.txt"]),
        ("# drugs\nzorvaxin\n", "words.txt", ["'# drugs'", "grep -v", "--literal"]),
        ("zorvaxin\n#\tnew\n", "words.txt", [r"'#\tnew'", "grep -v", "--literal"]),
        ('"zorvaxin"\n', "words.txt", ["'\"zorvaxin\"'", "sed -E", "--literal"]),
        ("'zorvaxin',\n", "words.txt", ["'zorvaxin'", "sed -E"]),
        ("“zorvaxin”\n", "words.txt", ["“zorvaxin”", "sed -E"]),
        ("version https://git-lfs.github.com/spec/v1\n", "w.txt", ["git -C . lfs pull"]),
        (LINES.encode("utf-16-le"), "w.txt", ["iconv -f UTF-16LE -t UTF-8 w.txt > w.utf8.txt"]),
        (LINES.encode("utf-16-be"), "w.txt", ["iconv -f UTF-16BE"]),
        ("药物\n".encode("utf-16-le"), "w.txt", ["iconv -f UTF-16LE"]),
        ("é\n".encode("cp1252"), "w.txt", ["iconv -f WINDOWS-1252"]),
        (b"PK\x03\x04\x00\x00\x01", "w.txt", ["'w.txt'", "NUL"]),
        ('["zorvaxin", ]', "words.json", ["column", "--literal"]),
        ('["zorvaxin", 3]', "words.txt", ["3", "--literal"]),
    ],
)
def test_other_files_are_refused_with_the_command_to_type(
    content: str | bytes, name: str, quoted: list[str]
) -> None:
    with raises(InvalidTokens, *quoted) as caught:
        read(content, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "column", "quoted"),
    [
        ("n,word\n1,zorvaxin\n", "Word", ["'Word'", "'n'", "'word'"]),
        ("n,word\n1\n", "word", ["1 cell", "line 2", "expected 2"]),
        ("word,word\na,b\n", "word", ["2 columns"]),
        ("word\n" + "x" * 131_073, "word", ["line 2", "131072"]),
        ('word,n\n"zorvaxin', "word", ["line 2"]),
    ],
)
def test_a_column_that_cannot_be_read_is_named(
    content: str, column: str, quoted: list[str]
) -> None:
    with raises(InvalidTokens, *quoted):
        read(content, "words.csv", column=column)


@pytest.mark.parametrize(
    "line", ["# zorvaxin", '"zorvaxin"', "version https://git-lfs.github.com/spec/v1", "a\tb"]
)
def test_literal_takes_lines_as_they_are_typed(line: str) -> None:
    assert read(f"{line}\nhylantrex\n", literal=True) == [line, "hylantrex"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("# drugs\nzorvaxin\n", ["zorvaxin"]),
        ('"zorvaxin",\nhylantrex\n', WORDS),
        ("`zorvaxin`\n", ["zorvaxin"]),
        ("zorvaxin,1\nhylantrex,2\n", WORDS),
        ("zorvaxin\t1\nhylantrex\t2\n", WORDS),
        (LINES.encode("utf-16-le"), WORDS),
        ("é\n".encode("cp1252"), ["é"]),
    ],
)
def test_the_command_of_the_hint_makes_a_word_list(
    content: str | bytes, expected: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "my words.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidTokens) as caught:
        read(path.read_bytes(), str(path))
    hint = caught.value.hint
    assert hint is not None
    command = hint.partition("; or ")[0]
    assert shutil.which(command.split()[0])

    subprocess.run(command, shell=True, check=True)
    (written,) = set(tmp_path.iterdir()) - {path}

    assert read(written.read_bytes(), str(written)) == expected
