"""The command line: `python -m lab up|down|status|doctor|env|rehearse`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence

from lab import doctor, packages, remembered, removal, report, stack_file
from lab import environment as shell
from lab import up as starting
from lab.errors import LabError
from lab.layout import Lab
from lab.lock import exclusive
from lab.progress import say

WRONG_INPUT = 2  # exit code when the lab can't do what was asked, for a reason that the message names
LEFT_OVER = 1  # exit code of `down` when something is left, of `status` when the lab does not serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    os.environ["PATH"] = packages.search_path()
    try:
        lab = Lab.from_environment()
        return options.command(lab, options)
    except LabError as fault:
        print(f"lab: {fault}", file=sys.stderr)
        return WRONG_INPUT
    except OSError as fault:  # no space, no permission, a folder that is a file: the system's words say which
        hint = ": run it as root (sudo -E)" if isinstance(fault, PermissionError) else ""
        print(f"lab: {fault}{hint}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("lab: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _up(lab: Lab, options: argparse.Namespace) -> int:
    target = stack_file.target(lab, options.stack, options.context)
    in_lab = target.in_lab and not options.tools_only
    if in_lab:
        _refuse_unfit_machine(lab)
    with exclusive(lab.lock_file if in_lab else lab.cache / "locks" / "tools.lock", "the lab", options.wait):
        if options.retry:
            remembered.forget(lab)
        starting.tools(lab, target.cloud)
        if options.postgres:
            packages.ensure_postgres()
        if in_lab:
            starting.up(lab)
            say(f"The lab serves: Kubernetes at {lab.api_url} (context {lab.name}), registry at {lab.registry}.")
    return 0


def _refuse_unfit_machine(lab: Lab) -> None:
    unfit = [finding for finding in doctor.machine(lab) if finding.fatal and not finding.ok]
    if unfit:
        raise LabError("This machine can't run the lab:\n" + "\n".join(f"  {finding.line()}" for finding in unfit))


def _down(lab: Lab, options: argparse.Namespace) -> int:
    if options.stack and not stack_file.target(lab, options.stack, options.context).in_lab:
        say(f"Stack {options.stack} is not in the lab: no lab was touched.")
        return 0
    if os.geteuid() != 0 and lab.state.exists():
        raise LabError("Removing the lab needs root: sudo -E python -m lab down.")
    with exclusive(lab.lock_file, "the lab", options.wait):
        try:
            removal.down(lab)
        except removal.Leftover as fault:
            print(f"lab: {fault}", file=sys.stderr)
            return LEFT_OVER
        if options.cache:
            removal.remove_cache(lab)
    say("Nothing of the lab is left" + ("." if options.cache else f" but its cache ({lab.cache})."))
    return 0


def _status(lab: Lab, options: argparse.Namespace) -> int:
    found = report.status(lab)
    print(json.dumps(found, indent=2) if options.output == "json" else report.text(found))
    return 0 if found["serving"] else LEFT_OVER


def _doctor(lab: Lab, options: argparse.Namespace) -> int:
    findings = doctor.examine(lab)
    if options.output == "json":
        print(json.dumps(doctor.as_json(findings), indent=2, ensure_ascii=False))
    else:
        print("\n".join(finding.line() for finding in findings))
    return LEFT_OVER if any(finding.fatal and not finding.ok for finding in findings) else 0


def _env(lab: Lab, options: argparse.Namespace) -> int:
    print(shell.export_lines(lab, stack_file.target(lab, options.stack, options.context)))
    return 0


def _rehearse(lab: Lab, options: argparse.Namespace) -> int:
    from lab.rehearsal import alone
    from lab.rehearse import check, rehearse  # the simulated clouds: nothing for the other commands to wait for

    cloud = check(options.rehearsed, options.fault)
    if not report.status(lab)["serving"]:
        _refuse_unfit_machine(lab)
        with exclusive(lab.lock_file, "the lab", options.wait):
            starting.tools(lab, "local")
            starting.up(lab)
    packages.ensure_postgres()
    with alone(lab, cloud, options.wait):
        found = rehearse(lab, options.rehearsed, options.keep, options.fault)
    if options.output == "json":
        print(found.json())
    else:
        print("\n".join(f"simulated: {line}" for line in found.simulated))
        print("The rehearsal went through." if found.ok else "The rehearsal failed; the step above says why.")
    return 0 if found.ok else LEFT_OVER


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="A real Kubernetes, registry and Docker Engine on this machine, to rehearse stacks in. Needs root.",
        epilog='Example: python -m lab up && eval "$(python -m lab env)" && kubectl get nodes',
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, does: str, example: str, run: Callable[[Lab, argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=does, description=does, epilog=f"Example: {example}")
        added.set_defaults(command=run)
        return added

    up = command("up", "start the lab, getting or building what is missing; repeatable", "python -m lab up", _up)
    up.add_argument("--tools-only", action="store_true", help="only Pulumi and its plugins, for a cluster of your own")
    up.add_argument("--postgres", action="store_true", help="also a PostgreSQL server, which rehearsals and tests run")
    up.add_argument("--retry", "--retry-plugins", action="store_true", help="ask again for what was refused before")
    down = command("down", "end and remove the lab; its cache stays", "python -m lab down --cache", _down)
    down.add_argument("--cache", action="store_true", help="remove the cache of tools and images as well")
    down.add_argument("--stack", help="only if this stack lives in the lab")
    down.add_argument("--context", help="the stack's cluster, in place of the stack file's kubeContext")
    status = command("status", "show what runs, and what is a stand-in", "python -m lab status --output json", _status)
    check = command("doctor", "look for what would keep the lab from working", "python -m lab doctor", _doctor)
    play = command(
        "rehearse",
        "take a copy of a stack through its whole life, its cloud simulated",
        "python -m lab rehearse prod",
        _rehearse,
    )
    play.add_argument(
        "rehearsed", metavar="STACK", help="the stack whose file is copied; the file itself stays as it is"
    )
    play.add_argument("--keep", action="store_true", help="leave the rehearsed stack up, and say how to use it")
    play.add_argument(
        "--fault", default="", metavar="FAULT:TYPE", help="play a fault first, such as quota:KubernetesCluster"
    )
    env = command("env", "print what a shell needs", 'eval "$(python -m lab env)"', _env)
    for waiting in (up, down, play):
        waiting.add_argument(
            "--no-wait", dest="wait", action="store_false", help="fail when another command is at work on the lab"
        )
    for printing in (status, check, play):
        printing.add_argument("--output", choices=("text", "json"), default="text", help="how to print it")
    for choosing in (up, env):
        choosing.add_argument(
            "--stack", default="dev", help="the stack to prepare for; one on another cluster needs no lab"
        )
        choosing.add_argument("--context", help="the cluster to prepare for, in place of the stack file's kubeContext")
    return parser
