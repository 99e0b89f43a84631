"""Rules for one stack: what is read from its file, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.errors import UsageError
from pipeline.monitoring import Monitored

FILE = """config:
  addressbook:cloud: local
  addressbook:service: shop
  namespace: market
  addressbook:requestMetricNames: { requests: shop_requests_total }
  addressbook:canaryErrorLimit: "25"
  addressbook:canaryLatencyFactor: 2.5
  addressbook:prometheusToken: { secure: v1:AAAA }
  addressbook:secretEnvironment: { TOKEN: { secure: v1:AAAA } }
"""


def test_a_stack_files_settings_are_read(tmp_path: Path):
    (tmp_path / "Pulumi.prod.yaml").write_text(FILE)
    monitored = Monitored.of("prod", tmp_path, 99.5)
    assert (monitored.stack.namespace, monitored.service.name, monitored.objective) == ("market", "shop", 0.995)
    keys = monitored.verdict
    assert keys.metrics.requests == "shop_requests_total"
    assert (keys.canary_error_limit, keys.canary_latency_factor) == (25, "2.5")


@pytest.mark.parametrize(
    ("text", "objective", "error"),
    [
        (None, 99.9, "--stack prod: there is no Pulumi.prod.yaml"),
        ("config: [", 99.9, "Pulumi.prod.yaml: cannot be read"),
        ("- list", 99.9, "Pulumi.prod.yaml: cannot be read"),
        (FILE, 100, "--objective 100: give a percentage between 0 and 100"),
        (FILE + "  addressbook:metricsPort: 0\n", 99.9, "metricsPort is 0, so there is nothing to watch"),
        (FILE + "  addressbook:canaryLatencyPercentile: 200\n", 99.9, "canaryLatencyPercentile"),
    ],
)
def test_an_unusable_file_or_objective_is_refused(tmp_path: Path, text: str | None, objective: float, error: str):
    if text is not None:
        (tmp_path / "Pulumi.prod.yaml").write_text(text)
    with pytest.raises(UsageError, match=error):
        Monitored.of("prod", tmp_path, objective)


def test_the_command_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "rules.yaml"
    assert cli.main(["monitoring", "--stack", "dev", "--file", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {"written": str(file)}
    assert 'app="addressbook"' in file.read_text()
    assert cli.main(["monitoring", "--stack", "dev", "--file", str(tmp_path / "none" / "rules.yaml")]) == 2
    assert "cannot be written" in capsys.readouterr().err
