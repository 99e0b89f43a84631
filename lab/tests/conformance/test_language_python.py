"""Conformance of the Python language host."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.tests.conformance.pulumi_project import PATIENCE, STAND_IN, PulumiProject, plugin_processes, until


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulumiProject]:
    """A project under the stand-in. The official host comes with the engine and is covered by its own tests."""
    project = PulumiProject(tmp_path_factory.mktemp("language"), "random", "4.21.4", STAND_IN)
    # Another Python comes first on PATH. The one in Pulumi.yaml must run the program.
    other = project.folder / "other"
    other.mkdir()
    (other / "python3").write_text("#!/bin/sh\nexit 1\n")
    (other / "python3").chmod(0o755)
    project.environment["PATH"] = f"{other}{os.pathsep}{project.environment['PATH']}"
    try:
        yield project
    finally:
        project.close()


def test_program_gets_config_and_environment(project: PulumiProject) -> None:
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
                random.RandomId(f"{name}-one", byte_length=2, opts=pulumi.ResourceOptions(parent=self))
                self.register_outputs({"done": True})
        Pair("pair")
        print("to stdout")
        print("to stderr", file=sys.stderr)
        pulumi.export("plain", config.require("plain"))
        pulumi.export("hidden", config.require_secret("hidden"))
        pulumi.export("nested", config.require_object("nested"))
        pulumi.export("stack", [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])
        pulumi.export("in folder", os.path.samefile(os.getcwd(), os.path.dirname(os.path.abspath(__file__))))
        pulumi.export("dry", pulumi.runtime.is_dry_run())
        pulumi.export("length", word.result.apply(len))
        pulumi.export("python", [sys.prefix, os.environ["VIRTUAL_ENV"]])
        """
    )
    output = project.up()
    assert "to stdout" in output
    assert "to stderr" in output
    assert project.outputs() == {
        "plain": "a value with spaces and 'quotes'",
        "hidden": "hush-hush",
        "nested": {"list": [7]},
        "stack": ["conformance", "test", "organization"],
        "in folder": True,
        "dry": False,
        "length": 5,
        "python": [sys.prefix, sys.prefix],
    }
    assert {each["type"] for each in project.state()} == {
        "pulumi:pulumi:Stack",
        "pulumi:providers:random",
        "random:index/randomString:RandomString",
        "random:index/randomId:RandomId",
        "test:index:Pair",
    }
    assert "hush-hush" not in project.stored_state()


@pytest.mark.parametrize(
    ("program", "shown", "not_shown"),
    [
        pytest.param(
            "def divide():\n    return 1 / 0\n\ndivide()\n",
            ["ZeroDivisionError", "__main__.py"],
            ["runpy", "non-zero exit code"],
            id="exception",
        ),
        pytest.param(
            "import pulumi\nraise pulumi.RunError('the cloud is missing: set it')\n",
            ["error: the cloud is missing: set it"],
            ["Traceback"],
            id="run error",
        ),
        pytest.param("import sys\nsys.exit(7)\n", ["exit code: 7"], [], id="exit code"),
        pytest.param(
            "import pulumi_random as random\nrandom.RandomPassword('password', length=0)\n",
            ["must be at least 1"],
            [],
            id="failed resource",
        ),
    ],
)
def test_failing_program_says_why(project: PulumiProject, program: str, shown: list[str], not_shown: list[str]) -> None:
    project.program(program)
    output = project.run("preview", fails=True)
    assert all(text in output for text in shown), output
    assert not any(text in output for text in not_shown), output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-C", "killed"])
def test_program_and_plugin_end_with_the_engine(project: PulumiProject, number: signal.Signals) -> None:
    started = project.folder / "started"
    started.unlink(missing_ok=True)
    project.program(
        """
        import os
        import pathlib
        import time
        import pulumi_random as random

        def wait(_):
            pathlib.Path("started").write_text(str(os.getpid()))
            time.sleep(600)

        random.RandomString("word", length=5).urn.apply(wait)
        """
    )
    running = project.start("preview")
    until(lambda: started.exists() and started.read_text(), "the program has started")
    assert plugin_processes(project, "random")
    running.send_signal(number)
    output, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode != 0
    assert "Traceback" not in output
    until(lambda: not Path(f"/proc/{started.read_text()}").exists(), "the program has ended")
    until(lambda: not plugin_processes(project, "random"), "the plugin has ended")


def test_about_shows_python_and_packages(project: PulumiProject) -> None:
    output = project.stdout("about")
    assert f"version='{sys.version.split()[0]}'" in output
    assert "pulumi_random" in output
