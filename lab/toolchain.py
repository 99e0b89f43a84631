"""The cache of tools that the lab runs: downloaded where that is possible, otherwise built from source.

A tool's folder is `tools/<name>-<key>/bin`; the key covers everything that decides what is built. A folder is filled
under a temporary name and renamed at the end, so a tool in the cache is always complete.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import downloads, golang
from lab.errors import LabError
from lab.layout import Lab
from lab.lock import exclusive
from lab.progress import step
from lab.tool import Tool

KUBERNETES_VERSION = downloads.RELEASES["kubernetes"].version
PULUMI_VERSION = downloads.RELEASES["pulumi"].version


KUBERNETES_BINARIES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)

KUBERNETES = Tool(
    "kubernetes",
    (".",),
    KUBERNETES_BINARIES,
    stamps=(
        f"k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
        "k8s.io/component-base/version.gitMajor=1",
        "k8s.io/component-base/version.gitMinor=34",
        f"k8s.io/client-go/pkg/version.gitVersion={KUBERNETES_VERSION}",
    ),
    multi_call=True,
    downloaded=KUBERNETES_BINARIES,
)

ADDONS = Tool(
    "addons",
    ("./coredns", "./loadbalancer", "./pause", "github.com/rancher/local-path-provisioner"),
    ("coredns", "loadbalancer", "pause", "local-path-provisioner"),
)

LANGUAGE_HOST = "pulumi-language-python"

#: Built from source it has no Python language host, which has no Go module of this version; the lab has a stand-in.
PULUMI = Tool(
    "pulumi",
    ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
    ("pulumi",),
    stamps=(f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI_VERSION}",),
    copied_from="github.com/pulumi/pulumi/sdk/v3",
    copied=("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python"),
    downloaded=("pulumi", LANGUAGE_HOST, "pulumi-language-python-exec", "pulumi-resource-pulumi-python"),
)

REGCTL = Tool("regctl", ("github.com/regclient/regclient/cmd/regctl",), ("regctl",))

#: For the tests alone: it checks the workflow files.
ACTIONLINT = Tool("actionlint", ("github.com/rhysd/actionlint/cmd/actionlint",), ("actionlint",))
#: For one of the long tests alone, because it takes minutes to build.
COSIGN = Tool("cosign", ("github.com/sigstore/cosign/v3/cmd/cosign",), ("cosign",))
#: For a stack with `gateway: traefik` alone, because it takes minutes to build.
TRAEFIK = Tool(
    "traefik",
    ("github.com/traefik/traefik/v3/cmd/traefik",),
    ("traefik",),
    stamps=("github.com/traefik/traefik/v3/pkg/version.Version=3.6.12",),
)


def stack_tools() -> list[Tool]:
    """Return the tools that a stack needs on any cluster and that the user has not installed."""
    return [*([] if pulumi_installed() else [PULUMI]), *([] if _installed("regctl") else [REGCTL])]


def pulumi_installed() -> bool:
    """Return whether the user has a Pulumi of their own, with its Python language host."""
    return _installed("pulumi") and _installed(LANGUAGE_HOST)


def has_language_host(lab: Lab) -> bool:
    """Return whether the official Python language host is installed or downloaded."""
    return pulumi_installed() or (PULUMI.binaries(lab) / LANGUAGE_HOST).exists()


def _installed(name: str) -> bool:
    path = shutil.which(name)
    return path is not None and str(Path("addressbook-lab") / "tools") not in path


def ensure(lab: Lab, tool: Tool) -> None:
    """Download or build a tool that is not in the cache. Two runs at once do it once. Raises LabError."""
    if tool.cached(lab):
        return
    with exclusive(lab.cache / "locks" / f"{tool.name}.lock", f"getting {tool.name}"):
        if not tool.cached(lab):
            _obtain(lab, tool)


def _obtain(lab: Lab, tool: Tool) -> None:
    unfinished = lab.cache / "tools" / f".{tool.name}-unfinished"
    try:
        binaries = _empty(unfinished)
        if not (tool.downloaded and downloads.available(lab, tool.name) and _downloaded(lab, tool, binaries)):
            binaries = _empty(unfinished)
            go = golang.find(lab)
            with step(f"build {tool.name} from source (once; kept in the cache)") as progress:
                golang.build(go, tool, binaries, progress)
        if missing := [name for name in tool.executables if not (binaries / name).exists()]:
            raise LabError(
                f"The build of {tool.name} did not produce {', '.join(missing)}. Check {tool.source / 'go.mod'}."
            )
        shutil.rmtree(tool.folder(lab), ignore_errors=True)
        unfinished.replace(tool.folder(lab))
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _empty(unfinished: Path) -> Path:
    """Return an empty `bin` in the folder of an unfinished tool."""
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "bin").mkdir(parents=True)
    return unfinished / "bin"


def _downloaded(lab: Lab, tool: Tool, binaries: Path) -> bool:
    version = downloads.RELEASES[tool.name].version
    with step(f"download {tool.name} {version} (once; kept in the cache)") as progress:
        return downloads.fetch(lab, tool.name, tool.downloaded, binaries, progress)
