import pytest

from api_schemas import CompressSpec
from sterna.errors import InvalidSpec, NotFound


def test_the_life_of_a_webhook(client, tiny):
    made = client.webhooks.create("https://93.184.216.34/hook", events=["job.queued"])
    assert made.secret.startswith("whsec_")
    assert client.webhooks.one(made.id) in client.webhooks.all()
    assert client.webhooks.one(made.id).model_dump() == made.model_dump(exclude={"secret"})

    job = client.submit(tiny.model, tiny.data, CompressSpec(target_sparsity=0.5))
    (delivery,) = client.webhooks.deliveries(made.id, limit=5)
    assert (delivery.job_id, delivery.type) == (job.id, "job.queued")
    assert client.webhooks.redeliver(made.id, delivery.id).id == delivery.id

    assert client.webhooks.rotate_secret(made.id).secret != made.secret
    client.webhooks.delete(made.id)
    with pytest.raises(NotFound):
        client.webhooks.one(made.id)


def test_an_address_that_is_none(client):
    with pytest.raises(InvalidSpec, match="url"):
        client.webhooks.create("ftp://example.com")
