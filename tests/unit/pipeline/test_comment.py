"""One comment for each stack, with a section for its preview and one for the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import main
from tests.unit.pipeline.simulated_github import SimulatedHub

PREVIEW = "<!-- preview of addressbook/staging -->"
ENVIRONMENT = "<!-- environment of staging -->"


def post(folder: Path, text: str) -> int:
    (folder / "comment.md").write_text(text)
    return main(["comment", "--number", "7", "--file", str(folder / "comment.md")])


def test_each_stack_has_one_comment(hub: SimulatedHub, tmp_path: Path):
    other = "<!-- preview of addressbook/prod -->\nanother stack"
    for text in (f"{PREVIEW}\nfirst", other, f"{PREVIEW}\nsecond"):
        assert post(tmp_path, text) == 0
    assert hub.bodies == [f"{PREVIEW}\nsecond", other]


@pytest.mark.parametrize("preview_first", [True, False])
def test_the_environment_is_in_the_previews_comment(hub: SimulatedHub, tmp_path: Path, preview_first: bool):
    place = ["comment", "--number", "7", "--environment", "staging"]
    url = [*place, "--url", "http://203.0.113.7", "--expires", "2026-12-03T15:00Z"]
    if preview_first:
        post(tmp_path, f"{PREVIEW}\nfirst")
    assert main(url) == 0
    post(tmp_path, f"{PREVIEW}\n\nsecond\n")
    (body,) = hub.bodies
    environment, _, preview = body.partition("\n\n")
    assert environment.startswith(f"{ENVIRONMENT}\n**Environment:** http://203.0.113.7 until 2026-12-03 15:00 UTC")
    assert preview == f"{PREVIEW}\n\nsecond"
    assert main(place) == 0
    assert hub.bodies[0].startswith(f"{ENVIRONMENT}\n**Environment:** removed.")
    assert hub.bodies[0].endswith(f"{PREVIEW}\n\nsecond")


def test_only_our_own_comment_is_edited(hub: SimulatedHub, tmp_path: Path):
    theirs = {"path": "issues/7/comments", "id": 9, "body": f"{PREVIEW}\nquoted", "user": {"login": "somebody"}}
    hub.set([theirs])
    post(tmp_path, f"{PREVIEW}\nours")
    assert hub.bodies == [f"{PREVIEW}\nquoted", f"{PREVIEW}\nours"]


@pytest.mark.parametrize("text", ["", "\nno marker", f"text before\n{PREVIEW}"])
def test_a_comment_without_marker_is_refused(
    hub: SimulatedHub, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
):
    assert post(tmp_path, text) == 2
    assert "does not begin with a marker" in capsys.readouterr().err
    assert hub.entries == []


def test_a_missing_file_is_one_sentence(hub: SimulatedHub, capsys: pytest.CaptureFixture[str]):
    assert main(["comment", "--number", "7", "--file", "gone.md"]) == 2
    assert capsys.readouterr().err == "error: --file gone.md: cannot read the file: No such file or directory\n"
    assert hub.entries == []
