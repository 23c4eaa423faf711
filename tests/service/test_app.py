import asyncio
import subprocess
import sys

import pytest

from service.app import create_app
from sterna.errors import SettingUnusable
from storage import Settings

NO_TORCH = """
import sys

sys.modules["torch"] = None
import asyncio, httpx
from pathlib import Path
from service.app import create_app
from storage import Settings

async def ask(app):
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            answers = [await client.get(path) for path in ("/livez", "/v1/jobs", "/readyz")]
            model, data = (Path(path).read_bytes() for path in sys.argv[2:])
            form = {"model": model, "data": data, "spec": (None, '{"target_sparsity": 0.5}')}
            answers.append(await client.post("/v1/jobs", files=form))
            answers.append(await client.post("/v1/jobs", files=form | {"data": model}))
            return [answer.status_code for answer in answers]

print(asyncio.run(ask(create_app(Settings(data_dir=Path(sys.argv[1]))))))
assert not any(name.partition(".")[0] == "workers" for name in sys.modules)
"""


def test_the_service_lives_without_torch_and_without_the_workers(tmp_path, tiny):
    command = [sys.executable, "-c", NO_TORCH, str(tmp_path), str(tiny.model), str(tiny.data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[200, 200, 503, 202, 422]", done.stderr


def test_the_contract_is_published(service):
    document = service.http.get("/openapi.json").json()
    calls = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert calls == {
        "POST /v1/uploads",
        "GET /v1/uploads/{upload_id}",
        "PUT /v1/uploads/{upload_id}/parts/{n}",
        "POST /v1/uploads/{upload_id}/complete",
        "GET /v1/uploads/{upload_id}/inspection",
        "POST /v1/jobs",
        "POST /v1/jobs/estimate",
        "GET /v1/jobs",
        "GET /v1/jobs/{job_id}",
        "POST /v1/jobs/{job_id}/cancel",
        "POST /v1/jobs/{job_id}/stop",
        "POST /v1/jobs/{job_id}/retry",
        "DELETE /v1/jobs/{job_id}",
        "GET /v1/jobs/{job_id}/logs",
        "GET /v1/jobs/{job_id}/events",
        "GET /v1/jobs/{job_id}/artifacts",
        "GET /v1/jobs/{job_id}/artifacts/{name}",
        "POST /v1/sweeps",
        "GET /v1/sweeps/{sweep_id}",
        "POST /v1/sweeps/{sweep_id}/cancel",
        "POST /v1/sweeps/{sweep_id}/stop",
        "DELETE /v1/sweeps/{sweep_id}",
        "POST /v1/webhooks",
        "GET /v1/webhooks",
        "GET /v1/webhooks/{webhook_id}",
        "DELETE /v1/webhooks/{webhook_id}",
        "POST /v1/webhooks/{webhook_id}/secret",
        "GET /v1/webhooks/{webhook_id}/deliveries",
        "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
        "GET /v1/workers",
        "GET /metrics",
        "GET /livez",
        "GET /readyz",
    }
    content = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    assert content["application/json"]["schema"]["required"] == ["model", "target_sparsity"]
    assert "$ref" not in str(content)


def test_pages_that_load_scripts_from_elsewhere_are_not_served(service, refused):
    for path in ("/docs/oauth2-redirect", "/redoc"):
        refused(service.http.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("setting", "value"), [("database_url", "mysql://db/x"), ("storage_url", "foo://bucket/x"), ("data_dir", __file__)]
)
def test_an_application_that_another_server_starts_names_the_setting_too(tmp_path, setting, value):
    app = create_app(Settings(**({"data_dir": tmp_path} | {setting: value})))

    async def start():
        async with app.router.lifespan_context(app):
            pytest.fail("it started")

    with pytest.raises(SettingUnusable, match=f"^STERNA_{setting.upper()}: "):
        asyncio.run(start())


def test_an_environment_that_cannot_be_used_makes_no_application(monkeypatch):
    monkeypatch.setenv("STERNA_LEASE_S", "soon")
    with pytest.raises(SettingUnusable, match=r"^STERNA_LEASE_S: "):
        create_app()
