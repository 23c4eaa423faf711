"""Submitting: what is said of files, what is kept when things go wrong, and the same order for a shell."""

import json
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.web.browsing import imported

DATA = "Data drop a file"
MODEL = "Model drop a file"


def arrived(page, what):
    expect(page.get_by_role("button", name=f"Remove {what}")).to_be_visible(timeout=60_000)


def newest(service):
    return service.http.get("/v1/jobs").json()["jobs"][0]


def test_the_pages_own_digest_is_sha256(page, address, sha256_of):
    page.goto(address)
    call = """(async () => {
        const bytes = Uint8Array.from({length: given}, (_, i) => (i * 31 + (i >> 8)) & 255);
        const hash = new module.Sha256();
        for (let at = 0; at < given; at += 999983) hash.update(bytes.subarray(at, at + 999983));
        return hash.hex(); })()"""
    for length in (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 4 * 2**20 + 7):
        content = bytes((i * 31 + (i >> 8)) & 255 for i in range(length))
        assert page.evaluate(imported("sha256.js", call), length) == sha256_of(content), length


def test_the_table_says_what_stays_as_it_is_and_why(page, address, cut_model):
    page.goto(address)
    page.get_by_label(MODEL).set_input_files(cut_model.model)
    table = page.get_by_role("table", name="Layers of the model")
    expect(table.get_by_role("row")).to_have_count(1 + len(cut_model.layers))
    for layer in cut_model.layers:
        row = table.get_by_role("row", name=layer["name"])
        expect(row).to_contain_text("yes" if layer["ternarisable"] else layer["why_not"])
    assert {layer["ternarisable"] for layer in cut_model.layers} == {True, False}


def test_the_predicted_size_follows_the_slider(page, address, small):
    page.goto(address)
    page.get_by_label(MODEL).set_input_files(small.model)
    expect(page.get_by_text("At 0.9: about")).to_be_visible()
    slider = page.get_by_label("Target sparsity, slider")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_label("Target sparsity", exact=True)).to_have_value("0.85")
    expect(page.get_by_text("At 0.85: about")).to_be_visible()


def test_the_lines_for_a_shell_make_the_same_job_as_the_button(page, service, address, small, tmp_path):
    page.goto(address)
    page.get_by_label(MODEL).set_input_files(small.model)
    page.get_by_label(DATA).set_input_files(small.data)
    arrived(page, "model")
    arrived(page, "data")
    page.get_by_label("Target sparsity", exact=True).fill("0.75")
    page.get_by_label("Name").fill("it's a name")
    page.get_by_text("Advanced options").click()
    page.get_by_label("ONNX").check()
    page.get_by_label("Leave as they are").fill("2.*\n2.we*")
    page.get_by_label("Epochs at most").fill("3")
    page.get_by_label("Labels").fill("team=vision")
    curl, command = (
        page.get_by_role("group", name=name).inner_text() for name in ("With curl", "With the command line")
    )
    page.get_by_role("button", name="Start the job").click()
    expect(page).to_have_url(re.compile(r"#/jobs/job_"))
    expect(page.get_by_role("heading", level=1)).to_have_text("it's a name")

    def order(job):
        return job["spec"] | {"model": None, "data": job["spec"]["data"] is not None}

    by_button = order(newest(service))
    assert by_button["target_sparsity"] == 0.75
    assert by_button["exclude"] == ["2.*", "2.we*"]
    assert by_button["labels"] == {"team": "vision", "name": "it's a name"}
    for file in (small.model, small.data):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for line in (curl, command.replace("sterna submit", f"{sys.executable} -m sterna.cli submit")):
        before = newest(service)["id"]
        done = subprocess.run(["/bin/bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert newest(service)["id"] != before, done.stderr
        assert order(newest(service)) == by_button


def test_everything_can_be_done_with_the_keyboard(page, service, address, small):
    page.goto(address)
    with page.expect_file_chooser() as chooser:
        tab_to(page, "INPUT", "file")
        page.keyboard.press("Enter")
    chooser.value.set_files(small.model)
    arrived(page, "model")
    tab_to(page, "INPUT", "range")
    page.keyboard.press("Home")
    tab_to(page, "BUTTON", "submit")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"#/jobs/job_"))
    assert newest(service)["spec"]["target_sparsity"] == 0.3
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def tab_to(page, tag, kind):
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("[document.activeElement.tagName, document.activeElement.type]") == [tag, kind]:
            return
    raise AssertionError(f"no {tag} {kind} is reached by Tab")


