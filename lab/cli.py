"""The command line: `python -m lab up|down|status|doctor|env|rehearse`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence

from lab import doctor, gateway, packages, project, refusal_cache, removal, report
from lab import environment as shell
from lab import up as starting
from lab.errors import LabError
from lab.layout import Lab
from lab.lock import exclusive
from lab.progress import say

WRONG_INPUT = 2  # exit code when the lab cannot do what was asked; the message says why
INTERRUPTED = 130
NOT_OK = 1  # exit code of `down` if something is left, of `status` if the lab does not serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    os.environ["PATH"] = packages.search_path()
    try:
        lab = Lab.from_environment()
        return options.command(lab, options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return WRONG_INPUT
    except OSError as error:  # no space, no permission, a folder that is a file: the system's message says which
        hint = ": run it as root (sudo -E)" if isinstance(error, PermissionError) else ""
        print(f"lab: {error}{hint}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("lab: interrupted; run the command again to continue", file=sys.stderr)
        return INTERRUPTED


def _up(lab: Lab, options: argparse.Namespace) -> int:
    target = project.target(lab, options.stack, options.context)
    in_lab = target.in_lab and not options.tools_only
    if in_lab:
        _refuse_unfit_machine(lab)
    with exclusive(lab.lock_file if in_lab else lab.cache / "locks" / "tools.lock", "the lab", options.wait):
        if options.retry:
            refusal_cache.forget(lab)
        if options.postgres:
            packages.ensure_postgres()
        if not in_lab:
            starting.tools(lab, target.cloud)
        else:
            starting.up(lab)
            if options.gateway or target.runs_traefik:
                gateway.ensure(lab)
            say(f"The lab serves: Kubernetes at {lab.api_url} (context {lab.name}), registry at {lab.registry}.")
    return 0


def _refuse_unfit_machine(lab: Lab) -> None:
    unfit = [finding for finding in doctor.machine(lab) if finding.fatal and not finding.ok]
    if unfit:
        raise LabError("This machine cannot run the lab:\n" + "\n".join(f"  {finding.line()}" for finding in unfit))


def _down(lab: Lab, options: argparse.Namespace) -> int:
    if os.geteuid() != 0 and lab.state.exists():
        raise LabError("Removing the lab needs root: sudo -E python -m lab down.")
    with exclusive(lab.lock_file, "the lab", options.wait):
        try:
            removal.down(lab)
        except removal.Leftover as error:
            print(f"lab: {error}", file=sys.stderr)
            return NOT_OK
        if options.cache:
            removal.remove_cache(lab)
    say("The lab is removed" + (", with its cache." if options.cache else f"; its cache stays in {lab.cache}."))
    return 0


def _status(lab: Lab, options: argparse.Namespace) -> int:
    status = report.status(lab)
    print(json.dumps(status, indent=2) if options.output == "json" else report.text(status))
    return 0 if status["serving"] else NOT_OK


def _doctor(lab: Lab, options: argparse.Namespace) -> int:
    findings = doctor.examine(lab)
    if options.output == "json":
        print(json.dumps(doctor.as_json(findings), indent=2, ensure_ascii=False))
    else:
        print("\n".join(finding.line() for finding in findings))
    return NOT_OK if any(finding.fatal and not finding.ok for finding in findings) else 0


def _env(lab: Lab, options: argparse.Namespace) -> int:
    print(shell.export_lines(lab, project.target(lab, options.stack, options.context)))
    return 0


def _rehearse(lab: Lab, options: argparse.Namespace) -> int:
    from lab.rehearsal import alone
    from lab.rehearse import check, rehearse  # imports the simulated clouds, which takes time

    cloud = check(options.rehearsed, options.fault)
    if not report.status(lab)["serving"]:
        _refuse_unfit_machine(lab)
        with exclusive(lab.lock_file, "the lab", options.wait):
            starting.up(lab)
    if project.runs_traefik(project.stack_config(options.rehearsed)):
        with exclusive(lab.lock_file, "the lab", options.wait):
            gateway.ensure(lab)
    packages.ensure_postgres()
    with alone(lab, cloud, options.wait):
        result = rehearse(lab, options.rehearsed, options.keep, options.fault, options.restore, options.first_day)
    if options.output == "json":
        print(result.json())
    else:
        print("\n".join(f"simulated: {line}" for line in result.simulated))
        print("The rehearsal passed." if result.ok else "The rehearsal failed; the step above says why.")
    return 0 if result.ok else NOT_OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="A real Kubernetes, registry and Docker Engine on this machine, for trying out stacks. Needs root.",
        epilog='Example: python -m lab up && eval "$(python -m lab env)" && kubectl get nodes',
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, summary: str, example: str, run: Callable[[Lab, argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=summary, description=summary, epilog=f"Example: {example}")
        subparser.set_defaults(command=run)
        return subparser

    up = command("up", "start the lab; download or build any missing parts", "python -m lab up", _up)
    up.add_argument("--tools-only", action="store_true", help="only get Pulumi, its plugins and regctl")
    up.add_argument("--postgres", action="store_true", help="also install PostgreSQL, for rehearsals and tests")
    up.add_argument("--gateway", action="store_true", help="also get Traefik, as for a stack with gateway: traefik")
    up.add_argument("--retry", "--retry-plugins", action="store_true", help="retry the downloads that failed")
    down = command("down", "stop and remove the lab; its cache stays", "python -m lab down --cache", _down)
    down.add_argument("--cache", action="store_true", help="also remove the cache of tools and images")
    status = command(
        "status", "show what runs, and which parts are stand-ins", "python -m lab status --output json", _status
    )
    check = command(
        "doctor", "find problems that keep the lab from working, with remedies", "python -m lab doctor", _doctor
    )
    play = command(
        "rehearse",
        "take a copy of a stack through its whole life on a simulated cloud",
        "python -m lab rehearse prod",
        _rehearse,
    )
    play.add_argument("rehearsed", metavar="STACK", help="the stack to copy; its file stays as it is")
    play.add_argument("--keep", action="store_true", help="keep the rehearsed stack and print how to use it")
    play.add_argument(
        "--fault", default="", metavar="FAULT:TYPE", help="simulate a fault first, such as quota:KubernetesCluster"
    )
    play.add_argument("--first-day", action="store_true", help="meet each fault of a first day in turn")
    play.add_argument("--restore", action="store_true", help="also lose the database and restore it from a backup")
    env = command("env", "print the lines that make a shell use the lab", 'eval "$(python -m lab env)"', _env)
    for waiting in (up, down, play):
        waiting.add_argument(
            "--no-wait", dest="wait", action="store_false", help="fail if another command is working on the lab"
        )
    for printing in (status, check, play):
        printing.add_argument("--output", choices=("text", "json"), default="text", help="output format")
    for choosing in (up, env):
        choosing.add_argument("--stack", default="dev", help="the stack to prepare for")
        choosing.add_argument("--context", help="the stack's cluster, instead of the stack file's kubeContext")
    return parser
