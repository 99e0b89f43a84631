"""The page as HTML: one file with its style, its script and its charts. Every value is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from contract.image import short
from promotion.page import charts
from promotion.page.document import changed_lines
from promotion.verdict.table import SOURCES, clock

FOLDER = Path(__file__).parent
#: Hex digits shown of a Git commit.
COMMIT_DIGITS = 10
#: What a page may do: nothing but its own style and script, and events from its own server.
POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; connect-src {connect}; img-src data:;"
    " base-uri 'none'; form-action 'none'"
)


def page(document: Mapping[str, Any], *, live: bool) -> str:
    """Return the whole page. ``live``: it follows the server's events; otherwise it is complete in itself."""
    return _template("page.html").render(
        document=document, live=live, style=_style(), script=_script(), policy=policy(live=live), **_context(document)
    )


def contents(document: Mapping[str, Any]) -> str:
    """Return the part of the page that changes, for an event."""
    return _template("contents.html").render(document=document, **_context(document))


def title(document: Mapping[str, Any]) -> str:
    """Return the page's title, which says the most important first."""
    stacks: Sequence[Mapping[str, Any]] = document["stacks"]
    return ", ".join(f"{each['stack']}: {each['stage']}" for each in stacks) or "no stacks"


def policy(*, live: bool) -> str:
    """Return the page's Content-Security-Policy: no script and no style but those with these hashes."""
    return POLICY.format(style=_hash(_style()), script=_hash(_script()), connect="'self'" if live else "'none'")


def _context(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"title": title(document), "taken": document["taken"]}


@cache
def _template(name: str) -> Template:
    loader = FileSystemLoader(FOLDER)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    cast(dict[str, Any], environment.filters).update(FILTERS)  # pyright: ignore[reportUnknownMemberType] untyped there
    cast(dict[str, Any], environment.globals).update(DRAWINGS, SOURCES=SOURCES)  # pyright: ignore[reportUnknownMemberType]
    return environment.get_template(name)


def figure(value: float | None, digits: int = 1) -> str:
    """Write a number; a dash if there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def minute(time: str) -> str:
    """Write an ISO 8601 time in UTC to the minute; any other text as it is."""
    try:
        return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return time


def revision(text: str) -> str:
    """Shorten a Git commit, and keep a mark such as `-dirty`."""
    commit, dash, rest = text.partition("-")
    return f"{commit[:COMMIT_DIGITS]}{dash}{rest}"


def first_line(text: str) -> str:
    """Return a text's first line."""
    return text.splitlines()[0] if text else ""


def is_web(address: str | None) -> bool:
    """Return whether an address may be a link; one of another scheme could run a script."""
    return bool(address) and str(address).startswith(("http://", "https://"))


FILTERS: dict[str, Any] = {
    "short": short,
    "figure": figure,
    "seconds": clock,
    "minute": minute,
    "revision": revision,
    "changed_lines": changed_lines,
    "first_line": first_line,
    "is_web": is_web,
}
DRAWINGS: dict[str, Any] = {
    "track_charts": charts.track_charts,
    "range_chart": charts.range_chart,
    "size": (charts.WIDTH, charts.HEIGHT),
    "plot": (charts.LEFT, charts.WIDTH - charts.RIGHT, charts.TOP, charts.HEIGHT - charts.BOTTOM),
}


@cache
def _style() -> Markup:
    return Markup((FOLDER / "page.css").read_text(encoding="utf-8"))  # noqa: S704 our own file, no value in it


@cache
def _script() -> Markup:
    return Markup((FOLDER / "page.js").read_text(encoding="utf-8"))  # noqa: S704 our own file, no value in it


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
