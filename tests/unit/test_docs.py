"""The documentation's links, anchors and commands exist."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
LONGEST_README = 150
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "lab").glob("*.md"),
        *(ROOT / "lab" / "docs").rglob("*.md"),
        ROOT / "app" / "README.md",
        ROOT / "benchmarks" / "README.md",
    }
)


@cache
def _tokens(page: Path) -> list[Token]:
    blocks = MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8"))
    return [token for block in blocks for token in (block, *(block.children or []))]


def _links(page: Path) -> list[str]:
    return [str(token.attrs["href"]) for token in _tokens(page) if token.type == "link_open"]


def _code(page: Path) -> list[str]:
    return [token.content for token in _tokens(page) if token.type in ("fence", "code_inline")]


@cache
def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the page's headings."""
    tokens = _tokens(page)
    titles = [tokens[index + 1] for index, token in enumerate(tokens) if token.type == "heading_open"]
    seen: Counter[str] = Counter()
    anchors: set[str] = set()
    for title in titles:
        text = "".join(child.content for child in title.children or [] if child.type in ("text", "code_inline"))
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_and_anchors_resolve(page: Path) -> None:
    broken: list[str] = []
    for link in _links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert not broken


def test_pages_named_in_stack_files_exist() -> None:
    files = [*ROOT.glob("Pulumi*.yaml"), *(ROOT / "policy").glob("*.yaml"), *(ROOT / ".github").rglob("*.yaml")]
    named = {name for file in files for name in re.findall(r"\b(docs/[\w./-]+\.md)", file.read_text())}
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in _links(index)}
    assert {page for page in (ROOT / "docs").rglob("*.md") if page != index} <= linked


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST_README


def test_make_targets_in_the_docs_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    used = {
        (page.name, name)
        for page in PAGES
        for code in _code(page)
        for name in re.findall(r"(?:^|&& )make ([a-z]+)", code, re.M)
    }
    assert not {(page, name) for page, name in used if name not in targets}
