"""The official Kubernetes client: a timeout on every request, its credentials, and readable errors."""

from __future__ import annotations

import http
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import websocket
import yaml
from kubernetes import config as kubeconfigs
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from promotion.errors import CommandError

#: The module has no types.
_kubeconfigs: Any = kubeconfigs

#: Timeout in seconds of one answer of the API server, for clusters that are asleep or behind a dead VPN.
ANSWER_SECONDS = 20
#: The client's thread that relays a port-forward's bytes.
FORWARDER = "Kubernetes port forward proxy"

# Commands in pods and port-forwards use websockets, which have no timeout by default.
websocket.setdefaulttimeout(ANSWER_SECONDS)


class Client(ApiClient):
    """The official client with a timeout on each request; by default it has none."""

    def call_api(self, *args: Any, **kwargs: Any) -> Any:
        # The sixth positional parameter is the timeout; callers that set one keep it.
        if len(args) < 6 and not kwargs.get("_request_timeout"):
            kwargs["_request_timeout"] = ANSWER_SECONDS
        return cast(Any, super()).call_api(*args, **kwargs)


def without_redirects(client: ApiClient) -> ApiClient:
    """Return the client, which now returns an answer that redirects instead of following it."""
    pool: Any = cast(Any, client).rest_client.pool_manager
    pool.request = partial(pool.request, redirect=False)
    return client


def configuration_of(stack: str, context: str | None, kubeconfig: Any) -> Configuration:
    """Return the configuration of a context of the user's kubeconfig, or of the stack's own kubeconfig.

    Raises CommandError.
    """
    configuration = Configuration()
    try:
        if context:
            _kubeconfigs.load_kube_config(context=context, client_configuration=configuration)
        else:
            text = cast(str | dict[str, Any], kubeconfig)
            loaded = yaml.safe_load(text) if isinstance(text, str) else text
            _kubeconfigs.load_kube_config_from_dict(loaded, client_configuration=configuration)
    except (ConfigException, yaml.YAMLError, OSError) as error:
        which = f"context `{context}` of your kubeconfig" if context else "its own kubeconfig"
        raise CommandError(
            f"stack `{stack}`: {which} cannot be used: {reason_of(error)}; `kubectl config view` shows it"
        ) from None
    return configuration


def refusal(error: ApiException, where: str, host: str) -> str:
    """Return the API server's refusal as a sentence, with a remedy if it refuses the credentials."""
    status = status_of(error)
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return (
            f"{where}: the cluster at {host} refuses these credentials ({status}): {reason_of(error)}; log in again, or"
            " ask for the permission"
        )
    return f"{where}: the cluster at {host} answers {status or 'nothing'}: {reason_of(error)}"


def status_of(error: ApiException) -> int:
    """Return the HTTP status; 0 without an answer."""
    return int(cast(Any, error).status or 0)


def reason_of(error: BaseException) -> str:
    """Return the error's message on one line."""
    text = str(getattr(error, "body", None) or getattr(error, "reason", None) or error or type(error).__name__)
    return message_in(text)


def message_in(text: str) -> str:
    """Return the message in a Status of the API server, or the text itself."""
    status, *_, body = f"{text} -+-+- ".split(" -+-+- ")[:3] if "-+-+-" in text else (text, "")
    text = f"{status} {body}"  # a refused websocket shows its headers between them
    with suppress(yaml.YAMLError, KeyError, TypeError):
        text = str(yaml.safe_load(text)["message"])
    return " ".join(text.split())[:300].rstrip(".")


def _quiet_forwarders(everything_else: Callable[[threading.ExceptHookArgs], Any]) -> None:
    """Silence the traceback of a relay whose connection breaks; the reader of the connection gets the error anyway."""

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not (arguments.thread and arguments.thread.name.startswith(FORWARDER)):
            everything_else(arguments)

    threading.excepthook = hook


_quiet_forwarders(threading.excepthook)
