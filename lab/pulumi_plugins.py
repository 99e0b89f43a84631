"""Pulumi's plugins: the official ones wherever they can be had, the lab's stand-ins only where they can't."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lab import remembered, toolchain
from lab.files import write
from lab.layout import CHECKOUT, Lab
from lab.progress import say, step
from lab.simulation import clouds

INSTALL_SECONDS = 60.0  # longest wait for one `pulumi plugin install`
#: The only providers that the lab plays for every stack. Never a cloud, whatever folders there are: a simulated one is
#: for rehearsals, where nobody takes it for the real one.
STAND_INS = frozenset({"docker", "kubernetes", "random"})
LAUNCHER = """\
#!/bin/sh
# Stand-in for an official plugin of Pulumi that can't be had here. Written by the lab.
PYTHONPATH='{checkout}'"${{PYTHONPATH:+:$PYTHONPATH}}" exec '{python}' -m lab.plugins.{module} "$@"
"""


@dataclass(frozen=True)
class Plugin:
    """A provider plugin that an installed Python SDK asks for."""

    name: str
    version: str

    @property
    def executable(self) -> str:
        return f"pulumi-resource-{self.name}"

    def installed(self) -> bool:
        """Whether Pulumi has the official plugin in its own folder."""
        home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        return (home / "plugins" / f"resource-{self.name}-v{self.version}" / self.executable).exists()

    @property
    def refusal(self) -> str:
        return f"plugin {self.name} {self.version}"

    def has_stand_in(self) -> bool:
        return self.name in STAND_INS


def needed(cloud: str) -> list[Plugin]:
    """What the SDKs in this Python environment ask for, read from the `pulumi-plugin.json` that each one ships.

    Other clouds' plugins are left out: they are hundreds of megabytes each.
    """
    found: list[Plugin] = []
    others = {*clouds()} - {cloud}
    for distribution in metadata.distributions():
        for file in distribution.files or []:
            if file.name == "pulumi-plugin.json" and len(file.parts) == 2:
                described = json.loads(Path(str(distribution.locate_file(file))).read_text(encoding="utf-8"))
                if described.get("resource") and described["name"] not in others:
                    found.append(Plugin(described["name"], described["version"]))
    return sorted(found, key=lambda plugin: plugin.name)


def folder(lab: Lab) -> Path:
    """Where the stand-ins' executables are; one folder for each checkout, because they start its code."""
    return lab.cache / "plugins" / str(CHECKOUT).strip("/").replace("/", "-")


def stand_ins(lab: Lab) -> list[str]:
    """The plugins for which a stand-in is in use: `resource-docker`, `language-python`, …"""
    return sorted(file.name.removeprefix("pulumi-") for file in folder(lab).glob("pulumi-*"))


def ensure(lab: Lab, cloud: str) -> None:
    """Install what is missing; put a stand-in in the place of what can't be installed."""
    _ensure_language_host(lab)
    for plugin in needed(cloud):
        if plugin.installed() or _ambient(plugin, lab) or _install(lab, plugin):
            (folder(lab) / plugin.executable).unlink(missing_ok=True)
        elif plugin.has_stand_in():
            _put_stand_in(lab, plugin.executable, plugin.name)
        else:
            say(f"  {plugin.executable} {plugin.version} can't be installed, and there is no stand-in for it")


def _ensure_language_host(lab: Lab) -> None:
    """A Pulumi of the user's own has its own host. The lab can build one of an earlier release only, which ignores the
    project's virtual environment and can't run policy packs: the stand-in does both.
    """
    name = "pulumi-language-python"
    if toolchain.pulumi_installed():
        (folder(lab) / name).unlink(missing_ok=True)
    else:
        _put_stand_in(lab, name, "language_python")


def _put_stand_in(lab: Lab, executable: str, module: str) -> None:
    content = LAUNCHER.format(checkout=CHECKOUT, python=sys.executable, module=module)
    if write(folder(lab) / executable, content, mode=0o755):
        say(f"  {executable}: a stand-in, not the official plugin")


def _ambient(plugin: Plugin, lab: Lab) -> bool:
    """Whether the user has put the plugin on PATH, which Pulumi prefers to its own folder."""
    found = shutil.which(plugin.executable)
    return bool(found and Path(found).parent != folder(lab))


def _install(lab: Lab, plugin: Plugin) -> bool:
    if remembered.refused(lab, plugin.refusal):
        return False
    pulumi = shutil.which("pulumi") if toolchain.pulumi_installed() else str(toolchain.PULUMI.binaries(lab) / "pulumi")
    command = [str(pulumi), "plugin", "install", "resource", plugin.name, plugin.version]
    with step(f"provider plugin {plugin.name} {plugin.version}") as progress:
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        try:
            result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=INSTALL_SECONDS)
            said = "" if result.returncode == 0 else (result.stderr or result.stdout).strip()
        except subprocess.TimeoutExpired:
            said = f"no end after {INSTALL_SECONDS:.0f} s"
        if said:
            reason = said.splitlines()[-1][-300:]
            remembered.refuse(lab, plugin.refusal, reason)
            progress.detail = f"can't be installed: {reason}"
            return False
    return True
