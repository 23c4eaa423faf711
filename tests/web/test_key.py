"""The key: asked for once, kept while the tab is open, never sent elsewhere; a refused one loses nothing."""

import re

import pytest
from playwright.sync_api import expect

from api_schemas import JobMessage
from tests.service.conftest import served


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A service that asks for keys, and one of them."""
    folder = tmp_path_factory.mktemp("keyed")
    with served(folder) as service:
        _, key = service.ledger.create_key(tenant="t", name="n", scope="submit")
    with served(folder) as service:
        yield service, key


def test_a_refused_key_is_asked_for_again_and_what_was_begun_goes_on(open_page, keyed, small, tmp_path):
    service, key = keyed
    page = open_page()
    page.goto(str(service.http.base_url))
    page.get_by_label("Name").fill("kept")
    page.get_by_label("Model drop a file").set_input_files(small.model)
    dialog = page.get_by_role("dialog", name="API key")
    dialog.get_by_label("Key", exact=True).fill("sterna_wrong")
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog.get_by_role("alert")).to_contain_text("unknown or revoked")
    dialog.get_by_label("Key", exact=True).fill(key)
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("table", name="Layers of the model")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("kept")
    expect(page.get_by_role("group", name="With curl")).to_contain_text("Bearer $KEY")
    page.reload()
    expect(page.get_by_role("table", name="Layers of the model")).to_be_visible()
    assert page.evaluate("Object.entries(localStorage).join().includes(sessionStorage['sterna.key'])") is False
    assert key not in page.content()

    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_text("queued", exact=True)).to_be_visible()
    job_id = page.url.rpartition("/")[2]
    lease = service.ledger.claim(JobMessage(job_id=job_id, attempt=1), worker_id="tester", lease_s=60)
    artifact = service.finish(lease)
    with page.expect_download() as saved:
        page.get_by_role("button", name=f"Download {artifact.name}").click()
    saved.value.save_as(tmp_path / "saved")
    told = service.http.get(f"/v1/jobs/{job_id}/artifacts/{artifact.name}", headers={"Authorization": f"Bearer {key}"})
    assert (tmp_path / "saved").read_bytes() == told.content

    # A large one goes to disk as it comes. What the browser's dialog would give is a file of the browser's own here.
    page.add_init_script("""window.showSaveFilePicker = async ({suggestedName}) =>
        (await navigator.storage.getDirectory()).getFileHandle(suggestedName, {create: true})""")
    page.route(re.compile(rf"/v1/jobs/{job_id}$"), large)
    page.reload()
    page.get_by_role("button", name=f"Download {artifact.name}").click()
    expect(page.locator("#announcer")).to_have_text(f"{artifact.name} is downloaded")
    read = """async (name) => { const folder = await navigator.storage.getDirectory();
        return [...new Uint8Array(await (await (await folder.getFileHandle(name)).getFile()).arrayBuffer())]; }"""
    assert bytes(page.evaluate(read, artifact.name)) == told.content


def large(route):
    """The job as it is, but for what its file is said to weigh."""
    job = route.fetch().json()
    for artifact in job["result"]["artifacts"]:
        artifact["bytes"] = 65 * 2**20
    route.fulfill(json=job)


def test_another_tab_of_another_profile_has_no_key(open_page, keyed):
    service, _ = keyed
    page = open_page()
    page.goto(f"{service.http.base_url}#/jobs")
    expect(page.get_by_role("dialog", name="API key")).to_be_visible()
    expect(page.get_by_label("Key", exact=True)).to_have_value("")