@pytest.mark.parametrize(
    ("field", "name", "content", "words"),
    [
        (MODEL, "model.pth", b"x", "torch.export.save"),
        (MODEL, "model.pt2", b"no archive", "UNSUPPORTED_FORMAT"),
        (MODEL, "model.onnx", b"", "The file is empty"),
        (DATA, "data.csv", b"1,2", "np.savez"),
        (DATA, "data.npz", b"no archive", "DATA_CORRUPT"),
    ],
)
def test_a_wrong_file_is_told_what_to_do_and_nothing_else_is_lost(page, address, small, field, name, content, words):
    page.goto(address)
    page.get_by_label("Name").fill("kept")
    if field == DATA:
        page.get_by_label(MODEL).set_input_files(small.model)
        arrived(page, "model")
    page.get_by_label(field).set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})
    alert = page.locator(".file-trouble").get_by_role("alert")
    expect(alert).to_contain_text(words)
    expect(page.get_by_label("Name")).to_have_value("kept")
    page.get_by_label(field).set_input_files(small.data if field == DATA else small.model)
    expect(alert).to_have_count(0)


def test_a_file_that_is_too_large_is_told_the_limit(open_page, serve, small):
    with serve(max_upload_bytes=1000) as service:
        page = open_page()
        page.goto(str(service.http.base_url))
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_label("Name").fill("kept")
        page.get_by_label(MODEL).set_input_files(small.model)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text(f"({small.model.stat().st_size:,} bytes), and at most 1.00 kB (1,000 bytes)")
        expect(alert).to_contain_text("smaller file")
        expect(page.get_by_label("Name")).to_have_value("kept")
        # Neither hashed nor announced to the service.
        assert [url for url in asked if "hash_worker" in url or "/v1/uploads" in url] == []


def test_an_upload_goes_on_after_a_reload_with_the_parts_that_are_missing(open_page, service, proxy, tmp_path):
    """The connection breaks in the middle, the page is loaded anew, and each part arrives once."""
    content = bytes(range(256)) * 4000  # 15 parts
    file = tmp_path / "noise.onnx"
    file.write_bytes(content)
    sent = []
    page = open_page()
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)

    def break_at_the_fifth(route):
        if len(sent) == 5:
            proxy.vanish()
        route.continue_()

    page.route("**/parts/*", break_at_the_fifth)
    page.goto(proxy.address)
    page.get_by_label("Name").fill("kept")
    page.get_by_label(MODEL).set_input_files(file)
    expect(page.get_by_text("The service does not answer; trying again")).to_be_visible()
    page.unroute("**/parts/*")
    proxy.listen()
    before = len(sent)
    page.reload()
    expect(page.get_by_label("Name")).to_have_value("kept")
    page.get_by_label(MODEL).set_input_files(file)
    # It is no network, and that is said once it has arrived whole.
    expect(page.locator(".file-trouble").get_by_role("alert")).to_contain_text("UNSUPPORTED_FORMAT", timeout=60_000)
    numbers = [int(url.rpartition("/")[2]) for url in sent]
    assert set(numbers) == set(range(15))
    assert numbers[before:][0] >= 4, "parts that had arrived were sent again"
    upload = service.http.get(sent[-1].partition("/parts")[0].replace(proxy.address, "")).json()
    assert (upload["complete"], upload["bytes"]) == (True, len(content))


