"""A shallow clone may lack the record of a rejection, which a pull request's canary must see."""

from __future__ import annotations

import subprocess

from promotion.errors import WRONG_USE
from tests.unit.promotion.operations.conftest import forced, refused
from tests.unit.promotion.operations.fake_stack import OLD, Make


def test_only_config_refuses_a_shallow_clone(make: Make):
    session, _ = make("canary", options={"only_config": True}, stableImage=OLD)
    folder = session.file.path.parent
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        settings = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *settings, *command], cwd=folder, check=True)
    assert session.verdicts() == [""]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    (folder / ".git" / "shallow").write_text(head.stdout)
    refused(session.verdicts, session, "this clone is shallow.*fetch-depth: 0", WRONG_USE)
    assert forced(session).verdicts() == [""]
