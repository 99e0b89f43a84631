"""What the commands refuse before anything is changed, and what they write when they don't."""

from __future__ import annotations

import argparse
import io
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from promotion import failed_canary
from promotion import work as work_module
from promotion.cli import main
from promotion.commands.canary import prepared, put_on_trial
from promotion.commands.promote import promote
from promotion.commands.rollback import canary_back, stable_back
from promotion.config.stack_file import StackFile
from promotion.engine import stack as stacks
from promotion.engine.progress import Progress
from promotion.faults import BUSY, FAILED, WRONG_USE, CutOff, Fault
from promotion.records.history import Update
from promotion.records.rejected import record
from promotion.work import Work

OLD, NEW, OTHER = (f"registry.example/addressbook@sha256:{digit * 64}" for digit in "abc")
RELEASE = "urn:pulumi:dev::addressbook::addressbook:release:Release"
TIME = "2026-01-01T00:00:00Z"


@dataclass
class FakeStack:
    """A stack whose state has these tracks.

    What is applied to it is kept. An update with a canary fails with ``fault``, on the resource ``failing``.
    """

    tracks: dict[str, str]
    file: StackFile
    name: str = "dev"
    fault: Fault | None = None
    failing: str = ""
    built: str = NEW
    forbidden: tuple[str, ...] = ()
    applied: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    messages: list[str] = field(default_factory=list[str])

    def export_stack(self) -> Any:
        resources = [
            resource
            for track, image in self.tracks.items()
            for resource in (
                {"urn": f"{RELEASE}$addressbook:release:Track::{track}"},
                {
                    "urn": f"{RELEASE}$addressbook:release:Track$kubernetes:apps/v1:Deployment::addressbook-{track}",
                    "inputs": {"spec": {"template": {"spec": {"containers": [{"image": image}]}}}},
                },
            )
        ]
        return SimpleNamespace(deployment={"resources": resources})

    def up(self, config_file: Path | None, message: str) -> dict[str, Any]:
        values = self.file.values(config_file.read_text() if config_file else None)
        self.applied.append(values)
        self.messages.append(message)
        if self.fault and "canaryImage" in values:
            raise self.fault
        return {"sourceImage": self.built} if values.get("buildAhead") else {}


