"""Each requirements*.txt is a lock: every package by version and hash, and what its requirements*.in asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("requirements*.in"), *ROOT.glob("app/requirements*.in")])
#: The lock of .venv, which has all packages of the others.
EVERYTHING = ROOT / "requirements-dev.txt"
#: One package of a lock: its requirement, its hashes, and where uv says that it comes from.
ENTRY = re.compile(
    r"^(?P<package>[\w.-]+==[^\\\n]+?) \\\n(?P<hashes>(?:    --hash=.*\n)+)(?P<origin>(?:    #.*\n)+)", re.M
)
OUTDATED = "run `make lock` and commit the result"


def requirements(source: Path) -> set[Requirement]:
    """Return what a source file and those that it includes ask for."""
    wanted: set[Requirement] = set()
    for line in source.read_text().splitlines():
        included = line.removeprefix("-r ")
        if included != line:
            wanted |= requirements(source.parent / included)
        elif line and not line.startswith("#"):
            wanted.add(Requirement(line))
    return wanted


def entries(lock: Path) -> list[tuple[Requirement, str]]:
    """Return a lock's packages, each with the comment that names its origin."""
    return [(Requirement(match["package"]), match["origin"]) for match in ENTRY.finditer(lock.read_text())]


def names(packages: set[Requirement]) -> set[str]:
    return {canonicalize_name(each.name) for each in packages}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_matches_its_source(source: Path):
    locked = entries(source.with_suffix(".txt"))
    wanted = requirements(source)
    assert wanted <= {each for each, _ in locked}, OUTDATED
    assert names({each for each, origin in locked if "-r " in origin}) == names(wanted), OUTDATED


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_locked_package_has_hashes_and_no_host(source: Path):
    lock = source.with_suffix(".txt").read_text()
    packages = [line for line in lock.splitlines() if line[:1].strip("# ")]
    assert len(packages) == len(entries(source.with_suffix(".txt"))) > 0, "a package has no hash"
    assert [line for line in packages if line.startswith("-") or "://" in line] == []
    assert "--universal --python-version 3.11" in lock, "the lock must fit each Python from 3.11 on"


def test_all_locks_agree_on_versions():
    def versions(lock: Path) -> set[str]:
        return {f"{each.name}{each.specifier}" for each, _ in entries(lock)}

    for source in SOURCES:
        assert versions(source.with_suffix(".txt")) <= versions(EVERYTHING), (source, OUTDATED)


def test_the_lock_has_what_builds_the_service():
    project = tomllib.loads((ROOT / "app" / "pyproject.toml").read_text())
    assert {Requirement(each) for each in project["build-system"]["requires"]} == requirements(
        ROOT / "app" / "requirements-build.in"
    )
    assert names({Requirement(each) for each in project["project"]["dependencies"]}) == names(
        requirements(ROOT / "app" / "requirements.in")
    )
