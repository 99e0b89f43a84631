"""What `canary` refuses before anything is changed, and what it writes when it does not."""

from __future__ import annotations

import io
import json
import subprocess
from typing import Any, cast

import pytest

from promotion.commands.canary import prepared, put_on_trial
from promotion.errors import BUSY, FAILED, WRONG_USE, CommandError, UpdateInterruptedError
from promotion.operations import failed_canary
from promotion.operations.work import Work
from promotion.state import engine as stacks
from promotion.state.verdict_record import record
from tests.unit.promotion.commands.conftest import refused
from tests.unit.promotion.commands.fake_stack import NEW, OLD, RELEASE, TIME, Make


@pytest.mark.parametrize("image", ["source", NEW])
def test_a_rejected_image_is_not_tried_again_by_accident(make: Make, image: str):
    earlier = [{"canaryVerdict": f"unhealthy sha256:{'b' * 64} {TIME}"}]
    work, stack = make("canary", earlier=earlier, options={"image": image}, stableImage=OLD)
    refused(lambda: prepared(work), work, f"was found unhealthy at {TIME}")
    built = [{"stableImage": OLD, "buildAhead": "true"}, {"stableImage": OLD}]
    assert stack.applied == (built if image == "source" else []), "built at most, never on trial, and nothing is left"
    work.options.force = True
    assert put_on_trial(work, prepared(work))
    assert stack.messages[-1].startswith("canary --force: ")


def test_a_canary_from_source_goes_on_trial_by_its_digest_and_pins_stable(make: Make):
    work, stack = make("canary", options={"image": "source"})
    assert put_on_trial(work, prepared(work))
    build, trial = stack.applied
    assert build == {"stableImage": OLD, "buildAhead": "true"}, "what runs is not rebuilt on the way"
    assert (trial["canaryImage"], trial["stableImage"]) == (NEW, OLD)
    assert trial == work.file.values()


def test_only_config_edits_and_stops(make: Make):
    work, stack = make("canary", options={"only_config": True}, stableImage=OLD)
    assert not put_on_trial(work, prepared(work))
    assert not stack.applied
    assert work.file.values()["canaryImage"] == NEW


@pytest.mark.parametrize(
    ("options", "config", "match"),
    [
        ({"image": "registry.example/addressbook:v2"}, {}, "a tag can move"),
        ({"replicas": 0}, {}, "1 pod or more"),
        ({"stable_replicas": 0}, {}, "stableReplicas"),
        ({"image": "source"}, {"buildFromSource": "never"}, "builds nothing"),
    ],
)
def test_a_canary_that_cannot_be(make: Make, options: dict[str, Any], config: dict[str, str], match: str):
    work, stack = make("canary", options=options, stableImage=OLD, **config)
    refused(lambda: prepared(work), work, match)
    assert not stack.applied


def test_a_canary_beside_nothing(make: Make):
    work, _ = make("canary", tracks={})
    refused(lambda: prepared(work), work, "no stable yet", FAILED)


@pytest.mark.parametrize("code", [WRONG_USE, BUSY])
def test_a_config_that_nobody_got_to_is_taken_back(make: Make, code: int):
    work, stack = make("canary", stableImage=OLD)
    stack.fault = CommandError("not now", code)
    refused(lambda: put_on_trial(work, prepared(work)), work, "not now", code)
    assert stack.applied[-1]["canaryImage"] == NEW, "the file is written before the update begins"


def test_an_update_that_was_cut_off_says_nothing_of_the_canary(make: Make):
    work, stack = make("canary", stableImage=OLD)
    stack.fault = UpdateInterruptedError("the engine was killed")
    with pytest.raises(UpdateInterruptedError):
        put_on_trial(work, prepared(work))
    assert work.file.values()["canaryImage"] == NEW, "so that the same command goes on"
    assert "canaryVerdict" not in work.file.values()


def test_a_canary_that_does_not_come_up_is_taken_back_and_remembered(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    work, stack = make("canary", options={"output": "json"}, stableImage=OLD, stableReplicas="3")
    monkeypatch.setattr(failed_canary, "diagnosis", lambda _: "the image does not exist")
    monkeypatch.setattr(stacks, "outputs", lambda _: {"url": "http://203.0.113.7"})
    stack.fault = CommandError("up failed")
    stack.failing = f"{RELEASE}$kubernetes:batch/v1:Job::addressbook-migrate-bbbbbb"
    with pytest.raises(CommandError, match="was taken back") as fault:
        put_on_trial(work, prepared(work))
    assert fault.value.code == FAILED
    trial, back = stack.applied
    assert trial["stableReplicas"] == "2"
    said = record(back.pop("canaryVerdict"))
    assert said is not None
    assert (said.result, said.digest) == ("unhealthy", f"sha256:{'b' * 64}")
    assert back == {"stableImage": OLD, "stableReplicas": "3"}
    assert "the image does not exist" in cast(io.StringIO, work.out).getvalue()
    assert json.loads(capsys.readouterr().out)["result"] == "unhealthy"


def test_an_update_that_failed_elsewhere_says_nothing_of_the_canary(make: Make):
    work, stack = make("canary", stableImage=OLD)
    stack.fault = CommandError("the database did not come up")
    stack.failing = "urn:pulumi:dev::addressbook::delivery:local:Database$kubernetes:apps/v1:StatefulSet::database"
    with pytest.raises(CommandError, match="the database"):
        put_on_trial(work, prepared(work))
    assert "canaryVerdict" not in work.file.values()


def test_a_canary_that_fails_stays_where_that_is_wanted(make: Make):
    work, stack = make("canary", options={"keep": True}, stableImage=OLD)
    stack.fault = CommandError("up failed")
    with pytest.raises(CommandError, match="up failed"):
        put_on_trial(work, prepared(work))
    assert work.file.values()["canaryImage"] == NEW


def test_a_pull_request_needs_no_access_to_the_stack(make: Make, monkeypatch: pytest.MonkeyPatch):
    work, _ = make("canary", options={"only_config": True}, stableImage=OLD)
    monkeypatch.setattr(Work, "stack", property(lambda _: pytest.fail("the stack was asked")))
    work._updates = None  # pyright: ignore[reportPrivateUsage] nor may history be
    assert not put_on_trial(work, prepared(work))


def test_a_pull_request_knows_of_rejections_by_git(make: Make):
    work, _ = make("canary", options={"only_config": True}, stableImage=OLD)
    folder = work.file.path.parent

    def committed(**config: str) -> None:
        work.file.path.write_text("config:\n" + "".join(f"  addressbook:{key}: {config[key]}\n" for key in config))
        for command in (("add", "."), ("commit", "--quiet", "--message", "x")):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=folder, check=True)

    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    committed(stableImage=OLD, canaryVerdict=f"unhealthy sha256:{'b' * 64} {TIME}")
    committed(stableImage=OLD)
    refused(lambda: prepared(work), work, f"was found unhealthy at {TIME}")
