"""Prometheus rules for one stack: monitoring/rules.yaml with the stack's names and limits."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import yaml
from pydantic import ValidationError

from contract.settings import Keys, ServiceSettings, StackSettings, VerdictKeys
from pipeline.errors import UsageError
from stacks.parsing import SECRET_KEYS, decoded, describe_error

Group = TypeVar("Group", bound=Keys)

#: Rules for the default names and limits.
RULES = Path("monitoring/rules.yaml")
HEADER = "# Written by `python -m pipeline monitoring`; see docs/how-to/monitor.md. Do not edit.\n"
#: What the rules leave out, and the deployments that they watch.
DEFAULT_ROUTES = 'route!~"/ready|/live|/metrics"'
DEFAULT_DEPLOYMENTS = 'deployment=~".+-(canary|stable)"'
#: A recorded series where an expression uses it, with or without the brace of its selector.
RECORDED = re.compile(r"(?<!record: )\b((?:track|service|canary):\w+:\w+)(\{?)")
#: The start of a selector of raw series, not of a template such as `{{ $labels.app }}`.
SELECTOR = re.compile(r"\{(?=track=~)")


@dataclass(frozen=True)
class Monitored:
    """What the rules need of a stack's settings. ``objective`` is the share of requests that must succeed (0 to 1)."""

    stack: StackSettings
    service: ServiceSettings
    verdict: VerdictKeys
    objective: float

    @classmethod
    def of(cls, stack: str, root: Path, objective_percent: float) -> Monitored:
        """Read a stack file. Raises UsageError."""
        file = root / f"Pulumi.{stack}.yaml"
        try:
            document = cast(Mapping[str, Mapping[str, object] | None], yaml.safe_load(file.read_text(encoding="utf-8")))
            config = {key.removeprefix("addressbook:"): value for key, value in (document["config"] or {}).items()}
        except FileNotFoundError:
            raise UsageError(f"--stack {stack}: there is no {file.name}") from None
        except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
            raise UsageError(f"{file.name}: cannot be read: {error}") from None
        if not 0 < objective_percent < 100:
            raise UsageError(f"--objective {objective_percent:g}: give a percentage between 0 and 100, such as 99.9")
        groups = (_group(kind, config, file) for kind in (StackSettings, ServiceSettings, VerdictKeys))
        monitored = cls(*groups, objective=objective_percent / 100)  # pyright: ignore[reportArgumentType]
        if not monitored.service.metrics_port:
            raise UsageError(f"{file.name}: metricsPort is 0, so there is nothing to watch: set the service's port")
        return monitored


def _group(kind: type[Group], config: Mapping[str, object], file: Path) -> Group:
    """Return a group of keys, without the encrypted ones, which no rule needs. Raises UsageError."""
    own = {key: value for key, value in config.items() if key in kind.key_names() - {*SECRET_KEYS}}
    texts = {key: decoded(str(value)) for key, value in own.items() if not isinstance(value, dict | list)}
    try:
        return kind.model_validate({**own, **texts})
    except ValidationError as invalid:
        raise UsageError(f"{file.name}: {describe_error(invalid.errors()[0], kind)}") from None


def rules(text: str, monitored: Monitored) -> str:
    """Return the rules in ``text`` for one stack."""
    _, groups, rest = text.partition("groups:\n")
    text = HEADER + groups + rest
    namespace, app = monitored.stack.namespace, monitored.service.name
    for default, own in _names(monitored).items():
        text = text.replace(default, own)
    own = f'namespace="{namespace}",app="{app}"'
    text = RECORDED.sub(lambda found: f"{found[1]}{{{own}{',' if found[2] else '}'}", text)
    text = SELECTOR.sub(f"{{{own},", text)
    return text.replace(DEFAULT_DEPLOYMENTS, f'namespace="{namespace}",deployment=~"{re.escape(app)}-(canary|stable)"')


def _names(monitored: Monitored) -> Mapping[str, str]:
    """Return what replaces each default in the rules."""
    keys, metrics = monitored.verdict, monitored.verdict.metrics
    paths = dict.fromkeys([monitored.service.readiness_path, monitored.service.liveness_path, metrics.path])
    hidden = "|".join(re.escape(path) for path in paths).replace("\\", "\\\\")
    routes = [f'{metrics.route}!~"{hidden}"'] if metrics.route else []
    only = [f'{label}="{value}"' for label, value in metrics.only.items()]
    unit = "" if metrics.seconds == 1 else f"{metrics.seconds:g} * "
    return {
        DEFAULT_ROUTES: ",".join([*routes, *only]) or 'track!=""',
        "rate(http_request_duration_seconds_bucket": f"rate({metrics.durations}_bucket",
        "rate(http_requests_total": f"rate({metrics.requests}",
        'status=~"5.."': f'{metrics.status}=~"5.."',
        "histogram_quantile(0.5,": f"{unit}histogram_quantile(0.5,",
        "histogram_quantile(0.95,": f"{unit}histogram_quantile({keys.canary_latency_percentile / 100:g},",
        "difference5m > 0.01": f"difference5m > {keys.canary_error_limit / 1000:g}",
        "> ignoring (track) 2 *": f"> ignoring (track) {keys.canary_latency_factor} *",
        ") > 0\n": f") > {keys.canary_latency_floor_milliseconds / 1000:g}\n",
        "(1 - 0.999)": f"(1 - {monitored.objective:.12g})",
    }


def manifest(text: str, monitored: Monitored) -> str:
    """Return the rules as an object of the Prometheus Operator."""
    head = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": monitored.service.name, "namespace": monitored.stack.namespace},
    }
    return f"{yaml.safe_dump(head, sort_keys=False)}spec:\n{textwrap.indent(text, '  ')}"