def test_a_service_that_is_gone_keeps_the_form(open_page, service, proxy, small):
    page = open_page()
    page.goto(proxy.address)
    page.get_by_label(MODEL).set_input_files(small.model)
    arrived(page, "model")
    page.get_by_label("Name").fill("sent once")
    expect(page.get_by_text("At 0.9: about")).to_be_visible()
    proxy.vanish()
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    expect(page.get_by_label("Name")).to_have_value("sent once")
    proxy.listen()
    page.get_by_role("button", name="Start the job").click()
    expect(page).to_have_url(re.compile(r"#/jobs/job_"))
    jobs = service.http.get("/v1/jobs", params={"label": "name=sent once"}).json()["jobs"]
    assert len(jobs) == 1


def test_a_submission_whose_answer_was_lost_makes_one_job(open_page, service, proxy, small):
    page = open_page()
    page.goto(proxy.address)
    page.get_by_label(MODEL).set_input_files(small.model)
    arrived(page, "model")
    page.get_by_label("Name").fill("answered late")
    expect(page.get_by_text("At 0.9: about")).to_be_visible()
    bodies = []

    def lose_the_answer(route):
        bodies.append(route.request.headers["idempotency-key"])
        if len(bodies) == 1:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route(re.compile(r"/v1/jobs$"), lose_the_answer)
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")
    page.get_by_role("button", name="Start the job").click()
    expect(page).to_have_url(re.compile(r"#/jobs/job_"))
    assert len(set(bodies)) == 1
    assert len(service.http.get("/v1/jobs", params={"label": "name=answered late"}).json()["jobs"]) == 1


def test_what_the_service_refuses_is_said_beside_the_form(page, address, small):
    page.goto(address)
    page.get_by_label(MODEL).set_input_files(small.model)
    arrived(page, "model")
    page.get_by_label("Target sparsity", exact=True).fill("1.5")
    page.get_by_role("button", name="Start the job").click()
    expect(page.get_by_role("alert")).to_contain_text("less than 1")
    expect(page.get_by_label("Target sparsity", exact=True)).to_have_value("1.5")
    assert json.loads(page.evaluate("sessionStorage['sterna.draft']"))["target"]["one"] == "1.5"


def test_trials_of_a_sweep_go_side_by_side(page, service, address, small):
    page.goto(address)
    page.get_by_label(MODEL).set_input_files(small.model)
    arrived(page, "model")
    page.get_by_label("Compare several").check()
    page.get_by_label("Targets", exact=True).fill("0.5")
    page.get_by_label("Trials side by side").fill("3")
    expect(page.get_by_text("At 0.5: about")).to_be_visible()
    page.get_by_role("button", name="Start the sweep").click()
    expect(page.get_by_role("alert")).to_contain_text("only with strategy 'trials'")
    expect(page.get_by_label("Trials side by side")).to_have_value("3")
    page.reload()
    expect(page.get_by_label("Trials side by side")).to_have_value("3")
    page.get_by_text("Advanced options").click()
    page.get_by_label("How α is found").select_option("trials")
    curl, command = (
        page.get_by_role("group", name=f"With {what}").inner_text() for what in ("curl", "the command line")
    )
    assert '"side_by_side":3' in curl
    assert "--side-by-side 3" in command
    page.get_by_role("button", name="Start the sweep").click()
    expect(page).to_have_url(re.compile(r"#/sweeps/swp_"))
    points = service.http.get(f"/v1/sweeps/{page.url.rpartition('/')[2]}").json()["points"]
    assert [point["round"] for point in points] == [1, 1, 1]
    # One target alone has no such field, whatever was typed before.
    page.go_back()
    page.get_by_label("One target").check()
    expect(page.get_by_label("Trials side by side")).to_be_hidden()
    expect(page.get_by_role("group", name="With curl")).not_to_contain_text("side_by_side")
