"""A move refuses a stack file that would change more than the move announces."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from contract.settings import ReleaseSettings
from promotion.errors import CommandError
from promotion.operations import config_edits, promote
from promotion.operations.canary import prepare_trial, start_trial
from promotion.operations.options import CanaryOptions
from promotion.operations.promote import promote_canary
from promotion.operations.rollback import remove_canary, restore_stable
from promotion.operations.session import Session
from promotion.operations.stale import refuse_older_commit, refuse_stale
from promotion.state.history import SECRET
from promotion.state.stack_file import Edits
from tests.unit.promotion.operations.conftest import forced, refused
from tests.unit.promotion.operations.fake_stack import BOTH, NEW, OLD, OTHER, TIME, FakeStack, Make

STABLE = {"stableImage": OLD, "stableReplicas": "3"}
TRIAL = {**STABLE, "stableReplicas": "2", "stableReplicasAfterTrial": "3", "canaryImage": NEW, "canaryReplicas": "1"}
PROMOTED = {"stableImage": NEW, "stableReplicas": "3"}


def canary(session: Session) -> bool:
    return start_trial(session, prepare_trial(session, cast(CanaryOptions, session.options)))


def removal(release: ReleaseSettings, _: object) -> Edits:
    return config_edits.remove_canary(release)


def earlier_image(session: Session) -> bool:
    return restore_stable(session, NEW)


def test_a_stale_checkout_does_not_roll_stable_back(make: Make):
    session, stack = make("canary", {"stable": NEW}, [PROMOTED], options={"image": OTHER}, **STABLE)
    shown = f"stableImage: deployed sha256:{'b' * 12}, file sha256:{'a' * 12}"
    refused(lambda: canary(session), session, rf"`canary` would also change:\n  - {shown}\n")
    assert not stack.applied
    assert canary(forced(session))
    assert f"--force: Pulumi.dev.yaml also changes\n  - {shown}" in cast(io.StringIO, session.console.out).getvalue()


@pytest.mark.parametrize(
    ("move", "tracks", "config"),
    [
        (canary, {"stable": OLD}, STABLE),
        (promote_canary, BOTH, TRIAL),
        (remove_canary, BOTH, TRIAL),
        (earlier_image, {"stable": OLD}, STABLE),
    ],
)
@pytest.mark.parametrize("key", ["memoryLimit", "environment", "traffic"])
def test_a_move_refuses_unrelated_edits(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    move: Callable[[Session], bool],
    tracks: dict[str, str],
    config: dict[str, str],
    key: str,
):
    value = {"memoryLimit": "1Gi", "environment": "{A: b}", "traffic": "stable"}[key]
    monkeypatch.setattr(promote, "require_proof", lambda *_: True)
    for file, deployed in (({**config, key: value}, config), (config, {**config, key: value})):
        judged = {**deployed, "canaryVerdict": f"healthy sha256:{'b' * 64} {TIME}"}
        session, stack = make("move", tracks, [judged], **file)
        refused(lambda session=session: move(session), session, f"- {key}: deployed")
        assert not stack.applied


def test_replicas_of_a_stale_file_are_not_applied(make: Make):
    """Both the file and the deployed config would change by the canary's pods, to different numbers."""
    session, _ = make("canary", earlier=[{**STABLE, "stableReplicas": "8"}], **STABLE)
    refused(lambda: canary(session), session, "- stableReplicas: deployed 8, file 3")


@pytest.mark.parametrize(
    ("move", "deployed", "file"),
    [
        (canary, STABLE, TRIAL),
        (canary, TRIAL, TRIAL),
        (canary, TRIAL, STABLE),
        (remove_canary, TRIAL, TRIAL),
        (remove_canary, STABLE, TRIAL),
        (remove_canary, TRIAL, STABLE),
        (promote_canary, TRIAL, PROMOTED),
        (remove_canary, TRIAL, PROMOTED),
        (remove_canary, PROMOTED, PROMOTED),
    ],
)
def test_an_interrupted_move_can_be_finished_or_undone(
    make: Make, move: Callable[[Session], bool], deployed: dict[str, str], file: dict[str, str]
):
    earlier = [deployed, TRIAL] if deployed != TRIAL else [deployed]
    session, stack = make("move", BOTH, earlier, **file)
    assert move(session)
    assert stack.applied


