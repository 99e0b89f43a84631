"""Conformance of the Python language host."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.pulumi_project import GO_HOST, PATIENCE, STAND_IN, PulumiProject, until

RANDOM = "4.21.4"


def _project(folder: Path, host: str) -> PulumiProject:
    return PulumiProject(folder, "random", RANDOM, STAND_IN, host)


@pytest.fixture(params=[STAND_IN, GO_HOST])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PulumiProject]:
    """A project under the stand-in, then under a language host written in Go."""
    project = _project(tmp_path, request.param)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[PulumiProject]:
    """A project under the stand-in: for what only the engine's own host does as well, which is not to be had here."""
    project = _project(tmp_path, STAND_IN)
    try:
        yield project
    finally:
        project.close()


def test_a_program_sees_what_the_engine_says(project: PulumiProject) -> None:
    project.run("config", "set", "plain", "a value with spaces and 'quotes'")
    project.run("config", "set", "--secret", "hidden", "hush-hush")
    project.run("config", "set", "--path", "nested.list[0]", "7")
    project.program(
        """
        import os
        import sys
        import pulumi
        import pulumi_random as random

        config = pulumi.Config()
        word = random.RandomString("word", length=5)
        class Pair(pulumi.ComponentResource):
            def __init__(self, name):
                super().__init__("test:index:Pair", name)
                random.RandomUuid(f"{name}-one", opts=pulumi.ResourceOptions(parent=self))
                self.register_outputs({"done": True})
        Pair("pair")
        print("to stdout")
        print("to stderr", file=sys.stderr)
        pulumi.export("plain", config.require("plain"))
        pulumi.export("hidden", config.require_secret("hidden"))
        pulumi.export("nested", config.require_object("nested"))
        pulumi.export("where", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])
        pulumi.export("folder", os.path.samefile(os.getcwd(), os.path.dirname(os.path.abspath(__file__))))
        pulumi.export("dry", pulumi.runtime.is_dry_run())
        pulumi.export("length", word.result.apply(len))
        """
    )
    output = project.up()
    assert "to stdout" in output
    assert "to stderr" in output
    assert project.outputs() == {
        "plain": "a value with spaces and 'quotes'",
        "hidden": "hush-hush",
        "nested": {"list": [7]},
        "where": ["conformance", "test", "organization"],
        "folder": True,
        "dry": False,
        "length": 5,
    }
    assert {each["type"] for each in project.state()} == {
        "pulumi:pulumi:Stack",
        "pulumi:providers:random",
        "random:index/randomString:RandomString",
        "random:index/randomUuid:RandomUuid",
        "test:index:Pair",
    }
    assert "hush-hush" not in project.answer("stack", "export")


def test_an_exception_shows_the_programs_own_lines(project: PulumiProject) -> None:
    project.program("def divide():\n    return 1 / 0\n\ndivide()\n")
    output = project.run("preview", fails=True)
    assert "ZeroDivisionError" in output
    assert "__main__.py" in output
    assert "runpy" not in output
    assert "non-zero exit code" not in output


def test_a_run_error_is_one_sentence(project: PulumiProject) -> None:
    project.program("import pulumi\nraise pulumi.RunError('the cloud is missing: set it')\n")
    output = project.run("preview", fails=True)
    assert "error: the cloud is missing: set it" in output
    assert "Traceback" not in output


def test_an_exit_code_is_told(project: PulumiProject) -> None:
    project.program("import sys\nsys.exit(7)\n")
    assert "exit code: 7" in project.run("preview", fails=True)


def test_a_failed_resource_fails_the_run(project: PulumiProject) -> None:
    project.program("import pulumi_random as random\nrandom.RandomPassword('password', length=0)\n")
    output = project.run("preview", fails=True)
    assert "must be at least 1" in output


HANGING = """
    import os
    import pathlib
    import time

    pathlib.Path("started").write_text(str(os.getpid()))
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-C", "killed"])
def test_a_hanging_program_ends_with_the_engine(stand_in: PulumiProject, number: signal.Signals) -> None:
    stand_in.program(HANGING)
    running = stand_in.start("preview")
    started = stand_in.folder / "started"
    until(lambda: started.exists() and started.read_text(), "the program has started")
    program = int(started.read_text())
    running.send_signal(number)
    output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode != 0
    assert "Traceback" not in output
    until(lambda: not Path(f"/proc/{program}").exists(), "the program has ended")


def _with_virtual_environment(project: PulumiProject, folder: str) -> None:
    (project.folder / "Pulumi.yaml").write_text(
        f"name: conformance\nruntime: {{name: python, options: {{virtualenv: {folder}}}}}\n"
    )


def test_the_virtual_environment_is_the_one_in_the_project_file(stand_in: PulumiProject) -> None:
    _with_virtual_environment(stand_in, sys.prefix)
    # Another Python comes first on PATH; it must not matter.
    other = stand_in.folder / "other"
    other.mkdir()
    (other / "python3").write_text("#!/bin/sh\nexit 1\n")
    (other / "python3").chmod(0o755)
    stand_in.environment["PATH"] = f"{other}{os.pathsep}{stand_in.environment['PATH']}"
    stand_in.program("import os, sys, pulumi\npulumi.export('prefix', [sys.prefix, os.environ['VIRTUAL_ENV']])\n")
    stand_in.up()
    assert stand_in.outputs()["prefix"] == [sys.prefix, sys.prefix]


def test_a_missing_virtual_environment_is_one_sentence(stand_in: PulumiProject) -> None:
    _with_virtual_environment(stand_in, "nowhere")
    output = stand_in.run("preview", fails=True)
    assert "nowhere doesn't exist: python3 -m venv" in output
    assert "Traceback" not in output


POLICY = """
    from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

    def long_enough(args, report):
        if args.resource_type == "random:index/randomPassword:RandomPassword" and args.props["length"] < 12:
            report("a password has fewer than 12 characters")

    PolicyPack(
        name="passwords",
        enforcement_level=EnforcementLevel.{level},
        policies=[ResourceValidationPolicy(name="long", description="Long passwords.", validate=long_enough)],
    )
"""


@pytest.mark.parametrize(
    ("length", "level", "stops"), [(8, "MANDATORY", True), (8, "ADVISORY", False), (16, "MANDATORY", False)]
)
def test_a_policy_pack_judges_a_preview(stand_in: PulumiProject, length: int, level: str, stops: bool) -> None:
    pack = stand_in.folder / "policy"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text(
        f"description: passwords\nruntime: {{name: python, options: {{virtualenv: {sys.prefix}}}}}\n"
    )
    (pack / "__main__.py").write_text(textwrap.dedent(POLICY.format(level=level)))
    stand_in.program(f"import pulumi_random as random\nrandom.RandomPassword('password', length={length})\n")
    output = stand_in.run("preview", "--policy-pack", str(pack), fails=stops)
    assert ("a password has fewer than 12 characters" in output) == (length < 12)


def test_about_tells_the_python_and_its_packages(stand_in: PulumiProject) -> None:
    output = stand_in.answer("about")
    assert f"version='{sys.version.split()[0]}'" in output
    assert "pulumi_random" in output
