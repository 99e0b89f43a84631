"""What `up` refuses before anything is changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from promotion.errors import BUSY, DONE, FAILED, WRONG_USE, CommandError
from promotion.operations import stack
from promotion.operations.options import UpOptions
from promotion.operations.session import EngineRun, Session, open_session
from promotion.operations.update import apply
from promotion.preview.reviewed import ReviewedPreview
from promotion.preview.steps import digest_of_steps
from promotion.state import checkout
from promotion.state.stack_file import StackFile
from tests.unit.promotion.operations.conftest import refused
from tests.unit.promotion.operations.fake_stack import BOTH, OLD, TIME, TRIAL, Make


@pytest.mark.parametrize("pair", ["stableImage=", "stableImage", "=3"])
def test_set_needs_a_key_and_a_value(pair: str):
    with pytest.raises(CommandError, match=f"--set {pair}: write KEY=VALUE") as error:
        stack.up(UpOptions(set=[pair]))
    assert error.value.code == WRONG_USE


def test_a_policy_violation_changes_nothing(make: Make, capsys: pytest.CaptureFixture[str]):
    session, stack = make("up", stableReplicas="3")
    stack.forbidden = ("pod-security: run it as a user of its own",)
    text = session.file.edited({"memoryLimit": "1Gi"})
    refused(lambda: apply(session, text, "", preview=True), session, "nothing was changed")
    assert stack.applied == []
    assert "error: pod-security: run it as a user of its own" in capsys.readouterr().err


def update(session: Session, monkeypatch: pytest.MonkeyPatch, force: bool = False) -> Callable[[], int]:
    """Return `up` on this session."""
    session = Session("up", UpOptions(force=force), *list(vars(session).values())[2:6])
    monkeypatch.setattr(Session, "of", lambda *_: session)
    monkeypatch.setattr(EngineRun, "create_stack", lambda _: None)
    monkeypatch.setattr(stack, "outputs_text", lambda *_: "")
    monkeypatch.setattr(stack, "next_commands", lambda *_: "")
    return lambda: stack.up(cast(UpOptions, session.options))


REJECTED = {"stableImage": OLD, "canaryVerdict": f"rejected sha256:{'b' * 64} {TIME}"}


@pytest.mark.parametrize("in_file", ["", f"healthy sha256:{'b' * 64} 2025-12-31T23:59:59Z"])
def test_up_does_not_put_a_rejected_canary_back(make: Make, monkeypatch: pytest.MonkeyPatch, in_file: str):
    session, fake = make("up", {"stable": OLD}, [REJECTED], **TRIAL, canaryVerdict=in_file)
    refused(update(session, monkeypatch), session, f"was rejected at {TIME}")
    assert not fake.applied
    assert update(session, monkeypatch, force=True)() == DONE


def test_up_starts_a_canary_that_a_person_retries(make: Make, monkeypatch: pytest.MonkeyPatch):
    """As after the merge of `canary --force --only-config`."""
    retried = f"retried sha256:{'b' * 64} {TIME.replace('00Z', '01Z')}"
    session, _ = make("up", {"stable": OLD}, [REJECTED], **TRIAL, canaryVerdict=retried)
    assert update(session, monkeypatch)() == DONE


def test_up_keeps_a_running_canary_despite_its_verdict(make: Make, monkeypatch: pytest.MonkeyPatch):
    """As after `verdict --keep`: nothing is put back."""
    session, _ = make("up", BOTH, [REJECTED], **TRIAL)
    assert update(session, monkeypatch)() == DONE


def test_an_error_after_a_change_never_says_nothing_changed(make: Make, monkeypatch: pytest.MonkeyPatch):
    session, _ = make("canary", stableImage=OLD)
    monkeypatch.setattr(Session, "of", lambda *_: session)
    for code in (WRONG_USE, BUSY):
        with pytest.raises(CommandError, match="too late") as error, open_session("canary", session.options):
            apply(session, session.file.edited({"stableReplicas": "4"}), "")
            raise CommandError("too late", code)
        assert error.value.code == FAILED


REVIEWED = ("update urn:a", "  spec.replicas: 3 -> 2")


def test_an_update_that_does_what_was_reviewed_runs(make: Make):
    session, stack = make("up", stableReplicas="3")
    stack.steps = REVIEWED
    reviewed = ReviewedPreview(digest_of_steps(REVIEWED))
    assert apply(session, session.file.edited({"memoryLimit": "1Gi"}), "", reviewed=reviewed)
    assert [config["memoryLimit"] for config in stack.applied] == ["1Gi"]


@pytest.mark.parametrize("steps", [REVIEWED, None], ids=["file", "digest"])
def test_an_update_that_was_not_reviewed_is_refused(
    make: Make, capsys: pytest.CaptureFixture[str], steps: tuple[str, ...] | None
):
    session, stack = make("up", stableReplicas="3")
    stack.steps = ("update urn:a", "  spec.replicas: 5 -> 2")
    text = session.file.edited({"memoryLimit": "1Gi"})
    reviewed = ReviewedPreview(digest_of_steps(REVIEWED), steps)
    refused(lambda: apply(session, text, "", reviewed=reviewed), session, "would not do what was reviewed")
    assert stack.applied == []
    shown = capsys.readouterr().err
    assert "  spec.replicas: 5 -> 2" in shown
    assert ("-  spec.replicas: 3 -> 2" in shown) == (steps is not None)
    assert (reviewed.digest in shown) == (steps is None)


CHANGES = (*REVIEWED, "update urn:b", "  spec.image: a -> b", "  spec.node: a -> [unknown]")
COMMIT = "c" * 40


@pytest.mark.parametrize(
    ("steps", "last", "clean", "expected"),
    [
        (CHANGES[2:], {}, True, True),
        ((*CHANGES[2:4], "  spec.node: a -> c"), {}, True, True),
        ((*CHANGES[2:4], "  spec.node: b -> c"), {}, True, False),
        (CHANGES[2:4], {}, True, False),
        (("update urn:b", "  spec.image: x -> b"), {}, True, False),
        (("update urn:c", "  spec.image: a -> b"), {}, True, False),
        (CHANGES[2:], {"result": "succeeded"}, True, False),
        (CHANGES[2:], {"message": "up"}, True, False),
        (CHANGES[2:], {"edited": True}, True, False),
        (CHANGES[2:], {}, False, False),
    ],
    ids=[
        "the rest",
        "now known",
        "another before",
        "less of a step",
        "another value",
        "another step",
        "not interrupted",
        "another update",
        "edited",
        "another commit",
    ],
)
def test_the_rest_of_an_interrupted_reviewed_update_runs(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    steps: tuple[str, ...],
    last: dict[str, Any],
    clean: bool,
    expected: bool,
):
    session, stack = make("up", earlier=[{"result": "failed", "commit": COMMIT}], stableReplicas="3")
    stack.steps = steps
    reviewed = ReviewedPreview(digest_of_steps(CHANGES), CHANGES)
    began = {"message": f"up: reviewed as {reviewed.digest}", **last}
    session._updates = [replace(session.updates()[0], **began)]  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(checkout, "is_clean_at", lambda _, commit: clean and commit == COMMIT)
    if expected:
        assert apply(session, session.file.text(), "", reviewed=reviewed)
    else:
        refused(
            lambda: apply(session, session.file.text(), "", reviewed=reviewed),
            session,
            "would not do what was reviewed",
        )


def test_only_the_same_commit_without_edits_is_clean(tmp_path: Path):
    file = StackFile(tmp_path / "Pulumi.dev.yaml")
    file.path.write_text("config: {}\n")
    assert not checkout.is_clean_at(file, COMMIT)
    command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "first"]):
        subprocess.run([*command, *arguments], check=True)
    head = checkout.head(file) or ""
    (tmp_path / "preview.json").write_text("untracked")
    assert checkout.is_clean_at(file, head)
    assert not checkout.is_clean_at(file, COMMIT)
    file.path.write_text("config: {a: 1}\n")
    assert not checkout.is_clean_at(file, head)
