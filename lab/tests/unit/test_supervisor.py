"""supervisord's configuration, read back by supervisord."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from supervisor.options import ServerOptions

from lab import supervisor
from lab.component import Component
from lab.layout import Lab

COMPONENTS = [
    Component("inside", ["/usr/bin/server", "--format=%d", "--name=lab"]),
    Component("outside", ["daemon"], in_node=False, environment={"MODE": "50%"}),
]


@pytest.fixture
def programs(lab: Lab, tmp_path: Path) -> dict[str, Any]:
    lab.logs.mkdir(parents=True)
    lab.run.mkdir()
    config = tmp_path / "supervisord.conf"
    config.write_text(supervisor.program_list(lab, COMPONENTS))
    options = ServerOptions()
    options.realize(["-n", "-c", str(config)])
    return {group.process_configs[0].name: group.process_configs[0] for group in options.process_group_configs}


def test_components_run_in_their_network_namespace(lab: Lab, programs: dict[str, Any]) -> None:
    enter = f"nsenter --net=/run/netns/{lab.name} -- "
    assert programs["inside"].command == f"{enter}/usr/bin/server --format=%d --name=lab"
    assert programs["outside"].command == "daemon"
    assert programs["outside"].environment == {"MODE": "50%"}


def test_components_restart_and_their_logs_are_bounded(programs: dict[str, Any]) -> None:
    from supervisor.datatypes import RestartUnconditionally

    for program in programs.values():
        assert program.autorestart is RestartUnconditionally
        assert program.autostart is False
        assert 0 < program.stdout_logfile_maxbytes <= supervisor.LOG_BYTES
        assert program.stdout_logfile_backups == 1


def test_the_fingerprint_covers_every_configuration_file(lab: Lab) -> None:
    lab.state.mkdir()
    config = lab.state / "kubelet.yaml"
    config.write_text("a")
    first = supervisor.fingerprint(lab, "programs")
    assert supervisor.fingerprint(lab, "programs") == first
    config.write_text("b")
    second = supervisor.fingerprint(lab, "programs")
    assert len({first, second, supervisor.fingerprint(lab, "other programs")}) == 3
