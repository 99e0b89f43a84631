"""The benchmark of deliveries: the workflow's own commands, the book's blocks, and which second counts for what."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import book_blocks, delivery, machines, workflow
from benchmarks.book_blocks import Timed
from benchmarks.delivery import BOOK, THIS, Taken
from benchmarks.workflow import Ran

ROOT = Path(__file__).resolve().parents[2]
VALUES = {
    "vars.REGISTRY": "registry.example/team",
    "vars.REGISTRY && '--attest'": "",
    "vars.SIGNING_KEY": "",
    "secrets.COSIGN_PRIVATE_KEY": "",
    "secrets.COSIGN_PASSWORD": "",
    "vars.REGISTRY_USER": "",
    "secrets.REGISTRY_PASSWORD": "",
    "secrets.DIGITALOCEAN_ACCESS_TOKEN": "",
    "github.token": "t",
    "github.event.before || 'HEAD'": "HEAD~1",
    "github.event_name == 'workflow_dispatch' && '--new-image' || ''": "",
}
PUSHED = "registry.example/team/addressbook@sha256:" + "0" * 64
IMAGE = """\
== lint and unit tests
== lint and unit tests: 20.0 s
== image: 4.0 s
== ping: 1.0 s
== something new: 7.0 s
== push: 2.5 s"""
WORKFLOW = """\
env: {REGISTRY: "${{ vars.REGISTRY }}"}
jobs:
  image:
    steps:
      - uses: actions/checkout@v5
      - id: first
        run: echo "built=$WANTED" >> "$GITHUB_OUTPUT"
      - if: steps.first.outputs.built == 'true'
        env: {TOKEN: "${{ github.token }}"}
        run: echo "$REGISTRY $TOKEN"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "workflow.yaml"
    file.write_text(text)
    return file


def test_timed_commands_are_the_workflow_s():
    steps = workflow.steps(ROOT / delivery.FILE, delivery.JOB, VALUES)
    commands = [step.command for step in steps]
    assert commands[:2] == ["make lint", "make unit"]
    assert "make --silent image" in commands[-1]
    assert "--push" in commands[-1]
    assert steps[-1].environment["REGISTRY"] == "registry.example/team"


@pytest.mark.parametrize(("wanted", "output"), [("true", ["", "registry.example/team t\n"]), ("false", [""])])
def test_step_runs_if_its_condition_holds(tmp_path: Path, wanted: str, output: list[str]):
    steps = workflow.steps(written(tmp_path, WORKFLOW), "image", VALUES)
    environment = {**os.environ, "WANTED": wanted}
    assert [each.output for each in workflow.ran(steps, tmp_path, environment, tmp_path / "output")] == output


@pytest.mark.parametrize(
    ("changed", "to", "fault"),
    [
        ("github.token", "github.sha", "expression 'github.sha'"),
        ("steps.first.outputs.built == 'true'", "always()", r"condition 'always\(\)'"),
        ("run: echo", "shell: pwsh\n        run: echo", "shell 'pwsh'"),
    ],
)
def test_unsupported_workflows_are_refused(tmp_path: Path, changed: str, to: str, fault: str):
    with pytest.raises(ValueError, match=fault):
        workflow.steps(written(tmp_path, WORKFLOW.replace(changed, to, 1)), "image", VALUES)


@pytest.mark.parametrize(("shell", "fails"), [("", False), ("        shell: bash\n", True)])
def test_pipe_fails_as_on_github(tmp_path: Path, shell: str, fails: bool):
    text = f"jobs:\n  image:\n    steps:\n      - run: false | cat\n{shell}"
    steps = workflow.steps(written(tmp_path, text), "image", {})
    if fails:
        with pytest.raises(ValueError, match="exit code 1"):
            list(workflow.ran(steps, tmp_path, os.environ, tmp_path / "output"))
    else:
        assert len(list(workflow.ran(steps, tmp_path, os.environ, tmp_path / "output"))) == 1


def test_step_names_of_make_image():
    code = (ROOT / "pipeline" / "image.py").read_text()
    assert [name for name in delivery.PART_OF if not name.startswith("make ") and f'"{name}"' not in code] == []


