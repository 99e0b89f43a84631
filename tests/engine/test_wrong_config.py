"""Wrong config under the real engine: refused before anything is registered, in one message, without a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

NewProject = Callable[..., Any]


@pytest.fixture
def environment(toolchain: dict[str, str], tmp_path: Any) -> dict[str, str]:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("contexts: [{name: kind-kind}]")
    cosign = tmp_path / "bin" / "cosign"
    cosign.parent.mkdir()
    cosign.write_text("#!/bin/sh\necho 'Error: no signatures found' >&2\nexit 10\n")
    cosign.chmod(0o755)
    return {**toolchain, "KUBECONFIG": str(kubeconfig), "PATH": f"{cosign.parent}:{toolchain['PATH']}"}


UNSIGNED = f"localhost:5001/addressbook@sha256:{'a' * 64}"
GOOD = {"cloud": "local", "kubeContext": "kind-kind", "registry": "localhost:5001"}


#: Configs by what finds their errors, and the words that the one message must contain. Each error by itself is a unit
#: test's subject.
REFUSED = {
    "the choice of the cloud": ({**GOOD, "cloud": "azure"}, ["cloud = 'azure'", "one of: "]),
    "each key": (
        {
            **GOOD,
            "kubeContext": "nowhere",
            "stableReplicas": -1,
            "stableImage": "registry.example/addressbook:v2",
            "traffic": "both",
            "nodeCount": 5,
            "nodeCout": 3,
        },
        [
            *("kubeContext = 'nowhere'", "no such context", "kind-kind"),
            *("stableReplicas", "1 or more"),
            *("stableImage", "REPOSITORY@sha256:"),
            *("traffic", "both"),
            *("nodeCount", "cloud `local` does not use this key"),
            *("nodeCout: no such key", "did you mean `nodeCount`?"),
        ],
    ),
    "keys together": (
        {**GOOD, "canaryReplicas": 2, "traffic": "canary", "gateway": "traefik", "tls": "ours"},
        [
            "canaryReplicas is 2 but there is no canaryImage",
            "traffic is `canary` but no canary is declared",
            *("tls = 'ours'", "needs `hostname`"),
        ],
    ),
    "another stack": (
        {"cloud": "local", "platformStack": "nowhere"},
        ["platformStack = 'nowhere'", "no such stack"],
    ),
}


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("command", ["preview", "up"])
def test_refused_by_preview_and_up(
    new_project: NewProject, environment: dict[str, str], config: dict[str, Any], message: list[str], command: str
):
    project = new_project("wrong", environment, **config)
    done = project.pulumi(command, *(["--yes", "--skip-preview"] if command == "up" else []), check=False)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    for words in message:
        assert words in output, output
    assert "Traceback" not in output
    registered = [
        r["urn"]
        for r in project.state().get("resources", [])
        # Less the stack itself and the engine's own provider, which reads other stacks.
        if not r["type"].startswith(("pulumi:pulumi:Stack", "pulumi:providers:pulumi"))
    ]
    assert registered == []


def test_engine_refuses_a_wrong_type(new_project: NewProject, environment: dict[str, str]):
    project = new_project("wrong", environment, **{**GOOD, "stableReplicas": "many"})
    done = project.pulumi("preview", check=False)
    assert done.returncode != 0
    assert "stableReplicas" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"canaryReplicas": 2}, "there is no canaryImage"),
        ({"stableImage": UNSIGNED, "imageVerification": "cosign.pub"}, "has no valid signature of the signer"),
    ],
    ids=["canaryReplicas", "imageVerification"],
)
def test_refused_config_exits_with_code_2(
    new_project: NewProject, environment: dict[str, str], config: dict[str, Any], message: str
):
    project = new_project("wrong", environment, **GOOD, **config)
    for command in ("preview", "up"):
        arguments = [command, "--stack", "wrong", "--output", "json"]
        done = project.run("python", "-m", "promotion", *arguments, check=False)
        assert done.returncode == 2, done.stdout + done.stderr
        assert json.loads(done.stdout)["command"] == command
        assert message in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "--stack", "nowhere"], "there is no Pulumi.nowhere.yaml"),
        (["up", "--stack", "wrong", "--set", "canaryReplicas"], "write KEY=VALUE"),
        (["status", "--stack", "wrong"], "runs nothing"),
        (["status", "--stack", "organization/addressbook/wrong"], "runs nothing"),
        (["status", "--stack", "organization/other/wrong"], "belongs to another project"),
        (["promote-everything"], "invalid choice"),
    ],
)
def test_wrong_use_is_one_sentence(
    new_project: NewProject, environment: dict[str, str], arguments: list[str], message: str
):
    project = new_project("wrong", environment, **GOOD)
    done = project.run("python", "-m", "promotion", *arguments, check=False)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_refused_config_is_not_written(new_project: NewProject, environment: dict[str, str]):
    project = new_project("wrong", environment, **GOOD)
    before = project.stack_file.read_text()
    done = project.run(
        "python", "-m", "promotion", "up", "--stack", "wrong", "--set", "kubeContext=nowhere", check=False
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "kubeContext = 'nowhere'" in done.stderr
    assert project.stack_file.read_text() == before
