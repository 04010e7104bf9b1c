"""The rules and the dashboard of docs/deploy speak of what is there, and each alert can fire."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from flask import Flask

from tests.support.parts import need
from tests.support.server import ROOT, Server, free_port

RULES = ROOT / "docs" / "deploy" / "alerts.yml"
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "docs" / "deploy" / "grafana.json").read_text())

REQUESTS = "keyturn_request_duration_seconds_count"
BUCKET = "keyturn_request_duration_seconds_bucket"
REFRESHES = "keyturn_refreshes_total"
LOGINS = "keyturn_logins_total"

Series = dict[str, str]


def latency(route: str, *, fast: str, slow: str) -> Series:
    """So many requests that took up to 10 ms, and so many that took up to 2.5 s."""
    return {
        f'{BUCKET}{{route="{route}",le="0.01"}}': f"0+{fast}x100",
        f'{BUCKET}{{route="{route}",le="2.5"}}': f"0+{int(fast) + int(slow)}x100",
        f'{BUCKET}{{route="{route}",le="+Inf"}}': f"0+{int(fast) + int(slow)}x100",
    }


# What makes each alert fire, and what does not yet, in samples a minute apart.
FIRES: dict[str, tuple[Series, Series]] = {
    "KeyturnDown": ({'up{job="keyturn"}': "0x100"}, {'up{job="keyturn"}': "1x100"}),
    "KeyturnDatabaseDown": ({"keyturn_database_up": "0x100"}, {"keyturn_database_up": "1x100"}),
    "KeyturnErrors": (
        {f'{REQUESTS}{{status="200"}}': "0+98x100", f'{REQUESTS}{{status="503"}}': "0+2x100"},
        {f'{REQUESTS}{{status="200"}}': "0+999x100", f'{REQUESTS}{{status="500"}}': "0+1x100"},
    ),
    "KeyturnSlow": (
        latency("/auth/refresh", fast="90", slow="10"),
        latency("/auth/login", fast="90", slow="10"),
    ),
    "KeyturnLoginsSlow": (
        latency("/auth/login", fast="80", slow="20"),
        latency("/auth/login", fast="99", slow="1"),
    ),
    "KeyturnHashesRefused": (
        {"keyturn_hashes_refused_total": "0+60x100"},
        {"keyturn_hashes_refused_total": "0+1x100"},
    ),
    "KeyturnTokenReused": (
        {f'{REFRESHES}{{result="reused"}}': "0x50 1x50"},
        {f'{REFRESHES}{{result="reused"}}': "7x100"},
    ),
    "KeyturnTokensReused": (
        {
            f'{REFRESHES}{{result="reused"}}': "0+2x100",
            f'{REFRESHES}{{result="rotated"}}': "0+9x100",
        },
        {
            f'{REFRESHES}{{result="reused"}}': "0+2x100",
            f'{REFRESHES}{{result="rotated"}}': "0+999x100",
        },
    ),
    "KeyturnPasswordsGuessed": (
        {
            f'{LOGINS}{{result="invalid_credentials"}}': "0+90x100",
            f'{LOGINS}{{result="ok"}}': "0+60x100",
        },
        {
            f'{LOGINS}{{result="invalid_credentials"}}': "0+90x100",
            f'{LOGINS}{{result="ok"}}': "0+99x100",
        },
    ),
    "KeyturnPurgeLags": (
        {"keyturn_purge_lag_seconds": "90000x100"},
        {"keyturn_purge_lag_seconds": "0x100"},
    ),
}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = need("promtool", "prometheus")
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True)


def stays_quiet(alert: str, series: Series, folder: Path) -> bool:
    test = {
        "rule_files": [str(RULES)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": it} for name, it in series.items()],
                "alert_rule_test": [{"eval_time": "80m", "alertname": alert, "exp_alerts": []}],
            }
        ],
    }
    (folder / "test.yml").write_text(yaml.safe_dump(test))
    told = promtool("test", "rules", str(folder / "test.yml"))
    assert told.returncode == 0 or f"alertname: {alert}" in told.stderr, told.stderr
    return told.returncode == 0


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
def test_an_alert_fires_when_it_should_and_only_then(alert: str, tmp_path: Path) -> None:
    firing, quiet = FIRES[alert]
    assert not stays_quiet(alert, firing, tmp_path)
    assert stays_quiet(alert, quiet, tmp_path)


def test_the_operators_guide_explains_every_alert() -> None:
    guide = (ROOT / "docs" / "operate.md").read_text()
    explained = re.findall(r"^\| `(Keyturn\w+)` \|", guide, re.MULTILINE)
    assert explained == [rule["alert"] for rule in ALERTS]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in ALERTS)
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m")


def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    recorded = [{"record": f"x{number}", "expr": it} for number, it in enumerate(expressions())]
    rules = {"groups": [{"name": "all", "rules": recorded}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    told = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert told.returncode == 0, told.stderr
    assert promtool("check", "rules", str(RULES)).returncode == 0


def test_all_they_name_is_there(serve: Callable[..., Server], app: Flask) -> None:
    """A metric, label, route or result that is misspelt is an alert that never fires."""
    server = serve(METRICS_PORT=free_port())
    server.login()
    labels: dict[str, set[str]] = {}
    values = {"route": {rule.rule for rule in app.url_map.iter_rules()}, "result": set[str]()}
    for name, pairs in server.metrics():
        labels.setdefault(name, set()).update(label for label, _ in pairs)
        values["result"].update(value for label, value in pairs if label == "result")
    for expression in expressions():
        names = set(re.findall(r"\bkeyturn_\w+", expression))
        grouped = [
            one for group in re.findall(r"by \(([^)]+)\)", expression) for one in group.split(", ")
        ]
        matched = re.findall(r'(\w+)(?:=|!=|=~)"([^"]+)"', expression)
        assert names or "up{" in expression
        for name in names:
            assert {*grouped, *(label for label, _ in matched)} <= labels[name], expression
        for label, alternatives in matched:
            assert label not in values or set(alternatives.split("|")) <= values[label], expression


def test_the_dashboards_panels_have_a_place_of_their_own() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart
    assert all(place["x"] + place["w"] <= 24 for place in places)
