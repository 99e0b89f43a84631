"""Download official releases, check them and unpack what the lab runs.

`ADDRESSBOOK_LAB_DOWNLOADS` names a mirror instead: `http://mirror/path` stands for `https://`, so that the publisher's
host is the first folder, as `wget --force-directories` lays it out. `off` never downloads. The usual proxy variables
(`https_proxy`, `no_proxy`, …) are honoured.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import platform
import shutil
import tarfile
import time
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lab import refusal_cache
from lab.errors import LabError
from lab.layout import PACKAGE, Lab
from lab.progress import Step, say

MIRROR = "ADDRESSBOOK_LAB_DOWNLOADS"
CONNECT_SECONDS = 5.0  # longest wait for a host's first answer
READ_SECONDS = 30.0  # longest silence in the middle of a download
TRIES = 4
RETRY_SECONDS = 2.0  # before the second try; longer before each further one
BLOCK = 1 << 20  # bytes
MB = 1e6


@dataclass(frozen=True)
class Release:
    """One official archive; see `toolchain/downloads.toml`."""

    version: str
    url: str
    arch: dict[str, str]  # machine, as `uname -m` prints it -> name in the URL
    sha512: dict[str, str] = field(default_factory=dict[str, str])
    sha256: dict[str, str] = field(default_factory=dict[str, str])
    checksums: str = ""  # URL of the publisher's SHA-256 file, where no checksum is pinned

    @property
    def architecture(self) -> str | None:
        return self.arch.get(platform.machine())

    @property
    def archive(self) -> str:
        """The archive's URL. Valid only where `architecture` is not None."""
        return _mirrored(self.url.format(arch=self.architecture))


def _releases() -> dict[str, Release]:
    with (PACKAGE / "toolchain" / "downloads.toml").open("rb") as file:
        return {name: Release(**entry) for name, entry in tomllib.load(file).items()}


RELEASES = _releases()


class _Unavailable(Exception):
    """A host or a file is out of reach; the message says why."""


def available(lab: Lab, name: str) -> bool:
    """Return whether the release can be downloaded now. A refusal is remembered for a day."""
    release = RELEASES.get(name)
    if release is None or release.architecture is None or os.environ.get(MIRROR) == "off":
        return False
    if refusal_cache.refused(lab, release.archive):
        return False
    try:
        _open(release.archive, CONNECT_SECONDS, method="HEAD").close()
    except _Unavailable as error:
        refusal_cache.refuse(lab, release.archive, str(error))
        return False
    return True


def fetch(lab: Lab, name: str, programs: tuple[str, ...], folder: Path, progress: Step) -> bool:
    """Download a release and unpack `programs` into `folder`. Return whether that worked.

    Raises LabError for a wrong checksum and for an archive without one of the programs.
    """
    release = RELEASES[name]
    archive = folder / "archive"
    try:
        algorithm, checksum = _checksum(release)
        _download(release.archive, archive, progress)
        _verify(archive, release.archive, algorithm, checksum)
        _unpack(archive, release.archive, programs, folder)
    except _Unavailable as error:
        refusal_cache.refuse(lab, release.archive, str(error))
        say(f"  {release.archive}: {error}; building from source instead")
        return False
    finally:
        archive.unlink(missing_ok=True)
        progress.detail = ""
    return True


def _mirrored(url: str) -> str:
    mirror = os.environ.get(MIRROR)
    return f"{mirror.rstrip('/')}/{url.removeprefix('https://')}" if mirror else url


def _open(url: str, seconds: float, method: str = "GET", offset: int = 0) -> http.client.HTTPResponse:
    """Open a URL with a timeout for each wait, in seconds. Raises _Unavailable."""
    headers = {"User-Agent": "addressbook-lab", **({"Range": f"bytes={offset}-"} if offset else {})}
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310  # http for mirrors
    try:
        return urllib.request.build_opener().open(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        raise _Unavailable(f"the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Unavailable(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _download(url: str, target: Path, progress: Step) -> None:
    """Download a file, resuming a broken connection where it broke. Raises _Unavailable after the last try."""
    for attempt in range(1, TRIES + 1):
        try:
            _continue(url, target, progress)
        except (OSError, http.client.HTTPException, _Unavailable) as error:
            if attempt == TRIES:
                raise _Unavailable(f"the download broke {TRIES} times, last with: {error}") from error
            progress.detail = f"connection lost ({error}); trying again"
            time.sleep(RETRY_SECONDS * attempt)
        else:
            return


def _continue(url: str, target: Path, progress: Step) -> None:
    """Download what is still missing of a file. Raises OSError when the connection breaks."""
    offset = target.stat().st_size if target.exists() else 0
    with _open(url, READ_SECONDS, offset=offset) as response:
        if response.status != 206:  # the server does not resume: start over
            offset = 0
        total = offset + int(response.headers.get("Content-Length") or 0)
        done, started = offset, time.monotonic()
        with target.open("ab" if offset else "wb") as file:
            while block := response.read1(BLOCK):
                file.write(block)
                done += len(block)
                speed = (done - offset) / MB / max(time.monotonic() - started, 0.001)
                progress.detail = f"{done / MB:.0f} of {total / MB:.0f} MB, {speed:.1f} MB/s"
    if done < total:
        raise OSError(f"the connection ended after {done} of {total} bytes")


def _checksum(release: Release) -> tuple[str, str]:
    """Return the algorithm and the checksum of the archive. Raises _Unavailable and LabError."""
    for algorithm, pinned in (("sha512", release.sha512), ("sha256", release.sha256)):
        if checksum := pinned.get(str(release.architecture)):
            return algorithm, checksum
    url, name = _mirrored(release.checksums), PurePosixPath(release.archive).name
    with _open(url, READ_SECONDS) as response:
        lines = [line.split() for line in response.read().decode(errors="replace").splitlines()]
    for fields in lines:
        if len(fields) == 2 and fields[1].lstrip("*") == name:
            return "sha256", fields[0]
    raise LabError(f"{url} has no checksum of {name}. Set {MIRROR}=off to build from source.")


def _verify(archive: Path, url: str, algorithm: str, checksum: str) -> None:
    with archive.open("rb") as file:
        actual = hashlib.file_digest(file, algorithm).hexdigest()
    if actual != checksum.lower():
        raise LabError(
            f"{url} has the {algorithm.upper()} checksum {actual} instead of {checksum}, so nothing of it was kept. "
            f"Run the command again; if it repeats, set {MIRROR}=off to build from source."
        )


def _unpack(archive: Path, url: str, programs: tuple[str, ...], folder: Path) -> None:
    missing = set(programs)
    with tarfile.open(archive) as contents:
        for member in contents:
            name = PurePosixPath(member.name).name
            if name in missing and member.isfile() and (source := contents.extractfile(member)):
                with source, (folder / name).open("wb") as target:
                    shutil.copyfileobj(source, target)
                (folder / name).chmod(0o755)
                missing.remove(name)
    if missing:
        raise LabError(f"{url} does not contain {', '.join(sorted(missing))}. Set {MIRROR}=off to build from source.")
