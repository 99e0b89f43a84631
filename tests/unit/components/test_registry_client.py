"""What regctl is told, and where the user's own settings end."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from components import registry_client
from components.registry_client import ImageNotFound, Login, RegistryError

DIGEST = "sha256:" + "ab" * 32
SOURCE = f"hub.example/team/app@{DIGEST}"
TARGET = "registry.example:5000/prod/app"
#: Stands for regctl: notes its settings and arguments, then says what the test wants said.
STAND_IN = """\
#!/bin/sh
cp "$REGCTL_CONFIG" '{folder}/settings.json'
stat -c '%a' "$REGCTL_CONFIG" > '{folder}/mode'
echo "$REGCTL_CONFIG" > '{folder}/file'
echo "$*" >> '{folder}/arguments'
{says}
"""


class Regctl:
    """A stand-in on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.says(f"echo {DIGEST}")

    def says(self, script: str) -> None:
        program = self.folder / "regctl"
        program.write_text(STAND_IN.format(folder=self.folder, says=script))
        program.chmod(0o755)

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        return json.loads((self.folder / "settings.json").read_text())["hosts"]

    @property
    def arguments(self) -> list[str]:
        return (self.folder / "arguments").read_text().splitlines()


@pytest.fixture
def regctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Regctl:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REGCTL_CONFIG", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return Regctl(tmp_path)


def test_the_login_is_in_a_file_of_the_users_alone_and_goes(regctl: Regctl):
    registry_client.copy(SOURCE, TARGET, "release-abababababab", Login("robot", "s3cret"))
    assert regctl.hosts == {"registry.example:5000": {"user": "robot", "pass": "s3cret"}}
    assert int((regctl.folder / "mode").read_text(), 8) == stat.S_IRUSR | stat.S_IWUSR
    assert not Path((regctl.folder / "file").read_text().strip()).exists()
    assert "s3cret" not in "".join(regctl.arguments)
    assert regctl.arguments[0].startswith(
        f"image copy --referrers --digest-tags {SOURCE} {TARGET}:release-abababababab"
    )


@pytest.mark.parametrize("place", [".regctl/config.json", ".config/regctl/config.json", "elsewhere.json"])
def test_the_users_own_settings_hold_beside_it(regctl: Regctl, place: str, monkeypatch: pytest.MonkeyPatch):
    own = {
        "hosts": {
            "hub.example": {"user": "me", "pass": "mine"},
            "registry.example:5000": {"tls": "insecure", "credHelper": "docker-credential-x", "token": "t"},
        }
    }
    file = regctl.folder / "home" / place
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(own))
    if place == "elsewhere.json":
        monkeypatch.setenv("REGCTL_CONFIG", str(file))
    registry_client.copy(SOURCE, TARGET, "release-abababababab", Login("robot", "s3cret"))
    assert regctl.hosts["hub.example"] == own["hosts"]["hub.example"]
    assert regctl.hosts["registry.example:5000"] == {"tls": "insecure", "user": "robot", "pass": "s3cret"}
    assert json.loads(file.read_text()) == own


def test_only_loopback_is_spoken_to_without_tls(regctl: Regctl):
    for registry, plain in (
        ("localhost:5001", True),
        ("127.0.0.1:5001", True),
        ("[::1]:5001", True),
        ("10.0.0.1:5000", False),
        ("registry.example", False),
        ("localhost.example:5000", False),
    ):
        registry_client.copy(SOURCE, f"{registry}/app", "release-abababababab", None)
        assert (regctl.hosts.get(registry) == {"tls": "disabled"}) is plain, registry
        assert "hub.example" not in regctl.hosts


