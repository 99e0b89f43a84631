"""Conformance of the provider `random`."""

from __future__ import annotations

import base64
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from tests.conformance.pulumi_project import OFFICIAL, STAND_IN, PulumiProject, plugin_processes, until

VERSION = "4.21.4"

ALL = """
    import pulumi
    import pulumi_random as random

    password = random.RandomPassword("password", length=24, override_special="_-", min_special=2, min_upper=3)
    bytes_ = random.RandomBytes("bytes", length=9)
    id_ = random.RandomId("id", byte_length=4, prefix="x-")
    integer = random.RandomInteger("integer", min=3, max=5)
    uuid_ = random.RandomUuid("uuid")
    text = random.RandomString("string", length=12, special=False, upper=False, number=False)
    pulumi.export("password", password.result)
    pulumi.export("hash", password.bcrypt_hash)
    pulumi.export("base64", bytes_.base64)
    pulumi.export("hex", bytes_.hex)
    pulumi.export("id", [id_.b64_std, id_.b64_url, id_.dec, id_.hex, id_.id])
    pulumi.export("integer", integer.result)
    pulumi.export("uuid", uuid_.result)
    pulumi.export("string", text.result)
"""


@pytest.fixture(params=[STAND_IN, OFFICIAL])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PulumiProject]:
    """A project under the stand-in, then under the official plugin where it is installed."""
    project = PulumiProject(tmp_path, "random", VERSION, request.param)
    try:
        yield project
    finally:
        project.close()


def test_results_are_what_was_asked_for(project: PulumiProject) -> None:
    project.program(ALL)
    project.up()
    outputs = project.outputs()
    password = outputs["password"]
    assert len(password) == 24
    assert sum(character in "_-" for character in password) >= 2
    assert sum(character.isupper() for character in password) >= 3
    assert all(character.isalnum() or character in "_-" for character in password)
    assert outputs["hash"].startswith("$2a$10$")
    assert bcrypt.checkpw(password.encode(), outputs["hash"].encode())
    assert base64.b64decode(outputs["base64"]) == bytes.fromhex(outputs["hex"])
    assert len(outputs["hex"]) == 18
    standard, url, decimal, hexadecimal, identifier = outputs["id"]
    number = bytes.fromhex(hexadecimal.removeprefix("x-"))
    assert decimal == f"x-{int.from_bytes(number, 'big')}"
    assert standard == f"x-{base64.b64encode(number).decode()}"
    assert url == f"x-{identifier}"
    assert base64.urlsafe_b64decode(identifier + "==") == number
    assert outputs["integer"] in (3, 4, 5)
    assert uuid.UUID(outputs["uuid"])
    assert outputs["string"].islower()
    assert outputs["string"].isalpha()
    assert len(outputs["string"]) == 12


def test_results_last(project: PulumiProject) -> None:
    project.program(ALL)
    project.up()
    before = project.outputs()
    project.up("--refresh")
    assert {step["op"] for step in project.steps().values()} == {"same"}
    assert project.outputs() == before


def test_what_is_secret_stays_so(project: PulumiProject) -> None:
    project.program(ALL)
    project.up()
    shown = project.answer("stack", "output", "--json")
    for name in ("password", "hash", "base64", "hex"):
        assert project.outputs()[name] not in shown
    state = next(Path(project.environment["PULUMI_BACKEND_URL"].removeprefix("file://")).rglob("test.json"))
    assert project.outputs()["password"] not in state.read_text()
    assert project.resource("password")["id"] == "none"


PASSWORD = "import pulumi_random as random\nrandom.RandomPassword('password', {})\n"


def test_every_real_change_replaces(project: PulumiProject) -> None:
    project.program(PASSWORD.format("length=16, keepers={'a': '1'}"))
    project.up()
    for after, op in (
        ("length=16, keepers={'a': '1'}", "same"),
        ("length=16, keepers={'a': '1'}, special=True, min_lower=0", "same"),
        ("length=17, keepers={'a': '1'}", "replace"),
        ("length=16, keepers={'a': '2'}", "replace"),
        ("length=16, keepers={'a': '1', 'b': '1'}", "replace"),
        ("length=16, keepers={'a': '1'}, special=False", "replace"),
        ("length=16, keepers={'a': '1'}, override_special='_'", "replace"),
    ):
        project.program(PASSWORD.format(after))
        assert project.steps()["password"]["op"] == op, after


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("length=0", "length"),
        ("length=3, min_upper=4", "length"),
        ("length=8, upper=False, lower=False, numeric=False, special=False", "special"),
        ("length='many'", "length"),
    ],
)
def test_a_wrong_input_stops_the_preview(project: PulumiProject, arguments: str, sentence: str) -> None:
    project.program(PASSWORD.format(arguments))
    output = project.run("preview", fails=True)
    assert sentence in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("type_name", "text", "arguments"),
    [
        ("RandomPassword", "hunter2!", "length=8"),
        ("RandomId", "x-,p-9hUg", "byte_length=4, prefix='x-'"),
        ("RandomInteger", "4,1,9", "min=1, max=9"),
        ("RandomUuid", "aabbccdd-eeff-4011-9233-445566778899", ""),
        ("RandomString", "hello", "length=5"),
        ("RandomBytes", "8/fu3q+2DcgSJ19i0jZ5Cw==", "length=16"),
    ],
)
def test_an_import_is_no_change(project: PulumiProject, type_name: str, text: str, arguments: str) -> None:
    module = f"random{type_name.removeprefix('Random')}"
    project.run(
        "import", f"random:index/{module}:{type_name}", "it", text, "--yes", "--protect=false", "--generate-code=false"
    )
    project.program(f"import pulumi_random as random\nrandom.{type_name}('it', {arguments})\n")
    assert project.steps()["it"]["op"] == "same"


def test_the_plugin_ends_with_a_killed_engine(tmp_path: Path) -> None:
    project = PulumiProject(tmp_path, "random", VERSION, STAND_IN)
    try:
        project.program(
            """
            import pathlib, time
            import pulumi_random as random

            def wait(_):
                pathlib.Path("made").touch()
                time.sleep(600)

            random.RandomUuid("uuid").result.apply(wait)
            """
        )
        running = project.start("up", "--yes", "--skip-preview")
        until(lambda: (project.folder / "made").exists(), "the resource is made")
        (plugin,) = plugin_processes(project, "random")
        os.kill(running.pid, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{plugin}").exists(), "the plugin has ended")
    finally:
        project.close()
