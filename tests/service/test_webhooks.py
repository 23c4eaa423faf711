import pytest

URL = "https://ci.example/hook"


@pytest.fixture
def hook(service):
    answer = service.http.post("/v1/webhooks", json={"url": URL})
    assert answer.status_code == 201
    yield answer.json()
    service.http.delete(f"/v1/webhooks/{answer.json()['id']}")


def test_the_secret_is_shown_once(service, hook):
    address = f"/v1/webhooks/{hook['id']}"
    assert hook["secret"].startswith("whsec_")
    assert hook["events"] == ["job.succeeded", "job.failed", "job.cancelled"]
    shown = service.http.get(address)
    assert shown.json() == {name: value for name, value in hook.items() if name != "secret"}
    assert shown.json() in service.http.get("/v1/webhooks").json()["webhooks"]
    rotated = service.http.post(f"{address}/secret").json()
    assert rotated["secret"] != hook["secret"]
    assert hook["secret"] not in service.http.get("/v1/webhooks").text


def test_deliveries_are_shown_and_sent_again(service, hook, refused):
    job = service.queued()
    service.ledger.request(job.id, "cancel")
    address = f"/v1/webhooks/{hook['id']}/deliveries"
    (delivery,) = service.http.get(address).json()["deliveries"]
    assert (delivery["type"], delivery["job_id"], delivery["state"]) == ("job.cancelled", job.id, "pending")
    again = service.http.post(f"{address}/{delivery['id']}/redeliver")
    assert (again.status_code, again.json()["id"]) == (202, delivery["id"])
    refused(service.http.post(f"{address}/msg_{'0' * 32}/redeliver"), 404, "NOT_FOUND")
    refused(service.http.get(address, params={"limit": 0}), 422, "INVALID_SPEC")


def test_a_deleted_webhook_is_gone(service, hook, refused):
    address = f"/v1/webhooks/{hook['id']}"
    assert service.http.delete(address).status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/secret"), ("GET", "/deliveries")):
        refused(service.http.request(method, address + path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": "ftp://x"}, "/url"),
        ({"url": 5}, "/url"),
        ({"url": "https://" + "x" * 3000}, "/url"),
        ({"url": URL, "events": []}, "/events"),
        ({"url": URL, "events": ["job.lost"]}, "/events/0"),
        ({"url": URL, "secret": "mine"}, "/secret"),
    ],
)
def test_what_is_wrong_is_named(service, refused, body, pointer):
    problem = refused(service.http.post("/v1/webhooks", json=body), 422, "INVALID_SPEC")
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]:8000", "2130706433", "169.254.169.254", "[::1", "[::ffff:10.0.0.1]"]
)
def test_an_address_that_no_delivery_would_go_to_is_refused_at_once(service, refused, host):
    problem = refused(service.http.post("/v1/webhooks", json={"url": f"http://{host}/hook"}), 422, "INVALID_SPEC")
    assert problem["errors"][0]["pointer"] == "/url"
    assert "STERNA_WEBHOOK_ALLOWED_NETWORKS" in problem["hint"]
    assert not any(host in hook["url"] for hook in service.http.get("/v1/webhooks").json()["webhooks"])


def test_networks_that_the_operator_allows_are_taken(serve):
    with serve(webhook_allowed_networks=("127.0.0.0/8",)) as service:
        assert service.http.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/hook"}).status_code == 201
        assert service.http.post("/v1/webhooks", json={"url": "http://10.0.0.1/hook"}).status_code == 422
