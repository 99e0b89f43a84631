"""Downloads of official releases, from a local server with the same layout as the publishers' hosts."""

from __future__ import annotations

import functools
import hashlib
import io
import platform
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab import downloads, refusal_cache, toolchain
from lab.downloads import MIRROR, RELEASES, Release
from lab.errors import LabError
from lab.layout import Lab
from lab.progress import Step

HOST = "releases.example"
NAME = "tool-v1-linux-x64.tar.gz"
ARCHIVE, CHECKSUMS = f"/{HOST}/v1/{NAME}", f"/{HOST}/v1/checksums.txt"
PROGRAM = bytes(range(256)) * 20_000  # 5 MB, more than one block


def _tarball(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=0) as archive:
        for name in names:
            entry = tarfile.TarInfo(f"tool/bin/{name}")
            entry.size = len(PROGRAM)
            archive.addfile(entry, io.BytesIO(PROGRAM))
    return buffer.getvalue()


TARBALL = _tarball("program", "helper")


@dataclass
class Publisher:
    """A web server; `break_after` bytes it closes the connection, as often as `breaks` says."""

    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    requests: list[str] = field(default_factory=list[str])
    break_after: int = 2_000_000
    breaks: int = 0
    resumes: bool = True
    address: str = ""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, publisher: Publisher, *arguments: object) -> None:
        self.publisher = publisher
        super().__init__(*arguments)  # pyright: ignore[reportArgumentType]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        publisher, path = self.publisher, self.path.removeprefix(f"http://{HOST}")
        wanted = self.headers.get("Range", "")
        publisher.requests.append(f"{self.command} {self.path} {wanted}".strip())
        content = publisher.files.get(path)
        if content is None:
            self.send_error(404)
            return
        offset = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and publisher.resumes else 0
        self.send_response(206 if offset else 200)
        self.send_header("Content-Length", str(len(content) - offset))
        self.end_headers()
        if not body:
            return
        if publisher.breaks and path == ARCHIVE:
            publisher.breaks -= 1
            content = content[: offset + publisher.break_after]
            self.close_connection = True
        self.wfile.write(content[offset:])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    publisher = Publisher({ARCHIVE: TARBALL})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, publisher))
    publisher.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(MIRROR, publisher.address)
    monkeypatch.setattr(downloads, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    _use(monkeypatch, _release(sha512={"x64": hashlib.sha512(TARBALL).hexdigest()}))
    yield publisher
    server.shutdown()
    server.server_close()


def _release(**checksum: object) -> Release:
    url = f"https://{HOST}/v1/tool-v1-linux-{{arch}}.tar.gz"
    return replace(Release("v1", url, {"x86_64": "x64"}), **checksum)


def _use(monkeypatch: pytest.MonkeyPatch, release: Release) -> None:
    monkeypatch.setitem(RELEASES, "tool", release)


def _fetch(lab: Lab, folder: Path) -> bool:
    folder.mkdir(exist_ok=True)
    return downloads.fetch(lab, "tool", ("program",), folder, Step("download"))


def test_only_wanted_programs_are_unpacked(lab: Lab, publisher: Publisher, tmp_path: Path) -> None:
    assert downloads.available(lab, "tool")
    assert _fetch(lab, tmp_path / "bin")
    (program,) = (tmp_path / "bin").iterdir()
    assert (program.name, program.read_bytes() == PROGRAM) == ("program", True)
    assert program.stat().st_mode & 0o111
    assert publisher.requests == [f"HEAD {ARCHIVE}", f"GET {ARCHIVE}"]


def test_progress_shows_size_and_speed(lab: Lab, publisher: Publisher, tmp_path: Path) -> None:
    seen: list[str] = []

    class Recorder(Step):
        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            seen.append(str(value))

    (tmp_path / "bin").mkdir()
    downloads.fetch(lab, "tool", ("program",), tmp_path / "bin", Recorder("download"))
    assert any(detail.startswith("10 of 10 MB, ") and detail.endswith(" MB/s") for detail in seen)


def test_a_wrong_checksum_keeps_nothing(
    lab: Lab, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, _release(sha512={"x64": "ab" * 64}))
    with pytest.raises(LabError, match=r"SHA512 checksum [0-9a-f]{128} instead of (ab){64}, so nothing of it was kept"):
        _fetch(lab, tmp_path / "bin")
    assert list((tmp_path / "bin").iterdir()) == []


def test_a_broken_download_is_resumed(lab: Lab, publisher: Publisher, tmp_path: Path) -> None:
    publisher.breaks = 2
    assert _fetch(lab, tmp_path / "bin")
    assert publisher.requests == [
        f"GET {ARCHIVE}",
        f"GET {ARCHIVE} bytes=2000000-",
        f"GET {ARCHIVE} bytes=4000000-",
    ]


def test_without_resuming_a_download_starts_over(lab: Lab, publisher: Publisher, tmp_path: Path) -> None:
    publisher.breaks, publisher.resumes = 1, False
    assert _fetch(lab, tmp_path / "bin")
    assert (tmp_path / "bin" / "program").read_bytes() == PROGRAM


def test_a_download_that_keeps_breaking_is_given_up(
    lab: Lab, publisher: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher.breaks, publisher.break_after = 9, 1000
    assert not _fetch(lab, tmp_path / "bin")
    assert "the download broke 4 times" in capsys.readouterr().err
    assert list((tmp_path / "bin").iterdir()) == []
    assert not downloads.available(lab, "tool"), "remembered"


def test_a_missing_release_is_asked_for_once_a_day(lab: Lab, publisher: Publisher) -> None:
    del publisher.files[ARCHIVE]
    assert not downloads.available(lab, "tool")
    assert not downloads.available(lab, "tool")
    assert publisher.requests == [f"HEAD {ARCHIVE}"]
    assert refusal_cache.refusals(lab) == {publisher.address + ARCHIVE: "the server answers 404 Not Found"}
    refusal_cache.forget(lab)
    publisher.files[ARCHIVE] = TARBALL
    assert downloads.available(lab, "tool")


def test_an_unreachable_host_is_not_available(lab: Lab, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR, "http://127.0.0.1:1")
    assert not downloads.available(lab, "tool")


def test_a_proxy_variable_is_honoured(
    lab: Lab, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MIRROR, f"http://{HOST}")  # a name that only the proxy can resolve
    monkeypatch.setenv("http_proxy", publisher.address)
    assert downloads.available(lab, "tool")
    assert _fetch(lab, tmp_path / "bin")
    assert publisher.requests == [f"HEAD http://{HOST}{ARCHIVE}", f"GET http://{HOST}{ARCHIVE}"]


@pytest.mark.parametrize("right", [True, False])
def test_the_publishers_checksum_file_is_used(
    lab: Lab, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: bool
) -> None:
    _use(monkeypatch, _release(checksums=f"https://{HOST}/v1/checksums.txt"))
    checksum = hashlib.sha256(TARBALL).hexdigest() if right else "cd" * 32
    publisher.files[CHECKSUMS] = f"{'ef' * 32}  other.tar.gz\n{checksum}  {NAME}\n".encode()
    if right:
        assert _fetch(lab, tmp_path / "bin")
    else:
        with pytest.raises(LabError, match="SHA256 checksum"):
            _fetch(lab, tmp_path / "bin")


def test_an_archive_without_its_checksum_is_refused(
    lab: Lab, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(monkeypatch, _release(checksums=f"https://{HOST}/v1/checksums.txt"))
    publisher.files[CHECKSUMS] = b"nothing here\n"
    with pytest.raises(LabError, match=f"has no checksum of {NAME}"):
        _fetch(lab, tmp_path / "bin")
    assert publisher.requests == [f"GET {CHECKSUMS}"], "the archive is not even downloaded"


def test_an_archive_without_the_program_is_refused(
    lab: Lab, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.files[ARCHIVE] = other = _tarball("helper")
    _use(monkeypatch, _release(sha512={"x64": hashlib.sha512(other).hexdigest()}))
    with pytest.raises(LabError, match="does not contain program"):
        _fetch(lab, tmp_path / "bin")


@pytest.mark.parametrize(("variable", "machine"), [("off", "x86_64"), (None, "riscv64")])
def test_switched_off_or_unsupported_asks_nobody(
    lab: Lab, publisher: Publisher, monkeypatch: pytest.MonkeyPatch, variable: str | None, machine: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    if variable:
        monkeypatch.setenv(MIRROR, variable)
    assert not downloads.available(lab, "tool")
    assert publisher.requests == []


def test_every_release_has_a_checksum() -> None:
    for release in RELEASES.values():
        assert release.url.startswith("https://")
        assert release.version in release.url
        pinned = {**release.sha512, **release.sha256}
        assert release.checksums.startswith("https://") or pinned.keys() == set(release.arch.values())
        assert {len(checksum) for checksum in release.sha512.values()} <= {128}


def test_a_downloaded_tool_is_cached_without_go(
    lab: Lab, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_go(_: Lab) -> Path:
        raise AssertionError("Go is not needed")

    monkeypatch.setattr(toolchain.golang, "find", no_go)
    monkeypatch.setitem(RELEASES, "regctl", RELEASES["tool"])
    tool = replace(toolchain.REGCTL, executables=("program",), downloaded=("program",))
    toolchain.ensure(lab, tool)
    toolchain.ensure(lab, tool)
    assert tool.cached(lab)
    assert [path.name for path in tool.folder(lab).rglob("*")] == ["bin", "program"]
    assert publisher.requests == [f"HEAD {ARCHIVE}", f"GET {ARCHIVE}"]


def test_a_wrong_checksum_leaves_no_tool(lab: Lab, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RELEASES, "regctl", _release(sha512={"x64": "ab" * 64}))
    tool = replace(toolchain.REGCTL, executables=("program",), downloaded=("program",))
    with pytest.raises(LabError, match="instead of"):
        toolchain.ensure(lab, tool)
    assert list((lab.cache / "tools").iterdir()) == []
