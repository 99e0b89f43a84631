"""Imports point one way: contract <- components <- stacks <- __main__.py, and nothing in the product imports lab."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from contract.project import PROJECT_ROOT

PRODUCT = {"contract", "components", "stacks", "promotion", "policy", "pipeline", "app"}
OURS = {*PRODUCT, "lab", "benchmarks", "tests"}
#: What each part of the project may import of the others.
ALLOWED = {
    "contract": {"contract"},
    "components": {"contract", "components"},
    "stacks": {"contract", "components", "stacks"},
    "__main__.py": {"contract", "components", "stacks"},
    "promotion": {"contract", "components", "stacks", "promotion"},
    "policy": {"contract", "components", "stacks", "policy"},
    "pipeline": {"contract", "components", "stacks", "pipeline"},
    "app": {"app"},
    "tests/unit": OURS - {"lab"},
}


def wrong_imports(root: Path, part: str) -> list[str]:
    """Return ``FILE:LINE imports MODULE`` for each import of ``part`` that points the wrong way."""
    path = root / part
    wrong: list[str] = []
    for file in sorted([path] if path.is_file() else path.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                package = module.partition(".")[0]
                if package in OURS and package not in ALLOWED[part]:
                    wrong.append(f"{file.relative_to(root)}:{node.lineno} imports {module}")
    return wrong


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_point_one_way(part: str):
    assert wrong_imports(PROJECT_ROOT, part) == []


def test_an_import_the_wrong_way_is_found(tmp_path: Path):
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract" / "platform.py").write_text("def late():\n    from components.pod import Labels\n")
    assert wrong_imports(tmp_path, "contract") == ["contract/platform.py:2 imports components.pod"]
