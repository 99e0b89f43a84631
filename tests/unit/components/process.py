"""Run the program against mocks in its own process and print which clouds' SDKs it has imported.

Usage: ``python -m tests.unit.components.process CLOUD``, signed in to the cloud. It declares a stack with both tracks
and all optional resources, then a release stack on its platform.
"""

from __future__ import annotations

import json
import sys

from stacks.platform_reference import READ_OUTPUTS
from tests.unit.components.clouds import CLOUDS
from tests.unit.conftest import Cloud, declared

CANARY = {"canaryImage": "source", "canaryReplicas": 1}


def main(name: str) -> None:
    answers, config, extra, of_platform = Cloud(), {}, {}, ("kubeContext", "registry")
    for simulated in CLOUDS:
        if simulated.name == name:
            simulated.answer(answers)
            config, extra, of_platform = simulated.config, simulated.extra, simulated.of_platform
    outputs = declared(answers, **config, **extra, **CANARY).outputs
    answers.functions[READ_OUTPUTS] = lambda _: {"name": "plat", "outputs": outputs, "secretOutputNames": []}
    release = {**config, **dict.fromkeys(of_platform, ""), "platformStack": "plat", "namespace": "branch-one"}
    declared(answers, **release)
    print(json.dumps(sorted(sys.modules.keys() & {f"pulumi_{cloud.name}" for cloud in CLOUDS})))


if __name__ == "__main__":
    main(*sys.argv[1:])
