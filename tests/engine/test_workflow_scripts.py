"""The workflows' scripts, run for real with simulated commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def script(folder: Path, name: str, text: str) -> Path:
    """Write a simulated program."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("cloud", "has", "built"),
    [
        ("digitalocean", (), ["regctl", "doctl"]),
        ("aws", (), ["regctl"]),
        ("", (), ["regctl"]),
        ("digitalocean", ("regctl",), ["doctl"]),
        ("digitalocean", ("regctl", "doctl"), []),
    ],
)
def test_missing_tools_are_built_at_pinned_versions(tmp_path: Path, cloud: str, has: tuple[str, ...], built: list[str]):
    log = tmp_path / "log"
    script(tmp_path, "go", f'echo "$GOBIN $*" >> {log}')
    for name in ("pulumi", *has):
        script(tmp_path, name, "")
    for name in ("bash", "mkdir"):  # nothing else of this machine
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path / "home")}
    subprocess.run(
        [str(shutil.which("bash")), ROOT / ".github" / "tools", cloud], cwd=ROOT, env=environment, check=True
    )
    lines = log.read_text().splitlines() if log.exists() else []
    assert [re.split(r"[/@]", re.sub(r"@.*", "", line))[-1] for line in lines] == built
    for line in lines:
        assert line.startswith(f"{tmp_path}/home/.local/bin ")
        assert re.search(r"@v\d+\.\d+\.\d+$", line)  # Go's database has the version's checksum


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A folder with a simulated `offer` and a simulated `promotion` whose verdict exits with $VERDICT."""
    log = tmp_path / "log"
    script(
        tmp_path,
        ".venv/bin/python",
        f"""echo "$3" >> {log}
        [ "$3" != status ] || echo '{{"tracks": {{"canary": '"${{CANARY-1}}"'}}}}'
        [ "$3" != verdict ] || exit "$VERDICT" """,
    )
    script(tmp_path, ".github/offer", f'echo "offer $1" >> {log}')
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize(
    ("verdict", "does", "code"),
    [
        (0, ["status", "verdict", "promote", "offer promote-prod"], 0),
        (5, ["status", "verdict", "offer rollback-prod"], 5),  # the verdict command has rolled back
        (3, ["status", "verdict"], 3),
        (2, ["status", "verdict"], 2),
    ],
)
def test_judge_script_acts_on_the_verdict(judged: Path, verdict: int, does: list[str], code: int):
    environment = {**os.environ, "VERDICT": str(verdict)}
    done = subprocess.run([ROOT / ".github" / "judge", "prod"], cwd=judged, env=environment, check=False)
    assert done.returncode == code
    assert (judged / "log").read_text().splitlines() == does


def test_judge_script_without_a_canary_does_nothing(judged: Path):
    environment = {**os.environ, "CANARY": "null"}
    subprocess.run([ROOT / ".github" / "judge", "prod"], cwd=judged, env=environment, check=True)
    assert (judged / "log").read_text().splitlines() == ["status"]


def test_offer_script_needs_a_commit(tmp_path: Path):
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    log = tmp_path / "log"
    git("init", "--quiet", "--initial-branch=main")
    git("commit", "--quiet", "--allow-empty", "--message", "begin")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    script(tmp_path, "bin/gh", f'echo "$1 $2" >> {log}; exit 9')
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    offer = [ROOT / ".github" / "offer", "promote-prod"]
    assert subprocess.run(offer, cwd=tmp_path, env=environment, check=False).returncode == 0
    assert not log.exists()
    git("commit", "--quiet", "--allow-empty", "--message", "promote")
    assert subprocess.run(offer, cwd=tmp_path, env=environment, check=False).returncode == 9, "it calls GitHub"
    assert log.read_text() == "auth setup-git\n"


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A simulated `gh` that keeps comments in a file and answers the comment script's calls."""
    (tmp_path / "comments.json").write_text("[]")
    program = tmp_path / "gh"
    program.write_text(f"#!{sys.executable}\n" + SIMULATED_GH)
    program.chmod(0o755)
    return tmp_path


