"""Every page in light and dark, wide and narrow: WCAG 2.2 AA by axe, no scrolling sideways, a picture of each."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from api_schemas import ArtifactRef, JobErrorInfo, LayerReport, Metric, Result, WeightHistogram
from api_schemas.events import Message, PhaseChange
from tests.web.test_watch import points

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}
# Plots are pictures with a name: what lies within is nothing to a screen reader.
CONTEXT = {"exclude": [[".js-plotly-plot"]]}
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
LONG_NAME = "a-rather-long-name-of-a-model-that-was-exported-last-night.pt2"
LAYER = "encoder.layers.11.attention.self.query_key_value_projection.weight"


@pytest.fixture(scope="module")
def made(service):
    """A job that waits, one that runs, one that failed, one that succeeded, and a sweep."""
    waiting = service.queued(labels={"name": LONG_NAME})
    running = service.claim(service.queued(labels={"name": "running"}))
    service.ledger.record(
        running, [PhaseChange(phase="search"), Message(code="FEW_SAMPLES", text="few"), *points(1, 300)]
    )
    failed = service.claim(service.queued(labels={"name": "failed"}))
    service.ledger.fail(failed, JobErrorInfo(code="OUT_OF_MEMORY", message="it was too large", hint="take less"))
    done = service.claim(service.queued(labels={"name": "done"}))
    service.ledger.record(done, points(1, 300))
    service.ledger.succeed(done, result(service))
    return {"waiting": waiting.id, "running": running.job.id, "failed": failed.job.id, "done": done.job.id}


def result(service):
    counts = tuple(1 + 1000 * abs(20 - i) for i in range(41))  # so many that their axis would have exponents
    shares = WeightHistogram(low=-1, high=1, before=counts, after=counts, negative=0.25, positive=0.25)
    layers = tuple(
        LayerReport(
            name=name,
            shape=(64, 64),
            weights=4096,
            sparsity=0.5,
            scale_shape=(64, 1),
            packed_bytes=900,
            histogram=shares,
        )
        for name in ("first.weight", LAYER)
    )
    content = b"artifact"
    artifact = ArtifactRef(
        name="model.sterna", sha256=service.blob(content), bytes=len(content), media_type="application/octet-stream"
    )
    metric = Metric(name="accuracy", baseline=0.9917, ternary=0.9861, drop=0.0056)
    figures = {"target_sparsity": 0.5, "sparsity": 0.5, "alpha": 0.1, "target_met": True, "metric": metric}
    sizes = {"bits_per_weight": 1.51, "entropy_bits_per_weight": 1.5, "model_bytes": 100_000, "artifact_bytes": 10_000}
    return Result(
        **figures,
        **sizes,
        ratio=10,
        steps=4,
        seconds=1,
        layers=layers,
        artifacts=(artifact,),
        warnings=("FEW_SAMPLES",),
    )


PAGES = {
    "submit": ("", "Make a network ternary", None),
    "jobs": ("jobs", "Jobs", "table"),
    "waiting": ("jobs/{waiting}", LONG_NAME, None),
    "running": ("jobs/{running}", "running", ".curve.sparsity path.js-line"),
    "failed": ("jobs/{failed}", "failed", ".notice.bad"),
    "done": ("jobs/{done}", "done", ".histogram .barlayer .point"),
    "docs": ("docs", "The API", "details.call"),
    "missing": ("jobs/job_0", "job job_0", ".notice.bad"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pages_are_for_everyone(open_page, address, made, shoot, scheme, viewport, small):
    page = open_page(viewport=viewport, color_scheme=scheme)
    for name, (path, title, ready) in PAGES.items():
        page.goto(f"{address}/#/{path.format(**made)}")
        expect(page.get_by_role("heading", level=1)).to_have_text(title)
        if name == "submit":
            page.get_by_label("Model drop a file").set_input_files(small.model)
            page.get_by_text("Advanced options").click()
            expect(page.get_by_text("At 0.9: about")).to_be_visible()
        if ready:
            expect(page.locator(ready).first).to_be_attached()
        found = Axe().run(page, CONTEXT, options=RULES)
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], f"{name} scrolls sideways"
        shoot(page, f"{name}-{viewport['width']}-{scheme}")


def test_the_dialog_holds_the_focus_and_is_for_everyone(page, address):
    page.goto(address)
    page.get_by_role("button", name="API key").click()
    dialog = page.get_by_role("dialog", name="API key")
    expect(dialog.get_by_label("Key", exact=True)).to_be_focused()
    assert Axe().run(page, CONTEXT, options=RULES).violations_count == 0
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
