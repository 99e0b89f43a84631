"""Conformance of the provider `random`."""

from __future__ import annotations

import base64
import string

import bcrypt

from lab.tests.conformance.pulumi_project import PulumiProject

PLUGIN = ("random", "4.21.4")

RESULTS = """
import pulumi
import pulumi_random as random

password = random.RandomPassword("password", length=24)
id_ = random.RandomId("id", byte_length=4, prefix="x-")
text = random.RandomString("string", length=12, special=False, upper=False, numeric=False)
pulumi.export("password", password.result)
pulumi.export("hash", password.bcrypt_hash)
pulumi.export("id", [id_.b64_std, id_.b64_url, id_.dec, id_.hex, id_.id])
pulumi.export("string", text.result)
"""
# Arguments before and after, and what the change does.
CHANGES = {
    "default": ("length=16, keepers={'a': '1'}", "length=16, keepers={'a': '1'}, special=True", "same"),
    "length": ("length=16", "length=17", "replace"),
    "keeper": ("length=16, keepers={'a': '1'}", "length=16, keepers={'a': '2'}", "replace"),
    "more keepers": ("length=16, keepers={'a': '1'}", "length=16, keepers={'a': '1', 'b': '1'}", "replace"),
    "special": ("length=16", "length=16, special=False", "replace"),
}


def passwords(after: bool) -> str:
    lines = [f"random.RandomPassword('{name}', {change[after]})" for name, change in CHANGES.items()]
    return "\n".join(["import pulumi_random as random", *lines])


def test_results_have_their_form_and_last(project: PulumiProject) -> None:
    project.program(RESULTS)
    project.up()
    outputs = project.outputs()
    password = outputs["password"]
    assert len(password) == 24
    assert set(password) <= set(string.ascii_letters + string.digits + "!@#$%&*()-_=+[]{}<>:?")
    assert outputs["hash"].startswith("$2a$10$")
    assert bcrypt.checkpw(password.encode(), outputs["hash"].encode())
    standard, url, decimal, hexadecimal, identifier = outputs["id"]
    number = bytes.fromhex(hexadecimal.removeprefix("x-"))
    assert decimal == f"x-{int.from_bytes(number, 'big')}"
    assert standard == f"x-{base64.b64encode(number).decode()}"
    assert url == f"x-{identifier}"
    assert base64.urlsafe_b64decode(identifier + "==") == number
    assert len(outputs["string"]) == 12
    assert outputs["string"].islower() and outputs["string"].isalpha()

    shown = project.stdout("stack", "output", "--json")
    assert not any(outputs[name] in shown + project.stored_state() for name in ("password", "hash"))
    assert project.resource("password")["id"] == "none"
    project.up("--refresh")
    assert {step["op"] for step in project.steps().values()} == {"same"}
    assert project.outputs() == outputs


def test_every_real_change_replaces(project: PulumiProject) -> None:
    project.program(passwords(after=False))
    project.up()
    project.program(passwords(after=True))
    steps = project.steps()
    assert {name: steps[name]["op"] for name in CHANGES} == {name: change[2] for name, change in CHANGES.items()}


def test_invalid_input_stops_the_preview(project: PulumiProject) -> None:
    project.program("import pulumi_random as random\nrandom.RandomPassword('password', length=0)\n")
    output = project.run("preview", fails=True)
    assert "length" in output
    assert "Traceback" not in output
