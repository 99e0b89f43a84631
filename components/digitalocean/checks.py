"""Ask DigitalOcean before anything is registered whether it can make what the config asks for."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from components.digitalocean.doctl import CALL_SECONDS, DoctlError, ask, ask_for_rows, provider_token
from components.digitalocean.live import ONLINE, RUNNING, Live, LiveVersion
from contract.errors import invalid_config

API_URL_VARIABLE, API_URL = "DIGITALOCEAN_API_URL", "https://api.digitalocean.com"
TAKEN = 409
LIMIT_PAGE = "https://cloud.digitalocean.com/account/team/droplet_limit_increase"


@dataclass(frozen=True)
class Wanted:
    """What a stack asks of the account."""

    #: Name of the stack's resources.
    name: str
    #: Version of the cluster to create; None if an existing one is used.
    kubernetes_version: str | None
    database_version: str
    #: Number of nodes, at most.
    droplets: int
    #: Name of the registry to create; None if an existing one is used.
    new_registry: str | None


def refuse_what_the_account_cannot_have(wanted: Wanted, live: Live) -> None:
    """Raise pulumi.RunError, before anything is registered, with every reason why the update would fail."""
    is_new = live.cluster is None
    version = wanted.kubernetes_version
    try:
        errors = [
            *(cluster_version_errors(wanted.name, version, live.cluster) if version else []),
            *database_version_errors(wanted.name, wanted.database_version, live.database),
            *(droplet_errors(wanted.droplets) if is_new and version else []),
            *(registry_name_errors(wanted.new_registry) if is_new and wanted.new_registry else []),
        ]
    except DoctlError as error:
        errors = [f"kubernetesVersion: doctl cannot list the versions on offer ({error}); run the command again"]
    if errors:
        raise invalid_config(errors)


def cluster_version_errors(name: str, wanted: str, live: LiveVersion | None) -> list[str]:
    """Return why the cluster cannot be created with this version, or upgraded to it. Raises DoctlError."""
    if live is None:
        offered = _slugs("kubernetes", "options", "versions")
        return (
            []
            if wanted in offered
            else [_not_offered(wanted, "DigitalOcean does not offer it for new clusters", offered)]
        )
    if live.reaches(wanted):
        return []
    if live.state != RUNNING:
        return [
            f"kubernetesVersion = {wanted!r}: cluster {name} is `{live.state}` with {live.version}; run the command"
            f" again once `doctl kubernetes cluster get {name}` shows `{RUNNING}`"
        ]
    offered = _slugs("kubernetes", "cluster", "get-upgrades", live.id)
    # Newest patch first, then the next minor version: DigitalOcean offers nothing else.
    problem = f"cluster {name} runs {live.version}, and takes one step at a time: newest patch, then next minor version"
    return [] if wanted in offered else [_not_offered(wanted, problem, offered)]


def database_version_errors(name: str, wanted: str, live: LiveVersion | None) -> list[str]:
    """Return why the database cannot be upgraded to this version now."""
    if live is None or live.reaches(wanted) or live.state == ONLINE:
        return []
    return [
        f"databaseVersion = {wanted!r}: database {name} is `{live.state}` with version {live.version}; run the command"
        f" again once `doctl databases get {live.id}` shows `{ONLINE}`"
    ]


def droplet_errors(needed: int) -> list[str]:
    """Return an error if the account's limit leaves no room for that many Droplets."""
    try:
        account = ask("account", "get")
        used = len(ask_for_rows("compute", "droplet", "list"))
    except DoctlError:
        return []  # the token may not read the account; creating the nodes then says so
    limit: int | None = account.get("droplet_limit")
    if limit is None or used + needed <= limit:
        return []
    return [
        f"nodeCount: the stack needs {needed} Droplets, and the account has {used} of at most {limit}; ask for a higher"
        f" limit ({LIMIT_PAGE}) or lower nodeCount and maxNodeCount"
    ]


def registry_name_errors(name: str) -> list[str]:
    """Return an error if another account has a registry of that name; names are unique in all of DigitalOcean."""
    if not _is_taken(name) or name in _own_registries():
        return []
    return [
        f"registryName = {name!r}: another account has a container registry of this name; choose another with"
        " `pulumi config set registryName NAME`"
    ]


def _is_taken(name: str) -> bool:
    """Return whether the API refuses the name. False without an answer: creating the registry asks again."""
    request = Request(  # noqa: S310 the scheme is that of the provider's own setting
        f"{os.environ.get(API_URL_VARIABLE, API_URL).rstrip('/')}/v2/registry/validate-name",
        data=json.dumps({"name": name}).encode(),
        headers={"Authorization": f"Bearer {provider_token()}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urlopen(request, timeout=CALL_SECONDS):  # noqa: S310
            return False
    except HTTPError as error:
        return error.code == TAKEN
    except OSError:
        return False


def _own_registries() -> list[str]:
    try:
        return [row["name"] for row in ask_for_rows("registries", "list")]
    except DoctlError:
        return []


def _slugs(*command: str) -> list[str]:
    return [row["slug"] for row in ask_for_rows(*command)]


def _not_offered(wanted: str, problem: str, offered: Sequence[str]) -> str:
    choice = f"set one of {', '.join(offered)}" if offered else "set a version that `doctl` lists"
    return f"kubernetesVersion = {wanted!r}: {problem}; {choice}"
