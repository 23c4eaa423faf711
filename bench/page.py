"""Pictures and figures of the service's page: `make screenshots` writes docs/images/ and docs/bench-page.md.

The embedded service is started, the digits MLP is trained and sent through the page itself, and the browser's own
timing is read: what each route weighs, when it is first painted, how smoothly a job of ten thousand points is shown.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from api_schemas import ProgressPoint
from api_schemas.events import PhaseChange
from examples.digits import write_example
from tests.cli.live_service import listening, serving
from tests.service.conftest import served
from tests.web.browsing import chromium, until

DOCS = Path(__file__).parents[1] / "docs"
IMAGES = DOCS / "images"
POINTS = 10_000
JOB_MS = 600_000
# A file that was fetched into the cache and then read from it is one.
WEIGHT = """() => { const every = ['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind))
    .filter((entry) => !entry.name.includes('/v1/'));
  const all = [...new Map(every.map((entry) => [entry.name, entry])).values()];
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  return {files: all.length, sent: all.reduce((sum, entry) => sum + entry.encodedBodySize, 0),
    whole: all.reduce((sum, entry) => sum + entry.decodedBodySize, 0), paint: paint ? paint.startTime : null}; }"""
MEASURE = """() => { window.measured = {tasks: [], frames: []};
  const keep = (list) => measured.tasks.push(...list.getEntries().map((entry) => entry.duration));
  new PerformanceObserver(keep).observe({type: 'longtask'});
  let last = performance.now();
  const frame = (now) => { measured.frames.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame); }"""


def main() -> None:
    """Take the pictures, then measure."""
    expect.set_options(timeout=60_000)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        with serving(folder, "--port", "0") as (process, output):
            address = listening(process, output)
            weights = _pictures(browser, address, folder)
        smooth = _smoothness(browser, folder)
    (DOCS / "bench-page.md").write_text(_page(weights, smooth, browser.version))


def _pictures(browser: Browser, address: str, folder: Path) -> dict[str, dict[str, Any]]:
    model, data = write_example("mlp", folder)
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light", reduced_motion="reduce")
    page.goto(address)
    page.get_by_label("Model drop a file").set_input_files(model)
    page.get_by_label("Data drop a file").set_input_files(data)
    page.get_by_label("Compare several").check()
    page.get_by_label("Targets", exact=True).fill("0.5, 0.6, 0.7, 0.8, 0.9, 0.95")
    expect(page.get_by_text("At 0.95: about")).to_be_visible()
    page.get_by_role("button", name="Start the sweep").click()
    expect(page.get_by_text("6 of 6 targets are done")).to_be_visible(timeout=JOB_MS)
    expect(page.locator(".pareto .point")).to_have_count(6)
    _shoot(page, "sweep")
    sweep = page.url.partition("#")[2]
    job = page.get_by_role("link", name="0.9", exact=True).get_attribute("href") or ""
    page.get_by_role("link", name="0.9", exact=True).click()
    expect(page.locator(".histogram .barlayer .point").first).to_be_attached()
    _shoot(page, "job", height=1000)
    page.goto(f"{address}/#/")
    page.get_by_label("One target").check()
    expect(page.get_by_text("At 0.9: about")).to_be_visible()
    _shoot(page, "submit")
    page.close()
    routes = {"new job": "/", "jobs": "/jobs", "a job with plots": job[1:], "a sweep": sweep}
    return {route: _weigh(browser, f"{address}/#{path}") for route, path in routes.items()}


def _shoot(page: Page, name: str, *, height: int = 800) -> None:
    page.set_viewport_size({"width": 1280, "height": height})
    page.wait_for_timeout(500)  # plots follow their place
    page.screenshot(path=IMAGES / f"{name}.png")


def _weigh(browser: Browser, url: str) -> dict[str, Any]:
    """First visit, nothing in the cache; the median of five first paints."""
    found = []
    for _ in range(5):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        until(page, "window.Plotly !== undefined")
        found.append(page.evaluate(WEIGHT))
        context.close()
    paints = sorted(one["paint"] for one in found)
    return found[-1] | {"paint": paints[2]}


def _points(first: int, last: int) -> list[ProgressPoint]:
    return [
        ProgressPoint(
            step=step, steps=2 * POINTS, loss=1 / step, sparsity=0.5 - 0.3 / step, alpha=step / POINTS, lambda_=0.1
        )
        for step in range(first, last + 1)
    ]


def _smoothness(browser: Browser, folder: Path) -> dict[str, dict[str, float]]:
    """Long tasks and frames while ten thousand points come, at once and later, and while one more comes every 50 ms."""
    with served(folder / "smooth") as service:
        lease = service.claim(service.queued())
        service.ledger.record(lease, [PhaseChange(phase="search")])
        for first in range(1, POINTS, 1000):
            service.ledger.record(lease, _points(first, first + 999))
        at_once = _open(browser, f"{service.http.base_url}#/jobs", lease.job.id, idle=False)
        first = _told(at_once.page) | {"seconds": at_once.seconds}
        at_once.page.close()
        later = _open(browser, f"{service.http.base_url}#/jobs", lease.job.id, idle=True)
        page = later.page
        training = page.get_by_role("region", name="Training")
        opening = _told(page) | {"seconds": later.seconds}
        page.evaluate("measured.tasks.length = measured.frames.length = 0")
        began = time.monotonic()
        for step in range(POINTS + 1, POINTS + 201):
            service.ledger.record(lease, _points(step, step))
            page.wait_for_timeout(50)
        expect(training).to_have_attribute("data-points", str(POINTS + 200))
        live = _told(page) | {"seconds": round(time.monotonic() - began, 1)}
        page.close()
    return {
        "opening it at once, the plots' script unread": first,
        "opening it when that has been read in an idle moment": opening,
        "200 points more, one every 50 ms": live,
    }


@dataclass(frozen=True)
class _Opened:
    page: Page
    seconds: float


def _open(browser: Browser, jobs: str, job_id: str, *, idle: bool) -> _Opened:
    """The list of jobs, then the job; with `idle` after the page has read the plots' script by itself."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(jobs)
    if idle:
        until(page, "window.Plotly !== undefined")
    page.evaluate(MEASURE)
    began = time.monotonic()
    page.evaluate(f"location.hash = '#/jobs/{job_id}'")
    expect(page.get_by_role("region", name="Training")).to_have_attribute("data-points", str(POINTS))
    expect(page.locator("figure.curve.sparsity path.js-line")).to_have_count(1)
    seconds = round(time.monotonic() - began, 1)
    page.wait_for_timeout(1000)
    return _Opened(page, seconds)


def _told(page: Page) -> dict[str, float]:
    found = page.evaluate("measured")
    frames = sorted(found["frames"])
    return {
        "long": len(found["tasks"]),
        "longest": round(max(found["tasks"], default=0)),
        "frames": len(frames),
        "median": round(frames[len(frames) // 2], 1),
        "p99": round(frames[int(0.99 * len(frames))], 1),
    }


def _page(weights: dict[str, dict[str, Any]], smooth: dict[str, dict[str, float]], version: str) -> str:
    rows = [
        f"| {route} | {one['files']} | {_kb(one['sent'])} | {_kb(one['whole'])} | {one['paint']:.0f} ms |"
        for route, one in weights.items()
    ]
    steps = [
        f"| {what} | {one['seconds']} s | {one['long']} | {one['longest']} ms | {one['median']} ms | {one['p99']} ms |"
        for what, one in smooth.items()
    ]
    load = f"{os.getloadavg()[0]:.1f}"
    head = (
        f"Made by `make screenshots` on {os.cpu_count()} cores ({platform.machine()}), headless Chromium {version}, "
        f"no GPU, load of the machine {load}; browser, service and worker share the cores."
    )
    return "\n".join(
        (
            "# The page in a browser",
            "",
            head,
            "",
            "A first visit with an empty cache, without the answers of the API; a second one is sent headers alone.",
            "Of each row 1.4 MB are the plots' script: where there are no plots it is fetched in an idle moment,",
            "after the first paint.",
            "",
            "| route | files | sent | unpacked | first contentful paint, median of 5 |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "A job of 10,000 progress points: long tasks are those of more than 50 ms on the page's thread.",
            "",
            "| | took | long tasks | longest | median frame | 99th percentile |",
            "|---|---|---|---|---|---|",
            *steps,
            "",
        )
    )


def _kb(count: int) -> str:
    return f"{count / 1000:.0f} kB"


if __name__ == "__main__":
    main()