def test_finishing_a_promotion_refuses_a_stale_file(make: Make):
    """The file has no canary because it is older than the trial, not because the promotion was interrupted."""
    session, stack = make("promote", BOTH, [TRIAL], **STABLE)
    refused(lambda: promote_canary(session), session, rf"- canaryImage: deployed sha256:{'b' * 12}, file \(unset\)")
    assert not stack.applied


def test_records_and_defaults_are_no_difference(make: Make):
    deployed = {**STABLE, "canaryVerdict": f"healthy sha256:{'c' * 64} {TIME}", "buildAhead": "true", "port": "3000"}
    session, _ = make("canary", earlier=[deployed], **{**STABLE, "memoryLimit": "256Mi"})
    assert canary(session)


def test_pinning_what_runs_is_no_difference(make: Make):
    session, _ = make("canary", {"stable": OLD}, [{"stableReplicas": "3"}], **STABLE)
    assert canary(session)


def test_only_config_compares_nothing(make: Make):
    session, _ = make("canary", earlier=[PROMOTED], options={"only_config": True}, **STABLE)
    assert not canary(session)


def test_after_a_destroy_nothing_is_deployed(make: Make):
    session, _ = make("canary", earlier=[PROMOTED], **STABLE)
    object.__setattr__(session.updates()[0], "kind", "destroy")
    refuse_stale(session, removal)


def with_secret(make: Make, value: str | None, deployed: str | None) -> Session:
    """Open a session with a secret in the file, which the engine decrypts to ``value``; None: there is none."""
    session, stack = make(
        "canary", earlier=[{**STABLE, **({"secretEnvironment": SECRET} if deployed else {})}], **STABLE
    )
    if value:
        lines = session.file.text() + '  addressbook:secretEnvironment:\n    TOKEN:\n      secure: "v1:cipher"\n'
        session.file.write(lines)
    name, fake = "addressbook:secretEnvironment", cast(Any, stack)

    def config(value: str | None) -> dict[str, Any]:
        return {name: SimpleNamespace(value=f'{{"TOKEN": "{value}"}}')} if value else {}

    fake.get_all_config = lambda: config(value)
    fake.history = lambda **_: [SimpleNamespace(kind="update", config=config(deployed))]
    return session


@pytest.mark.parametrize(("value", "deployed"), [("s3cret", "t0ken"), ("s3cret", None), (None, "t0ken")])
def test_another_secret_is_refused_and_not_shown(make: Make, value: str | None, deployed: str | None):
    session = with_secret(make, value, deployed)
    with pytest.raises(CommandError, match="- secretEnvironment: ") as error:
        refuse_stale(session, removal)
    assert not any(secret in str(error.value) for secret in ("s3cret", "t0ken"))


def test_the_same_secret_is_no_difference(make: Make):
    refuse_stale(with_secret(make, "s3cret", "s3cret"), removal)


@pytest.fixture
def commits(tmp_path: Path) -> list[str]:
    """Commit a file three times in the session's folder; return the commits, oldest first."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    made: list[str] = []
    for number in range(3):
        git("commit", "--quiet", "--allow-empty", "--message", str(number))
        made.append(git("rev-parse", "HEAD"))
    git("checkout", "--quiet", made[1])
    return made


def up(make: Make, commit: str, time: str = "2099-01-01T00:00:00+00:00", **file: str) -> tuple[Session, FakeStack]:
    """``time`` is the last update's; the default is after every commit."""
    last = {**PROMOTED, "commit": commit, "time": time}
    return make("up", {"stable": NEW}, [last], options={"image": OTHER}, **(file or STABLE))


def test_up_from_an_older_commit_is_refused(make: Make, commits: list[str]):
    session, _ = up(make, commits[2])
    refused(lambda: refuse_older_commit(session, session.file.text()), session, "older than commit")
    refuse_older_commit(forced(session), session.file.text())


@pytest.mark.parametrize("number", [0, 1])
def test_up_from_the_same_or_a_newer_commit_goes_on(make: Make, commits: list[str], number: int):
    session, _ = up(make, commits[number])
    refuse_older_commit(session, session.file.text())


