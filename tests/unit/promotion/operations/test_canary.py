"""What `canary` refuses before anything is changed, and what it writes."""

from __future__ import annotations

import io
import json
import subprocess
from typing import Any, cast

import pytest

from promotion.errors import BUSY, DONE, FAILED, UNHEALTHY, WRONG_USE, CommandError, UpdateInterruptedError
from promotion.operations import explanation
from promotion.operations.canary import Trial, canary, prepare_trial, start_trial
from promotion.operations.options import CanaryOptions
from promotion.operations.session import EngineRun, Session
from promotion.state import engine
from promotion.state.cluster.cluster import UnreachableError
from promotion.state.verdict_record import VerdictRecord
from tests.unit.promotion.operations.conftest import forced, refused
from tests.unit.promotion.operations.fake_stack import BOTH, NEW, OLD, OTHER, RELEASE, TIME, TRIAL, Make

CANARY = f"{RELEASE}$delivery:release:Track$kubernetes:apps/v1:Deployment::addressbook-canary"


def prepare(session: Session) -> Trial:
    return prepare_trial(session, cast(CanaryOptions, session.options))


@pytest.mark.parametrize("image", ["source", NEW])
def test_a_rejected_image_needs_force(make: Make, image: str):
    earlier = [{"canaryVerdict": f"unhealthy sha256:{'b' * 64} {TIME}"}]
    session, stack = make("canary", earlier=earlier, options={"image": image}, stableImage=OLD)
    refused(lambda: prepare(session), session, f"was judged unhealthy at {TIME}")
    built = [{"stableImage": OLD, "buildAhead": "true"}, {"stableImage": OLD}]
    assert stack.applied == (built if image == "source" else []), "at most built, and the build is removed again"
    session = forced(session)
    assert start_trial(session, prepare(session))
    assert stack.messages[-1].startswith("canary --force: ")
    assert session.file.values()["canaryVerdict"].startswith(f"retried sha256:{'b' * 64} ")


@pytest.mark.parametrize("image", [OTHER, TRIAL["canaryImage"]])
def test_no_user_meets_an_image_before_its_trial(make: Make, image: str):
    everybody = {**TRIAL, "canaryReplicas": "3", "stableReplicas": "3", "traffic": "canary"}
    session, stack = make("canary", tracks=BOTH, options={"image": image}, **everybody)
    if image == OTHER:
        refused(lambda: prepare(session), session, "all users are on the canary sha256:b")
        session = forced(session)
    assert start_trial(session, prepare(session))
    assert stack.applied[-1] == {**everybody, "canaryImage": image}


def test_a_source_canary_goes_on_trial_by_digest_and_pins_stable(make: Make):
    session, stack = make("canary", options={"image": "source"})
    assert start_trial(session, prepare(session))
    build, trial = stack.applied
    assert build == {"stableImage": OLD, "buildAhead": "true"}, "stable is not rebuilt"
    assert (trial["canaryImage"], trial["stableImage"]) == (NEW, OLD)
    assert trial == session.file.values()


def test_only_config_edits_the_file_and_stops(make: Make):
    session, stack = make("canary", options={"only_config": True}, stableImage=OLD)
    assert not start_trial(session, prepare(session))
    assert not stack.applied
    assert session.file.values()["canaryImage"] == NEW


@pytest.mark.parametrize(
    ("options", "config", "match"),
    [
        ({"image": "registry.example/addressbook:v2"}, {}, "a tag can move"),
        ({"replicas": 0}, {}, "at least 1 pod"),
        ({"stable_replicas": 0}, {}, "stableReplicas"),
        ({"image": "source"}, {"buildFromSource": "never"}, "does not build images"),
        ({"weight": "1"}, {}, "has no Gateway"),
    ],
)
def test_an_impossible_canary_is_refused(make: Make, options: dict[str, Any], config: dict[str, str], match: str):
    session, stack = make("canary", options=options, stableImage=OLD, **config)
    refused(lambda: prepare(session), session, match)
    assert not stack.applied


def test_a_new_weight_keeps_the_image_on_trial(make: Make, monkeypatch: pytest.MonkeyPatch):
    options = {"image": None, "weight": "10"}
    gateway = {"gateway": "traefik", "canaryWeight": "1"}
    session, stack = make("canary", tracks=BOTH, options=options, **TRIAL, stableReplicasAfterTrial="3", **gateway)
    monkeypatch.setattr(Session, "of", lambda *_: session)
    monkeypatch.setattr(Session, "answer", lambda *_, **__: None)
    assert canary(cast(CanaryOptions, session.options)) == DONE
    weights = {"canaryWeight": "10", "canaryWeightAfterTrial": "1"}
    assert stack.applied == [{**TRIAL, "stableReplicas": "3", "gateway": "traefik", **weights}]


def test_a_canary_needs_a_stable(make: Make):
    session, _ = make("canary", tracks={})
    refused(lambda: prepare(session), session, "no stable yet", FAILED)


@pytest.mark.parametrize("code", [WRONG_USE, BUSY])
def test_the_file_is_restored_if_nothing_was_applied(make: Make, code: int):
    session, stack = make("canary", stableImage=OLD)
    stack.error = CommandError("not now", code)
    refused(lambda: start_trial(session, prepare(session)), session, "not now", code)
    assert stack.applied[-1]["canaryImage"] == NEW, "the file is written before the update begins"


