"""Parameters: what the arguments of commands are, and how the shell completes them.

Nothing is checked here that an action checks: a reference goes to it as typed, so that command and Python say the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from registry.errors import Invalid

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    Text = click.ParamType[str]
    Number = click.ParamType[float]
else:
    Text = Number = click.ParamType  # older releases of click cannot say what a type gives


class VersionReference(Text):
    """A version as a user names it; completed by names, numbers and aliases."""

    name = "ref"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[Any]]:
        """References that begin so, from a glance at the catalog."""
        from .completion import references

        return references(context, incomplete)


class VersionOrFile(VersionReference):
    """A version, or behind a colon one of its files."""

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[Any]]:
        """Files where a version stands before the colon, else references."""
        from .completion import files

        return files(context, incomplete) or super().shell_complete(context, parameter, incomplete)


class ModelName(Text):
    """The name of a model."""

    name = "name"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[Any]]:
        """Names that begin so."""
        from .completion import references

        return [item for item in references(context, incomplete) if "@" not in item.value]


class Named(click.ParamType):  # type: ignore[type-arg]
    """A name and a version, as in a=medical@2; the version is completed."""

    name = "name=ref"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, str]:
        """(name, reference). Raises Invalid where either is missing."""
        if isinstance(value, tuple):
            return value
        name, _, reference = str(value).partition("=")
        if not name or not reference:
            raise Invalid(
                f"{value!r} is not a name and an adapter", hint="write NAME=REF, as in a=medical@2"
            )
        return name, reference

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[Any]]:
        """References behind the name."""
        from click.shell_completion import CompletionItem

        from .completion import references

        name, equals, begun = incomplete.partition("=")
        return (
            [CompletionItem(f"{name}={item.value}") for item in references(context, begun)]
            if equals
            else []
        )


class VersionOrFolder(VersionReference):
    """A version or any text, or a folder on disk, told by its first character."""

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[Any]]:
        """Folders where one begins, else references."""
        if incomplete.startswith((".", "/", "~")):
            return Folder().shell_complete(context, parameter, incomplete)
        return super().shell_complete(context, parameter, incomplete)


class Folder(Text):
    """A folder on disk. Whether it is there is for the action to say."""

    name = "folder"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[Any]]:
        """Let the shell complete folders."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="dir")]


class File(Text):
    """A file, or whatever else has a path. Whether it is there is for the action to say."""

    name = "file"

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[Any]]:
        """Let the shell complete files."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class Duration(Number):
    """A length of time: seconds, or a number with s, m, h or d."""

    name = "duration"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        """In seconds."""
        if isinstance(value, float):
            return value
        from registry.core.settings import seconds

        return seconds(value)


def notes(texts: tuple[str, ...], removed: tuple[str, ...]) -> dict[str, str | None]:
    """KEY=VALUE texts, and the keys to take away, as a mapping. Raises Invalid for a text without `=` and a key named twice."""
    found: dict[str, str | None] = {}
    for text in (*texts, *(f"{key}=" for key in removed)):
        key, equals, value = text.partition("=")
        if not equals:
            raise Invalid(f"{text!r} is not a note", hint="write KEY=VALUE, as in owner=anna")
        if key in found:
            raise Invalid(f"the note {key!r} is given twice")
        found[key] = value
    return found | dict.fromkeys(removed)
