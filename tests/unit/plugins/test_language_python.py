"""The language host's view of Python environments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.plugins.language_python.environments import (
    Environment,
    EnvironmentProblem,
    installed,
    required_packages,
    semantic_version,
)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A virtual environment with two SDKs, one of them installed in place, and a library."""
    packages = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    _sdk(packages / "pulumi_cloud", {"resource": True, "name": "cloud", "version": "1.2.3", "server": "https://a.b"})
    _sdk(packages / "pulumi_none", {"resource": False})
    _sdk(tmp_path / "local" / "pulumi_mine", {"resource": True})
    (packages / "mine.pth").write_text(f"import os\n{tmp_path / 'local'}\n")
    _distribution(packages, "pulumi_mine", "2.0rc1", "pulumi_cloud>=1; python_version>'3'")
    _distribution(packages, "pulumi-cloud", "1.2.3")
    return Environment.of(str(tmp_path), {"virtualenv": "venv"})


def _sdk(folder: Path, plugin: dict[str, object]) -> None:
    folder.mkdir(parents=True)
    (folder / "pulumi-plugin.json").write_text(json.dumps(plugin))


def _distribution(packages: Path, name: str, version: str, requires: str = "") -> None:
    folder = packages / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requires}"] if requires else []
    (folder / "METADATA").write_text("\n".join(lines) + "\n")


def test_required_packages_come_from_the_sdks(environment: Environment) -> None:
    found = [(each.name, each.version, each.server) for each in required_packages(environment)]
    assert found == [("cloud", "v1.2.3", "https://a.b"), ("mine", "v2.0.0-rc.1", "")]


def test_what_nothing_requires_is_listed_alone(environment: Environment) -> None:
    assert installed(environment, transitive=True) == [("pulumi-cloud", "1.2.3"), ("pulumi_mine", "2.0rc1")]
    assert installed(environment, transitive=False) == [("pulumi_mine", "2.0rc1")]


@pytest.mark.parametrize(
    ("package", "plugin"),
    [
        ("1.2.3", "v1.2.3"),
        ("v1.2.3", "v1.2.3"),
        ("1.0", "v1.0.0"),
        ("2", "v2.0.0"),
        ("1.2.3a4", "v1.2.3-alpha.4"),
        ("1.2.3rc4", "v1.2.3-rc.4"),
        ("1.2.3.post4", "v1.2.3+post4"),
        ("1.2.3.post4.dev5", "v1.2.3+post4dev5"),
        ("1.2.3-alpha.4+dirty", "v1.2.3-alpha.4+dirty"),
    ],
)
def test_versions_as_pulumi_writes_them(package: str, plugin: str) -> None:
    assert semantic_version(package) == plugin


def test_the_environments_own_folder_comes_first(environment: Environment) -> None:
    assert environment.folder is not None
    variables = environment.variables()
    assert variables["PATH"].startswith(f"{environment.folder}/bin:")
    assert variables["VIRTUAL_ENV"] == str(environment.folder)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"virtualenv": "nowhere"}, "doesn't exist"),
        ({"virtualenv": "."}, "is no virtual environment"),
        ({"toolchain": "poetry"}, "no toolchain 'poetry'"),
        ({"toolchain": "uv"}, "'.venv'"),
    ],
)
def test_wrong_options_are_one_sentence(tmp_path: Path, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(EnvironmentProblem, match=sentence):
        Environment.of(str(tmp_path), options)
