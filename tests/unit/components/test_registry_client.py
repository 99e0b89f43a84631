"""How regctl is called, and which settings it gets."""

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
#: Records its settings and arguments, then runs the test's script.
STAND_IN = """\
#!/bin/sh
cp "$REGCTL_CONFIG" '{folder}/settings.json'
stat -c '%a' "$REGCTL_CONFIG" > '{folder}/mode'
echo "$REGCTL_CONFIG" > '{folder}/file'
echo "$*" >> '{folder}/arguments'
{script}
"""


class Regctl:
    """A stand-in on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer(f"echo {DIGEST}")

    def answer(self, script: str) -> None:
        program = self.folder / "regctl"
        program.write_text(STAND_IN.format(folder=self.folder, script=script))
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


def test_the_login_is_in_a_private_temporary_file(regctl: Regctl):
    registry_client.copy(SOURCE, TARGET, "release-abababababab", Login("robot", "s3cret"))
    assert regctl.hosts == {"registry.example:5000": {"user": "robot", "pass": "s3cret"}}
    assert int((regctl.folder / "mode").read_text(), 8) == stat.S_IRUSR | stat.S_IWUSR
    assert not Path((regctl.folder / "file").read_text().strip()).exists()
    assert "s3cret" not in "".join(regctl.arguments)
    assert regctl.arguments[0].startswith(
        f"image copy --referrers --digest-tags {SOURCE} {TARGET}:release-abababababab"
    )


@pytest.mark.parametrize("place", [".regctl/config.json", ".config/regctl/config.json", "elsewhere.json"])
def test_the_users_own_settings_are_kept(regctl: Regctl, place: str, monkeypatch: pytest.MonkeyPatch):
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


def test_only_loopback_is_used_without_tls(regctl: Regctl):
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


def test_a_copy_with_another_digest_is_an_error(regctl: Regctl):
    regctl.answer(f"echo sha256:{'cd' * 32}")
    with pytest.raises(RegistryError, match=r"has the digest sha256:cdcd.*not that of hub\.example"):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_an_image_missing_at_its_source_is_tagged_in_the_copy(regctl: Regctl):
    not_found = "echo 'request failed: not found [http 404]: {{}}' >&2; exit 1"
    regctl.answer(f'case "$*" in *hub.example*) {not_found};; esac; echo {DIGEST}')
    registry_client.copy(SOURCE, TARGET, "release-abababababab", None)
    assert any(f"{TARGET}@{DIGEST} {TARGET}:release-" in line for line in regctl.arguments)
    regctl.answer(f'case "$*" in *head*) echo {DIGEST};; *) {not_found};; esac')
    with pytest.raises(ImageNotFound):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_an_image_in_the_repository_is_only_tagged(regctl: Regctl):
    registry_client.copy(f"{TARGET}@{DIGEST}", TARGET, "release-abababababab", None)
    assert regctl.arguments[0].startswith(f"image copy {TARGET}@{DIGEST} {TARGET}:release-abababababab")


def test_an_existing_immutable_tag_is_accepted_if_correct(regctl: Regctl):
    taken = "tag invalid: The image tag 'release-abababababab' already exists in the 'prod/app' repository"
    regctl.answer(f'case "$*" in *head*) echo {DIGEST};; *) echo "{taken}" >&2; exit 1;; esac')
    registry_client.copy(f"{TARGET}@{DIGEST}", TARGET, "release-abababababab", None)
    regctl.answer(f'case "$*" in *head*) echo sha256:{"cd" * 32};; *) echo "{taken}" >&2; exit 1;; esac')
    with pytest.raises(RegistryError, match="has the digest sha256:cdcd"):
        registry_client.copy(f"{TARGET}@{DIGEST}", TARGET, "release-abababababab", None)
    other = taken.replace("release-abababababab", "sha256-abab.sig")
    regctl.answer(f'case "$*" in *head*) echo {DIGEST};; *) echo "{other}" >&2; exit 1;; esac')
    with pytest.raises(RegistryError, match=r"sha256-abab\.sig"):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_only_a_404_makes_an_image_missing(regctl: Regctl):
    assert registry_client.missing(SOURCE, None) is False
    regctl.answer("echo 'failed to request: not found [http 404]: ' >&2; exit 1")
    assert registry_client.missing(SOURCE, None) is True
    for other in ("unauthorized", "dial tcp: lookup hub.example: no such host", "request failed: [http 503]"):
        regctl.answer(f"echo '{other}' >&2; exit 1")
        assert registry_client.missing(SOURCE, None) is False


def test_a_refusal_names_the_registry_to_log_in_to():
    refused = RegistryError(f"failed to send blob post, ref {TARGET}@{DIGEST}: unauthorized")
    assert "may not push there" in registry_client.remedy(refused, SOURCE, TARGET, Login("a", "b"))
    assert "`docker login registry.example:5000`" in registry_client.remedy(refused, SOURCE, TARGET, None)
    source = RegistryError(f"failed to get manifest {SOURCE}: request failed: forbidden [http 403]: denied")
    assert "`docker login hub.example`" in registry_client.remedy(source, SOURCE, TARGET, Login("a", "b"))
    assert registry_client.remedy(RegistryError("no route to host"), SOURCE, TARGET, None) == ""


def test_unreadable_settings_are_reported(regctl: Regctl, monkeypatch: pytest.MonkeyPatch):
    broken = regctl.folder / "broken.json"
    broken.write_text("{")
    monkeypatch.setenv("REGCTL_CONFIG", str(broken))
    with pytest.raises(RegistryError, match=r"broken\.json cannot be read"):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_regctl_is_required_only_with_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert registry_client.missing_prerequisites(set()) == []
    (error,) = registry_client.missing_prerequisites({SOURCE})
    assert SOURCE in error
    assert "install" in error
    with pytest.raises(RegistryError, match="regctl is not on PATH"):
        registry_client.copy(SOURCE, TARGET, "release-abababababab", None)


def test_an_image_without_a_host_is_on_docker_hub():
    assert registry_client.host("team/app") == registry_client.host("python") == "docker.io"
    assert registry_client.host(SOURCE) == "hub.example"
    assert registry_client.host("localhost/app") == "localhost"
