"""Worlds of traffic: what happens to both tracks of a trial, whatever the image, many seeded trials at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

#: Of the addressbook (app/addressbook/metrics.py), in seconds.
BUCKETS = np.array([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, math.inf])
#: Share of the requests, and median in seconds, of each route.
ROUTES = {
    ("DELETE", "/person/{id}"): (0.1, 0.003),
    ("GET", "/all"): (0.2, 0.006),
    ("GET", "/person/{id}"): (0.5, 0.0018),
    ("PUT", "/person"): (0.2, 0.0035),
}
SHARES, MEDIANS = (np.array(column) for column in zip(*ROUTES.values(), strict=True))


@dataclass(frozen=True)
class World:
    """What both tracks go through. Noise is drawn for each track and interval, not for each image."""

    seconds: int = 300
    every: int = 10
    rate: float = 50.0
    """Requests per second at both tracks."""
    pods: tuple[int, int] = (1, 2)
    """Pods of canary and stable; each gets the same share of the requests."""
    noise: float = 0.15
    """Standard deviation of the logarithm of a track's speed."""
    failing: float = 0.002
    """Usual share of errors, at both tracks."""
    error_noise: float = 0.5
    """Standard deviation of the logarithm of a track's share of errors."""
    memory: float = 0.0
    """Correlation of a track's noise between neighbouring intervals (AR(1))."""
    spread: float = 0.6
    """Standard deviation of the logarithm of a request's time."""
    tail: float = 0.0
    """Exponent of a Pareto distribution of the times, instead of a log-normal one."""
    shared_bursts: float = 0.0
    """Chance that an interval is slow (2 to 8 times) and fails more (up to 10 %), on both tracks."""
    own_bursts: float = 0.0
    """Chance that a track has a burst of 5 % of errors, and 3 times slower answers, in an interval."""
    clumped: float = 0.0
    """Relative standard deviation of the number of requests of a track in an interval."""
    cold: float = 0.0
    """How many times slower the canary answers when its pods start; it decays with 10 s, after a warm-up of 30 s."""
    slow_pod: tuple[float, float] = (1.0, 1.0)
    """How many times slower one pod of canary and stable is."""


@dataclass(frozen=True)
class Image:
    """How the canary's image differs from stable's: ``failing`` is added to the share of errors."""

    failing: float = 0.0
    slower: float = 1.0
    slow_share: float = 0.0
    """Share of the requests that take 7 s."""


@dataclass(frozen=True)
class Track:
    """``answers[trial, interval, route, kind]`` and ``durations[trial, interval, route, bucket]`` of each pod."""

    answers: list[Array]
    durations: list[Array]


def traffic(world: World, image: Image, trials: int, seed: int) -> tuple[Track, Track]:
    """Return what canary and stable answer in the trials."""
    random = np.random.default_rng(seed)
    shape = (trials, world.seconds // world.every)
    shared = random.random(shape) < world.shared_bursts
    slow = np.where(shared, random.uniform(2, 8, shape), 1.0)
    burst = np.where(shared & (random.random(shape) < 0.5), random.uniform(0, 0.1, shape), 0.0)
    busy = random.lognormal(0, 0.2, shape)
    mix = random.dirichlet(100 * SHARES, shape)
    tracks: list[Track] = []
    for number, pods in enumerate(world.pods):
        is_canary = number == 0
        own = random.random(shape) < world.own_bursts
        level = np.log(slow) + world.noise * _noise(random, shape, world.memory) + np.where(own, math.log(3), 0)
        usual = world.failing * np.exp(world.error_noise * _noise(random, shape, world.memory))
        failing = usual + burst * random.lognormal(0, 0.3, shape) + np.where(own, 0.05, 0)
        if is_canary:
            age = 30 + world.every * (np.arange(shape[1]) + 0.5)
            level = level + math.log(image.slower) + np.log1p(world.cold * np.exp(-age / 10))
            failing = failing + image.failing
        clump = _clumps(random, shape, world.clumped)
        track = Track([], [])
        for pod in range(pods):
            rate = world.rate * world.every / sum(world.pods) * busy * clump
            requests = random.poisson(rate[..., None] * mix)
            slower = level + (math.log(world.slow_pod[number]) if pod == 0 else 0.0)
            errors = random.binomial(requests, np.minimum(failing, 1.0)[..., None])
            track.answers.append(np.stack([requests - errors, np.zeros_like(requests), errors], -1).astype(float))
            below = _below(world, slower)
            if is_canary and image.slow_share:
                below = below * (1 - image.slow_share) + image.slow_share * (BUCKETS >= 7)
            counts = random.multinomial(requests, np.diff(below, axis=-1, prepend=0.0).clip(0, 1))
            track.durations.append(counts.cumsum(-1).astype(float))
        tracks.append(track)
    return tracks[0], tracks[1]


def _noise(random: np.random.Generator, shape: tuple[int, int], memory: float) -> Array:
    """Return standard normal noise, correlated between neighbours of the last axis."""
    noise = random.normal(size=shape)
    for i in range(1, shape[1]):
        noise[:, i] = memory * noise[:, i - 1] + math.sqrt(1 - memory**2) * noise[:, i]
    return noise


def _clumps(random: np.random.Generator, shape: tuple[int, int], spread: float) -> Any:
    return random.gamma(1 / spread**2, spread**2, shape) if spread else np.ones(shape)


def _below(world: World, level: Array) -> Array:
    """Return the share of requests ``[trial, interval, route, bucket]`` that take at most the bucket's bound."""
    medians = np.log(MEDIANS) + level[..., None]
    if world.tail:
        least = np.exp(medians) * 2 ** (-1 / world.tail)
        with np.errstate(divide="ignore"):
            return np.where(least[..., None] < BUCKETS, 1 - (least[..., None] / BUCKETS) ** world.tail, 0.0)
    return special.ndtr((np.log(BUCKETS) - medians[..., None]) / world.spread)
