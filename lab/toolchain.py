"""The cache of tools that the lab builds from source with Go, each built once and kept by version.

A tool's folder is `tools/<name>-<key>/bin`; the key comes from everything that decides what is built. A tool is built
in a temporary folder that is renamed at the end, so what is in the cache is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab import golang
from lab.errors import LabError
from lab.layout import CHECKOUT, Lab
from lab.lock import exclusive
from lab.progress import Step, step

SOURCES = CHECKOUT / "lab" / "toolchain"
KUBERNETES_VERSION = "v1.34.2"  # the replaces in toolchain/kubernetes/go.mod say the same
PULUMI_VERSION = "v3.259.0"


@dataclass(frozen=True)
class Tool:
    """A Go module of the toolchain and the executables that it gives."""

    name: str
    packages: tuple[str, ...]
    executables: tuple[str, ...]
    stamps: tuple[str, ...] = ()  # -X settings of the linker: versions that the programs print
    copied_from: str | None = None  # a module of which `copied` is taken as it is
    copied: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        return SOURCES / self.name

    def key(self) -> str:
        """First 12 hexadecimal digits of the hash of go.mod, go.sum and the module's own sources."""
        digest = hashlib.sha256()
        for file in [self.source / "go.mod", self.source / "go.sum", *self._own_sources()]:
            digest.update(file.read_bytes())
        return digest.hexdigest()[:12]

    def _own_sources(self) -> list[Path]:
        return [file for file in sorted(self.source.rglob("*.go")) if not file.name.endswith("_test.go")]

    def folder(self, lab: Lab) -> Path:
        return lab.cache / "tools" / f"{self.name}-{self.key()}"

    def binaries(self, lab: Lab) -> Path:
        return self.folder(lab) / "bin"

    def built(self, lab: Lab) -> bool:
        return all((self.binaries(lab) / name).exists() for name in (*self.executables, *map(_file_name, self.copied)))


def _file_name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


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
    tuple(f"k8s.io/kubernetes/cmd/{name}" for name in KUBERNETES_BINARIES),
    KUBERNETES_BINARIES,
    stamps=(
        f"k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
        "k8s.io/component-base/version.gitMajor=1",
        "k8s.io/component-base/version.gitMinor=34",
        f"k8s.io/client-go/pkg/version.gitVersion={KUBERNETES_VERSION}",
    ),
)

ADDONS = Tool(
    "addons",
    ("./coredns", "./loadbalancer", "./pause", "github.com/rancher/local-path-provisioner"),
    ("coredns", "loadbalancer", "pause", "local-path-provisioner"),
)

PULUMI = Tool(
    "pulumi",
    ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",),
    ("pulumi",),
    stamps=(f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={PULUMI_VERSION}",),
    copied_from="github.com/pulumi/pulumi/sdk/v3",
    copied=("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-resource-pulumi-python"),
)

PULUMI_PYTHON = Tool(
    "pulumi-language-python",
    ("github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python",),
    ("pulumi-language-python",),
    copied_from="github.com/pulumi/pulumi/sdk/v3",
    copied=(
        "python/cmd/pulumi-language-python-exec",
        "python/dist/pulumi-analyzer-policy-python",
        "python/dist/pulumi-resource-pulumi-python",
    ),
)


REGCTL = Tool("regctl", ("github.com/regclient/regclient/cmd/regctl",), ("regctl",))

#: For the tests alone: it checks the workflow files.
ACTIONLINT = Tool("actionlint", ("github.com/rhysd/actionlint/cmd/actionlint",), ("actionlint",))


def stack_tools() -> list[Tool]:
    """What a stack needs on any cluster, where the machine has none: engine, Python language host, copies of images."""
    pulumi = [] if pulumi_installed() else [PULUMI, PULUMI_PYTHON]
    return pulumi if _installed("regctl") else [*pulumi, REGCTL]


def pulumi_installed() -> bool:
    """Whether the user has a Pulumi of their own, with its Python language host."""
    return _installed("pulumi") and _installed("pulumi-language-python")


def _installed(name: str) -> bool:
    found = shutil.which(name)
    return found is not None and str(Path("addressbook-lab") / "tools") not in found


def ensure(lab: Lab, tool: Tool) -> None:
    """Build a tool unless it is in the cache; two runs at once build it once. Raises LabError."""
    if tool.built(lab):
        return
    with exclusive(lab.cache / "locks" / f"{tool.name}.lock", f"the build of {tool.name}"):
        if tool.built(lab):
            return
        go = golang.find(lab)
        with step(f"build {tool.name} from source (once; kept in the cache)") as progress:
            _build(lab, tool, go, progress)


def _build(lab: Lab, tool: Tool, go: Path, progress: Step) -> None:
    unfinished = lab.cache / "tools" / f".{tool.name}-unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    binaries = unfinished / "bin"
    binaries.mkdir(parents=True)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    progress.detail = "downloading modules"
    # Only what the programs import: a module's whole graph names others that no proxy has.
    golang.run(go, ["list", "-deps", "-f", "-", *tool.packages], tool.source, environment, tries=4)
    progress.detail = "compiling"
    linker = " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in tool.stamps)])
    golang.run(
        go,
        ["build", "-trimpath", "-buildvcs=false", "-ldflags", linker, "-o", f"{binaries}/", *tool.packages],
        tool.source,
        environment,
        tries=2,
    )
    if tool.copied_from:
        module = Path(
            golang.run(go, ["list", "-m", "-f", "{{.Dir}}", tool.copied_from], tool.source, environment).strip()
        )
        for name in tool.copied:
            copy = binaries / _file_name(name)
            shutil.copyfile(module / name, copy)
            copy.chmod(0o755)
    missing = [name for name in tool.executables if not (binaries / name).exists()]
    if missing:
        raise LabError(f"The build of {tool.name} made no {', '.join(missing)}: see lab/toolchain/{tool.name}/go.mod.")
    progress.detail = ""
    target = tool.folder(lab)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.replace(target)
