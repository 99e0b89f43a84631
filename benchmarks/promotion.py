"""Measure how long a promotion takes, against the book's way with kubectl.

Two namespaces have the same release: stable, a canary of the next image, a database. In one, `python -m promotion
promote` moves stable to the canary's image and removes the canary. In the other, `kubectl apply` of the same
Deployments, `kubectl rollout status` and `kubectl delete` of the canary do the same. Measured: from the start of the
command until the last old pod is gone. Both namespaces are removed at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.old_pods import OldPods
from benchmarks.paired import Samples, Spread, machine
from benchmarks.releases import BareKubectl, Contender, Program, Promotion, program
from benchmarks.startup import UsageError

THIS, BARE = "promote", "kubectl"
#: Stacks, which are also the namespaces of their releases.
STACKS = {THIS: "benchmark-promotion", BARE: "benchmark-promotion-kubectl"}
#: A different image with the same behaviour as the one from source.
SECOND_IMAGE = "FROM {image}\nLABEL edition=second\n"
#: The figures of a promotion, in seconds.
PARTS = ("start", "rollout", "removal")
EXAMPLE = """\
example:
  eval "$(make env)"                                  # pulumi and a cluster
  python -m benchmarks.promotion --replicas 3 10 30 --rounds 5 --output json
"""


@dataclass(frozen=True)
class Taken:
    """Seconds of one promotion: until the last old pod was ``gone``, until the command ``ended``, and by part."""

    gone: float
    ended: float
    parts: Mapping[str, float]


def main() -> int:
    """Return the exit code: 0 measured, 1 a promotion failed, 2 invalid use, 130 interrupted."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _checked(arguments)
        with program(arguments.context, arguments.registry, STACKS.values()) as copy:
            images, contenders = _set_up(copy)
            taken = {
                replicas: _rounds(contenders, replicas, images, arguments.rounds) for replicas in arguments.replicas
            }
    except UsageError as error:
        print(f"benchmarks.promotion: {error}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"benchmarks.promotion: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmarks.promotion: interrupted; everything it created was removed", file=sys.stderr)
        return 130
    report = {"machine": machine(), "rounds": arguments.rounds, "replicas": {n: figures(t) for n, t in taken.items()}}
    print(json.dumps(report, indent=2) if arguments.output == "json" else table(report))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promotion",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--replicas", type=int, nargs="+", default=[3, 10, 30], metavar="N", help="pods of stable (default: 3 10 30)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds, 1 or more (default: 3)")
    parser.add_argument("--context", default="addressbook-lab", help="kubeconfig context (default: the lab)")
    parser.add_argument("--registry", default="10.203.0.1:5000", help="registry for the images (default: the lab's)")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="table or JSON (default: text)")
    return parser.parse_args()


def _checked(arguments: argparse.Namespace) -> None:
    if arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds}: use 1 or more")
    if min(arguments.replicas) < 2:
        raise UsageError(f"--replicas {min(arguments.replicas)}: use 2 or more, because one makes room for the canary")
    for command in ("pulumi", "kubectl"):
        if shutil.which(command) is None:
            raise UsageError(f'{command} is not on PATH: `make up`, then `eval "$(make env)"`, puts the lab\'s there')
    there = subprocess.run(
        ["kubectl", "--context", arguments.context, "get", "namespace", "-o", "name"], capture_output=True, text=True
    )
    if there.returncode:
        raise UsageError(f"--context {arguments.context}: {there.stderr.strip()}; `make up` starts the lab")
    for name in set(STACKS.values()) & {line.partition("/")[2] for line in there.stdout.splitlines()}:
        raise UsageError(f"namespace {name} exists: another run is active or was killed; `kubectl delete ns {name}`")


def _set_up(copy: Program) -> tuple[tuple[str, str], dict[str, Contender]]:
    """Build two images and release them for each contender."""
    _tell("bringing up two releases")
    copy.move("up", STACKS[THIS], "--set=stableReplicas=2")
    first = _images(copy)["stable"]
    second = copy.folder / "second"
    second.mkdir()
    (second / "Dockerfile").write_text(SECOND_IMAGE.format(image=first))
    copy.run("pulumi", "config", "set", "buildContext", "second", "--stack", STACKS[THIS])
    copy.move("canary", STACKS[THIS], "--image", "source", "--yes")
    images = (first, _images(copy)["canary"])
    config = {"stableImage": first, "stableReplicas": "2", "canaryImage": images[1], "canaryReplicas": "1"}
    copy.move("up", STACKS[BARE], *(f"--set={key}={value}" for key, value in config.items()))
    return images, {THIS: Promotion(copy, STACKS[THIS]), BARE: BareKubectl(copy, STACKS[BARE])}


def _images(copy: Program) -> dict[str, str]:
    tracks = json.loads(copy.run("pulumi", "stack", "output", "tracks", "--json", "--stack", STACKS[THIS]))
    return {track: each["image"] for track, each in tracks.items()}


def _rounds(
    contenders: Mapping[str, Contender], replicas: int, images: Sequence[str], rounds: int
) -> dict[str, list[Taken]]:
    """Run each contender once per round, alternating between the two images. The first round does not count."""
    taken: dict[str, list[Taken]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        _tell(f"{replicas} replicas, " + (f"round {number} of {rounds}" if number else "a round that does not count"))
        now, then = images[number % 2], images[1 - number % 2]
        for name in sorted(contenders, reverse=bool(number % 2)):
            contenders[name].put_on_trial(replicas, now, then)
            one = _timed(contenders[name], replicas, then)
            _tell(f"  {name}: {one.gone:.1f} s to the last old pod gone, {one.ended:.1f} s to the command's end")
            taken[name] += [one] if number else []
    return taken


def _timed(contender: Contender, replicas: int, image: str) -> Taken:
    with OldPods(contender.kubectl, image) as old:
        began = time.perf_counter()
        parts = contender.promote(replicas, image)
        ended = time.perf_counter()
        return Taken(old.gone() - began, ended - began, parts)


def figures(taken: Mapping[str, Sequence[Taken]]) -> dict[str, Any]:
    """Return the spread of each contender's seconds, and of their ratio per round."""
    gone = Samples({name: [one.gone for one in rounds] for name, rounds in taken.items()})
    ended = {name: Spread.of([one.ended for one in rounds]).as_json() for name, rounds in taken.items()}
    return {
        "ratio": gone.ratio(THIS, BARE).as_json(),
        **{
            name: {
                "gone": gone.spread(name).as_json(),
                "ended": ended[name],
                "parts": {
                    part: Spread.of([one.parts[part] for one in rounds]).as_json()
                    for part in PARTS
                    if part in rounds[0].parts
                },
            }
            for name, rounds in taken.items()
        },
    }


def table(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    lines = [f"seconds, {report['rounds']} rounds: median (least - most)"]
    columns = ["last old pod gone", "command ended", *PARTS]
    lines.append(f"{'replicas':<9}{'':<8}" + "".join(f"{column:>23}" for column in columns))
    for replicas, found in report["replicas"].items():
        for name in (THIS, BARE):
            cells = [found[name]["gone"], found[name]["ended"], *(found[name]["parts"].get(part) for part in PARTS)]
            lines.append(f"{replicas:<9}{name:<8}" + "".join(f"{_cell(cell):>23}" for cell in cells))
        lines.append(f"{replicas:<9}{'ratio':<8}{_cell(found['ratio']):>23}")
    return "\n".join(lines)


def _cell(spread: Mapping[str, float] | None) -> str:
    return f"{spread['median']:.1f} ({spread['least']:.1f} - {spread['most']:.1f})" if spread else "-"


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
