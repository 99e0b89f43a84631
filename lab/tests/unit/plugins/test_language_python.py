"""The language host's view of virtual environments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.plugins.language_python.environments import Environment, EnvironmentProblem


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A virtual environment with an SDK that needs a plugin, and one that does not."""
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    for name, plugin in (
        ("cloud", {"resource": True, "name": "cloud", "version": "1.2.3"}),
        ("none", {"resource": False}),
    ):
        (packages / f"pulumi_{name}").mkdir(parents=True)
        (packages / f"pulumi_{name}" / "pulumi-plugin.json").write_text(json.dumps(plugin))
    (packages / "pulumi_cloud-1.2.3.dist-info").mkdir()
    (packages / "pulumi_cloud-1.2.3.dist-info" / "METADATA").write_text("Name: pulumi-cloud\nVersion: 1.2.3\n")
    return Environment.of(str(tmp_path), {"virtualenv": "venv"})


def test_sdks_name_their_plugins(environment: Environment) -> None:
    assert environment.required_plugins() == [("cloud", "v1.2.3")]
    assert environment.distributions() == [("pulumi-cloud", "1.2.3")]


def test_child_processes_use_the_environment(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/usr")
    variables = environment.variables({"PULUMI_CONFIG": "{}"})
    assert variables["PATH"].startswith(f"{environment.folder}/bin:")
    assert variables["VIRTUAL_ENV"] == str(environment.folder)
    assert variables["PULUMI_CONFIG"] == "{}"
    assert "PYTHONHOME" not in variables


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"virtualenv": "nowhere"}, "does not exist"),
        ({"virtualenv": "."}, "is not a virtual environment"),
        ({"toolchain": "uv", "virtualenv": "."}, "needs toolchain pip"),
        ({}, "set runtime.options.virtualenv"),
    ],
    ids=str,
)
def test_unusable_options_are_explained(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(EnvironmentProblem, match=message):
        Environment.of(str(tmp_path), options)
