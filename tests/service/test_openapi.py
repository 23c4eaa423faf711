"""The contract that is published is the one that was written down, and every call says what can go wrong."""

import json
from pathlib import Path

from service.app import create_app
from storage import Settings

FROZEN = Path(__file__).parents[2] / "docs" / "openapi.json"


def published() -> dict:
    return create_app(Settings()).openapi()


def test_the_contract_is_the_frozen_one():
    """After a change that is meant: `make openapi`, and look at the difference before it is committed."""
    assert json.loads(FROZEN.read_text()) == published()


def test_every_call_says_what_can_go_wrong_and_who_may_call():
    document = published()
    assert document["openapi"].startswith("3.1")
    names = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            assert operation["summary"], path
            statuses = set(operation["responses"])
            assert any(status.startswith("2") for status in statuses), (method, path)
            if path in {"/livez", "/readyz"}:
                assert "security" not in operation
                continue
            assert operation["security"] == [{"key": []}], (method, path)
            assert {"401", "403", "429", "503"} <= statuses
            assert ("404" in statuses) == ("{" in path), (method, path)
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"]
    assert len(set(names)) == len(names)
    assert set(document["webhooks"]) == {"job"}


def references(node):
    """Every `$ref` of a document."""
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        node = list(node.values())
    for value in node if isinstance(node, list) else ():
        yield from references(value)


def test_every_reference_leads_somewhere():
    document = published()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def test_every_json_body_has_an_example():
    for methods in published()["paths"].values():
        for operation in methods.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            assert body is None or body["schema"]["examples"], operation["operationId"]
