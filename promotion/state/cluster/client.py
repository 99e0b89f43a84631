"""The official Kubernetes client: a time limit on every request, its credentials, and its errors as sentences."""

from __future__ import annotations

import http
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import websocket
import yaml
from kubernetes import config as kubeconfigs
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from promotion.errors import CommandError

#: Comes without types.
_kubeconfigs: Any = kubeconfigs

#: Seconds for one answer of the API server; a cluster that is asleep or behind a dead VPN must not hold a command up.
ANSWER_SECONDS = 20
#: Thread of the client that passes a port-forward's bytes on.
FORWARDER = "Kubernetes port forward proxy"

# Commands in pods and port-forwards go by websocket, whose connections the client gives no limit.
websocket.setdefaulttimeout(ANSWER_SECONDS)


class Client(ApiClient):
    """The official client with a time limit on each request; its own default is none."""

    def call_api(self, *args: Any, **kwargs: Any) -> Any:
        # The sixth positional parameter is the time limit; callers that set one keep it.
        if len(args) < 6 and not kwargs.get("_request_timeout"):
            kwargs["_request_timeout"] = ANSWER_SECONDS
        return cast(Any, super()).call_api(*args, **kwargs)


def configuration_of(stack: str, context: str | None, kubeconfig: Any) -> Configuration:
    """A context of the user's kubeconfig, or else a kubeconfig of the stack's own. Raises CommandError."""
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
    """What the API server says, and where it is about its caller, what that one can do."""
    status = status_of(error)
    if status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        return (
            f"{where}: the cluster at {host} refuses these credentials ({status}): {reason_of(error)}; log in again, or"
            " have the right granted"
        )
    return f"{where}: the cluster at {host} answers {status or 'nothing'}: {reason_of(error)}"


def status_of(error: ApiException) -> int:
    """HTTP status; 0 where there was no answer."""
    return int(cast(Any, error).status or 0)


def reason_of(error: BaseException) -> str:
    """The error's own words, on one line."""
    text = str(getattr(error, "body", None) or getattr(error, "reason", None) or error or type(error).__name__)
    return message_in(text)


def message_in(text: str) -> str:
    """The message in a Status of the API server, or the text itself."""
    status, *_, body = f"{text} -+-+- ".split(" -+-+- ")[:3] if "-+-+-" in text else (text, "")
    text = f"{status} {body}"  # without the headers that a refused websocket shows between them
    with suppress(yaml.YAMLError, KeyError, TypeError):
        text = str(yaml.safe_load(text)["message"])
    return " ".join(text.split())[:300].rstrip(".")


def _quiet_forwarders(everything_else: Callable[[threading.ExceptHookArgs], Any]) -> None:
    """A forwarder whose connection breaks prints a traceback; whoever reads the other end is told of it anyway."""

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not (arguments.thread and arguments.thread.name.startswith(FORWARDER)):
            everything_else(arguments)

    threading.excepthook = hook


_quiet_forwarders(threading.excepthook)