def test_another_digest_than_the_sources_is_a_fault(regctl: Regctl):
    regctl.says(f"echo sha256:{'cd' * 32}")
    with pytest.raises(RegistryError, match=r"has the digest sha256:cdcd.*not that of hub\.example"):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_what_is_gone_from_the_source_is_tagged_where_it_was_copied_to(regctl: Regctl):
    not_found = "echo 'request failed: not found [http 404]: {{}}' >&2; exit 1"
    regctl.says(f'case "$*" in *hub.example*) {not_found};; esac; echo {DIGEST}')
    registry_client.copy(SOURCE, TARGET, "release-abababababab", None)
    assert any(f"{TARGET}@{DIGEST} {TARGET}:release-" in line for line in regctl.arguments)
    regctl.says(f'case "$*" in *head*) echo {DIGEST};; *) {not_found};; esac')
    with pytest.raises(ImageNotFound):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_what_is_in_the_repository_is_tagged_there_and_nothing_moves(regctl: Regctl):
    registry_client.copy(f"{TARGET}@{DIGEST}", TARGET, "release-abababababab", None)
    assert regctl.arguments[0].startswith(f"image copy {TARGET}@{DIGEST} {TARGET}:release-abababababab")


def test_a_tag_that_never_moves_may_be_there_already_if_it_names_the_same(regctl: Regctl):
    taken = "tag invalid: The image tag 'release-abababababab' already exists in the 'prod/app' repository"
    regctl.says(f'case "$*" in *head*) echo {DIGEST};; *) echo "{taken}" >&2; exit 1;; esac')
    registry_client.copy(f"{TARGET}@{DIGEST}", TARGET, "release-abababababab", None)
    regctl.says(f'case "$*" in *head*) echo sha256:{"cd" * 32};; *) echo "{taken}" >&2; exit 1;; esac')
    with pytest.raises(RegistryError, match="has the digest sha256:cdcd"):
        registry_client.copy(f"{TARGET}@{DIGEST}", TARGET, "release-abababababab", None)
    other = taken.replace("release-abababababab", "sha256-abab.sig")
    regctl.says(f'case "$*" in *head*) echo {DIGEST};; *) echo "{other}" >&2; exit 1;; esac')
    with pytest.raises(RegistryError, match=r"sha256-abab\.sig"):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_only_the_registrys_own_answer_makes_an_image_missing(regctl: Regctl):
    assert registry_client.missing(SOURCE, None) is False
    regctl.says("echo 'failed to request: not found [http 404]: ' >&2; exit 1")
    assert registry_client.missing(SOURCE, None) is True
    for other in ("unauthorized", "dial tcp: lookup hub.example: no such host", "request failed: [http 503]"):
        regctl.says(f"echo '{other}' >&2; exit 1")
        assert registry_client.missing(SOURCE, None) is False


def test_who_refuses_is_who_wants_a_login():
    refused = RegistryError(f"failed to send blob post, ref {TARGET}@{DIGEST}: unauthorized")
    assert "does not let it write" in registry_client.remedy(refused, SOURCE, TARGET, Login("a", "b"))
    assert "`docker login registry.example:5000`" in registry_client.remedy(refused, SOURCE, TARGET, None)
    source = RegistryError(f"failed to get manifest {SOURCE}: request failed: forbidden [http 403]: denied")
    assert "`docker login hub.example`" in registry_client.remedy(source, SOURCE, TARGET, Login("a", "b"))
    assert registry_client.remedy(RegistryError("no route to host"), SOURCE, TARGET, None) == ""


def test_settings_that_cannot_be_read_are_named(regctl: Regctl, monkeypatch: pytest.MonkeyPatch):
    broken = regctl.folder / "broken.json"
    broken.write_text("{")
    monkeypatch.setenv("REGCTL_CONFIG", str(broken))
    with pytest.raises(RegistryError, match=r"broken\.json can't be read"):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_the_tool_is_asked_for_where_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert registry_client.missing_prerequisites(set()) == []
    (fault,) = registry_client.missing_prerequisites({SOURCE})
    assert SOURCE in fault
    assert "install" in fault
    with pytest.raises(RegistryError, match="regctl is not on PATH"):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_an_image_without_a_host_is_docker_hubs():
    assert registry_client.host("team/app") == registry_client.host("python") == "docker.io"
    assert registry_client.host(SOURCE) == "hub.example"
    assert registry_client.host("localhost/app") == "localhost"
