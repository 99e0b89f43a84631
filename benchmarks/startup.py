"""Measure how long the program takes to start and to preview, against what a user would write instead.

Three programs declare the laptop stack: this one; the same resources written out flat in one file
(benchmarks/flat); and this one with all clouds' SDKs imported first. Measured for each: its whole Python process
against Pulumi's mocks, and a `pulumi preview` on an empty state. Also measured: the imports of each cloud. Nothing is
created.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.paired import Samples, Timings, machine, take_turns
from benchmarks.same import Declared, differences, previewed, registered

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ("Pulumi.yaml", "__main__.py", "contract", "components", "stacks", "app")
STACK = "benchmark"
#: Namespace in the previews; it is never created.
NAMESPACE = "benchmark-startup"
#: Number of differences to report.
MAX_REPORTED = 5
THIS, FLAT, ALL = "this program", "flat, one file", "all clouds imported"
CLOUDS = ("local", "digitalocean", "gcp", "aws")
IMPORT_ALL = "import stacks.aws, stacks.digitalocean, stacks.gcp, stacks.local\n"
EXAMPLE = """\
example:
  eval "$(make env)"                                  # pulumi and a cluster
  python -m benchmarks.startup --rounds 9 --output json
"""


class UsageError(Exception):
    """Invalid use or a missing prerequisite."""


@dataclass(frozen=True)
class Contender:
    """A program in its own folder, with a stack config and an empty state."""

    folder: Path
    config: Mapping[str, str]
    environment: Mapping[str, str]

    def declare(self) -> str:
        """Run the program against mocks; return the registered resources as JSON."""
        command = [sys.executable, "-m", "benchmarks.declare", str(self.folder), str(self.folder / "config.json")]
        return _run(command, ROOT, self.environment).splitlines()[-1]

    def preview(self) -> str:
        return _run(["pulumi", "preview", "--json", "--stack", STACK], self.folder, self.environment)


def main() -> int:
    """Return the exit code: 0 measured, 1 the programs cannot be compared, 2 invalid use."""
    arguments = _arguments()
    try:
        _checked(arguments)
        with tempfile.TemporaryDirectory(prefix="benchmark-startup-") as folder:
            contenders = programs(Path(folder), arguments.context, arguments.registry)
            for each in contenders.values():
                _run(["pulumi", "stack", "init", STACK, "--non-interactive"], each.folder, each.environment)
            declared = _same_resources(contenders)
            results = {
                "imports": _import_timings(arguments.rounds),
                "process": take_turns(
                    {name: each.declare for name, each in contenders.items()}, arguments.rounds, _tell
                ),
                "preview": take_turns(
                    {name: each.preview for name, each in contenders.items()}, arguments.rounds, _tell
                ),
            }
    except UsageError as error:
        print(f"benchmarks.startup: {error}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"benchmarks.startup: {error}", file=sys.stderr)
        return 1
    report = _report(arguments.rounds, declared, results)
    print(json.dumps(report, indent=2) if arguments.output == "json" else _table(report))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.startup",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds, 1 or more (default: 7)")
    parser.add_argument(
        "--context", default="addressbook-lab", help="kubeconfig context to preview on (default: the lab)"
    )
    parser.add_argument("--registry", default="10.203.0.1:5000", help="registry in image names (default: the lab's)")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="table or JSON (default: text)")
    return parser.parse_args()


def _checked(arguments: argparse.Namespace) -> None:
    if arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds}: use 1 or more")
    for command in ("pulumi", "kubectl"):
        if shutil.which(command) is None:
            raise UsageError(f'{command} is not on PATH: `make up`, then `eval "$(make env)"`, puts the lab\'s there')
    known = subprocess.run(["kubectl", "config", "get-contexts", "-o", "name"], capture_output=True, text=True)
    if arguments.context not in known.stdout.split():
        raise UsageError(f"--context {arguments.context}: the kubeconfig has no such context; `make up` starts the lab")


def programs(folder: Path, context: str, registry: str) -> dict[str, Contender]:
    """Copy each program into the folder."""
    local = {"kubeContext": context, "registry": registry, "namespace": NAMESPACE}
    made = {
        THIS: _contender(folder / "this", {"cloud": "local", "stableReplicas": "2", **local}),
        ALL: _contender(folder / "all", {"cloud": "local", "stableReplicas": "2", **local}),
        FLAT: _contender(
            folder / "flat", {**local, "buildContext": str(ROOT / "app")}, source=ROOT / "benchmarks/flat"
        ),
    }
    entry = made[ALL].folder / "__main__.py"
    entry.write_text(IMPORT_ALL + entry.read_text())
    return made


def _contender(folder: Path, config: Mapping[str, str], source: Path = ROOT) -> Contender:
    folder.mkdir()
    for name in PROGRAM if source == ROOT else ("Pulumi.yaml", "__main__.py"):
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        else:
            shutil.copy(source / name, folder / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())["name"]
    prefixed = {f"{project}:{key}": value for key, value in config.items()}
    (folder / "config.json").write_text(json.dumps(prefixed))
    (folder / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": prefixed}))
    state = folder / "state"
    state.mkdir()
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "of-a-state-that-stays-empty",
        "PULUMI_CONFIG_PASSPHRASE_FILE": "",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    return Contender(folder, prefixed, environment)


def _same_resources(contenders: Mapping[str, Contender]) -> dict[str, int]:
    """Return the number of resources by type. Raises ValueError if the programs differ."""
    refuse_others({name: registered(each.declare()) for name, each in contenders.items()})
    found = {name: previewed(each.preview()) for name, each in contenders.items()}
    refuse_others(found)
    return dict(sorted(Counter(each.kind for each in found[THIS]).items()))


def refuse_others(found: Mapping[str, Sequence[Declared]]) -> None:
    """Raise ValueError if a program declares something different from this one."""
    for name, declared in found.items():
        if others := differences(found[THIS], declared):
            told = "\n  ".join(
                [*others[:MAX_REPORTED], *([f"and {len(others)} in all"] if others[MAX_REPORTED:] else [])]
            )
            raise ValueError(f"`{name}` is not the same as `{THIS}`:\n  {told}")


def _import_timings(rounds: int) -> Timings:
    def importing(statement: str) -> Callable[[], object]:
        return lambda: _run([sys.executable, "-c", statement], ROOT, os.environ)

    contenders = {"Python alone": importing("pass")}
    contenders |= {cloud: importing(f"import components.release, stacks.{cloud}") for cloud in CLOUDS}
    contenders["all clouds"] = importing(f"import components.release\n{IMPORT_ALL}")
    return take_turns(contenders, rounds, _tell)


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True)
    if done.returncode != 0:
        raise ValueError(f"`{' '.join(command[:3])}` failed in {folder.name}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr)


def _report(rounds: int, declared: Mapping[str, int], results: Mapping[str, Timings]) -> dict[str, Any]:
    base = {"imports": "local", "process": FLAT, "preview": FLAT}
    return {
        "machine": machine(),
        "rounds": rounds,
        "resources": dict(declared),
        "figures": {
            kind: {
                name: {
                    "wall": _figure(timings.wall, name, base[kind]),
                    "processor": _figure(timings.processor, name, base[kind]),
                }
                for name in timings.wall.seconds
            }
            for kind, timings in results.items()
        },
    }


def _figure(samples: Samples, name: str, base: str) -> dict[str, Any]:
    return {
        "seconds": samples.spread(name).as_json(),
        "ratio": {"to": base, **samples.ratio(name, base).as_json()},
    }


def _table(report: Mapping[str, Any]) -> str:
    total = sum(report["resources"].values())
    lines = [f"{total} resources, the same in each program; {report['rounds']} rounds: median (least - most)"]
    for kind, contenders in report["figures"].items():
        base = next(iter(contenders.values()))["wall"]["ratio"]["to"]
        lines += [
            "",
            f"{kind}; ratio to: {base}",
            f"{'':<20}{'seconds':>22}{'ratio':>22}{'processor s':>22}{'ratio':>22}",
        ]
        for name, figures in contenders.items():
            cells = [_cell(figures[clock][part]) for clock in ("wall", "processor") for part in ("seconds", "ratio")]
            lines.append(f"{name:<20}" + "".join(f"{cell:>22}" for cell in cells))
    return "\n".join(lines)


def _cell(spread: Mapping[str, float]) -> str:
    return f"{spread['median']:.2f} ({spread['least']:.2f} - {spread['most']:.2f})"


if __name__ == "__main__":
    sys.exit(main())
