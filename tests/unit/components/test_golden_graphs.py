"""Each kind of stack against its golden graph: everything that it registers, as YAML in `tests/unit/golden`.

After an intended change, run this file with ``--update-golden`` and review the difference in Git.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from contract.project import PROJECT_ROOT
from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.clouds import CLOUDS
from tests.unit.components.simulated import SimulatedCloud

GOLDEN = PROJECT_ROOT / "tests" / "unit" / "golden"
CANARY = {"canaryImage": "source", "canaryReplicas": 1, "stableReplicas": 2}
#: What differs between checkouts and between two edits of the service: the build's tag and revision.
BUILD = re.compile(r"src-[0-9a-f]{12}|(?<=REVISION: ).*|\b[0-9a-f]{40}(?:-dirty)?\b")
#: Options that the engine receives with each resource, and their values if the program does not set them.
OPTIONS = ("protect", "deleteBeforeReplace", "ignoreChanges", "replaceOnChanges", "retainOnDelete", "deletedWith")


class Dumper(yaml.SafeDumper):
    """Writes text with line breaks as a block, and never refers from one place to another."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Dumper.add_representer(str, _text)


@pytest.fixture
def matches_golden(request: pytest.FixtureRequest) -> Callable[[Any, str], None]:
    """Provide a function that compares a graph with a golden file, or rewrites the file with ``--update-golden``."""

    def compare(graph: Any, name: str) -> None:
        file = GOLDEN / f"{name}.yaml"
        text = as_yaml(graph)
        if request.config.getoption("--update-golden"):
            file.write_text(text)
            return
        expected = file.read_text() if file.exists() else ""
        difference = "\n".join(difflib.unified_diff(expected.splitlines(), text.splitlines(), str(file), "now", n=6))
        assert not difference, f"{difference}\nIf this change is intended, run pytest with --update-golden."

    return compare


def as_yaml(graph: Any) -> str:
    """Return every resource by its place and name, sorted, and the stack's outputs."""
    names: dict[str, str] = {each.urn: label(each.urn) for each in graph.resources}
    document = {
        "resources": {names[each.urn]: _described(each, names) for each in graph.resources},
        "outputs": _plain(graph.outputs),
    }
    assert len(document["resources"]) == len(graph.resources)
    text = yaml.dump(document, Dumper=Dumper, width=120, allow_unicode=True)
    text = BUILD.sub("<build>", text).replace(os.environ["KUBECONFIG"], "<kubeconfig>")
    return text.replace(str(PROJECT_ROOT), "<project>")


def label(urn: str) -> str:
    """Return the types of the resource and its components, and its name."""
    kinds, name = urn.split("::", 2)[2].rsplit("::", 1)
    return f"{kinds.replace('$', ' > ')} {name}"


def _described(resource: Any, names: dict[str, str]) -> dict[str, Any]:
    options = {name: value for name in OPTIONS if (value := _plain(getattr(resource.options, name)))}
    described = {
        "inputs": _plain({key: value for key, value in resource.inputs.items() if not key.startswith("__")}),
        "secret": sorted(resource.secret_paths),
        "after": sorted(str(names.get(urn, urn)) for urn in resource.dependencies),
        "options": {**options, **({"deletedWith": names[urn]} if (urn := options.get("deletedWith")) else {})},
    }
    return {key: value for key, value in described.items() if value}


def _plain(value: Any) -> Any:
    """Return the value as YAML's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple) or type(value).__name__.startswith("Repeated"):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def test_local_stack_with_a_canary(declare: Callable[..., Any], matches_golden: Callable[[Any, str], None]):
    matches_golden(declare(**CANARY), "local")


def test_local_stack_with_weights(declare: Callable[..., Any], cloud: Any, matches_golden: Callable[[Any, str], None]):
    cloud.computed["kubernetes:gateway.networking.k8s.io/v1:Gateway"] = lambda _: {"status": {}}
    entrance = {"gateway": "traefik", "hostname": "addressbook.example.com", "tls": "addressbook-tls"}
    matches_golden(declare(**CANARY, **entrance, canaryWeight="1", canaryHeader="X-Canary: always"), "local-weights")


@pytest.mark.parametrize("simulated", CLOUDS, ids=lambda cloud: cloud.name)
def test_cloud_stack(graph: Callable[..., Any], simulated: SimulatedCloud, matches_golden: Callable[[Any, str], None]):
    matches_golden(graph(**simulated.extra), simulated.name)


def test_release_stack(declare: Callable[..., Any], cloud: Any, matches_golden: Callable[[Any, str], None]):
    platform = dict(declare().outputs)
    cloud.functions[READ_OUTPUTS] = lambda args: {"name": args["name"], "outputs": platform, "secretOutputNames": []}
    unset = {"kubeContext": "", "registry": ""}
    matches_golden(declare(platformStack="prod", namespace="branch-one", **unset), "release-stack")
