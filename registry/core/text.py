"""Shown: results as a person reads them, in a line at a prompt, as a small table in a notebook."""

from __future__ import annotations

from collections.abc import Iterable

Told = Iterable[tuple[str, object]]


class Shown:
    """A result that tells itself: its class and `told` at a prompt, `told` as a table in a notebook. What is None or blank is left out."""

    def told(self) -> Told:
        """(what, its value), the most telling first."""
        raise NotImplementedError

    def __repr__(self) -> str:
        first, *rest = [(key, str(value)) for key, value in self.told() if value not in (None, "")]
        return plain(
            f"<{type(self).__name__} {first[1]}{''.join(f', {key} {value}' for key, value in rest)}>"
        )

    def _repr_html_(self) -> str:
        return html_table(self.told())


def plain(text: str) -> str:
    """The text with everything escaped that does not print: control characters, line ends, marks that turn its direction."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def shell_word(text: str) -> str:
    """The text as one word of a command that somebody types or pastes; what does not print as bash, zsh and ksh spell its bytes."""
    import os
    from shlex import quote

    if text.isprintable():
        return quote(text)
    known = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t"}
    return (
        "$'"
        + "".join(
            known.get(one)
            or (one if one.isprintable() else "".join(f"\\{byte:03o}" for byte in os.fsencode(one)))
            for one in text
        )
        + "'"
    )


def html_table(rows: Told) -> str:
    """Rows of a name and a value as an HTML table; everything is escaped."""
    from html import escape

    shown = [(key, str(value)) for key, value in rows if value not in (None, "")]
    return (
        "<table>"
        + "".join(
            f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in shown
        )
        + "</table>"
    )


def counted(count: int, what: str, many: str | None = None, *, form: str = "") -> str:
    """`1 token`, `2 tokens`; `many` is the plural that does not end in s, `form` how the number is written, "," with its thousands apart."""
    return f"{count:{form}} {what if count == 1 else many or what + 's'}"