def test_up_refuses_a_new_image_if_git_cannot_tell(make: Make, commits: list[str]):
    del commits
    session, _ = up(make, "f" * 40)
    refused(lambda: refuse_older_commit(session, session.file.text()), session, "fetch-depth: 0")
    session, _ = up(make, "f" * 40, **{**PROMOTED, "memoryLimit": "1Gi"})
    refuse_older_commit(session, session.file.text())


def test_a_commit_after_the_last_update_is_not_older(make: Make, commits: list[str]):
    """The branch that the last update ran from may have been squashed and deleted."""
    del commits
    session, _ = up(make, "f" * 40, "2025-01-01T00:00:00+00:00")
    refuse_older_commit(session, session.file.text())


def test_a_failed_update_does_not_block_the_way_back(make: Make):
    deployed = {**TRIAL, "stableReplicasAfterTrial": "3"}
    failed = {**deployed, "memoryLimit": "1Gi", "result": "failed"}
    session, stack = make("rollback", BOTH, [failed, deployed], **deployed)
    assert remove_canary(session)
    assert stack.applied


@pytest.mark.parametrize("key", ["warmUpSeconds", "canaryErrorLimit", "verdictValidHours"])
def test_keys_that_only_the_verdict_reads_block_nothing(make: Make, key: str):
    session, _ = make("rollback", BOTH, [TRIAL], **TRIAL, **{key: "7"})
    assert remove_canary(session)


def test_a_path_in_the_pods_annotations_is_compared(make: Make):
    discovered = {**TRIAL, "metricsDiscovery": "annotations"}
    session, stack = make("rollback", BOTH, [discovered], **discovered, metricsPath="/other")
    refused(lambda: remove_canary(session), session, "metricsPath: deployed /metrics, file /other")
    assert not stack.applied


def test_a_rollback_never_builds_stable_from_source(make: Make):
    """The file may lack the image that `up --set` gave stable."""
    without = {key: value for key, value in TRIAL.items() if key != "stableImage"}
    session, stack = make("rollback", BOTH, [TRIAL], **without)
    assert remove_canary(session)
    assert stack.applied[-1]["stableImage"] == OLD


def test_a_plain_secret_is_not_shown(make: Make):
    session, _ = make("rollback", BOTH, [TRIAL], **TRIAL)
    session.file.write(session.file.text() + "  addressbook:secretEnvironment: {TOKEN: hunter2}\n")
    with pytest.raises(CommandError) as error:
        remove_canary(session)
    assert "secretEnvironment" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_shallow_clone_cannot_tell(make: Make, commits: list[str], tmp_path: Path):
    """Git itself would call the commits unrelated."""
    (tmp_path / ".git" / "shallow").write_text(f"{commits[1]}\n{commits[2]}\n")
    session, _ = up(make, commits[2])
    refused(lambda: refuse_older_commit(session, session.file.text()), session, "fetch-depth: 0")


def test_up_outside_git_compares_nothing(make: Make):
    session, _ = up(make, "f" * 40)
    refuse_older_commit(session, session.file.text())


SETTINGS = 'addressbook:canarySettings: {environment: {A: "2"}}'


def test_settings_on_trial_are_announced_by_the_canary(make: Make):
    session, stack = make("canary", earlier=[STABLE], **STABLE)
    session.file.write(session.file.text() + f"  {SETTINGS}\n")
    assert canary(session)
    assert stack.applied


def test_settings_edited_after_the_trial_are_refused(make: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(promote, "require_proof", lambda *_: True)
    deployed = {**TRIAL, "canarySettings": '{"environment": {"A": "1"}}'}
    for expected, settings in (("refused", SETTINGS), ("done", SETTINGS.replace("2", "1"))):
        session, _ = make("promote", BOTH, [deployed], **TRIAL)
        session.file.write(session.file.text() + f"  {settings}\n")
        if expected == "done":
            assert promote_canary(session)
            assert session.file.values()["environment"] == '{"A": "1"}'
        else:
            refused(lambda session=session: promote_canary(session), session, "would also change:\n  - canarySettings")
