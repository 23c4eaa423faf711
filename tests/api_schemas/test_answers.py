"""Answers of a newer service are read; what is sent, and what a runner or the ledger says, is held to the contract."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from api_schemas import EventList, Job, JobSpec, LayerReport, Metric, Result, read_answer
from api_schemas.events import EventBody

NOW = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
SPEC = {"model": "upl_" + "0" * 32, "target_sparsity": 0.5}
JOB = {"id": "job_1", "state": "running", "attempt": 1, "created_at": NOW, "spec": SPEC, "labels": {}}
JOB |= {"progress": {}, "latest": {}}
FIGURES = ("target_sparsity", "sparsity", "bits_per_weight", "entropy_bits_per_weight", "ratio", "seconds", "alpha")
RESULT = dict.fromkeys(FIGURES, 0.5) | dict.fromkeys(("model_bytes", "artifact_bytes", "steps"), 1)
RESULT |= {"target_met": True, "metric": None}

NEWER = [
    {"state": "paused"},
    {"phase": "distilling"},
    {"priority": 3},
    {
        "spec": SPEC
        | {"method": "magic", "granularity": "channel", "objective": "ranking", "exports": ["tflite", "onnx"]}
    },
    {"spec": SPEC | {"search": {"strategy": "annealed"}}},
    {"spec": SPEC | {"search": {"strategy": "bisect", "alpha": 0.2, "rounds": 4}, "acceptance": {"on_miss": "ask"}}},
    {"spec": SPEC | {"teacher": "upl_x"}},
    {"result": RESULT | {"metric": {"name": "f1", "baseline": 1, "ternary": 1, "drop": 0}, "energy_j": 3}},
]


def changed(change):
    return json.dumps(JOB | change)


@pytest.mark.parametrize("change", NEWER)
def test_a_job_of_a_newer_service_is_read_and_said_again(change):
    job = read_answer(Job, changed(change))
    told = json.loads(job.model_dump_json(by_alias=True))
    for name in {"state", "phase"} & change.keys():
        assert told[name] == change[name]
    if "method" in change.get("spec", {}):
        assert (job.spec.method, told["spec"]["exports"]) == ("magic", ["tflite", "onnx"])
    assert read_answer(Job, job.model_dump_json(by_alias=True)) == job


@pytest.mark.parametrize("change", [one for one in NEWER if one.keys() & {"state", "phase", "spec"}])
def test_without_patience_the_same_is_refused(change):
    with pytest.raises(ValidationError):
        Job.model_validate_json(changed(change))
    if "spec" in change:
        with pytest.raises(ValidationError):
            JobSpec.model_validate_json(json.dumps(change["spec"]))


@pytest.mark.parametrize(
    "change", [{"state": 7}, {"state": None}, {"progress": 3}, {"created_at": "soon"}, {"id": None}]
)
def test_patience_is_not_blindness(change):
    with pytest.raises(ValidationError):
        read_answer(Job, changed(change))


def events(*bodies):
    return json.dumps({"events": [{"id": n, "at": NOW, "body": body} for n, body in enumerate(bodies)], "final": False})


def test_events_of_a_newer_service():
    known = [{"kind": "phase", "phase": "distilling"}, {"kind": "state", "state": "paused", "attempt": 1}]
    text = events({"kind": "heat", "kelvin": 300}, *known, {"kind": "progress", "step": 1, "steps": 2, "watts": 9})
    bodies = [event.body for event in read_answer(EventList, text).events]
    assert [body.kind for body in bodies] == ["heat", "phase", "state", "progress"]
    assert (bodies[1].phase, bodies[2].state, bodies[3].step) == ("distilling", "paused", 1)

    with pytest.raises(ValidationError):
        EventList.model_validate_json(events({"kind": "heat"}))
    with pytest.raises(ValidationError):
        read_answer(EventList, events({"kind": "progress"}))
    with pytest.raises(ValidationError):
        TypeAdapter(EventBody).validate_json(b'{"kind": "phase", "phase": "distilling"}')


def test_the_contract_still_says_which_words_there_are():
    schema = Job.model_json_schema(mode="serialization")
    assert schema["properties"]["state"]["enum"] == ["queued", "running", "succeeded", "failed", "cancelled"]


@pytest.mark.parametrize("figure", [float("inf"), float("-inf"), float("nan")])
def test_no_result_has_a_figure_that_is_none(figure):
    for name in FIGURES:
        with pytest.raises(ValidationError, match=name):
            Result(**RESULT | {name: figure})
    with pytest.raises(ValidationError, match="baseline"):
        Metric(name="mse", baseline=figure, ternary=1, drop=0)
    with pytest.raises(ValidationError, match="sparsity"):
        LayerReport(name="w", shape=(2,), weights=2, sparsity=figure, scale_shape=(1,))
