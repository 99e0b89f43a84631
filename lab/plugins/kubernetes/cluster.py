"""The API server: requests, the errors they end in, and which kinds it serves."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from lab.plugins.kubernetes.kubeconfig import Login
from lab.plugins.properties import Properties

# Seconds. Connecting to a cluster that is there takes milliseconds; an answer may wait for admission webhooks (30 s).
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0

USER_AGENT = "pulumi-kubernetes-stand-in"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class Unreachable(Exception):
    """The API server doesn't answer, in one sentence."""


class ApiError(Exception):
    """The API server refused a request: its `Status`."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(body.get("message") or f"the API server answered {status}")
        self.status = status
        self.reason: str = body.get("reason") or ""
        details = body.get("details") or {}
        self.kind: str = details.get("kind") or ""
        self.causes: list[Mapping[str, Any]] = details.get("causes") or []

    @property
    def not_found(self) -> bool:
        return self.status == 404

    @property
    def conflict(self) -> bool:
        return self.status == 409 and self.reason == "Conflict"

    @property
    def already_exists(self) -> bool:
        return self.reason == "AlreadyExists"

    @property
    def namespace_missing(self) -> bool:
        return self.not_found and self.kind == "namespaces"

    @property
    def tells_nothing(self) -> bool:
        """Whether a dry run's failure says nothing about the real creation: missing rights, a namespace still to
        come, an object that is yet to be replaced."""
        unsupported = self.status == 400 and "does not support dry run" in str(self)
        return self.status == 403 or self.namespace_missing or self.already_exists or unsupported


class NoSuchKind(Exception):
    """The API server serves no such kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f"the API server has no kind {kind} in {api_version}")


@dataclass(frozen=True)
class Kind:
    """A kind as the API server serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{quote(namespace or 'default')}" if self.namespaced else ""
        # A name may hold a colon or a percent sign (RBAC), never a slash.
        return f"{root}{scope}/{self.plural}" + (f"/{quote(name)}" if name else "")


class Cluster:
    """One API server, logged in. May be used by several threads at once."""

    def __init__(self, login: Login) -> None:
        self.server = login.server
        self._client = login.client
        self._pool: urllib3.PoolManager = login.client.rest_client.pool_manager
        self._kinds: dict[str, dict[str, Kind]] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Properties:
        """The API server's answer. Raises ApiError or Unreachable."""
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if data is not None:
            headers["Content-Type"] = content_type
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
        # A connection that was kept open may turn out to be closed: only reading may simply be tried again.
        retries = urllib3.Retry(total=1, connect=0, status=0) if method == "GET" else False
        try:
            response = self._pool.request(method, url, body=data, headers=headers, timeout=timeout, retries=retries)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{self.server} does not answer: {_cause(error)}") from None
        return _answer(response)

    def version(self) -> tuple[int, int]:
        """Kubernetes' major and minor version; raises ApiError or Unreachable."""
        answer = self.request("GET", "/version")
        return int(answer["major"]), int(str(answer["minor"]).rstrip("+"))

    def kind(self, api_version: str, kind: str) -> Kind:
        """How the kind is served. Raises NoSuchKind."""
        with self._lock:
            known = self._kinds.get(api_version)
        if known is None or kind not in known:
            known = self._discover(api_version)
            with self._lock:
                self._kinds[api_version] = known
        if kind not in known:
            raise NoSuchKind(api_version, kind)
        return known[kind]

    def _discover(self, api_version: str) -> dict[str, Kind]:
        try:
            root = "/apis/" if "/" in api_version else "/api/"
            served = self.request("GET", root + api_version)
        except ApiError as error:
            if error.not_found:
                return {}
            raise
        return {
            entry["kind"]: Kind(api_version, entry["kind"], entry["name"], entry["namespaced"])
            for entry in served.get("resources", [])
            if "/" not in entry["name"]
        }

    def serves(self, api_version: str, kind: str) -> bool:
        try:
            self.kind(api_version, kind)
        except NoSuchKind:
            return False
        return True

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> Properties:
        """The object as it is now. Raises ApiError (not_found) or NoSuchKind."""
        return self.request("GET", self.kind(api_version, kind).path(namespace, name))

    def list(self, api_version: str, kind: str, namespace: str, selector: str = "") -> list[Properties]:
        """The objects of a kind in a namespace, with the labels that the selector asks for."""
        query = {"labelSelector": selector} if selector else None
        items = self.request("GET", self.kind(api_version, kind).path(namespace), query).get("items") or []
        # A list's items come without these two.
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]


def _answer(response: Any) -> Properties:
    try:
        body = json.loads(response.data or b"{}")
    except ValueError:
        body = {"message": f"{response.status}: {response.data[:200].decode(errors='replace')}"}
    if not isinstance(body, dict):
        body = {"message": str(body)}
    if response.status >= 400:
        raise ApiError(response.status, body)
    return body


def _cause(error: Exception) -> str:
    """The innermost reason: `connection refused` rather than a chain of wrapped exceptions."""
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None) or cause.__cause__) and isinstance(inner, BaseException):
        cause = inner
    return str(getattr(cause, "strerror", None) or cause).rstrip(".")