def test_parts_add_up_to_the_total():
    ran = [
        Ran("make lint", 60, 2, "", {}),
        Ran("make unit", 30, 1, "", {}),
        Ran("docker login", 1, 1, "", {}),
        Ran("image=$(make image)", 40, 1, IMAGE, {"image": PUSHED}),
    ]
    taken = delivery.by_workflow(ran)
    assert taken.parts == {
        "program": 90,
        "image": 24,
        "database": 1,
        "integration": 0,
        "transfer": 2.5,
        "rest": 13.5,
    }
    assert taken.lint == 2
    assert taken.figures["total"] == taken.side_by_side == 131
    assert taken.figures["service"] == 41


@pytest.mark.parametrize("outputs", [{}, {"image": ""}, {"image": "registry.example/team/addressbook:latest"}])
def test_job_without_a_push_is_refused(outputs: dict[str, str]):
    with pytest.raises(ValueError, match="without an image"):
        delivery.by_workflow([Ran("make lint", 60, 2, "", {}), Ran("make image", 40, 1, IMAGE, outputs)])


def test_book_s_test_jobs_run_in_parallel():
    taken = [
        Timed("build", "image", 20),
        Timed("build", "transfer", 3),
        Timed("unit", "transfer", 2),
        Timed("unit", "image", 4),
        Timed("unit", "image", 5),
        Timed("functional", "database", 3),
        Timed("integration", "integration", 30),
        Timed("push", "transfer", 1),
    ]
    found = delivery.by_book(taken)
    assert found.lint == 29
    assert found.figures["total"] == 68
    assert found.side_by_side == 54


def test_book_s_jobs_pull_the_image_and_run_the_same_checks():
    jobs = book_blocks.jobs("registry.example/book", "one", ROOT / "app", 5432)
    for name in (*book_blocks.TESTS, book_blocks.PUSH):
        assert jobs[name][0].arguments == ("pull", "registry.example/book:one")
    assert jobs[book_blocks.PUSH][-1].arguments == ("push", "registry.example/book:latest")
    stage = (ROOT / "app" / "Dockerfile").read_text()
    assert book_blocks.LINT in stage
    assert book_blocks.UNIT_TESTS in stage
    assert {command.part for commands in jobs.values() for command in commands} <= delivery.PARTS.keys()


def test_ratios_are_taken_per_round():
    parts = dict.fromkeys(delivery.PARTS, 1.0)
    slow = dict.fromkeys(delivery.PARTS, 10.0)
    none = {"program": 0.0}
    found = delivery.figures(
        {
            THIS: [Taken(1, parts, 6), Taken(10, slow, 60)],
            BOOK: [Taken(2, {**parts, **none}, 4), Taken(20, {**slow, **none}, 40)],
        }
    )
    assert found["lint"]["ratio"] == {"median": 0.5, "least": 0.5, "most": 0.5}
    assert found["total"]["ratio"]["median"] == 1.2
    assert "ratio" not in found["program"]
    shown = delivery.table({"rounds": 2, "machines": "kept", "figures": found})
    assert "0.50 (0.50 - 0.50)" in shown


def test_interrupted_command_leaves_no_process(tmp_path: Path):
    child = tmp_path / "child"
    code = f"""
import signal, sys; sys.path.insert(0, {str(ROOT)!r})
signal.signal(signal.SIGTERM, signal.default_int_handler)
from pathlib import Path
from benchmarks.machines import run
run(["sh", "-c", "sleep 300 & echo $! > {child}.new; mv {child}.new {child}; wait"], Path("."), {{}})
"""
    benchmark = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    try:
        while not child.exists():
            assert benchmark.poll() is None
            time.sleep(0.05)
        benchmark.terminate()
        benchmark.wait(60)
        assert not running(int(child.read_text()))
    finally:
        benchmark.kill()
        benchmark.wait()


def running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_server_that_does_not_start_says_why(tmp_path: Path):
    with (
        pytest.raises(ValueError, match="sh does not answer: no such luck"),
        machines._running("sh", ["-c", "echo no such luck; exit 1"], tmp_path, lambda: False),
    ):
        pytest.fail("it runs")
