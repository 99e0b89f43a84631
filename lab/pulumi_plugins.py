"""Pulumi's plugins: the official ones where they can be installed, otherwise the lab's stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lab import refusal_cache, toolchain
from lab.files import write
from lab.layout import Lab
from lab.progress import say, step
from lab.project import CHECKOUT
from lab.simulation import clouds

INSTALL_SECONDS = 60.0  # longest wait for one `pulumi plugin install`
#: The only providers that have a stand-in for every stack. A simulated cloud is for rehearsals alone, where it
#: cannot be mistaken for the real one.
STAND_INS = frozenset({"docker", "kubernetes", "random"})
LAUNCHER = """\
#!/bin/sh
# Stand-in for an official Pulumi plugin that cannot be installed here. Written by the lab.
PYTHONPATH='{checkout}'"${{PYTHONPATH:+:$PYTHONPATH}}" exec '{python}' -m lab.plugins.{module} "$@"
"""


@dataclass(frozen=True)
class Plugin:
    """A provider plugin that an installed Python SDK requires."""

    name: str
    version: str

    @property
    def executable(self) -> str:
        return f"pulumi-resource-{self.name}"

    def installed(self) -> bool:
        """Return whether Pulumi has the official plugin in its own folder."""
        home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        return (home / "plugins" / f"resource-{self.name}-v{self.version}" / self.executable).exists()

    @property
    def refusal(self) -> str:
        return f"plugin {self.name} {self.version}"

    def has_stand_in(self) -> bool:
        return self.name in STAND_INS


def needed(cloud: str) -> list[Plugin]:
    """Return the plugins that the SDKs in this Python environment require, by the `pulumi-plugin.json` of each one.

    Other clouds' plugins are left out: each has hundreds of megabytes.
    """
    plugins: list[Plugin] = []
    others = {*clouds()} - {cloud}
    for distribution in metadata.distributions():
        for file in distribution.files or []:
            if file.name == "pulumi-plugin.json" and len(file.parts) == 2:
                description = json.loads(Path(str(distribution.locate_file(file))).read_text(encoding="utf-8"))
                if description.get("resource") and description["name"] not in others:
                    plugins.append(Plugin(description["name"], description["version"]))
    return sorted(plugins, key=lambda plugin: plugin.name)


def folder(lab: Lab) -> Path:
    """Return the folder of the stand-ins' executables: one for each checkout, because they run its code."""
    return lab.cache / "plugins" / str(CHECKOUT).strip("/").replace("/", "-")


def stand_ins(lab: Lab) -> list[str]:
    """Return the plugins that have a stand-in: `resource-docker`, `language-python`, …"""
    return sorted(file.name.removeprefix("pulumi-") for file in folder(lab).glob("pulumi-*"))


def ensure(lab: Lab, cloud: str) -> None:
    """Install the missing plugins, or write stand-ins for those that cannot be installed."""
    _ensure_language_host(lab)
    for plugin in needed(cloud):
        if plugin.installed() or _ambient(plugin, lab) or _install(lab, plugin):
            (folder(lab) / plugin.executable).unlink(missing_ok=True)
        elif plugin.has_stand_in():
            _put_stand_in(lab, plugin.executable, plugin.name)
        else:
            say(f"  {plugin.executable} {plugin.version} cannot be installed, and the lab has no stand-in for it")


def _ensure_language_host(lab: Lab) -> None:
    """An installed or downloaded Pulumi has its own host. One that was built here has none."""
    if toolchain.has_language_host(lab):
        (folder(lab) / toolchain.LANGUAGE_HOST).unlink(missing_ok=True)
    else:
        _put_stand_in(lab, toolchain.LANGUAGE_HOST, "language_python")


def _put_stand_in(lab: Lab, executable: str, module: str) -> None:
    content = LAUNCHER.format(checkout=CHECKOUT, python=sys.executable, module=module)
    if write(folder(lab) / executable, content, mode=0o755):
        say(f"  {executable}: a stand-in, not the official plugin")


def _ambient(plugin: Plugin, lab: Lab) -> bool:
    """Return whether the user has put the plugin on PATH, which Pulumi prefers to its own folder."""
    path = shutil.which(plugin.executable)
    return bool(path and Path(path).parent != folder(lab))


def _install(lab: Lab, plugin: Plugin) -> bool:
    if refusal_cache.refused(lab, plugin.refusal):
        return False
    pulumi = shutil.which("pulumi") if toolchain.pulumi_installed() else str(toolchain.PULUMI.binaries(lab) / "pulumi")
    command = [str(pulumi), "plugin", "install", "resource", plugin.name, plugin.version]
    with step(f"provider plugin {plugin.name} {plugin.version}") as progress:
        environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        try:
            result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=INSTALL_SECONDS)
            error = "" if result.returncode == 0 else (result.stderr or result.stdout).strip()
        except subprocess.TimeoutExpired:
            error = f"not finished after {INSTALL_SECONDS:.0f} s"
        if error:
            reason = error.splitlines()[-1][-300:]
            refusal_cache.refuse(lab, plugin.refusal, reason)
            progress.detail = f"not available: {reason}"
            return False
    return True
