"""The page of a release in a real browser: every state in pictures, accessible, offline, and live."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Generator
from pathlib import Path

import pytest

from promotion.page import rendering
from promotion.page.feed import Feed
from promotion.page.server import PageServer
from tests.soak.browser import Tab, chromium, install_browser, tab
from tests.unit.promotion.page.states import HOSTILE, STATES, hostile, page_of
from tests.unit.promotion.page.test_server import FakeReader

AXE = "axe-core@4.14.1"
#: SHA-256 of its axe.min.js.
AXE_HASH = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
LOOKS = {"desktop": (1100, False), "dark": (1100, True), "phone": (390, False), "phone-dark": (390, True)}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Generator[int]:
    install_browser()
    with chromium(tmp_path_factory.mktemp("profile")) as port:
        yield port


@pytest.fixture
def window(browser: int) -> Generator[Tab]:
    with tab(browser) as opened:
        yield opened


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script that checks a page's accessibility."""
    if shutil.which("npm") is None:
        subprocess.run(["apt-get", "install", "-y", "-qq", "npm"], check=True, stdout=subprocess.DEVNULL)
    folder = tmp_path_factory.mktemp("axe")
    subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    [archive] = folder.glob("*.tgz")
    with tarfile.open(archive) as package:
        member = package.extractfile("package/axe.min.js")
        assert member
        script = member.read()
    assert hashlib.sha256(script).hexdigest() == AXE_HASH
    return script.decode()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the pictures: PAGE_PICTURES keeps them."""
    folder = Path(os.environ.get("PAGE_PICTURES") or tmp_path_factory.mktemp("pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def written(folder: Path, html: str) -> str:
    """Write a page to a file; return its address."""
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_every_state_is_accessible_and_fits(
    window: Tab, axe: str, pictures: Path, tmp_path: Path, state: str, look: str
):
    width, dark = LOOKS[look]
    address = written(tmp_path, rendering.page(page_of(state), live=False))
    window.open(address, width=width, dark=dark)
    window.screenshot(pictures / f"{state}-{look}.png")
    assert window.requests == [address], "it needs no network"
    assert window.run("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
    window.run(axe + "; 0")
    found = window.run("axe.run({resultTypes: ['violations']}).then(found => found.violations)")
    serious = [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in SERIOUS]
    assert serious == []
    assert window.faults == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_runs_nothing(window: Tab, tmp_path: Path, text: str):
    address = written(tmp_path, rendering.page(hostile(text), live=False))
    window.open(address)
    assert window.run("document.querySelectorAll('script, img, iframe, [onload], [onerror]').length") == 1
    assert (window.faults, window.requests) == ([], [address])
    assert text in window.run("document.body.textContent")


def test_the_live_page_follows_the_release(window: Tab):
    reader = FakeReader("inconclusive")
    server = PageServer(Feed([reader], read_seconds=0.05))
    server.start()
    try:
        window.open(server.address)
        assert "token" not in window.run("location.href")
        window.run("document.querySelector('details').open = true; document.getElementById('copy-1-1').focus()")
        reader.states[:] = ["promoted"]
        window.wait("document.title === 'prod: promoted'")
        assert "is promoted" in window.run("document.querySelector('.headline').textContent")
        assert "is promoted" in window.run("document.getElementById('announcement').textContent")
        assert window.run("document.querySelector('details').open")
        assert window.run("document.activeElement.id") == "copy-1-1"
        assert window.faults == []
    finally:
        server.stop()
    window.wait("document.body.classList.contains('ended')")
    assert "no longer follows" in window.run("document.getElementById('announcement').textContent")


def test_the_keyboard_reaches_everything(window: Tab, tmp_path: Path):
    window.open(written(tmp_path, rendering.page(page_of("rolled-back"), live=False)))
    window.press("Tab")
    assert window.run("document.activeElement.textContent") == "Skip to the release"
    window.press("Enter")
    reached: list[str] = []
    while (now := window.run("document.activeElement.id || document.activeElement.tagName")) not in reached:
        reached.append(now)
        window.press("Tab")
    assert {"release", "command-1-1", "copy-1-1", "command-1-2", "copy-1-2", "PRE", "SUMMARY"} <= {*reached}


def test_a_command_is_copied_or_selected(window: Tab, tmp_path: Path):
    window.open(written(tmp_path, rendering.page(page_of("promoted"), live=False)))
    window.run("document.getElementById('copy-1-1').focus()")
    window.press("Enter")
    window.wait("document.getElementById('announcement').textContent")
    command = window.run("document.getElementById('command-1-1').textContent")
    assert window.run("getSelection().toString()") == command or "Copied" in window.run(
        "document.getElementById('announcement').textContent"
    )
