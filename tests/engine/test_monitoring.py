"""Rules and dashboard: checked by promtool, and run by Debian's Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from addressbook.database import Database
from addressbook.metrics import Metrics
from addressbook.settings import Settings
from prometheus_client import generate_latest

from contract.judging import PRESETS, MetricsPreset
from contract.project import PROJECT_ROOT
from contract.settings import ServiceSettings, StackSettings, VerdictKeys
from lab import packages
from pipeline.monitoring import RULES, Monitored, manifest, rules
from tests.engine.monitoring.prometheus import running

TEXT = (PROJECT_ROOT / RULES).read_text()
DASHBOARD = json.loads((PROJECT_ROOT / "monitoring" / "dashboard.json").read_text())
CASES = Path(__file__).parent / "monitoring" / "rules_test.yaml"
ALERTS = {rule["alert"] for group in yaml.safe_load(TEXT)["groups"] for rule in group["rules"] if "alert" in rule}
#: Windows for a test of seconds, in the order of their lengths.
SECONDS = {"5m": "4s", "30m": "5s", "1h": "6s", "6h": "7s", "3d": "8s"}


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    packages.ensure_prometheus()


def promtool(*arguments: str, folder: Path) -> None:
    result = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def monitored(**keys: Any) -> Monitored:
    stack = StackSettings.model_validate({"cloud": "local", "namespace": "shop"})
    return Monitored(stack, ServiceSettings.model_validate({"service": "shop"}), VerdictKeys.model_validate(keys), 0.99)


def short(text: str) -> str:
    """Return the rules with windows of seconds."""
    text = re.sub(r"\[(\w+)\]", lambda window: f"[{SECONDS[window[1]]}]", text)
    return re.sub(r"for: \w+", "for: 1s", text).replace("* 300 >=", "* 4 >=")


@pytest.mark.parametrize("own", [False, True], ids=["every service", "one stack"])
def test_each_alert_fires_and_clears_in_simulated_time(tmp_path: Path, own: bool) -> None:
    named = Monitored(monitored().stack, monitored().service, VerdictKeys(), 0.999)
    (tmp_path / "rules.yaml").write_text(rules(TEXT, named) if own else TEXT)
    shutil.copy(CASES, tmp_path)
    promtool("test", "rules", CASES.name, folder=tmp_path)


def test_every_alert_has_a_case() -> None:
    cases = yaml.safe_load(CASES.read_text())["tests"]
    fired = {each["alertname"] for case in cases for each in case.get("alert_rule_test", ()) if each["exp_alerts"]}
    assert fired == ALERTS


@pytest.mark.parametrize("preset", PRESETS)
def test_the_rules_read_every_preset(tmp_path: Path, preset: MetricsPreset) -> None:
    """One request in 20 of the canary fails; its tail is 0.975 s, whatever the unit."""
    names = PRESETS[preset]
    only = "".join(f',{label}="{value}"' for label, value in names.only.items())
    status = {code: "5xx" if preset == "fastapi-instrumentator" and code == 500 else str(code) for code in (200, 500)}
    series: dict[str, str] = {}
    for track, failed in (("canary", 5), ("stable", 0)):
        labels = f'namespace="shop",app="shop",track="{track}",pod="{track}"{only},{names.route}="/all"'
        series[f'{names.requests}{{{labels},{names.status}="{status[200]}"}}'] = f"0+{100 - failed}x20"
        series[f'{names.requests}{{{labels},{names.status}="{status[500]}"}}'] = f"0+{failed}x20"
        probe = labels.replace('"/all"', '"/ready"')
        series[f'{names.requests}{{{probe},{names.status}="{status[500]}"}}'] = "0+90x20"
        for bound, count in ((0.5, 0), (1.0, 100), (float("inf"), 100)):
            le = "+Inf" if bound == float("inf") else f"{bound / names.seconds:g}"
            series[f'{names.durations}_bucket{{{labels},le="{le}"}}'] = f"0+{count}x20"
    recorded = "canary:http_errors:difference5m", "track:http_request_duration_seconds:tail5m"
    expected = [(f"round({recorded[0]}, 0.001)", '{namespace="shop",app="shop"}', 0.05)]
    where = '{namespace="shop",app="shop",track="canary"}'
    expected.append((f'round({recorded[1]}{{track="canary"}}, 0.001)', where, 0.975))
    _check(tmp_path, rules(TEXT, monitored(requestMetrics=preset)), series, expected)


def _check(folder: Path, text: str, series: Mapping[str, str], expected: list[tuple[str, str, float]]) -> None:
    """Let promtool evaluate the rules over the series, and compare each expression's only sample after 15 minutes."""
    (folder / "rules.yaml").write_text(text)
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": expr, "eval_time": "15m", "exp_samples": [{"labels": labels, "value": value}]}
            for expr, labels, value in expected
        ],
    }
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [case]}
    (folder / "case.yaml").write_text(yaml.safe_dump(document))
    promtool("test", "rules", "case.yaml", folder=folder)


