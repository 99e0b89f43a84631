"""A simulated `gh` that keeps one repository's comments and issues in a file, and knows the calls that we make."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

AUTHOR = "github-actions[bot]"
PROGRAM = """
import json, pathlib, sys
kept = pathlib.Path(__file__).with_name("kept.json")
things = json.loads(kept.read_text())
arguments = sys.argv[1:]
assert arguments.pop(0) == "api"
path = next(each for each in arguments if each.startswith("repos/owner/name/"))
path = path.removeprefix("repos/owner/name/").partition("?")[0]
method = arguments[arguments.index("--method") + 1] if "--method" in arguments else "GET"
if method == "GET":
    assert arguments[-2:] == ["--jq", ".[]"]
    for each in things:
        if each["path"] == path and each.get("state") != "closed":
            print(json.dumps(each, ensure_ascii=False))
    sys.exit()
assert arguments[-2:] == ["--input", "-"]
fields = json.loads(sys.stdin.read())
if method == "POST":
    number = 100 + len(things)
    it = {"path": path, "id": number, "number": number, "user": {"login": "github-actions[bot]"}}
    things.append(it)
else:
    name, _, number = path.rpartition("/")
    (it,) = [each for each in things if str(each["id"]) == number]
it.update(fields, html_url=f"https://github.com/owner/name/{it['id']}")
kept.write_text(json.dumps(things))
print(json.dumps(it))
"""


class SimulatedHub:
    """What the repository has, as entries with their ``path``."""

    def __init__(self, folder: Path) -> None:
        self._kept = folder / "kept.json"
        self.set([])
        program = folder / "gh"
        program.write_text(f"#!{sys.executable}\n{PROGRAM}")
        program.chmod(0o755)

    def set(self, entries: list[dict[str, Any]]) -> None:
        self._kept.write_text(json.dumps(entries))

    @property
    def entries(self) -> list[dict[str, Any]]:
        return json.loads(self._kept.read_text())

    @property
    def bodies(self) -> list[str]:
        return [each["body"] for each in self.entries]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedHub:
    """The simulated GitHub, first on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    monkeypatch.delenv("COMMENT_AUTHOR", raising=False)
    return SimulatedHub(tmp_path)
