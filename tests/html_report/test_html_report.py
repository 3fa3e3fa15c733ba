"""The page that diff writes: in a real browser at a telephone's and a desk's width, light and dark; and harmless whatever it holds."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from importlib.metadata import files
from pathlib import Path

import pytest

from registry.html_report import page
from registry.results.drift import SCORE
from tests.html_report.making import difference, without_movement
from tests.support.browser import Browser, browser, program

WIDTHS = {"telephone": 360, "desk": 1280}
PAGES = {
    "texts": difference,
    "scores": lambda: difference(measure=SCORE),
    "one text": lambda: difference(count=1),
    "nothing moved": without_movement,
}
VIOLATIONS = """axe.run({resultTypes: ["violations"]}).then(
    found => found.violations.map(item => `${item.id}: ${item.nodes[0].html} ${item.nodes[0].failureSummary}`))"""
SMALLEST = """Math.min(...[...document.querySelectorAll("main *")].filter(item => item.innerText).map(
    item => parseFloat(getComputedStyle(item).fontSize)))"""


@pytest.fixture(scope="module")
def shown() -> Browser:
    if program() is None and os.getuid() != 0:
        pytest.skip(
            "no browser is installed here, and only root may install one; on Debian: apt-get install chromium"
        )
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def axe() -> str:
    """The accessibility checker of Deque, as its package carries it."""
    (script,) = [file for file in files("axe-core-python") or [] if file.name == "axe.min.js"]
    return Path(str(script.locate())).read_text("utf-8")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("texts", "telephone", False),
        ("texts", "telephone", True),
        ("texts", "desk", False),
        ("texts", "desk", True),
        ("scores", "telephone", False),
        ("one text", "telephone", False),
        ("nothing moved", "telephone", True),
    ],
)
def test_a_browser_shows_it_without_an_error_and_everybody_can_read_it(
    shown, axe, tmp_path, name, width, dark
):
    path = tmp_path / "moved.html"
    path.write_text(page(PAGES[name]()), "utf-8")
    shown.errors.clear()
    shown.requests.clear()

    shown.open(path, width=WIDTHS[width], dark=dark)
    shown.run("document.querySelectorAll('details').forEach(item => item.open = true)")
    shown.run(axe)

    assert shown.run(VIOLATIONS) == []
    assert shown.errors == []
    assert shown.requests == [path.as_uri()]
    assert shown.run("document.documentElement.scrollWidth") <= WIDTHS[width]
    assert shown.run("document.querySelectorAll('script, img, iframe').length") == 0


def test_text_can_be_read_on_a_telephone(shown, tmp_path):
    path = tmp_path / "moved.html"
    path.write_text(page(difference()), "utf-8")

    shown.open(path, width=360)

    sizes = shown.run(
        "[...document.querySelectorAll('svg.plane text')].map(item => item.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 11
    assert shown.run(SMALLEST) >= 12


def test_the_check_finds_what_a_person_could_not_read(shown, axe, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        '<!doctype html><html><title>bad</title><p style="color:#eee;background:#fff">pale</p><svg role="img"></svg>',
        "utf-8",
    )

    shown.open(path, width=360)
    shown.run(axe)

    assert {found.partition(":")[0] for found in shown.run(VIOLATIONS)} >= {
        "color-contrast",
        "html-has-lang",
        "svg-img-alt",
    }


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("made", PAGES.values(), ids=PAGES)
def test_nothing_in_it_is_run_or_loaded(made):
    text = page(made())
    parser = _Tags()
    parser.feed(text)

    assert {tag for tag, _ in parser.tags}.isdisjoint(
        {"script", "img", "iframe", "link", "object", "a", "form", "base"}
    )
    assert not [
        name
        for _, attributes in parser.tags
        for name in attributes
        if name.startswith("on") or name in ("src", "href")
    ]
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)


def test_two_pages_of_one_difference_are_the_same_bytes():
    assert page(difference()) == page(difference())


def test_a_model_is_what_its_title_says_and_no_markup():
    assert "&lt;/title&gt;&lt;script&gt;" in page(difference())
