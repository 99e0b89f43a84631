"""The lab's only view of the program that it hosts: its files, its config keys, where a stack runs, a smoke test."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError
from lab.layout import Lab

CHECKOUT = Path(__file__).resolve().parent.parent
#: The files that `pulumi` and `python -m promotion` need.
PROGRAM = (
    "Pulumi.yaml",
    "pyproject.toml",
    "__main__.py",
    "contract",
    "components",
    "stacks",
    "app",
    "promotion",
    "policy",
)
#: Public: see the comment in Pulumi.dev.yaml.
PASSPHRASE = CHECKOUT / "Pulumi.local.passphrase"
CONFIG_PREFIX = "addressbook:"
#: Keys that name images of a registry that the lab cannot pull from.
IMAGE_KEYS = ("stableImage", "canaryImage", "canaryReplicas", "canaryVerdict", "databaseClientImage", "gatewayImage")
NAMESPACE_LENGTH = 39  # characters that the program allows

ANSWER_SECONDS = 30.0  # longest wait for the first answer at a new address
PERSON = ("Ada", "Lovelace")


@dataclass(frozen=True)
class Target:
    """Where a stack runs."""

    cloud: str
    in_lab: bool
    #: Whether the stack runs Traefik as its Gateway's controller.
    runs_traefik: bool = False


def target(lab: Lab, stack: str, context: str | None) -> Target:
    """Return where a stack runs. `context` takes precedence over the stack file's `kubeContext`. Raises LabError."""
    config = stack_config(stack)
    cloud = str(config.get(f"{CONFIG_PREFIX}cloud", "local"))
    context = context or config.get(f"{CONFIG_PREFIX}kubeContext")
    return Target(cloud, in_lab=cloud == "local" and context == lab.name, runs_traefik=runs_traefik(config))


def runs_traefik(config: dict[str, Any]) -> bool:
    """Return whether a stack with this config runs Traefik as its Gateway's controller."""
    return config.get(f"{CONFIG_PREFIX}gateway") == "traefik"


def stack_config(stack: str) -> dict[str, Any]:
    """Return the keys in a stack's file; those without a namespace get the project's. Raises LabError."""
    path = CHECKOUT / f"Pulumi.{stack}.yaml"
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        known = sorted(file.name.split(".")[1] for file in CHECKOUT.glob("Pulumi.*.yaml"))
        raise LabError(f"There is no stack {stack!r}: {path} does not exist. Stacks: {', '.join(known)}.") from None
    except yaml.YAMLError as error:
        raise LabError(f"{path} is not valid YAML: {error}") from error
    config: dict[str, Any] = document.get("config") or {}
    return {key if ":" in key else CONFIG_PREFIX + key: value for key, value in config.items()}


class SmokeTestError(Exception):
    """The service gave an unexpected answer; the message has the request and the answer."""


def smoke_test(url: str) -> str:
    """Wait until the service answers, then create, read and delete a person. Raises SmokeTestError."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            _http("GET", f"{url}/ready")
            break
        except SmokeTestError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    person = create_person(url)
    read_person(url, person)
    delete_person(url, person)
    return f"a person created, read and deleted at {url}"


def create_person(url: str) -> str:
    """Create a person and return its ID. Raises SmokeTestError."""
    first, last = PERSON
    return str(json.loads(_http("PUT", f"{url}/person", {"firstName": first, "lastName": last}))["id"])


def read_person(url: str, person: str) -> None:
    """Read a person and compare it with the one created. Raises SmokeTestError."""
    answer = json.loads(_http("GET", f"{url}/person/{person}"))
    if (answer["firstName"], answer["lastName"]) != PERSON:
        raise SmokeTestError(f"the person read from {url} is not the one that was created: {answer}")


def delete_person(url: str, person: str) -> None:
    """Delete a person. Raises SmokeTestError."""
    _http("DELETE", f"{url}/person/{person}")


def _http(method: str, url: str, form: dict[str, str] | None = None) -> bytes:
    data = urllib.parse.urlencode(form).encode() if form else None
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310  # an address of the lab
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.read()
    except urllib.error.HTTPError as error:
        raise SmokeTestError(f"{method} {url} returned {error.code}: {error.read()[:300]!r}") from None
    except OSError as error:
        raise SmokeTestError(f"{method} {url}: {error}") from None
