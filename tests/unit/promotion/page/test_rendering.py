"""The page as HTML: equal figures, no markup from elsewhere, and nothing that it fetches."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest

from promotion.page import rendering
from promotion.page.charts import nice, range_chart, track_charts
from tests.unit.promotion.page.states import HOSTILE, STATES, hostile, page_of

#: Elements that have no end.
VOID = {"meta", "link", "br"}


class Parsed(HTMLParser):
    """A page's elements with their attributes, its figures by track, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.figures: list[dict[str, float]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)
        if "data-track" in attributes:
            self.figures.append({})
        if figure := attributes.get("data-figure"):
            self.figures[-1][figure] = float(attributes["value"] or "nan")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag, f"{tag} ends another element"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        """The elements with the names of their attributes."""
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]


@cache
def harmless() -> Parsed:
    return Parsed(rendering.page(hostile("harmless"), live=False))


@cache
def html_of(state: str, *, live: bool = False) -> str:
    return rendering.page(page_of(state), live=live)


@pytest.mark.parametrize("state", STATES)
def test_a_page_is_well_formed_and_says_its_state(state: str):
    parsed = Parsed(html_of(state))
    assert parsed.open == []
    text = " ".join(" ".join(parsed.words).split())
    for stack in page_of(state)["stacks"]:
        assert stack["headline"] in text
        assert f"{stack['stack']}: {stack['stage']}" in rendering.title(page_of(state))
        assert all(step["command"] in text for step in stack["next"])


@pytest.mark.parametrize("state", STATES)
def test_figures_equal_the_status_as_json(state: str):
    wanted: list[dict[str, Any]] = []
    for stack in page_of(state)["stacks"]:
        tracks = (stack["status"] or {"tracks": {}})["tracks"]
        for track in (tracks[name] for name in ("stable", "canary") if name in tracks):
            figures = {name: track[name] for name in ("ready", "wanted", "share") if name in track}
            wanted.append({**figures, **(track.get("served") or {})})
    assert Parsed(html_of(state)).figures == wanted


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_elsewhere_never_becomes_markup(text: str):
    page = hostile(text)
    parsed = Parsed(rendering.page(page, live=False))
    assert parsed.structure == harmless().structure
    assert parsed.words.count(text) > 10, "it is shown as it is"
    assert not any(name.startswith("on") for _, names in parsed.structure for name in names)


def test_an_address_with_another_scheme_is_no_link():
    links = [
        each.get("href")
        for tag, each in Parsed(rendering.page(hostile("javascript:alert(1)"), live=False)).elements
        if tag == "a"
    ]
    assert links == ["#release", "#stack-1", "#stack-2", "#stack-3"]


@pytest.mark.parametrize("state", STATES)
def test_a_page_fetches_nothing(state: str):
    for tag, attributes in Parsed(html_of(state)).elements:
        assert "src" not in attributes and "style" not in attributes
        if tag == "link":
            assert attributes["href"] == "data:,"
    assert "url(" not in html_of(state) and "@import" not in html_of(state)


@pytest.mark.parametrize("live", [True, False])
def test_the_policy_allows_exactly_the_own_style_and_script(live: bool):
    html = html_of("promoted", live=live)
    policy = rendering.policy(live=live)
    assert f'content="{policy.replace(chr(39), "&#39;")}"' in html
    for tag in ("style", "script"):
        [content] = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert ("connect-src 'self'" in policy) == live


def test_a_file_for_everyone_shows_drift_without_values():
    page = page_of("no-canary")
    assert "spec.replicas is 4" in rendering.page(page, live=False)
    public = rendering.page({**page, "public": True}, live=False)
    assert "spec.replicas is 4" not in public
    assert "spec.replicas differs in the cluster" in public


@pytest.mark.parametrize(("value", "top"), [(0.2, 1), (1.0, 1), (1.1, 2), (3, 5), (7, 10), (160, 200), (201, 500)])
def test_an_axis_ends_at_a_round_number(value: float, top: float):
    assert nice(value) == top


def test_a_missing_value_breaks_the_line():
    trial = page_of("trial-running")["stacks"][0]["trial"]
    looks = [
        {**look, "canary": {**look["canary"], "median": None}} if n == 5 else look
        for n, look in enumerate(trial["looks"])
    ]
    median = track_charts({**trial, "looks": looks})[2]
    assert [len(line.parts) for line in median.lines] == [1, 2]


def test_a_check_without_two_ranges_has_no_chart():
    [check, *_] = [each for each in page_of("trial-running")["stacks"][0]["trial"]["checks"] if each["estimates"]]
    assert range_chart(check, 300.0) is not None
    assert range_chart({**check, "estimates": check["estimates"][:3]}, 300.0) is None
