"""The cache of tools. The builds are real ones, of a module without dependencies."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path

import pytest

from lab import environment, toolchain
from lab import tool as tools
from lab.errors import LabError
from lab.layout import Lab
from lab.project import Target
from lab.tool import Tool

PROGRAM = 'package main\n\nvar Version = "none"\n\nfunc main() { println(Version) }\n'


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A Go module with one program."""
    monkeypatch.setattr(tools, "SOURCES", tmp_path / "sources")
    source = tmp_path / "sources" / "greeter"
    source.mkdir(parents=True)
    (source / "go.mod").write_text("module example.test/greeter\n\ngo 1.26\n")
    (source / "go.sum").write_text("")
    (source / "main.go").write_text(PROGRAM)
    return Tool("greeter", (".",), ("greeter",), stamps=("main.Version=1.2.3",))


def test_a_tool_is_built_once_and_stamped(lab: Lab, tool: Tool) -> None:
    assert not tool.cached(lab)
    toolchain.ensure(lab, tool)
    program = tool.binaries(lab) / "greeter"
    assert subprocess.run([program], capture_output=True, text=True, check=True).stderr == "1.2.3\n"
    built = program.stat().st_ino
    toolchain.ensure(lab, tool)
    assert program.stat().st_ino == built


def test_two_runs_at_once_build_once(lab: Lab, tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    threads = [threading.Thread(target=toolchain.ensure, args=(lab, tool)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tool.cached(lab)
    assert capsys.readouterr().err.count("✓ build greeter") == 1


def test_the_key_covers_sources_but_not_tests(tool: Tool) -> None:
    first = tool.key()
    (tool.source / "main_test.go").write_text("package main\n")
    assert tool.key() == first
    (tool.source / "main.go").write_text(PROGRAM + "\n")
    second = tool.key()
    (tool.source / "go.sum").write_text("# changed\n")
    assert len({first, second, tool.key()}) == 3
    assert len(first) == 12


def test_a_failed_build_leaves_nothing_in_the_cache(lab: Lab, tool: Tool) -> None:
    (tool.source / "main.go").write_text("package main\n\nfunc main() { nothing() }\n")
    with pytest.raises(LabError, match="go build"):
        toolchain.ensure(lab, tool)
    assert not tool.cached(lab)
    (tool.source / "main.go").write_text(PROGRAM)
    toolchain.ensure(lab, tool)
    assert tool.cached(lab)


def test_the_key_without_sources_is_that_of_go_mod_and_go_sum() -> None:
    import hashlib

    for tool in (toolchain.REGCTL, toolchain.ACTIONLINT):
        joined = (tool.source / "go.mod").read_bytes() + (tool.source / "go.sum").read_bytes()
        assert tool.key() == hashlib.sha256(joined).hexdigest()[:12]


def test_downloaded_and_built_versions_are_the_same() -> None:
    kubernetes = (toolchain.KUBERNETES.source / "go.mod").read_text()
    assert f"k8s.io/kubernetes {toolchain.KUBERNETES_VERSION}" in kubernetes
    pulumi = (toolchain.PULUMI.source / "go.mod").read_text()
    assert f"github.com/pulumi/pulumi/pkg/v3 {toolchain.PULUMI_VERSION}" in pulumi


def test_a_pulumi_of_the_labs_cache_is_not_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, own in ((tmp_path / "bin", True), (tmp_path / "addressbook-lab" / "tools" / "x" / "bin", False)):
        folder.mkdir(parents=True)
        for name in ("pulumi", "pulumi-language-python"):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        assert toolchain.pulumi_installed() is own


def test_the_users_own_regctl_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.REGCTL in toolchain.stack_tools()
    for folder, wanted in ((tmp_path / "addressbook-lab" / "tools" / "regctl-1" / "bin", True), (tmp_path, False)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "regctl").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(folder))
        assert (toolchain.REGCTL in toolchain.stack_tools()) is wanted


def test_regctl_uses_plain_http_for_the_labs_registry_only(lab: Lab) -> None:
    settings = Path(environment.variables(lab, Target("local", in_lab=True))["REGCTL_CONFIG"])
    assert json.loads(settings.read_text()) == {"hosts": {lab.registry: {"tls": "disabled"}}}
    assert "REGCTL_CONFIG" not in environment.variables(lab, Target("local", in_lab=False))
