"""A tool of the lab: what it is built from, and where it is in the cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lab.layout import PACKAGE, Lab

SOURCES = PACKAGE / "toolchain"


@dataclass(frozen=True)
class Tool:
    """A Go module of the toolchain, and the programs that it provides."""

    name: str
    packages: tuple[str, ...]
    executables: tuple[str, ...]
    stamps: tuple[str, ...] = ()  # -X settings of the linker: versions that the programs print
    copied_from: str = ""  # Go module with the `copied` files
    copied: tuple[str, ...] = ()
    multi_call: bool = False  # one program that acts by the name it is started by; `executables` are links to it
    downloaded: tuple[str, ...] = ()  # programs to take from the official release, where there is one

    @property
    def source(self) -> Path:
        return SOURCES / self.name

    def key(self) -> str:
        """Return the first 12 hexadecimal digits of the hash of go.mod, go.sum and the module's own sources."""
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

    def cached(self, lab: Lab) -> bool:
        return all((self.binaries(lab) / name).exists() for name in self.executables)
