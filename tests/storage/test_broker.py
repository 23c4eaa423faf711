"""The folder queue, spoken to as senders and workers do: through Celery and kombu, on real files."""

import base64
import json

import pytest
from celery import Celery
from kombu import Connection, Queue

from storage import Settings
from storage.broker import Transport


class Folder:
    """One embedded queue."""

    def __init__(self, folder):
        self.settings = Settings(data_dir=folder).prepared()
        self.messages = self.settings.broker_folder / "messages"
        self.table = self.settings.broker_folder / "control" / "sterna.exchange"

    def send(self, number, **options):
        with Celery("sender", set_as_current=False) as sender:
            sender.conf.update(self.settings.queue_options())
            sender.send_task("task", kwargs={"number": number}, **options)

    def receive(self):
        """The numbers of all messages, in the order in which a worker gets them."""
        options = self.settings.queue_options()
        with Connection(
            transport=options["broker_transport"], transport_options=options["broker_transport_options"]
        ) as connection:
            queue = Queue("sterna", exchange="sterna", routing_key="sterna").bind(connection.default_channel)
            queue.declare()
            heard = []
            while message := queue.get(no_ack=True, accept=["json"]):
                heard.append(message.payload[1]["number"])
            return heard

    def names(self, folder):
        return sorted(file.name for file in (self.settings.broker_folder / folder).iterdir())


@pytest.fixture
def folder(tmp_path):
    Transport.global_state.clear()  # a process binds a queue once
    return Folder(tmp_path)


def test_messages_arrive_once_and_in_order(folder):
    for number in range(3):
        folder.send(number)
    assert folder.receive() == [0, 1, 2]
    assert folder.receive() == []
    assert folder.names("messages") == folder.names("taken") == []


def test_a_message_that_still_lies_there_is_not_written_again(folder):
    for _ in range(3):
        folder.send(1, task_id="job_a-1")
    folder.send(2, task_id="job_b-1")
    folder.send(3, task_id="../job_a")  # no key of ours
    assert folder.receive() == [1, 2, 3]
    folder.send(1, task_id="job_a-1")
    assert folder.receive() == [1]


@pytest.mark.parametrize("content", [b"", b"[[", b"[[1]]", b"{}", b"\xff", b"null"])
def test_a_damaged_table_is_written_anew(folder, content):
    folder.table.write_bytes(content)
    folder.send(1)
    assert folder.receive() == [1]
    assert json.loads(folder.table.read_text()) == [["sterna", "", "sterna"]]


def without(*path):
    def damage(message):
        inner = message
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]
        return json.dumps(message)

    return damage


def with_body(body):
    def damage(message):
        return json.dumps(message | {"body": base64.b64encode(body).decode()})

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: "",
        lambda _: "{}",
        lambda _: "[]",
        lambda message: json.dumps(message)[:-5],
        lambda message: json.dumps(message | {"body": "not base64!"}),
        with_body(b"5"),
        with_body(b"{"),
        without("properties"),
        without("properties", "delivery_tag"),
        without("headers", "id"),
        without("headers", "task"),
        without("content-type"),
    ],
)
def test_what_is_no_message_is_put_aside(folder, damage):
    folder.send(1)
    folder.send(2)
    bad = min(folder.messages.iterdir())
    bad.write_text(damage(json.loads(bad.read_text())))
    assert folder.receive() == [2]
    assert folder.names("refused") == [bad.name]
    assert folder.names("taken") == []
