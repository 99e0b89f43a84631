"""The command line: commands and their arguments."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from contract.project import PROJECT_ROOT
from pipeline.errors import StepError, UsageError

EPILOG = "exit codes: 0 done; 1 a step failed; 2 invalid use, nothing was started"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        print(json.dumps(options.run(options), indent=2))
    except StepError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Steps of continuous integration. Each prints JSON; progress goes to standard error.",
        epilog=f"example: python -m pipeline touched --base main; {EPILOG}",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    image = commands.add_parser(
        "image",
        help="build the image, run its tests, push it",
        epilog=f"example: python -m pipeline image --repository localhost:5001/addressbook --push; {EPILOG}",
    )
    image.add_argument("--repository", required=True, help="repository to push to, without a tag")
    image.add_argument("--context", default="app", help="the build context (default: %(default)s)")
    image.add_argument("--platform", default="linux/amd64", help="platform of the nodes (default: %(default)s)")
    image.add_argument(
        "--base-image",
        default="",
        metavar="REFERENCE",
        help="base image; a tag is resolved to its digest (default: the Dockerfile's BASE_IMAGE)",
    )
    image.add_argument("--push", action="store_true", help="push the image if all tests pass")
    image.add_argument(
        "--attest", action="store_true", help="keep SBOM and provenance beside the pushed image; needs syft and regctl"
    )
    image.add_argument(
        "--sign",
        default="",
        metavar="KEY",
        help="sign the image and what --attest adds, with a key in cosign's notation (env://NAME, gcpkms://…), or with"
        " the CI job's identity: `keyless`",
    )
    image.set_defaults(run=_image)

    touched = commands.add_parser(
        "touched",
        help="list the stacks in use that a branch changes, and whether it changes the image",
        epilog=f"example: python -m pipeline touched --base origin/main; {EPILOG}",
    )
    touched.add_argument("--base", required=True, help="the branch that it will be merged into")
    touched.add_argument(
        "--new-image", action="store_true", help="build the image anew, even if no file of it has changed"
    )
    touched.set_defaults(run=_touched)

    stacks = commands.add_parser(
        "stacks",
        help="list the stacks in use, and the one on whose platform pull requests get environments",
        epilog=f"example: python -m pipeline stacks; {EPILOG}",
    )
    stacks.set_defaults(run=_stacks)

    environment = commands.add_parser(
        "environment",
        help="say what an event of a pull request means for its environment",
        epilog=f'example: python -m pipeline environment --event "$GITHUB_EVENT_PATH"; {EPILOG}',
    )
    environment.add_argument("--event", required=True, metavar="FILE", help="the event, as GitHub describes it")
    environment.set_defaults(run=_environment)

    comment = commands.add_parser(
        "comment",
        help="post a section of a stack's comment on a pull request, or replace it",
        epilog=f"example: python -m pipeline comment --number 12 --file comment.md; {EPILOG}",
    )
    comment.add_argument("--number", required=True, type=int, help="number of the pull request")
    text = comment.add_mutually_exclusive_group(required=True)
    text.add_argument(
        "--file", help="the section; its first line is a hidden marker, as of `preview --output markdown`"
    )
    text.add_argument("--environment", metavar="STACK", help="say where the environment on this stack's platform runs")
    comment.add_argument("--url", default="", help="address of the environment (default: it is removed)")
    comment.add_argument("--expires", default="", metavar="TIME", help="end of the environment")
    comment.set_defaults(run=_comment)

    drift = commands.add_parser(
        "drift",
        help="open, update or close the issue about a stack's drift",
        epilog=f"example: python -m pipeline drift --stack prod --status status.json; {EPILOG}",
    )
    drift.add_argument("--stack", required=True, help="name of the stack")
    drift.add_argument("--status", required=True, metavar="FILE", help="the document of `status --output json`")
    drift.set_defaults(run=_drift)

    base = commands.add_parser(
        "base",
        help="say whether the base image has changed since the last image was pushed",
        epilog=f"example: python -m pipeline base --repository localhost:5001/addressbook; {EPILOG}",
    )
    base.add_argument("--repository", required=True, help="repository of the pushed images, without a tag")
    base.add_argument("--context", default="app", help="the build context (default: %(default)s)")
    base.add_argument("--platform", default="linux/amd64", help="platform of the nodes (default: %(default)s)")
    base.set_defaults(run=_base)

    doctor = commands.add_parser(
        "doctor",
        help="check that the repository on GitHub has what the workflows need",
        epilog=f"example: python -m pipeline doctor; {EPILOG}",
    )
    doctor.set_defaults(run=_doctor)

    config = commands.add_parser(
        "config",
        help="generate the config keys in Pulumi.yaml and docs/reference/config.md",
        epilog=f"example: python -m pipeline config --check; {EPILOG}",
    )
    config.add_argument("--check", action="store_true", help="write nothing; fail if the files are stale")
    config.set_defaults(run=_config)

    monitoring = commands.add_parser(
        "monitoring",
        help="write Prometheus rules for a stack: with its metric names, and its limits for a canary",
        epilog=f"example: python -m pipeline monitoring --stack prod --file rules.yaml; {EPILOG}",
    )
    monitoring.add_argument("--stack", required=True, help="name of the stack")
    monitoring.add_argument("--file", required=True, metavar="FILE", help="file to write")
    monitoring.add_argument(
        "--objective",
        type=float,
        default=99.9,
        metavar="PERCENT",
        help="share of requests that must succeed, for the error budget (default: %(default)s)",
    )
    monitoring.add_argument("--operator", action="store_true", help="write a PrometheusRule of the Prometheus Operator")
    monitoring.set_defaults(run=_monitoring)

    scan = commands.add_parser(
        "scan",
        help="look for known vulnerabilities in the locked packages, and in an image",
        epilog=f"example: python -m pipeline scan --image addressbook:src-1a2b3c; {EPILOG}",
    )
    scan.add_argument("--image", default="", metavar="REFERENCE", help="image of the Docker Engine to scan as well")
    scan.set_defaults(run=_scan)
    return parser


def _image(options: argparse.Namespace) -> dict[str, object]:
    from components.source import origin
    from pipeline import attestation, image  # only this command needs Docker

    if options.attest and not options.push:
        raise UsageError("--attest without --push: only a pushed image can have something beside it; add --push")
    if options.sign and not options.attest:
        raise UsageError("--sign without --attest: add --attest")
    if options.attest:
        attestation.check(options.sign)
    built = image.build_and_test(
        PROJECT_ROOT / options.context, options.repository, options.platform, options.base_image
    )
    if options.push:
        image.push(built)
    if options.attest:
        context = PROJECT_ROOT / options.context
        attestation.attest(built, origin(context), options.platform, options.sign, os.environ)
    if options.push:
        image.push_cache(built)
    return {**asdict(built), "image": built.pinned if built.digest else None}


def _touched(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.touched import IN_USE, changed_files, touched

    root = Path(PROJECT_ROOT)
    affected = touched(changed_files(options.base, root), root, options.base, new_image=options.new_image)
    if affected.skipped:
        print(f"not in use, so skipped ({IN_USE}): {', '.join(affected.skipped)}", file=sys.stderr)
    return asdict(affected)


def _stacks(_options: argparse.Namespace) -> dict[str, object]:
    from pipeline.touched import environments, stacks_in_use, touched

    root = Path(PROJECT_ROOT)
    shared = environments(root)
    used = touched(["Pulumi.yaml"], root).stacks  # every stack in use
    return {
        "stacks": [asdict(each) for each in used],
        "staging": list(stacks_in_use(root).staging),
        "environments": asdict(shared) if shared else None,
    }


def _environment(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.environment import environment

    found = environment(_document(options.event, "--event"), Path(PROJECT_ROOT))
    if found.reason:
        print(f"no environment: {found.reason}", file=sys.stderr)
    return asdict(found)


def _comment(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.comment import post
    from pipeline.environment import section
    from pipeline.github import GitHub

    if options.environment:
        text = section(options.environment, options.url, options.expires)
    else:
        text = _text(options.file, "--file")
    return {"url": post(GitHub(Path(PROJECT_ROOT)), options.number, text)}


def _drift(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.drift import report
    from pipeline.github import GitHub

    status = _document(options.status, "--status")
    return {"issue": report(GitHub(Path(PROJECT_ROOT)), options.stack, status)}


def _base(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.base_image import renewal

    found = renewal(PROJECT_ROOT / options.context / "Dockerfile", options.repository, options.platform)
    return {**asdict(found), "due": found.is_due}


def _document(file: str, option: str) -> dict[str, Any]:
    try:
        return json.loads(_text(file, option))
    except ValueError as error:
        raise UsageError(f"{option} {file}: this is not JSON ({error})") from None


def _text(file: str, option: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{option} {file}: cannot read the file: {error.strerror}") from None


def _doctor(_options: argparse.Namespace) -> dict[str, object]:
    from pipeline.doctor import doctor

    checks = doctor(Path(PROJECT_ROOT))
    for each in checks:
        print(f"{'✓' if each.ok else '✗'} {each.what}{'' if each.ok else f': {each.remedy}'}", file=sys.stderr)
    missing = sum(not each.ok for each in checks)
    if missing:
        raise StepError(f"{missing} of {len(checks)} checks failed; see above")
    return {"checks": [asdict(each) for each in checks]}


def _config(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.config_reference import stale, write  # loads every cloud's SDK

    files = [str(path.relative_to(PROJECT_ROOT)) for path in (stale if options.check else write)(PROJECT_ROOT)]
    if options.check and files:
        raise StepError(f"{', '.join(files)}: stale; run `python -m pipeline config` and commit the result")
    return {"written": files}


def _monitoring(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.monitoring import RULES, Monitored, manifest, rules

    root = Path(PROJECT_ROOT)
    monitored = Monitored.of(options.stack, root, options.objective)
    text = rules((root / RULES).read_text(encoding="utf-8"), monitored)
    try:
        Path(options.file).write_text(manifest(text, monitored) if options.operator else text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--file {options.file}: cannot be written: {error.strerror}") from None
    return {"written": options.file}


def _scan(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.scan import scan

    return asdict(scan(Path(PROJECT_ROOT), options.image))
