"""Revisions of a plan's images: read from any registry that has them; a failure never delays or breaks a preview."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from promotion.preview import revisions
from promotion.preview.comment import comment
from promotion.preview.planned import Plan, ReleaseState, TrackState
from promotion.preview.revisions import with_revisions

A, B = (f"sha256:{digit * 64}" for digit in "ab")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BEFORE = ReleaseState({"stable": TrackState(f"own.example/addressbook@{A}", 3, 100)}, "split")
AFTER = ReleaseState(
    {
        "stable": TrackState(f"own.example/addressbook@{A}", 2, 66.7),
        "canary": TrackState(f"own.example/addressbook@{B}", 1, 33.3),
    },
    "split",
)
PLAN = Plan("addressbook", "prod", BEFORE, AFTER, (), 20, "", "")
CONFIG = {"canaryImage": f"ci.example/team/addressbook@{B}", "buildPlatform": "linux/arm64"}
#: A simulated regctl: it logs its arguments, and answers by the image, its third argument.
SIMULATED_REGCTL = """\
#!/bin/sh
echo "$*" >> '{folder}/requests'
case "$3" in
{answers}
*) echo "failed to get manifest $3: not found [http 404]" >&2; exit 1 ;;
esac
"""


class Regctl:
    """A simulated regctl on PATH. ``answer`` sets its answer for each image, as a line of shell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer({})

    def answer(self, answers: Mapping[str, str]) -> None:
        lines = "\n".join(f"{image}) {line} ;;" for image, line in answers.items())
        program = self.folder / "regctl"
        program.write_text(SIMULATED_REGCTL.format(folder=self.folder, answers=lines))
        program.chmod(0o755)

    @property
    def requests(self) -> list[str]:
        return (self.folder / "requests").read_text().splitlines()


@pytest.fixture
def regctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Regctl:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("REGCTL_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return Regctl(folder)


def revisions_after(plan: Plan) -> dict[str, str]:
    assert plan.after
    return {name: track.revision for name, track in plan.after.tracks.items()}


def test_each_digest_is_looked_up_in_every_repository(regctl: Regctl):
    regctl.answer(
        {f"own.example/addressbook@{A}": f"echo {COMMIT}", f"ci.example/team/addressbook@{B}": f"echo {COMMIT}-dirty"}
    )
    plan = with_revisions(PLAN, CONFIG)
    assert revisions_after(plan) == {"stable": COMMIT, "canary": f"{COMMIT}-dirty"}
    assert plan.before
    assert plan.before.tracks["stable"].revision == COMMIT
    assert all("--platform linux/arm64 " in line for line in regctl.requests)
    assert "(revision `0123456789ab`)" in comment(plan)
    assert "none → **`bbbbbbbbbbbb` (revision `0123456789ab-dirty`)**" in comment(plan)


def test_earlier_image_is_looked_up_in_the_registry_of_ci(regctl: Regctl):
    regctl.answer({f"ci.example/team/addressbook@{A}": f"echo {COMMIT}"})
    assert revisions_after(with_revisions(PLAN, CONFIG)) == {"stable": COMMIT, "canary": ""}


@pytest.mark.parametrize("line", ["true", "exit 1", "echo unauthorized >&2; exit 1", "kill -9 $$"])
def test_comment_omits_revisions_that_are_unknown(regctl: Regctl, line: str):
    regctl.answer({"*": line})
    assert comment(with_revisions(PLAN, CONFIG)) == comment(PLAN)


def test_silent_registry_does_not_delay_the_preview(regctl: Regctl, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(revisions, "ALL_SECONDS", 1.0)
    monkeypatch.setattr(revisions, "ANSWER_SECONDS", 0.5)
    regctl.answer({"*": "exec sleep 600"})
    assert comment(with_revisions(PLAN, CONFIG)) == comment(PLAN)


def test_without_regctl_the_comment_has_no_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert comment(with_revisions(PLAN, CONFIG)) == comment(PLAN)


def test_preview_works_with_unreadable_regctl_settings(regctl: Regctl, monkeypatch: pytest.MonkeyPatch):
    (regctl.folder / "settings").write_text("{")
    monkeypatch.setenv("REGCTL_CONFIG", str(regctl.folder / "settings"))
    assert comment(with_revisions(PLAN, CONFIG)) == comment(PLAN)


@pytest.mark.parametrize("label", ["</td> | `x` <script>", "v" * 100_000, "@everyone"])
def test_label_is_shown_as_short_text(regctl: Regctl, label: str):
    (regctl.folder / "label").write_text(label)
    regctl.answer({"*": f"cat '{regctl.folder}/label'"})
    text = comment(with_revisions(PLAN, CONFIG))
    (stable,) = [line for line in text.splitlines() if line.startswith("| stable |")]
    assert len(stable) < 300
    assert stable.replace("\\|", "").count("|") == 5
    assert "`@everyone`" in text or "@everyone" not in text


SOURCE = replace(PLAN, after=ReleaseState({"stable": TrackState(None, 3, 100)}, "split"))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Git repository with a build context, and two commits."""
    folder = tmp_path / "checkout"
    (folder / "app").mkdir(parents=True)
    for number in "12":
        (folder / "app" / "file").write_text(number)
        for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", number)):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=folder, check=True)
    monkeypatch.setattr(revisions, "PROJECT_ROOT", folder)
    return folder


def head(folder: Path) -> str:
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True).stdout.strip()


def test_image_built_from_source_has_the_checkouts_revision(regctl: Regctl, checkout: Path):
    text = comment(with_revisions(SOURCE, {}))
    assert f"**built from source (revision `{head(checkout)[:12]}`)**" in text
    (checkout / "app" / "file").write_text("edited")
    assert f"{head(checkout)[:12]}-dirty" in comment(with_revisions(SOURCE, {}))


def test_shallow_clone_gives_no_revision(
    regctl: Regctl, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{checkout}", str(clone)], check=True)
    monkeypatch.setattr(revisions, "PROJECT_ROOT", clone)
    assert revisions_after(with_revisions(SOURCE, {})) == {"stable": ""}


@pytest.mark.parametrize("context", ["nowhere", "../outside"])
def test_outside_git_no_revision_is_known(
    regctl: Regctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: str
):
    monkeypatch.setattr(revisions, "PROJECT_ROOT", tmp_path)
    assert revisions_after(with_revisions(SOURCE, {"buildContext": context})) == {"stable": ""}


def test_first_preview_shows_a_pinned_image():
    tracks = {"stable": {"image": "", "replicas": 3, "share": 100}}
    release = ReleaseState.of({"tracks": tracks, "traffic": "split"}, {"stable": f"ci.example/addressbook@{A}"})
    assert release
    assert release.tracks["stable"].image == f"ci.example/addressbook@{A}"
