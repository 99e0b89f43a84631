"""Log in to the cluster that the provider's `kubeconfig` and `context` name."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
import yaml

from lab.plugins.properties import UNKNOWN, Properties, Unknown

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

# Parallel creates share connections to the API server. Beyond this number each request opens its own.
CONNECTIONS = 32


class KubeconfigError(Exception):
    """The kubeconfig cannot be used."""


@dataclass(frozen=True)
class Login:
    """A client for a context of the kubeconfig. ``namespace`` is the context's, empty if it sets none."""

    client: ApiClient
    server: str
    namespace: str


def _is_text(kubeconfig: str) -> bool:
    """Return whether this is the text of a kubeconfig rather than a path, or several as in KUBECONFIG."""
    return "\n" in kubeconfig or kubeconfig.lstrip().startswith("{")


def _parse(text: str) -> Properties:
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KubeconfigError(f"The kubeconfig is not YAML or JSON: {' '.join(str(error).split())}") from None
    if not isinstance(config, dict):
        raise KubeconfigError("The kubeconfig has no clusters, contexts and users.")
    return config


def active_cluster(arguments: Mapping[str, Any]) -> Properties | Unknown | None:
    """Return the kubeconfig's cluster entry that these arguments select.

    UNKNOWN if an argument is still unknown. None without a `kubeconfig`: the default one may have changed since.
    """
    kubeconfig, name = arguments.get("kubeconfig"), arguments.get("context")
    if isinstance(kubeconfig, Unknown) or isinstance(name, Unknown):
        return UNKNOWN
    if not kubeconfig:
        return None
    try:
        config = _parse(kubeconfig if _is_text(kubeconfig) else Path(kubeconfig).expanduser().read_text())
        contexts = {each["name"]: each["context"] for each in config["contexts"]}
        clusters = {each["name"]: each["cluster"] for each in config["clusters"]}
        return clusters[contexts[name or config["current-context"]]["cluster"]]
    except (KubeconfigError, OSError, KeyError, TypeError):
        return None


def log_in(arguments: Mapping[str, Any]) -> Login:
    """Return a client for the cluster that the provider's arguments select. Raises KubeconfigError."""
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import kube_config
    from kubernetes.config.config_exception import ConfigException

    kubeconfig = arguments.get("kubeconfig") or kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    # `Cluster.request` decides what to retry.
    configuration.retries = False
    try:
        source = {"config_dict": _parse(kubeconfig)} if _is_text(kubeconfig) else {"filename": kubeconfig}
        library: Any = kube_config
        loader = library._get_kube_config_loader(**source, active_context=arguments.get("context") or None)
        loader.load_and_set(configuration)
        _require_credentials(loader, configuration)
        client = ApiClient(configuration)
        _keep_in_memory(client)
        context = loader.current_context["context"]
    except (ConfigException, OSError, ValueError) as error:
        origin = "" if _is_text(kubeconfig) else f" {kubeconfig}"
        raise KubeconfigError(f"The kubeconfig{origin} cannot be used: {error}") from None
    finally:
        # The library keeps certificates and keys in temporary files until the process exits normally.
        kube_config._cleanup_temp_files()
    return Login(client, str(configuration.host), context.get("namespace") or "")


def _keep_in_memory(client: ApiClient) -> None:
    """Read the certificates and the key now. Otherwise the client reads their files for each connection."""
    configuration = client.configuration
    if not configuration.verify_ssl:
        # The kubeconfig asks for this; a warning with each request would tell the user nothing new.
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


def _require_credentials(loader: Any, configuration: Any) -> None:
    """Raise if the user's credential command failed. The library only logs that and goes on without a login."""
    user = loader._user
    command = user.safe_get("exec") and user["exec"].safe_get("command") if user else None
    if command and not configuration.api_key and not configuration.cert_file:
        raise KubeconfigError(f"The credential command {command!r} returned no credentials. Run it to see why.")
