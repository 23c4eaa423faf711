"""The API to read, at `/docs`."""

from playwright.sync_api import expect


def test_every_call_and_every_object_is_there_to_read(page, service, address):
    page.goto(f"{address}/docs")
    expect(page.get_by_role("heading", name="The API", exact=True)).to_be_visible()
    contract = service.http.get("/openapi.json").json()
    expect(page.locator("details.call").first).to_be_visible()
    told = set(page.locator("details.call > summary > code").all_text_contents())
    calls = {f"{method.upper()} {path}" for path, item in contract["paths"].items() for method in item}
    assert calls | set(contract["components"]["schemas"]) <= told

    part = page.locator("details.call", has_text="POST /v1/jobs").first
    part.locator("summary").first.click()
    expect(part.get_by_role("rowheader", name="target_sparsity").first).to_be_visible()
    part.get_by_role("link", name="Acceptance").first.click()
    expect(page.locator("#object-Acceptance").get_by_role("rowheader", name="max_drop")).to_be_visible()
