"""The number of pods that were ready behind a Service at every moment, from the API server's watch."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from kubernetes import watch
from kubernetes.client import ApiClient, DiscoveryV1Api
from urllib3.exceptions import ProtocolError

FIRST_ANSWER_SECONDS = 20


@dataclass(frozen=True)
class Moment:
    at: str
    ready: int


class ReadyPods:
    """Watches a Service's EndpointSlices, which decide where its traffic goes, while it is open."""

    def __init__(self, api: ApiClient, namespace: str, service: str) -> None:
        self._api = DiscoveryV1Api(api)
        self._namespace = namespace
        self._selector = f"kubernetes.io/service-name={service}"
        self._slices: dict[str, int] = {}
        self._moments: list[Moment] = []
        self._listed = threading.Event()
        self._watch = watch.Watch()
        self._closed = False
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> ReadyPods:
        self._thread.start()
        assert self._listed.wait(FIRST_ANSWER_SECONDS), "the API server did not answer"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        self._closed = True
        self._watch.stop()

    @property
    def minimum(self) -> int:
        """Fewest pods that were ready at one time."""
        return min(moment.ready for moment in self._moments)

    @property
    def moments(self) -> list[Moment]:
        return list(self._moments)

    def _follow(self) -> None:
        arguments: dict[str, Any] = {"namespace": self._namespace, "label_selector": self._selector}
        slices: Any = self._api.list_namespaced_endpoint_slice(**arguments)
        for each in slices.items:
            self._count(each.metadata.name, each)
        self._note()
        arguments["resource_version"] = slices.metadata.resource_version
        while not self._closed:  # the API server ends a watch now and then; the next one continues where it ended
            with suppress(ProtocolError):
                events: Any = self._watch.stream(self._api.list_namespaced_endpoint_slice, **arguments)
                for event in events:
                    slice_: Any = event["object"]
                    arguments["resource_version"] = slice_.metadata.resource_version
                    self._count(slice_.metadata.name, None if event["type"] == "DELETED" else slice_)
                    self._note()

    def _count(self, name: str, slice_: Any) -> None:
        endpoints = (slice_.endpoints or []) if slice_ else []
        self._slices[name] = sum(bool(endpoint.conditions.ready) for endpoint in endpoints)

    def _note(self) -> None:
        self._moments.append(Moment(time.strftime("%H:%M:%S"), sum(self._slices.values())))
        self._listed.set()
