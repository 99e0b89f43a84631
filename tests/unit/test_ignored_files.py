"""Files that a job leaves in the checkout are no changes of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from contract.project import PROJECT_ROOT


def test_googles_login_leaves_the_checkout_clean(tmp_path: Path):
    """A reviewed update is not continued if it ran in a checkout with changes."""
    shutil.copy(PROJECT_ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    credentials = "gha-creds-0123456789abcdef.json"
    subprocess.run(["git", "check-ignore", "--quiet", credentials], cwd=tmp_path, check=True)
