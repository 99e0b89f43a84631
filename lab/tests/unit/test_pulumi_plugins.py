"""Pulumi's plugins: the official ones first, and stand-ins only where those cannot be installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab import pulumi_plugins, refusal_cache, simulation, toolchain
from lab.layout import Lab
from lab.project import CHECKOUT
from lab.pulumi_plugins import Plugin


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own `pulumi` and language host; it records each call and fails to install anything."""
    binaries = tmp_path / "user-bin"
    binaries.mkdir()
    calls = tmp_path / "calls"
    (binaries / "pulumi").write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho "error: no such host" >&2\nexit 1\n')
    (binaries / "pulumi-language-python").write_text("#!/bin/sh\n")
    for program in binaries.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    return calls


def _calls(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def _needed() -> list[Plugin]:
    return pulumi_plugins.needed("local")


def test_plugins_match_the_required_sdks() -> None:
    versions = {plugin.name: plugin.version for plugin in _needed()}
    pins = dict(
        line.removeprefix("pulumi-").split("==")
        for line in (CHECKOUT / "requirements.in").read_text().splitlines()
        if line.startswith(("pulumi-docker==", "pulumi-kubernetes==", "pulumi-random=="))
    )
    assert pins
    assert pins.items() <= versions.items()


def test_plugins_of_other_clouds_are_left_out() -> None:
    clouds = set(simulation.clouds())
    assert not {plugin.name for plugin in _needed()} & clouds
    assert {plugin.name for plugin in pulumi_plugins.needed("gcp")} & clouds == {"gcp"}


def test_no_stand_in_is_a_cloud() -> None:
    assert all((simulation.PLUGINS / name / "__main__.py").exists() for name in pulumi_plugins.STAND_INS)
    assert not pulumi_plugins.STAND_INS & {*simulation.clouds()}


@pytest.mark.parametrize("files", [["__main__.py"], ["__main__.py", "simulation.py"]])
def test_a_simulated_cloud_is_no_stand_in(
    lab: Lab, pulumi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str]
) -> None:
    mars = tmp_path / "checkout" / "lab" / "plugins" / "mars"
    mars.mkdir(parents=True)
    for name in files:
        (mars / name).touch()
    monkeypatch.setattr(pulumi_plugins, "CHECKOUT", tmp_path / "checkout")
    monkeypatch.setattr(simulation, "PLUGINS", mars.parent)
    monkeypatch.setattr(pulumi_plugins, "needed", lambda _: [Plugin("mars", "1.0.0"), Plugin("random", "4.0.0")])
    for cloud in ("local", "mars"):
        pulumi_plugins.ensure(lab, cloud)
    assert "plugin install resource mars 1.0.0" in _calls(pulumi)
    assert pulumi_plugins.stand_ins(lab) == ["resource-random"]


def test_a_stand_in_runs_this_checkouts_code(lab: Lab, pulumi: Path) -> None:
    pulumi_plugins.ensure(lab, "local")
    assert f"plugin install resource random {_version('random')}" in _calls(pulumi)
    assert {"resource-docker", "resource-kubernetes", "resource-random"} <= set(pulumi_plugins.stand_ins(lab))
    launcher = pulumi_plugins.folder(lab) / "pulumi-resource-random"
    result = subprocess.run([launcher, "--help"], capture_output=True, text=True, cwd="/")
    assert result.returncode == 0, result.stderr
    assert "stand-in" in result.stdout.lower()


def _version(name: str) -> str:
    return next(plugin.version for plugin in _needed() if plugin.name == name)


def test_a_refusal_is_remembered(lab: Lab, pulumi: Path) -> None:
    pulumi_plugins.ensure(lab, "local")
    first = _calls(pulumi)
    pulumi_plugins.ensure(lab, "local")
    assert _calls(pulumi) == first
    refusal_cache.forget(lab)
    pulumi_plugins.ensure(lab, "local")
    assert _calls(pulumi) == first * 2


def test_an_official_plugin_replaces_the_stand_in(lab: Lab, pulumi: Path, tmp_path: Path) -> None:
    pulumi_plugins.ensure(lab, "local")
    official = tmp_path / "pulumi-home" / "plugins" / f"resource-random-v{_version('random')}"
    official.mkdir(parents=True)
    (official / "pulumi-resource-random").touch()
    pulumi_plugins.ensure(lab, "local")
    assert "resource-random" not in pulumi_plugins.stand_ins(lab)
    assert "resource-docker" in pulumi_plugins.stand_ins(lab)


def test_a_plugin_on_path_is_used(lab: Lab, pulumi: Path) -> None:
    plugin = pulumi.parent / "user-bin" / "pulumi-resource-random"
    plugin.write_text("#!/bin/sh\n")
    plugin.chmod(0o755)
    pulumi_plugins.ensure(lab, "local")
    assert "resource-random" not in pulumi_plugins.stand_ins(lab)
    assert not any("random" in call for call in _calls(pulumi))


def test_the_users_own_language_host_is_used(lab: Lab, pulumi: Path) -> None:
    pulumi_plugins.ensure(lab, "local")
    assert "language-python" not in pulumi_plugins.stand_ins(lab)


def test_a_downloaded_pulumi_has_its_own_language_host(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(pulumi_plugins, "needed", lambda _: [])
    binaries = toolchain.PULUMI.binaries(lab)
    binaries.mkdir(parents=True)
    pulumi_plugins.ensure(lab, "local")
    assert pulumi_plugins.stand_ins(lab) == ["language-python"]
    (binaries / toolchain.LANGUAGE_HOST).touch()
    pulumi_plugins.ensure(lab, "local")
    assert pulumi_plugins.stand_ins(lab) == []
