"""Submit → watch → download on the embedded service, with real networks."""

import hashlib
import re

import httpx
import pytest
from playwright.sync_api import expect

from sterna.artifact import Artifact

JOB_MS = 300_000
"""A job is given so long: machines that test are busy."""


def give(page, example):
    page.get_by_label("Model drop a file").set_input_files(example.model)
    page.get_by_label("Data drop a file").set_input_files(example.data)
    expect(page.get_by_role("button", name="Remove model")).to_be_visible()
    expect(page.get_by_role("button", name="Remove data")).to_be_visible()


def test_submit_watch_download(page, live, small, tmp_path, shoot):
    page.goto(live)
    give(page, small)
    expect(page.get_by_role("table", name="Layers of the model")).to_contain_text("0.weight")
    page.get_by_label("Target sparsity", exact=True).fill("0.5")
    page.get_by_text("Advanced options").click()
    page.get_by_label("Epochs at most").fill("20")
    expect(page.get_by_text("At 0.5: about")).to_be_visible()
    page.get_by_role("button", name="Start the job").click()

    expect(page).to_have_url(re.compile(r"#/jobs/job_[0-9a-f]{32}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("small.pt2")
    expect(page.get_by_role("heading", name="Result")).to_be_visible(timeout=JOB_MS)
    expect(page.get_by_text("succeeded", exact=True)).to_be_visible()
    expect(page.get_by_text("target 0.5, met")).to_be_visible()

    with page.expect_download() as saved:
        page.get_by_role("link", name="Download model.sterna").click()
    path = tmp_path / "model.sterna"
    saved.value.save_as(path)
    job = page.url.rpartition("/")[2]
    told = httpx.get(f"{live}/v1/jobs/{job}", timeout=60).json()["result"]["artifacts"][0]
    content = path.read_bytes()
    assert content == httpx.get(f"{live}{told['url']}", timeout=60).content
    assert hashlib.sha256(content).hexdigest() == told["sha256"]
    expect(page.get_by_text(told["sha256"])).to_be_visible()
    with Artifact.open(path) as artifact:
        artifact.verify()
        assert artifact.sparsity == 0.5

    page.get_by_role("link", name="Jobs", exact=True).click()
    row = page.get_by_role("row", name=re.compile("small.pt2"))
    expect(row).to_contain_text("succeeded")
    expect(row).to_contain_text("0.5000")
    shoot(page, "jobs")


def test_several_targets_become_a_curve_whose_points_lead_to_their_jobs(page, live, digits, shoot):
    page.goto(live)
    give(page, digits)
    page.get_by_label("Compare several").check()
    page.get_by_label("Targets", exact=True).fill("0.6, 0.9")
    page.get_by_text("Advanced options").click()
    page.get_by_label("Epochs at most").fill("3")
    expect(page.get_by_text("At 0.9: about")).to_be_visible()
    shoot(page, "submit")
    page.get_by_role("button", name="Start the sweep").click()

    expect(page).to_have_url(re.compile(r"#/sweeps/swp_"))
    expect(page.get_by_text("2 of 2 targets are done")).to_be_visible(timeout=JOB_MS)
    expect(page.locator(".pareto .scatterlayer .point")).to_have_count(2)
    shoot(page, "sweep")
    hrefs = [link.get_attribute("href") for link in page.get_by_role("table", name="Targets").get_by_role("link").all()]
    assert len(set(hrefs)) == 2
    # A point of the plot and the link of its row lead to the same job.
    box = page.locator(".pareto .scatterlayer .point").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile(r"#/jobs/job_"))
    assert page.url.partition("#")[2] in {href[1:] for href in hrefs}

    for name in ("Sparsity of each layer", "Packed size of each layer"):
        bars = page.locator("figure", has_text=name).locator(".bars .barlayer .point")
        expect(bars).to_have_count(3)
    result = httpx.get(f"{live}/v1/jobs/{page.url.rpartition('/')[2]}", timeout=60).json()["result"]
    histogram = page.locator(".histogram")
    for layer in result["layers"]:
        histogram.get_by_label("Weights before and after", exact=True).select_option(label=layer["name"])
        expect(histogram).to_contain_text(f"0 {layer['sparsity']:.4f}")
        assert sum(layer["histogram"]["before"]) == sum(layer["histogram"]["after"]) == layer["weights"]
    expect(histogram.locator(".barlayer .point").first).to_be_attached()
    assert result["metric"]["baseline"] == pytest.approx(0.99, abs=0.05)
    expect(page.get_by_text(f"before {100 * result['metric']['baseline']:.2f} %")).to_be_visible()
    shoot(page, "job")
