"""Stand-in for doctl, of which a simulated cluster's kubeconfig needs one command: exec-credential."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lab.layout import Lab
from lab.plugins.account import Account
from lab.plugins.digitalocean.slugs import TOKEN_VARIABLES
from lab.plugins.exec_credential import exec_credential

COMMAND = ["kubernetes", "cluster", "kubeconfig", "exec-credential"]


def main(arguments: Sequence[str]) -> int:
    """Print an ExecCredential for the cluster that the last argument names; the exit code."""
    positional = [argument for argument in arguments if not argument.startswith("-")]
    if positional[:-1] != COMMAND:
        return _refuse(f"this stand-in knows `doctl {' '.join(COMMAND)} CLUSTER` only")
    if not any(os.environ.get(name) for name in TOKEN_VARIABLES):
        return _refuse("there is no access token: export DIGITALOCEAN_ACCESS_TOKEN or run `doctl auth init`")
    lab = Lab.from_environment()
    cluster = positional[-1]
    if Account(lab, "digitalocean").get("KubernetesCluster", cluster) is None:
        return _refuse(f"404 the simulated account has no Kubernetes cluster {cluster}")
    print(exec_credential(lab))
    return 0


def _refuse(reason: str) -> int:
    print(f"Error: {reason} (simulated doctl)", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
