"""The policy pack: what the engine runs for `--policy-pack policy`."""

from __future__ import annotations

import sys
from pathlib import Path

from pulumi_policy import PolicyPack

# The engine runs this folder by its path, but the policies are a package, so that tests can import them.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy.pack import NAME, POLICIES, configuration

PolicyPack(NAME, POLICIES, initial_config=configuration())
