"""Ask GitHub about one repository, and change its comments and issues, with the command `gh` and its login."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from pipeline.errors import StepError, UsageError

#: The user in whose name a workflow's own token writes; `COMMENT_AUTHOR` names another one, such as a GitHub App.
WORKFLOWS = "github-actions[bot]"


class GitHub:
    """One repository on GitHub: the one of `GITHUB_REPOSITORY`, or of the clone in ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.author = os.environ.get("COMMENT_AUTHOR") or WORKFLOWS
        if shutil.which("gh") is None:
            raise UsageError("`gh` is not on PATH: install it (https://cli.github.com) and run `gh auth login`")
        self.repository = os.environ.get("GITHUB_REPOSITORY", "")
        if not self.repository:
            found = self._run("repo", "view", "--json", "nameWithOwner", "--jq", ".nameWithOwner")
            if found.returncode:
                raise UsageError(f"gh: {_reason(found)}; run `gh auth login` in a clone of the repository")
            self.repository = found.stdout.strip()

    def get(self, path: str) -> Any:
        """Return the answer; None if there is no such thing. Raises StepError if GitHub refuses."""
        done = self._run("api", f"repos/{self.repository}/{path}")
        if done.returncode == 0:
            return json.loads(done.stdout)
        if "HTTP 404" in done.stderr:
            return None
        raise StepError(f"GitHub does not show {path}: {_reason(done)}; log in as an administrator of the repository")

    def pages(self, path: str) -> list[dict[str, Any]]:
        """Return all entries of a list. Raises StepError if GitHub refuses."""
        done = self._run("api", "--paginate", f"repos/{self.repository}/{path}", "--jq", ".[]")
        if done.returncode:
            raise StepError(f"GitHub does not list {path}: {_reason(done)}")
        return [json.loads(line) for line in done.stdout.split("\n") if line]  # a text may contain U+0085

    def send(self, method: str, path: str, **fields: str) -> dict[str, Any]:
        """Create (POST) or change (PATCH) something and return it. Raises StepError if GitHub refuses."""
        command = ("api", "--method", method, f"repos/{self.repository}/{path}", "--input", "-")
        done = self._run(*command, text=json.dumps(fields))
        if done.returncode:
            raise StepError(f"GitHub refuses {method} {path}: {_reason(done)}")
        return json.loads(done.stdout)

    def _run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        command = ["gh", *arguments]
        return subprocess.run(command, cwd=self._root, input=text, capture_output=True, text=True, check=False)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0].rstrip(".")
