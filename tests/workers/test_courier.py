"""Deliveries to a real receiver on this machine, which the operator allows; signatures checked by hand."""

import base64
import hashlib
import hmac
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook as Verifier

from api_schemas.webhooks import WebhookPayload, WebhookRequest
from storage import Settings
from workers.context import WorkerContext
from workers.courier import Courier


class Receiver:
    """Answers each POST with the next of its statuses, the last one for ever, and keeps what came."""

    def __init__(self):
        self.statuses, self.heard, self.location = [204], [], None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.heard.append((dict(self.headers.items()), body))
                self.send_response(receiver.statuses.pop(0) if len(receiver.statuses) > 1 else receiver.statuses[0])
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook"


@contextmanager
def running(receiver):
    thread = threading.Thread(target=receiver.server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


@pytest.fixture
def receiver():
    with running(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def context(desk):
    settings = Settings(
        data_dir=desk.folder, webhook_allowed_networks=("127.0.0.1/32",), webhook_waits_s=(0.05, 0.05, 0.05)
    ).prepared()
    return WorkerContext(settings, desk.ledger, desk.blobs, "tester")


@pytest.fixture
def courier(context):
    courier = Courier(context)
    yield courier
    courier.close()


def settle(courier, ledger, webhook, timeout_s=60):
    """Look as the upkeep does until nothing is on its way any more."""
    deadline = time.monotonic() + timeout_s
    while any(one.state == "pending" for one in ledger.deliveries(webhook.id)):
        assert time.monotonic() < deadline
        courier.look()
        time.sleep(0.02)
    return ledger.deliveries(webhook.id)


def sign(secret, headers, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_news_arrive_signed(desk, courier, receiver):
    webhook, secret = desk.ledger.create_webhook(WebhookRequest(url=receiver.url))
    _, job = desk.run("succeed")
    (delivery,) = settle(courier, desk.ledger, webhook)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 204)
    ((headers, body),) = receiver.heard
    assert headers["webhook-signature"] == sign(secret, headers, body)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert headers["webhook-id"] == delivery.id
    Verifier(secret).verify(body, headers)
    payload = WebhookPayload.model_validate_json(body)
    assert (payload.type, payload.data.job_id, payload.data.state) == ("job.succeeded", job.id, "succeeded")


def test_what_fails_is_tried_again_under_the_same_id(desk, courier, receiver):
    receiver.statuses = [500, 302, 404, 200]
    receiver.location = receiver.url
    webhook, _ = desk.ledger.create_webhook(WebhookRequest(url=receiver.url))
    desk.run("succeed")
    (delivery,) = settle(courier, desk.ledger, webhook)
    assert (delivery.state, delivery.attempts) == ("delivered", 4)
    assert [headers["webhook-id"] for headers, _ in receiver.heard] == [delivery.id] * 4  # and no redirect was followed


def test_tries_end(desk, courier, receiver):
    receiver.statuses = [503]
    webhook, _ = desk.ledger.create_webhook(WebhookRequest(url=receiver.url))
    desk.run("succeed")
    (delivery,) = settle(courier, desk.ledger, webhook)
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("failed", 4, "answered 503")


def test_410_ends_it_for_good(desk, courier, receiver):
    receiver.statuses = [410]
    webhook, _ = desk.ledger.create_webhook(WebhookRequest(url=receiver.url))
    desk.run("succeed")
    (delivery,) = settle(courier, desk.ledger, webhook)
    assert delivery.state == "failed"
    assert len(receiver.heard) == 1
    assert not desk.ledger.webhook(webhook.id).enabled


def test_both_secrets_sign_while_they_change(desk, courier, receiver):
    webhook, old = desk.ledger.create_webhook(WebhookRequest(url=receiver.url))
    _, new = desk.ledger.rotate_secret(webhook.id, keep_s=60)
    desk.run("succeed")
    settle(courier, desk.ledger, webhook)
    ((headers, body),) = receiver.heard
    assert headers["webhook-signature"].split() == [sign(new, headers, body), sign(old, headers, body)]


def test_an_address_inside_is_not_called_and_the_reason_is_told(desk, courier):
    webhook, _ = desk.ledger.create_webhook(WebhookRequest(url="http://169.254.169.254/latest/meta-data"))
    desk.run("succeed")
    (delivery,) = settle(courier, desk.ledger, webhook)
    assert (delivery.state, delivery.last_status) == ("failed", None)
    assert "169.254.169.254" in delivery.last_error


def test_a_receiver_that_hears_nothing_is_no_fault(desk, courier):
    with running(Receiver()) as gone:
        url = gone.url
    webhook, _ = desk.ledger.create_webhook(WebhookRequest(url=url))
    desk.run("succeed")
    (delivery,) = settle(courier, desk.ledger, webhook)
    assert (delivery.state, delivery.last_error) == ("failed", "no answer: ConnectError")