SIMULATED_GH = """
import json, os, pathlib, sys
kept = pathlib.Path(__file__).with_name("comments.json")
comments = json.loads(kept.read_text())
arguments = sys.argv[1:]
assert arguments.pop(0) == "api"
method = arguments[arguments.index("--method") + 1] if "--method" in arguments else "GET"
path = next(each for each in arguments if each.startswith("repos/"))
if method == "GET":
    assert path == "repos/owner/name/issues/7/comments", path
    for each in comments:
        if each["body"].startswith(os.environ["MARKER"]):
            print(each["id"])
else:
    field = arguments[arguments.index("--field") + 1]
    assert field.startswith("body=@")
    body = pathlib.Path(field.removeprefix("body=@")).read_text()
    if method == "POST":
        comments.append({"id": 100 + len(comments), "body": body})
    else:
        (one,) = [each for each in comments if path == f"repos/owner/name/issues/comments/{each['id']}"]
        one["body"] = body
    kept.write_text(json.dumps(comments))
"""


def test_each_stack_has_one_comment(hub: Path, tmp_path: Path):
    def post(body: str) -> None:
        (tmp_path / "comment.md").write_text(body)
        environment = {**os.environ, "PATH": f"{hub}:{os.environ['PATH']}", "GITHUB_REPOSITORY": "owner/name"}
        subprocess.run([ROOT / ".github" / "comment", "7", tmp_path / "comment.md"], env=environment, check=True)

    post("<!-- preview of addressbook/prod -->\nfirst")
    post("<!-- preview of addressbook/prod-gcp -->\nanother stack")
    post("<!-- preview of addressbook/prod -->\nsecond")
    bodies = [each["body"] for each in json.loads((hub / "comments.json").read_text())]
    assert bodies == [
        "<!-- preview of addressbook/prod -->\nsecond",
        "<!-- preview of addressbook/prod-gcp -->\nanother stack",
    ]


#: Answers as GitHub does for a merge of commit `head1` whose pull request has run 7.
APPLY_GH = """
case "$2" in
repos/owner/name/commits/merged/pulls) [ -z "$PULL" ] || echo head1 ;;
*/workflows/pull-request.yaml/runs\\?event=pull_request\\&head_sha=head1) [ -z "$RUN" ] || echo 7 ;;
*/actions/runs/7/artifacts\\?name=preview-prod) [ -z "$ARTIFACT" ] || echo 11 ;;
download) [ "$*" = "run download 7 --name preview-prod --dir ${7-}" ] && echo '{}' > "$7/preview.json" ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("answers", "expects"),
    [
        ({"PULL": "1", "RUN": "1", "ARTIFACT": "1"}, True),
        ({"PULL": "1", "RUN": "1", "ARTIFACT": ""}, False),
        ({"PULL": "1", "RUN": "", "ARTIFACT": ""}, False),
        ({"PULL": "", "RUN": "", "ARTIFACT": ""}, False),
    ],
    ids=["previewed", "no preview of this stack", "no run", "pushed without a pull request"],
)
def test_apply_script_expects_the_reviewed_preview(tmp_path: Path, answers: dict[str, str], expects: bool):
    script(tmp_path, "bin/gh", APPLY_GH)
    script(tmp_path, ".venv/bin/python", 'echo "$@"; [ $# = 5 ] || cat "$7"')
    environment = {**os.environ, **answers, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    environment["GITHUB_REPOSITORY"] = "owner/name"
    apply = [ROOT / ".github" / "apply", "prod", "merged"]
    done = subprocess.run(apply, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    command, *content = done.stdout.splitlines()
    assert command.startswith("-m promotion up --stack prod")
    assert (" --expect " in command, content == ["{}"]) == (expects, expects)
    assert ("::warning::" in done.stderr) != expects


@pytest.mark.parametrize("failing", ["*/pulls", "*/runs*", "*/artifacts*", "download"])
def test_apply_script_stops_if_github_does_not_answer(tmp_path: Path, failing: str):
    script(tmp_path, "bin/gh", f'case "$2" in {failing}) exit 1 ;; esac\n{APPLY_GH}')
    script(tmp_path, ".venv/bin/python", "touch applied")
    environment = {**os.environ, "PULL": "1", "RUN": "1", "ARTIFACT": "1", "GITHUB_REPOSITORY": "owner/name"}
    environment["PATH"] = f"{tmp_path}/bin:{os.environ['PATH']}"
    apply = [ROOT / ".github" / "apply", "prod", "merged"]
    assert subprocess.run(apply, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 1
    assert not (tmp_path / "applied").exists()