Make = Callable[..., tuple[Work, FakeStack]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A command at work on a stack whose file has the given keys."""

    def work(
        command: str = "promote",
        tracks: dict[str, str] | None = None,
        earlier: Sequence[dict[str, str]] = (),
        options: dict[str, Any] | None = None,
        **config: str,
    ) -> tuple[Work, FakeStack]:
        path = tmp_path / "Pulumi.dev.yaml"
        path.write_text("config:\n" + "".join(f'  addressbook:{key}: "{value}"\n' for key, value in config.items()))
        defaults: dict[str, Any] = {"yes": True, "force": False, "only_config": False, "message": None, "keep": False}
        canary = {"image": NEW, "replicas": 1, "stable_replicas": None, "traffic": None}
        namespace = argparse.Namespace(**{**defaults, **canary, **(options or {})})
        file = StackFile(path)
        stack = FakeStack(tracks if tracks is not None else {"stable": OLD}, file)
        plain: dict[str, Any] = {"kind": "update", "message": "", "result": "succeeded", "author": "", "commit": ""}
        updates = [Update(number=0, time=datetime.now(UTC), edited=False, config=each, **plain) for each in earlier]
        made = Work("dev", command, file, namespace, io.StringIO(), _stack=cast(Any, stack), _updates=updates)

        def up(stack: Any, message: str, *, config_file: Path | None, progress: Progress, **_: Any) -> dict[str, Any]:
            progress.failed += [stack.failing] if stack.failing else []
            return stack.up(config_file, message)

        monkeypatch.setattr(stacks, "up", up)
        monkeypatch.setattr(work_module, "plan", lambda stack: SimpleNamespace(faults=stack.forbidden))
        return made, stack

    return work


def refused(action: Callable[[], object], work: Work, match: str, code: int = WRONG_USE) -> None:
    before = work.file.text()
    with pytest.raises(Fault, match=match) as fault:
        action()
    assert fault.value.code == code
    assert work.file.text() == before


def test_what_a_policy_forbids_changes_nothing(make: Make, capsys: pytest.CaptureFixture[str]):
    work, stack = make("up", stableReplicas="3")
    stack.forbidden = ("pod-security: run it as a user of its own",)
    refused(lambda: work.apply(work.file.edited({"memoryLimit": "1Gi"}), "", preview=True), work, "nothing was changed")
    assert stack.applied == []
    assert "error: pod-security: run it as a user of its own" in capsys.readouterr().err


TRIAL = {"stableImage": OLD, "canaryImage": NEW, "canaryReplicas": "1", "stableReplicas": "2"}
BOTH = {"stable": OLD, "canary": NEW}


@pytest.mark.parametrize(
    "verdict",
    [
        "",
        f"inconclusive sha256:{'b' * 64} {TIME}",
        f"unhealthy sha256:{'b' * 64} {TIME}",
        f"healthy sha256:{'c' * 64} {TIME}",
    ],
)
def test_promote_wants_a_healthy_verdict_on_this_very_image(make: Make, verdict: str):
    work, stack = make(tracks=BOTH, **TRIAL, canaryVerdict=verdict)
    refused(lambda: promote(work), work, "has not been found healthy")
    assert not stack.applied
    work.options.force = True
    assert promote(work)
    assert stack.applied[-1]["stableImage"] == NEW
    assert stack.messages[-1].startswith("promote --force: ")
    assert "not found healthy" in stack.messages[-1]


def test_promote_with_a_healthy_verdict(make: Make):
    said = f"healthy sha256:{'b' * 64} {TIME}"
    work, stack = make(
        tracks=BOTH, options={"message": "it held"}, **TRIAL, stableReplicasAfterTrial="3", canaryVerdict=said
    )
    assert promote(work)
    assert work.file.values() == {"stableImage": NEW, "stableReplicas": "3", "canaryVerdict": said}
    assert stack.messages == [f"promote: sha256:{'b' * 12} to stable, healthy: it held"]


def test_promote_is_of_what_was_tried_not_of_what_the_file_says_now(make: Make):
    work, _ = make(tracks={"stable": OLD, "canary": OTHER}, options={"force": True}, **TRIAL)
    refused(lambda: promote(work), work, f"runs sha256:{'c' * 64}")


def test_promote_without_a_canary(make: Make):
    work, _ = make(stableImage=OLD)
    refused(lambda: promote(work), work, "there is no canary")


@pytest.mark.parametrize("tracks", [BOTH, {"stable": NEW}, {"stable": NEW, "canary": NEW}])
def test_a_promotion_that_was_cut_off_is_finished(make: Make, tracks: dict[str, str]):
    config = {"stableImage": NEW, "canaryVerdict": f"healthy sha256:{'b' * 64} {TIME}"}
    work, stack = make(tracks=tracks, **config)
    assert promote(work)
    assert stack.applied == [config]


def test_a_promotion_that_was_cut_off_is_undone(make: Make):
    work, stack = make(
        "rollback",
        tracks=BOTH,
        earlier=[TRIAL, {"stableImage": OLD}],
        stableImage=NEW,
        stableReplicas="3",
        canaryVerdict=f"healthy sha256:{'b' * 64} {TIME}",
    )
    assert canary_back(work)
    assert stack.applied[-1]["stableImage"] == OLD
    said = record(stack.applied[-1]["canaryVerdict"])
    assert said is not None
    assert (said.result, said.digest) == ("rejected", f"sha256:{'b' * 64}")


@pytest.mark.parametrize(
    ("verdict", "result"),
    [("", None), ("inconclusive", "inconclusive"), ("unhealthy", "unhealthy"), ("healthy", "rejected")],
)
def test_a_rollback_remembers_a_canary_that_was_judged(make: Make, verdict: str, result: str | None):
    said = {"canaryVerdict": f"{verdict} sha256:{'b' * 64} {TIME}"} if verdict else {}
    work, _ = make("rollback", tracks=BOTH, **TRIAL, stableReplicasAfterTrial="3", **said)
    assert canary_back(work)
    values = work.file.values()
    assert values["stableReplicas"] == "3"
    assert "canaryImage" not in values
    found = record(values.get("canaryVerdict", ""))
    assert (found.result if found else None) == result


def test_a_rollback_without_a_canary(make: Make):
    work, _ = make("rollback", stableImage=OLD)
    refused(lambda: canary_back(work), work, "there is no canary")


def test_stable_back_rejects_what_it_leaves(make: Make):
    work, stack = make(
        "rollback", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}, {"stableImage": OLD}], stableImage=NEW
    )
    assert stable_back(work, "aaaaaa")
    assert stack.applied[-1]["stableImage"] == OLD
    assert stack.applied[-1]["canaryVerdict"].startswith(f"rejected sha256:{'b' * 64}")


def test_stable_back_to_what_was_rejected(make: Make):
    rejected = {"stableImage": OLD, "canaryVerdict": f"rejected sha256:{'a' * 64} {TIME}"}
    work, _ = make("rollback", tracks={"stable": NEW}, earlier=[{"stableImage": NEW}, rejected], stableImage=NEW)
    refused(lambda: stable_back(work, "aaaaaa"), work, f"was rejected at {TIME}")
    work.options.force = True
    assert stable_back(work, "aaaaaa")


@pytest.mark.parametrize("image", ["source", NEW])
def test_a_rejected_image_is_not_tried_again_by_accident(make: Make, image: str):
    earlier = [{"canaryVerdict": f"unhealthy sha256:{'b' * 64} {TIME}"}]
    work, stack = make("canary", earlier=earlier, options={"image": image}, stableImage=OLD)
    refused(lambda: prepared(work), work, f"was found unhealthy at {TIME}")
    assert all(values.get("buildAhead") for values in stack.applied), "built at most, never on trial"
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
    stack.fault = Fault("not now", code)
    refused(lambda: put_on_trial(work, prepared(work)), work, "not now", code)
    assert stack.applied[-1]["canaryImage"] == NEW, "the file is written before the update begins"


def test_an_update_that_was_cut_off_says_nothing_of_the_canary(make: Make):
    work, stack = make("canary", stableImage=OLD)
    stack.fault = CutOff("the engine was killed")
    with pytest.raises(CutOff):
        put_on_trial(work, prepared(work))
    assert work.file.values()["canaryImage"] == NEW, "so that the same command goes on"
    assert "canaryVerdict" not in work.file.values()


def test_a_canary_that_does_not_come_up_is_taken_back_and_remembered(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    work, stack = make("canary", options={"output": "json"}, stableImage=OLD, stableReplicas="3")
    monkeypatch.setattr(failed_canary, "diagnosis", lambda _: "the image does not exist")
    monkeypatch.setattr(stacks, "outputs", lambda _: {"url": "http://203.0.113.7"})
    stack.fault = Fault("up failed")
    stack.failing = f"{RELEASE}$kubernetes:batch/v1:Job::addressbook-migrate-bbbbbb"
    with pytest.raises(Fault, match="was taken back") as fault:
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
    stack.fault = Fault("the database did not come up")
    stack.failing = "urn:pulumi:dev::addressbook::addressbook:local:Database$kubernetes:apps/v1:StatefulSet::database"
    with pytest.raises(Fault, match="the database"):
        put_on_trial(work, prepared(work))
    assert "canaryVerdict" not in work.file.values()


def test_a_canary_that_fails_stays_where_that_is_wanted(make: Make):
    work, stack = make("canary", options={"keep": True}, stableImage=OLD)
    stack.fault = Fault("up failed")
    with pytest.raises(Fault, match="up failed"):
        put_on_trial(work, prepared(work))
    assert work.file.values()["canaryImage"] == NEW


def test_each_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str]):
    for command in ("up", "down", "canary", "verdict", "promote", "rollback", "release", "traffic", "status"):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        said = " ".join(capsys.readouterr().out.split())
        assert f"example: python -m promotion {command} --stack dev" in said
        assert "exit codes: 0 done" in said


def test_a_stack_without_a_file(capsys: pytest.CaptureFixture[str]):
    assert main(["promote", "--stack", "no-such-stack", "--output", "json"]) == WRONG_USE
    said = capsys.readouterr()
    assert "there is no Pulumi.no-such-stack.yaml" in said.err
    assert not said.out


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