def test_a_stacks_limits_are_in_its_rules(tmp_path: Path) -> None:
    keys = {"canaryErrorLimit": 25, "canaryLatencyFactor": "3", "canaryLatencyPercentile": 90}
    text = rules(TEXT, monitored(**keys, canaryLatencyFloorMilliseconds=50))
    for part in ('difference5m{namespace="shop",app="shop"} > 0.025', "ignoring (track) 3 *", ") > 0.05\n"):
        assert part in text
    for part in ("histogram_quantile(0.9, ", "14.4 * (1 - 0.99)"):
        assert part in text
    (tmp_path / "operator.yaml").write_text(manifest(text, monitored()))
    assert yaml.safe_load((tmp_path / "operator.yaml").read_text())["spec"] == yaml.safe_load(text)


def test_the_addressbook_has_the_metrics_that_are_read() -> None:
    names = ("DB_HOST", "DB_SCHEMA", "DB_USER", "DB_PASSWORD")
    settings = Settings.read(dict.fromkeys(names, "x"))
    metrics = Metrics(settings, Database(settings.database, size=1))
    metrics.count("GET", "/all", 200, 0.1)
    text = generate_latest(metrics.registry).decode()
    queries = " ".join(dashboard_queries("", ""))
    read = set(re.findall(r"\b(?:addressbook|http|process)_\w+(?=\{)", TEXT + queries))
    assert read >= {"http_requests_total", "addressbook_database_wait_seconds_bucket", "process_cpu_seconds_total"}
    assert [name for name in read if f"\n{name}" not in text] == []


def test_prometheus_fires_and_clears_every_alert(tmp_path: Path) -> None:
    with running(tmp_path, short(TEXT)) as prometheus:
        prometheus.wait_for(lambda: bool(prometheus.series("canary:http_errors:difference5m")), 30)
        assert prometheus.firing() == set()
        prometheus.pods.broken = True
        prometheus.wait_for(lambda: prometheus.firing() == ALERTS, 120)
        for query in dashboard_queries("shop", "shop"):
            assert prometheus.series(query), query
        for name, metric, label in variables():
            assert prometheus.get(f"label/{label}/values", **{"match[]": metric}) == ["shop"], name
        prometheus.pods.broken = False
        prometheus.wait_for(lambda: prometheus.firing() == set(), 120)


def dashboard_queries(namespace: str, service: str) -> Iterator[str]:
    """Yield each query of the dashboard, with its variables filled in."""
    targets = [target for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    for each in (*targets, *DASHBOARD["annotations"]["list"]):
        yield each["expr"].replace("$namespace", namespace).replace("$service", service)


def variables() -> Iterator[tuple[str, str, str]]:
    """Yield the dashboard's variables: name, metric and label of `label_values(METRIC, LABEL)`."""
    for each in DASHBOARD["templating"]["list"]:
        if each["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"]["query"])
            assert found
            yield each["name"], found[1].replace("$namespace", "shop"), found[2]
