"""Where the cluster is and how to log in there: the provider's `kubeconfig`, `context`, `cluster` and `namespace`."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
import yaml

from lab.plugins.properties import Properties

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

DEFAULT_PATH = "~/.kube/config"
# Parallel creates share connections to the API server; more than this many at once open a new one each.
CONNECTIONS = 32


class KubeconfigError(Exception):
    """The kubeconfig can't be used, in one sentence."""


@dataclass(frozen=True)
class Login:
    """A context of a kubeconfig, made ready to use."""

    client: ApiClient
    server: str
    namespace: str
    """The context's namespace, empty if it names none."""


def parse(path_or_contents: str) -> tuple[Properties, Path | None]:
    """A kubeconfig from contents, a path, or several paths as in KUBECONFIG, and the folder of relative paths in it."""
    paths = [Path(part).expanduser() for part in path_or_contents.split(os.pathsep) if part]
    if "\n" not in path_or_contents and paths and all(_is_file(path) for path in paths):
        configs = [_parse_text(path.read_text(), str(path)) for path in paths]
        return _merge(configs), paths[0].resolve().parent
    if "\n" not in path_or_contents and not path_or_contents.lstrip().startswith("{"):
        raise KubeconfigError(f"kubeconfig: there is no file {path_or_contents!r}, and it isn't a kubeconfig's text.")
    return _parse_text(path_or_contents, "the given text"), None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # Contents on one line make a file name that is too long.
        return False


def _parse_text(text: str, source: str) -> Properties:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KubeconfigError(f"kubeconfig: {source} is not YAML or JSON: {error}".replace("\n", " ")) from None
    if not isinstance(config, dict):
        raise KubeconfigError(f"kubeconfig: {source} is no kubeconfig (clusters, contexts and users are expected).")
    return config


def _merge(configs: list[Properties]) -> Properties:
    """Several files as client-go merges them: the first to name something wins."""
    merged: Properties = dict(configs[0])
    for config in configs[1:]:
        for part in ("clusters", "contexts", "users"):
            known = {entry["name"] for entry in merged.get(part) or []}
            added = [entry for entry in config.get(part) or [] if entry["name"] not in known]
            merged[part] = [*(merged.get(part) or []), *added]
        if not merged.get("current-context"):
            merged["current-context"] = config.get("current-context")
    return merged


def ambient() -> str:
    """The kubeconfig that is used when the program names none: KUBECONFIG, or the one in the home directory."""
    paths = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    found = [part for part in paths or [DEFAULT_PATH] if Path(part).expanduser().is_file()]
    if not found:
        raise KubeconfigError(
            f"no kubeconfig: the provider has no kubeconfig argument, and there is no file at "
            f"{' or '.join(paths) or DEFAULT_PATH}."
        )
    return os.pathsep.join(found)


def _named(config: Properties, part: str, name: str, what: str) -> Properties:
    for entry in config.get(part) or []:
        if entry.get("name") == name:
            return entry.get(what) or {}
    names = ", ".join(str(entry.get("name")) for entry in config.get(part) or []) or "none"
    raise KubeconfigError(f"kubeconfig: there is no {what} {name!r}; it has: {names}.")


def active_cluster(kubeconfig: Any, arguments: Mapping[str, Any]) -> Properties | None:
    """The cluster entry that a provider with these arguments talks to; None if that can't be told."""
    if not kubeconfig:
        return None  # The ambient one may have been another then than it is now.
    try:
        config = kubeconfig if isinstance(kubeconfig, dict) else parse(kubeconfig)[0]
        context = _named(config, "contexts", _context_name(config, arguments), "context")
        return _named(config, "clusters", arguments.get("cluster") or context.get("cluster") or "", "cluster")
    except KubeconfigError:
        return None


def _context_name(config: Properties, arguments: Mapping[str, Any]) -> str:
    name = arguments.get("context") or config.get("current-context")
    if not name:
        raise KubeconfigError("kubeconfig: it has no current-context, and the provider has no context argument.")
    return name


def log_in(arguments: Mapping[str, Any]) -> Login:
    """A client for the cluster that the provider's arguments name. Raises KubeconfigError."""
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import kube_config
    from kubernetes.config.config_exception import ConfigException

    config, folder = parse(arguments.get("kubeconfig") or ambient())
    context_name = _context_name(config, arguments)
    context = _named(config, "contexts", context_name, "context")
    if arguments.get("cluster"):
        context["cluster"] = arguments["cluster"]
    _named(config, "clusters", context.get("cluster") or "", "cluster")
    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    # Each request is retried where that is right; a refused connection is to be reported at once.
    configuration.retries = False
    try:
        base = str(folder or Path.cwd())
        kube_config.KubeConfigLoader(config, active_context=context_name, config_base_path=base).load_and_set(
            configuration
        )
        _require_credentials(config, context, configuration)
        client = ApiClient(configuration)
        _keep_in_memory(client)
    except (ConfigException, OSError, ValueError) as error:
        raise KubeconfigError(f"kubeconfig: context {context_name!r} can't be used: {error}") from None
    finally:
        # The library leaves certificates and keys in files until the process ends in its ordinary way.
        kube_config._cleanup_temp_files()
    return Login(client, str(configuration.host), context.get("namespace") or "")


def _keep_in_memory(client: ApiClient) -> None:
    """Read certificates and key once and for all; by itself the client reads their files for each connection."""
    configuration = client.configuration
    if not configuration.verify_ssl:
        # The kubeconfig says so: a warning with each request would tell the user nothing new.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    if not str(configuration.host).startswith("https:"):
        return
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert if configuration.verify_ssl else None)
    if not configuration.verify_ssl:
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    settings = client.rest_client.pool_manager.connection_pool_kw
    for name in ("cert_reqs", "ca_certs", "ca_cert_data", "cert_file", "key_file"):
        settings.pop(name, None)
    settings["ssl_context"] = tls


def _require_credentials(config: Properties, context: Properties, configuration: Any) -> None:
    """The client library only logs the failure of a credential command, and would go on without a login."""
    user = context.get("user")
    if not user:
        return
    command = (_named(config, "users", user, "user").get("exec") or {}).get("command")
    if command and not configuration.api_key and not configuration.cert_file:
        raise KubeconfigError(
            f"kubeconfig: the credential command {command!r} of user {user!r} gave no credentials; "
            "run it by hand to see why."
        )
