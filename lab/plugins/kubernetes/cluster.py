"""Requests to the API server, and the errors they end in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from lab.plugins.kubernetes.kinds import KINDS
from lab.plugins.kubernetes.kubeconfig import Login
from lab.plugins.kubernetes.objects import name_of, namespace_of
from lab.plugins.properties import Properties

# Seconds. Connecting takes milliseconds; a response may wait for admission webhooks, which have up to 30 s.
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0

USER_AGENT = "pulumi-kubernetes-stand-in"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class UnreachableError(Exception):
    """The API server does not respond."""


class ApiError(Exception):
    """The API server refused a request. Carries the `Status` of the response."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(body.get("message") or f"the API server responded with status {status}")
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
    def irrelevant_in_preview(self) -> bool:
        """Return whether the real create may succeed although its dry run failed.

        That is so when rights are missing, when the namespace does not exist yet, and when the object of the same name
        is to be deleted first.
        """
        namespace_missing = self.not_found and self.kind == "namespaces"
        return self.status == 403 or namespace_missing or self.reason == "AlreadyExists"


class Cluster:
    """One API server and a login to it. Safe to use from several threads."""

    def __init__(self, login: Login) -> None:
        self.server = login.server
        self._client = login.client
        self._pool: urllib3.PoolManager = login.client.rest_client.pool_manager

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Properties:
        """Send a request and return the response's JSON. Raises ApiError or UnreachableError."""
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if data is not None:
            headers["Content-Type"] = content_type
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT)
        # The server may have closed an idle connection. Only a read is safe to repeat.
        retries = urllib3.Retry(total=1, connect=0, status=0) if method == "GET" else False
        try:
            response = self._pool.request(method, url, body=data, headers=headers, timeout=timeout, retries=retries)
        except urllib3.exceptions.HTTPError as error:
            raise UnreachableError(f"{self.server} does not respond: {_cause(error)}") from None
        return _json(response)

    def get(self, kind: str, namespace: str, name: str) -> Properties:
        """Read one object. Raises ApiError, with `not_found` when it does not exist, or UnreachableError."""
        return self.request("GET", KINDS[kind].path(namespace, name))

    def live(self, obj: Properties) -> Properties:
        """Read the current state of an object. Raises like `get`."""
        return self.get(obj["kind"], namespace_of(obj), name_of(obj))

    def list(self, kind: str, namespace: str, selector: str) -> list[Properties]:
        """Read a namespace's objects of one kind that have the selector's labels. Raises like `get`."""
        found = self.request("GET", KINDS[kind].path(namespace), {"labelSelector": selector})
        # Items of a list have neither apiVersion nor kind.
        return [{"apiVersion": KINDS[kind].api_version, "kind": kind, **item} for item in found.get("items") or []]


def _json(response: Any) -> Properties:
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
    """Return the innermost reason, such as `connection refused`, of a chain of wrapped exceptions."""
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None) or cause.__cause__) and isinstance(inner, BaseException):
        cause = inner
    return str(getattr(cause, "strerror", None) or cause).rstrip(".")
