"""Page: a diff with its encodings as one HTML page that needs no network, no script and nothing beside it.

Everything that comes from a model or a text is escaped; a policy in the page forbids it to load anything whatever it holds.
"""

from __future__ import annotations

from registry.results.diff import Difference

from .parts import details, footer, furthest, head, histogram, pieces, plane
from .style import STYLE
from .words import said

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(found: Difference) -> str:
    """The page, UTF-8 text. found must hold encodings."""
    title = f"{said(found.before.title)} → {said(found.after.title)}"
    sections = [
        head(found),
        histogram(found),
        plane(found),
        furthest(found),
        pieces(found),
        details(found),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{title} · what moved</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + f"\n</main>\n{footer(found)}\n</body>\n</html>\n"
    )
