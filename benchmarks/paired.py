"""Timings with reliable ratios on a busy machine: contenders alternate and are compared per round."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of a figure over the rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, samples: list[float]) -> Spread:
        return cls(statistics.median(samples), min(samples), max(samples))

    def as_json(self) -> dict[str, float]:
        return {"median": round(self.median, 4), "least": round(self.least, 4), "most": round(self.most, 4)}


@dataclass(frozen=True)
class Samples:
    """Each contender's seconds, one sample per round."""

    seconds: Mapping[str, list[float]]

    def spread(self, contender: str) -> Spread:
        return Spread.of(self.seconds[contender])

    def ratio(self, contender: str, to: str) -> Spread:
        """Return the spread of the ratio of two contenders' times, taken per round."""
        return Spread.of([a / b for a, b in zip(self.seconds[contender], self.seconds[to], strict=True)])


@dataclass(frozen=True)
class Timings:
    """``wall``: elapsed time. ``processor``: CPU time of all processes that ended meanwhile, which other load hardly
    changes.
    """

    wall: Samples
    processor: Samples


def take_turns(contenders: Mapping[str, Callable[[], object]], rounds: int, told: Callable[[str], None]) -> Timings:
    """Run each contender once per round, in rotating order. The first round fills caches and does not count."""
    order = list(contenders)
    wall: dict[str, list[float]] = {name: [] for name in order}
    processor: dict[str, list[float]] = {name: [] for name in order}
    for number in range(rounds + 1):
        told(f"round {number} of {rounds}" if number else "a round that does not count")
        for name in order[number % len(order) :] + order[: number % len(order)]:
            began, used = time.perf_counter(), _processor_seconds()
            contenders[name]()
            if number:
                wall[name].append(time.perf_counter() - began)
                processor[name].append(_processor_seconds() - used)
    return Timings(Samples(wall), Samples(processor))


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def machine() -> dict[str, Any]:
    """Return the machine's description and its load."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown",
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "system": platform.platform(terse=True),
        "processor": model,
        "cpus": os.cpu_count(),
        "memory_gib": round(memory / 1024**2, 1),
        "python": platform.python_version(),
        "load": [round(each, 1) for each in os.getloadavg()],
    }


def _lines(path: str) -> list[str]:
    try:
        with open(path) as file:  # noqa: PTH123 a kernel file
            return file.read().splitlines()
    except OSError:
        return []
