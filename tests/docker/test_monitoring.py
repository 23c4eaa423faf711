"""Alert rules and dashboard ask only for figures and labels that the service tells."""

import json
import re
from pathlib import Path

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api_schemas import JobMessage, JobSpec, UploadRequest
from api_schemas.jobs import JobErrorInfo
from service.app import create_app
from storage import Settings

ROOT = Path(__file__).parents[2] / "docker"
GROUPS = yaml.safe_load((ROOT / "prometheus" / "alerts.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
BOARD = json.loads((ROOT / "grafana" / "sterna.json").read_text())
TARGETS = [(panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel["targets"]]
# A metric and its labels; a name that labels are summed by stands in parentheses of its own.
METRIC = re.compile(r"\b(sterna_[a-z_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r'(\w+)=~?"([^"]*)"')
BY = re.compile(r"by \(([a-z, ]+)\)")
LEGEND = re.compile(r"\{\{ ?(?:\$labels\.)?([a-z]+) ?\}\}")


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, dict[str, set[str]]]:
    """All figures of a service in which something has happened: name → label → values."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("service"))
    found: dict[str, dict[str, set[str]]] = {}
    with TestClient(create_app(settings), base_url="http://localhost", client=("127.0.0.1", 1)) as http:
        ledger = http.app.state.backends.ledger
        request = UploadRequest(filename="f", bytes=1, sha256="0" * 64)
        upload = ledger.create_upload(request, part_bytes=1, complete=True)
        job = ledger.submit(JobSpec(model=upload.id, target_sparsity=0.5))
        lease = ledger.claim(JobMessage(job_id=job.id, attempt=1), worker_id="w", lease_s=60)
        ledger.fail(lease, JobErrorInfo(code="STORAGE_UNAVAILABLE", message="m"))
        assert http.get("/livez").is_success
        for family in text_string_to_metric_families(http.get("/metrics").text):
            for sample in family.samples:
                labels = found.setdefault(sample.name, {})
                for label, value in sample.labels.items():
                    labels.setdefault(label, set()).add(value)
    return found


def check(expression: str, told: dict[str, dict[str, set[str]]]) -> None:
    metrics = METRIC.findall(expression)
    assert metrics or "up{" in expression
    for name, selectors in metrics:
        assert name in told, name
        for label, pattern in LABEL.findall(selectors):
            assert label in told[name], (name, label)
            if label != "status":  # the service of this test has had no failure
                for value in pattern.split("|"):
                    assert value in told[name][label], (name, label, value)
    known = {label for name, _ in metrics for label in told[name]}
    for labels in BY.findall(expression):
        assert set(labels.split(", ")) <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_told(rule, told):
    check(rule["expr"], told)
    assert rule["labels"]["severity"] in {"critical", "warning"}
    summary = rule["annotations"]["summary"]
    assert all(f"by ({label}" in rule["expr"] for label in LEGEND.findall(summary))
    assert f"`{rule['alert']}`" in (ROOT.parent / "docs" / "operations.md").read_text(), "and what to do is said"


@pytest.mark.parametrize(("title", "expression"), TARGETS, ids=lambda text: text[:40])
def test_a_panel_asks_for_what_is_told(title, expression, told):
    assert title
    check(expression, told)


def test_everything_of_the_ledger_is_shown(told):
    shown = {name for _, expression in TARGETS for name, _ in METRIC.findall(expression)}
    hidden = {name for name in told if not name.endswith(("_created", "_sum", "_count"))} - shown
    assert hidden == {"sterna_data_dir_size_bytes"}


def test_panels_have_places_of_their_own():
    taken = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_what_is_not_told_is_noticed(told):
    with pytest.raises(AssertionError, match="sterna_no_such"):
        check("max(sterna_no_such)", told)
    with pytest.raises(AssertionError, match="dreaming"):
        check('sterna_jobs{state="dreaming"}', told)
    with pytest.raises(AssertionError):
        check("sum by (planet) (sterna_jobs)", told)
