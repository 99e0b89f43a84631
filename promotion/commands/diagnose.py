"""``diagnose``: what is wrong, why, and what mends it."""

from __future__ import annotations

import argparse
import json

from promotion.arguments import Commands, command, output_argument
from promotion.errors import DONE, FAILED
from promotion.state import engine as stacks


def register(commands: Commands) -> None:
    parser = command(commands, "diagnose", run, "say what is wrong, why, and what mends it", "--track canary")
    parser.add_argument("--track", choices=["stable", "canary"], help="of this track, and what both share, alone")
    output_argument(parser)


def run(options: argparse.Namespace) -> int:
    # The Kubernetes client takes half a second to import.
    from promotion.diagnosis.diagnose import diagnose, diagnosis_json, diagnosis_text
    from promotion.state.cluster.cluster import Cluster

    findings = diagnose(Cluster.of(stacks.selected(options.stack)), options.track)
    if options.output == "json":
        print(json.dumps({"stack": options.stack, "findings": diagnosis_json(findings)}, indent=2))
    else:
        print(diagnosis_text(findings))
    return FAILED if any(not finding.notice for finding in findings) else DONE
