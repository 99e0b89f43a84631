"""The Go tests of the controller that assigns addresses to load balancers."""

from __future__ import annotations

import os
from pathlib import Path

from lab import golang, toolchain
from lab.layout import Lab


def test_the_controllers_go_tests_pass() -> None:
    go = golang.find(Lab.from_environment())
    # With the flags of the lab's build, Go reuses its compiled packages.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    output = golang.run(go, ["test", "-trimpath", "./loadbalancer"], Path(toolchain.ADDONS.source), environment)
    assert output.startswith("ok")