def test_an_interrupted_update_does_not_blame_the_canary(make: Make):
    session, stack = make("canary", stableImage=OLD)
    stack.error = UpdateInterruptedError("the engine was killed")
    with pytest.raises(UpdateInterruptedError):
        start_trial(session, prepare(session))
    assert session.file.values()["canaryImage"] == NEW, "so that the same command continues"
    assert "canaryVerdict" not in session.file.values()


def test_a_canary_that_is_never_ready_is_rolled_back(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    session, stack = make("canary", options={"output": "json"}, stableImage=OLD, stableReplicas="3")
    monkeypatch.setattr(explanation, "diagnosis", lambda *_: "the image does not exist")
    monkeypatch.setattr(engine, "outputs", lambda _: {"url": "http://203.0.113.7"})
    stack.error = CommandError("up failed")
    stack.failing = f"{RELEASE}$kubernetes:batch/v1:Job::addressbook-migrate-bbbbbb"
    with pytest.raises(CommandError, match="is rolled back") as error:
        start_trial(session, prepare(session))
    assert error.value.code == UNHEALTHY
    trial, back = stack.applied
    assert trial["stableReplicas"] == "2"
    verdict = VerdictRecord.parse(back.pop("canaryVerdict"))
    assert verdict is not None
    assert (verdict.result, verdict.digest) == ("unhealthy", f"sha256:{'b' * 64}")
    assert back == {"stableImage": OLD, "stableReplicas": "3"}
    assert "the image does not exist" in cast(io.StringIO, session.console.out).getvalue()
    assert json.loads(capsys.readouterr().out)["result"] == "unhealthy"


def test_another_failure_does_not_blame_the_canary(make: Make):
    session, stack = make("canary", stableImage=OLD)
    stack.error = CommandError("the database did not come up")
    stack.failing = "urn:pulumi:dev::addressbook::delivery:local:Database$kubernetes:apps/v1:StatefulSet::database"
    with pytest.raises(CommandError, match="the database"):
        start_trial(session, prepare(session))
    assert "canaryVerdict" not in session.file.values()


def test_keep_leaves_and_explains_a_failed_canary(make: Make, monkeypatch: pytest.MonkeyPatch):
    session, stack = make("canary", options={"keep": True}, stableImage=OLD)
    monkeypatch.setattr(explanation, "diagnosis", lambda *_: "the image does not exist")
    monkeypatch.setattr(engine, "outputs", lambda _: {})
    stack.error = CommandError("up failed")
    stack.failing = CANARY
    with pytest.raises(CommandError, match="did not become ready and stays") as error:
        start_trial(session, prepare(session))
    assert error.value.code == UNHEALTHY
    assert session.file.values()["canaryImage"] == NEW
    assert "the image does not exist" in cast(io.StringIO, session.console.out).getvalue()


def test_an_unreachable_cluster_does_not_blame_the_canary(make: Make, monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object) -> str:
        raise UnreachableError("the cluster does not answer")

    session, stack = make("canary", stableImage=OLD)
    monkeypatch.setattr(explanation, "diagnosis", unreachable)
    stack.error = CommandError("up failed")
    stack.failing = CANARY
    with pytest.raises(CommandError, match=r"up failed\..*does not answer") as error:
        start_trial(session, prepare(session))
    assert error.value.code == FAILED
    assert session.file.values()["canaryImage"] == NEW
    assert "canaryVerdict" not in session.file.values()


def test_only_config_needs_no_access_to_the_stack(make: Make, monkeypatch: pytest.MonkeyPatch):
    session, _ = make("canary", options={"only_config": True}, stableImage=OLD)
    monkeypatch.setattr(EngineRun, "stack", property(lambda _: pytest.fail("the stack was read")))
    session.forget_updates()
    assert not start_trial(session, prepare(session))


def test_only_config_finds_rejections_in_git(make: Make):
    session, _ = make("canary", options={"only_config": True}, stableImage=OLD)
    folder = session.file.path.parent

    def commit(**config: str) -> None:
        session.file.path.write_text("config:\n" + "".join(f"  addressbook:{key}: {config[key]}\n" for key in config))
        for command in (("add", "."), ("commit", "--quiet", "--message", "x")):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=folder, check=True)

    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    commit(stableImage=OLD, canaryVerdict=f"unhealthy sha256:{'b' * 64} {TIME}")
    commit(stableImage=OLD)
    refused(lambda: prepare(session), session, f"was judged unhealthy at {TIME}")


def test_a_failing_stable_does_not_delay_its_fix(make: Make):
    session, stack = make("canary", stableImage=OLD, stableReplicas="3")
    stack.available = False
    assert start_trial(session, prepare(session))
    assert stack.applied[-1]["stableReplicas"] == "3", "no change, so nothing to wait for"
    assert stack.excluded == [[CANARY.replace("-canary", "-stable")]], "an update retries a failed Deployment otherwise"
    assert "leaves stable as it is" in cast(io.StringIO, session.console.out).getvalue()
    assert not session.engine.excluded, "the promotion after it changes stable"


def test_an_available_stable_is_part_of_the_update(make: Make):
    session, stack = make("canary", stableImage=OLD, stableReplicas="3")
    assert start_trial(session, prepare(session))
    assert stack.applied[-1]["stableReplicas"] == "2"
    assert stack.excluded == [[]]


def test_settings_on_trial_wait_while_the_image_is_built(make: Make):
    session, stack = make("canary", options={"image": "source"}, stableImage=OLD)
    session.file.write(session.file.text() + '  addressbook:canarySettings: {"memoryLimit": "512Mi"}\n')
    trial = prepare(session)
    assert "canarySettings" not in stack.applied[0], "the build declares no canary"
    assert "canarySettings" in trial.text
