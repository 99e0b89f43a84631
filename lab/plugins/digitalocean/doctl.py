"""Stand-in for doctl, with the two commands a stack needs: the caller's account, and the login to a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from lab.layout import Lab
from lab.plugins.account import EXPIRED, Account, credentials_expired
from lab.plugins.exec_credential import exec_credential

ACCOUNT = ["account", "get"]
COMMAND = ["kubernetes", "cluster", "kubeconfig", "exec-credential"]


def main(arguments: Sequence[str]) -> int:
    """Answer as the real command would, with an ExecCredential for a cluster; return the exit code."""
    positional = [argument for argument in arguments if not argument.startswith("-")]
    if positional != ACCOUNT and positional[:-1] != COMMAND:
        known = f"`doctl {' '.join(ACCOUNT)}` and `doctl {' '.join(COMMAND)} CLUSTER`"
        return _refuse(f"this stand-in knows only {known}")
    if not _token():
        return _refuse("there is no access token: export DIGITALOCEAN_ACCESS_TOKEN or run `doctl auth init`")
    if credentials_expired():
        return _refuse(f"GET https://api.digitalocean.com/v2/account: 401 {EXPIRED}")
    if positional == ACCOUNT:
        print("User Email    Team    Droplet Limit    Email Verified    User UUID    Status")
        return 0
    lab = Lab.from_environment()
    cluster = positional[-1]
    if Account(lab, "digitalocean").get("KubernetesCluster", cluster) is None:
        return _refuse(f"404 the simulated account has no Kubernetes cluster {cluster}")
    print(exec_credential(lab))
    return 0


def _token() -> str | None:
    """Return the token from where doctl looks: the environment, then the default context of its config file."""
    if token := os.environ.get("DIGITALOCEAN_ACCESS_TOKEN"):
        return token
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    file = Path(os.environ.get("DIGITALOCEAN_CONFIG") or folder / "doctl" / "config.yaml")
    return (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("access-token") if file.is_file() else None


def _refuse(reason: str) -> int:
    print(f"Error: {reason} (simulated doctl)", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
