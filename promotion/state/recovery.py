"""Repair the state that an interrupted or killed engine leaves behind."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from promotion.errors import CommandError

#: Providers whose objects' ids follow from their names, so that a refresh can look for them.
KUBERNETES = "kubernetes:"
#: Resources that leave nothing behind when their creation is interrupted: they exist in the state alone, or are an
#: image under a name that the next build uses again.
HARMLESS = ("random:", "docker:", "pulumi:", "pulumi-python:", "delivery:", "addressbook:")
#: Part of the engine's error about a truncated file.
TRUNCATED = "EOF"
#: Seconds in which a running engine finishes writing a file.
WRITE_SECONDS = 0.5


def resolve_pending(deployment: dict[str, Any]) -> dict[str, Any] | None:
    """Return the deployment without its pending operations; None if it has none.

    The engine drops a pending creation, and the next update then fails because the object exists. A Kubernetes object's
    id is its name, so it is recorded as created: the refresh before the update finds it, or removes the record again.

    Raises CommandError for objects whose id only the provider knows, such as a cloud's cluster. The message also names
    the pending Kubernetes objects, since the remedy clears their records too.
    """
    pending = cast(list[dict[str, Any]], deployment.get("pending_operations") or [])
    if not pending:
        return None
    resources = [*cast(list[dict[str, Any]], deployment.get("resources") or [])]
    created: list[tuple[dict[str, Any], str | None]] = []
    for operation in pending:
        resource = cast(dict[str, Any], operation["resource"])
        if operation["type"] != "creating" or str(resource["type"]).startswith(HARMLESS):
            continue
        id = _kubernetes_id(resource)
        created.append((resource, id))
        if id is None:
            continue
        # If this was a replacement, the old object is deleted once the new one is in place.
        resources = [
            {**other, "delete": True} if other["urn"] == resource["urn"] and not other.get("delete") else other
            for other in resources
        ]
        resources.append({**resource, "id": id, "outputs": resource.get("outputs") or resource["inputs"]})
    if any(id is None for _, id in created):
        names = ", ".join(f"{each['type'].rpartition(':')[2]} {each['urn'].rpartition('::')[2]}" for each, _ in created)
        commands = ", ".join(_import_command(each, id or "ID") for each, id in created)
        raise CommandError(
            f"creating {names} was interrupted (unless another update is still running), and only the provider knows"
            f" whether it exists. If it exists, import it with {commands}; then, in either case, run"
            " `pulumi refresh --clear-pending-creates` and repeat this command"
        )
    return {**deployment, "resources": resources, "pending_operations": []}


def _import_command(resource: Mapping[str, Any], id: str) -> str:
    """Return the command that imports a resource under the URN that the program gives it."""
    provider = str(resource.get("provider", "")).rpartition("::")[0]  # the rest is its id
    explicit = not provider.rpartition("::")[2].startswith("default")
    options = {"parent": resource.get("parent"), "provider": provider if explicit else None}
    arguments = [f"--{option}={option}={shlex.quote(str(urn))}" for option, urn in options.items() if urn]
    name = str(resource["urn"]).rpartition("::")[2]
    return f"`pulumi import {' '.join([str(resource['type']), name, id, *arguments, '--protect=false'])}`"


def _kubernetes_id(resource: Mapping[str, Any]) -> str | None:
    """Return ``namespace/name``, or the name of an object without a namespace; None for other providers' resources."""
    inputs = cast(dict[str, Any], resource.get("inputs") or {})
    metadata = cast(dict[str, Any], inputs.get("metadata") or {})
    name = metadata.get("name")
    if not str(resource["type"]).startswith(KUBERNETES) or not name:
        return None
    return f"{metadata['namespace']}/{name}" if metadata.get("namespace") else str(name)


def delete_truncated_attributes(backend: str, project: Path) -> list[Path]:
    """Delete truncated .attrs files of a state in a folder; return their paths.

    The engine replaces a state file in one step, but writes the file's attributes (``NAME.attrs``) in place. An engine
    killed meanwhile leaves a truncated file that no engine can read; the state does not need it. ``backend`` is the
    URL of the state (only ``file:`` has such files), and relative paths in it start from the folder ``project``.
    """
    url = urlsplit(backend)
    if url.scheme != "file":
        return []
    folder = project / Path(unquote(url.netloc + url.path)).expanduser() / ".pulumi"
    suspects = [file for file in folder.rglob("*.attrs") if _is_truncated(file)]
    if suspects:
        time.sleep(WRITE_SECONDS)
    truncated = [file for file in suspects if _is_truncated(file)]
    for file in truncated:
        file.unlink(missing_ok=True)
    return truncated


def _is_truncated(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return True
    except OSError:
        pass  # deleted meanwhile, or another user's
    return False
