"""The certificate authorities that a Cloud SQL server lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import pulumi
import pulumi_gcp as gcp
from pulumi.runtime import invoke_async

from components.invokes import reason

LIST = "gcp:sql/getCaCerts:getCaCerts"


def authorities(server: gcp.sql.DatabaseInstance) -> pulumi.Output[str]:
    """Return the certificates (PEM) of all authorities that the server uses or will use.

    The state has the one that was in use when the server was last refreshed. A list in each update adds its
    successor, so that pods trust it before the server presents it.
    """
    listed = pulumi.Output.all(server.id, server.name).apply(lambda values: _listed(values[1]))
    return pulumi.Output.all(server.server_ca_certs, listed).apply(lambda values: bundle(values[0], values[1]))


def bundle(known: Sequence[Mapping[str, Any]], listed: Sequence[str]) -> str:
    """Return the server's known certificates and those it lists, each once, in a stable order."""
    texts = {*((each.get("cert") or "").strip() for each in known), *(each.strip() for each in listed)}
    return "\n".join(sorted(texts - {""}))


async def _listed(name: str) -> list[str]:
    """Ask the server for its list. The documentation does not say whether it is complete for a shared authority."""
    try:
        options = pulumi.InvokeOptions(version=version("pulumi-gcp"))
        answer: dict[str, list[dict[str, str]]] = await invoke_async(LIST, {"instance": name}, options)
    except Exception as error:  # the SDK raises nothing narrower
        pulumi.log.warn(
            f"database server {name}: its list of certificate authorities cannot be read ({reason(error)}), so pods"
            " trust only the one in the state; run `pulumi refresh` when Google announces a new one"
        )
        return []
    return [each["cert"] for each in answer.get("certs", [])]
