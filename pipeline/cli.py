"""The commands and their arguments."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from contract.project import PROJECT_ROOT
from pipeline.faults import StepFailed, WrongUse

EPILOG = "exit codes: 0 done; 1 a step failed; 2 wrong use, nothing was begun"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        print(json.dumps(options.run(options), indent=2))
    except StepFailed as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 1
    except WrongUse as fault:
        print(f"error: {fault}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Steps of continuous integration; each prints its result as JSON, its progress on standard error.",
        epilog=f"example: python -m pipeline touched --base main; {EPILOG}",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    image = commands.add_parser(
        "image",
        help="build the image, test it from within, push it",
        epilog=f"example: python -m pipeline image --repository localhost:5001/addressbook --push; {EPILOG}",
    )
    image.add_argument("--repository", required=True, help="where the image is pushed to, without a tag")
    image.add_argument("--context", default="app", help="the build context (default: %(default)s)")
    image.add_argument("--platform", default="linux/amd64", help="platform of the nodes (default: %(default)s)")
    image.add_argument(
        "--base-image",
        default="",
        metavar="REFERENCE",
        help="what it is built on; a tag is resolved to its digest first (default: the Dockerfile's BASE_IMAGE)",
    )
    image.add_argument("--push", action="store_true", help="push it when all tests have passed")
    image.set_defaults(run=_image)

    touched = commands.add_parser(
        "touched",
        help="which stacks a branch touches, and whether the image",
        epilog=f"example: python -m pipeline touched --base origin/main; {EPILOG}",
    )
    touched.add_argument("--base", required=True, help="what the branch is to be merged into")
    touched.set_defaults(run=_touched)

    config = commands.add_parser(
        "config",
        help="generate the config keys in Pulumi.yaml and docs/reference/config.md",
        epilog=f"example: python -m pipeline config --check; {EPILOG}",
    )
    config.add_argument("--check", action="store_true", help="write nothing; fail if the files are stale")
    config.set_defaults(run=_config)

    scan = commands.add_parser("scan", help="known vulnerabilities of the pinned packages", epilog=EPILOG)
    scan.set_defaults(run=_scan)
    return parser


def _image(options: argparse.Namespace) -> dict[str, object]:
    from pipeline import image  # Docker and its SDK are needed here alone

    built = image.build_and_test(
        PROJECT_ROOT / options.context, options.repository, options.platform, options.base_image
    )
    if options.push:
        image.push(built)
    return {**asdict(built), "image": built.pinned if built.digest else None}


def _touched(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.touched import changed_files, touched

    return asdict(touched(changed_files(options.base, Path(PROJECT_ROOT)), Path(PROJECT_ROOT)))


def _config(options: argparse.Namespace) -> dict[str, object]:
    from pipeline.config_reference import stale, write  # loads every cloud's SDK

    files = [str(path.relative_to(PROJECT_ROOT)) for path in (stale if options.check else write)(PROJECT_ROOT)]
    if options.check and files:
        raise StepFailed(f"{', '.join(files)}: stale; run `python -m pipeline config` and commit the result")
    return {"written": files}


def _scan(_options: argparse.Namespace) -> dict[str, object]:
    from pipeline.scan import scan

    return asdict(scan(Path(PROJECT_ROOT)))
