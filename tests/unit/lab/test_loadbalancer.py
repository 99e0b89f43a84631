"""The Go tests of the controller that gives addresses to load balancers, run by Go itself."""

from __future__ import annotations

import os
from pathlib import Path

from lab import golang, toolchain
from lab.layout import Lab


def test_the_controllers_own_tests_pass() -> None:
    go = golang.find(Lab.from_environment())
    # The flags of the lab's build, so that the packages compiled for it are used again.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    said = golang.run(go, ["test", "-trimpath", "./loadbalancer"], Path(toolchain.ADDONS.source), environment)
    assert said.startswith("ok")
