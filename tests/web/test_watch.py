"""Watching: curves, log and orders, a connection that breaks, a job that goes, ten thousand points."""

import json
import re

import pytest
from playwright.sync_api import expect

from api_schemas import JobErrorInfo, Metric, ProgressPoint
from api_schemas.events import Message, PhaseChange
from api_schemas.jobs import TrialReport
from api_schemas.sweeps import SweepSpec
from tests.web.browsing import imported, until

POINTS = 10_000

# Long tasks of the main thread and the pauses between frames, from when this runs.
MEASURE = """() => {
    window.measured = {tasks: [], frames: []};
    const keep = (list) => measured.tasks.push(...list.getEntries().map((entry) => entry.duration));
    new PerformanceObserver(keep).observe({type: 'longtask'});
    let last = performance.now();
    const frame = (now) => { measured.frames.push(now - last); last = now; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
}"""


@pytest.fixture
def running(service):
    """A job that the test itself is the worker of."""
    job = service.queued(labels={"name": "watched"})
    lease = service.claim(job)
    service.ledger.record(lease, [PhaseChange(phase="search"), *points(1, 20)])
    yield lease
    service.ledger.fail(lease, JobErrorInfo(code="CANCELLED", message="the test is over", hint="none"))


def points(first, last, steps=POINTS):
    return [
        ProgressPoint(
            step=step, steps=steps, loss=1 / step, sparsity=0.5 - 0.3 / step, alpha=0.1 + step / steps, lambda_=0.01
        )
        for step in range(first, last + 1)
    ]


def training(page):
    return page.get_by_role("region", name="Training")


def test_a_running_job_is_shown_as_it_goes(page, service, address, running, shoot):
    page.goto(f"{address}/#/jobs/{running.job.id}")
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    expect(page.get_by_role("list", name="Phases").locator("[aria-current=step]")).to_have_text("search")
    expect(training(page)).to_have_attribute("data-points", "20")
    service.ledger.record(running, [*points(21, 5000), PhaseChange(phase="recover")])
    expect(training(page)).to_have_attribute("data-points", "5000")
    expect(page.get_by_role("list", name="Phases").locator("[aria-current=step]")).to_have_text("recover")
    expect(page.get_by_text("50 %")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Sparsity over the steps"))).to_be_visible()
    for name in ("Sparsity", "α", "λ", "Loss"):
        curve = page.locator("figure.curve", has=page.get_by_role("img", name=re.compile(f"^{name} over the steps")))
        expect(curve.locator(".scatterlayer path.js-line")).to_have_count(1)
    expect(page.locator("figure.curve.sparsity")).to_contain_text("target 0.5")
    shoot(page, "running")

    service.ledger.keep_log(running, "first line\nsecond line\n")
    page.get_by_text("Log of the runner").click()
    expect(page.get_by_role("log")).to_contain_text("second line")
    service.ledger.record(running, [Message(code="FEW_SAMPLES", text="the samples are few")])
    expect(page.get_by_role("list", name="Warnings")).to_contain_text("The samples are few")
    service.ledger.fail(running, JobErrorInfo(code="OUT_OF_MEMORY", message="it was too large", hint="take less"))
    expect(page.get_by_role("alert")).to_contain_text("Take less")
    expect(page.get_by_text("failed", exact=True)).to_be_visible()


@pytest.mark.parametrize("told_by", ["points", "the result"])
def test_a_metric_that_is_measured_now_and_then_is_a_line_with_marks(page, service, address, told_by):
    lease = service.claim(service.queued())
    told = {1: 0.9917, 400: 0.9, 800: 0.95, 1200: 0.98, 1600: 0.9861}
    some = [point.model_copy(update={"metric": told.get(point.step)}) for point in points(1, 1600)]
    service.ledger.record(lease, [PhaseChange(phase="search"), *some[:900]])
    page.goto(f"{address}/#/jobs/{lease.job.id}")
    curve = page.locator("figure.curve.metric")
    expect(curve.locator(".scatterlayer path.point")).to_have_count(3)
    expect(curve.locator("path.js-line")).to_have_count(1)
    expect(curve).to_contain_text("0.950")
    service.ledger.record(lease, some[900:])
    expect(curve.locator(".scatterlayer path.point")).to_have_count(5)
    drawn = curve.locator(".js-plotly-plot").evaluate(
        "place => [place.data[0].x, place.data[0].y].map((some) => [...some])"
    )
    assert drawn == [list(told), list(told.values())]
    expect(curve.locator("figcaption")).to_have_text("Metric0.9861")
    if told_by == "points":
        service.ledger.record(lease, [ProgressPoint(step=1600, steps=1600, metric=0.9861, metric_name="accuracy")])
    else:
        service.finish(lease, metric=Metric(name="accuracy", baseline=0.9917, ternary=0.9861, drop=0.0056))
    # Its name is then in the heading, in the figure, on the axis and known to a screen reader.
    expect(curve.locator("figcaption")).to_have_text("Accuracy98.61 %")
    expect(page.get_by_role("img", name="Accuracy over the steps of the training; now 98.61 %")).to_be_visible()
    expect(curve.locator(".ytick").first).to_contain_text("%")


def test_a_metric_that_gets_its_name_while_it_is_drawn_is_drawn_again(page, address):
    page.goto(address)
    # The observer hears of the value when it is written and before the curve is: the drawing is at work then.
    call = """(() => {
        const job = {spec: {target_sparsity: 0.5}};
        const panel = module.trainingPanel(job, new AbortController().signal);
        document.body.append(panel.element);
        const name = new MutationObserver(() => { name.disconnect(); panel.setMetricName('accuracy'); });
        name.observe(panel.element.querySelector('.metric .now'), {childList: true});
        panel.add([1, 2, 3].map((step) => ({step, metric: given[step - 1]})));
    })()"""
    page.evaluate(imported("training_panel.js", call), [0.5, 0.25, 0.75])
    curve = page.locator("figure.curve.metric")
    expect(curve.locator("figcaption")).to_have_text("Accuracy75.00 %")
    expect(curve.locator(".ytick").first).to_contain_text("%")


FITS = """[...document.querySelectorAll('figure.curve:not([hidden])')].every((card) => {
    const plot = card.querySelector('.main-svg');
    return plot && Math.abs(plot.clientWidth - plot.closest('.plot').clientWidth) <= 1; })"""


def test_each_curve_keeps_to_its_place_when_another_appears_beside_it(page, service, address, running):
    page.goto(f"{address}/#/jobs/{running.job.id}")
    cards = page.locator("figure.curve:not([hidden])")
    expect(page.locator("figure.curve.loss path.js-line")).to_have_count(1)
    expect(cards).to_have_count(4)
    until(page, FITS)
    measured = [point.model_copy(update={"metric": 0.9}) for point in points(21, 22)]
    service.ledger.record(running, measured)
    expect(page.locator("figure.curve.metric path.js-line")).to_have_count(1)
    expect(cards).to_have_count(5)
    until(page, FITS)


def test_the_script_of_the_plots_is_there_before_it_is_needed(open_page, address, running):
    page = open_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "plotly.min.js" in request.url else None)
    page.goto(f"{address}/#/jobs")
    until(page, "window.Plotly !== undefined")
    before = len(asked)
    page.evaluate("location.hash = '#/jobs/' + " + json.dumps(running.job.id))
    expect(page.locator("figure.curve.sparsity path.js-line")).to_have_count(1)
    assert len(asked) == before


def test_where_traffic_is_to_be_saved_the_plots_wait_until_they_are_shown(open_page, address, running):
    page = open_page()
    page.add_init_script("Object.defineProperty(navigator, 'connection', {value: {saveData: true}})")
    page.goto(f"{address}/#/jobs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    page.wait_for_timeout(4000)  # twice as long as the page waits otherwise
    assert page.evaluate("performance.getEntriesByType('resource').every((one) => !one.name.includes('plotly.min'))")
    page.evaluate("location.hash = '#/jobs/' + " + json.dumps(running.job.id))
    expect(page.locator("figure.curve.sparsity path.js-line")).to_have_count(1)


def test_orders_reach_the_job(page, service, address):
    job = service.queued()
    page.goto(f"{address}/#/jobs/{job.id}")
    expect(page.get_by_text("queued", exact=True)).to_be_visible()
    expect(page.get_by_text("It waits.")).to_be_visible()  # no worker lives, and that is said
    lease = service.claim(job)
    page.get_by_role("button", name="Stop and keep the best").click()
    expect(page.get_by_text("asked to stop", exact=False).first).to_be_visible()
    assert service.ledger.renew(lease, lease_s=60) == "stop"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep it").click()
    assert service.ledger.renew(lease, lease_s=60) == "stop"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.get_by_text("asked to cancel", exact=False).first).to_be_visible()
    assert service.ledger.renew(lease, lease_s=60) == "cancel"
    service.ledger.fail(lease, JobErrorInfo(code="X", message="m", hint="h"))
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("queued", exact=True)).to_be_visible()
    assert service.ledger.job(job.id).attempt == 2
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the job").click()
    expect(page).to_have_url(re.compile(r"#/jobs$"))
    assert service.http.get(f"/v1/jobs/{job.id}").status_code == 404


def test_a_stream_that_breaks_goes_on_without_gap_or_repetition(open_page, service, proxy, running):
    """What the page's own reader hands on, while the connection is broken again and again."""
    page = open_page()
    page.goto(f"{proxy.address}/#/jobs")
    call = """(() => { window.heard = [];
        module.followEvents(given, (events) => window.heard.push(...events.map((event) => event.id)),
            new AbortController().signal).then(() => { window.over = true; }); })()"""
    page.evaluate(imported("event_stream.js", call), running.job.id)
    last = 20
    for _ in range(4):
        until(page, f"heard.length >= {last}")
        proxy.cut()
        service.ledger.record(running, points(last + 1, last + 700))
        last += 700
    proxy.vanish()
    service.ledger.fail(running, JobErrorInfo(code="X", message="m", hint="h"))
    proxy.listen()
    until(page, "window.over === true")
    stored = service.ledger.events(running.job.id, limit=100_000).events
    assert page.evaluate("heard") == [event.id for event in stored] == list(range(1, last + 5))


def test_a_job_page_lives_through_the_service_going_and_coming(open_page, service, proxy, running):
    page = open_page()
    page.goto(f"{proxy.address}/#/jobs/{running.job.id}")
    expect(training(page)).to_have_attribute("data-points", "20")
    proxy.vanish()
    expect(page.get_by_role("status").filter(has_text="does not answer")).to_be_visible()
    service.ledger.record(running, points(21, 60))
    proxy.listen()
    expect(training(page)).to_have_attribute("data-points", "60")
    expect(page.get_by_role("status").filter(has_text="does not answer")).to_have_count(0)


def test_a_job_that_is_deleted_meanwhile_is_told_and_stays_readable(page, service, address):
    job = service.queued(labels={"name": "short lived"})
    page.goto(f"{address}/#/jobs/{job.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("short lived")
    service.ledger.request(job.id, "cancel")
    service.ledger.delete_job(job.id)
    expect(page.get_by_role("alert")).to_contain_text("deleted")
    expect(page.get_by_role("heading", level=1)).to_have_text("short lived")
    page.get_by_role("alert").get_by_role("link", name="All jobs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")


def test_who_comes_back_to_a_result_that_was_deleted_meanwhile_is_told(page, service, address):
    job, _ = service.finished()
    page.goto(f"{address}/#/jobs/{job.id}")
    expect(page.get_by_role("heading", name="Files")).to_be_visible()
    service.ledger.delete_job(job.id)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("alert")).to_contain_text("deleted")
    expect(page.get_by_role("heading", name="Files")).to_be_visible()


def test_a_job_that_never_was_is_told(page, address):
    page.goto(f"{address}/#/jobs/job_{'0' * 32}")
    expect(page.get_by_role("alert")).to_contain_text("There is no job")
    expect(page.locator(".facts")).to_be_hidden()
    page.goto(f"{address}/#/sweeps/swp_{'0' * 32}")
    expect(page.get_by_role("alert")).to_contain_text("no sweep")


def test_a_state_that_is_not_known_is_shown_as_it_is(page, address, running):
    def newer(route):
        job = route.fetch().json() | {"state": "hibernating", "phase": "dreaming"}
        route.fulfill(json=job)

    page.route(re.compile(rf"/v1/jobs/{running.job.id}$"), newer)
    page.goto(f"{address}/#/jobs/{running.job.id}")
    expect(page.get_by_text("hibernating")).to_be_visible()
    expect(page.get_by_role("list", name="Phases").locator("[aria-current=step]")).to_have_text("dreaming")


def test_the_list_is_live_and_filtered(page, service, address):
    jobs = [service.queued(labels={"name": f"listed {n}", "list": "web"}) for n in range(3)]
    page.goto(f"{address}/#/jobs")
    page.get_by_label("Label").fill("list=web")
    rows = page.get_by_role("table", name="Jobs").get_by_role("row")
    expect(rows).to_have_count(4)
    service.ledger.request(jobs[0].id, "cancel")
    expect(rows.filter(has_text="listed 0")).to_contain_text("cancelled")
    page.get_by_label("State").select_option("cancelled")
    expect(rows).to_have_count(2)
    page.reload()  # the filter is in the address
    expect(rows).to_have_count(2)
    page.get_by_label("State").select_option("failed")
    expect(page.get_by_text("No job is like that")).to_be_visible()


def test_ten_thousand_points_stay_smooth(page, service, address, running, record_property):
    for first in range(21, POINTS, 997):
        service.ledger.record(running, points(first, min(first + 996, POINTS)))
    page.goto(f"{address}/#/jobs")
    page.evaluate(MEASURE)
    page.evaluate("location.hash = '#/jobs/' + " + json.dumps(running.job.id))
    expect(training(page)).to_have_attribute("data-points", str(POINTS))
    line = page.locator("figure.curve.sparsity .scatterlayer path.js-line")
    expect(line).to_have_count(1)
    # What is drawn does not grow with what came: a thousandth of the points would do for a screen.
    assert line.get_attribute("d").count("L") + line.get_attribute("d").count(",") < 2000
    page.evaluate("measured.tasks.length = measured.frames.length = 0")
    for step in range(POINTS + 1, POINTS + 61):
        service.ledger.record(running, points(step, step, POINTS + 60))
        page.wait_for_timeout(50)
    expect(training(page)).to_have_attribute("data-points", str(POINTS + 60))
    found = page.evaluate("measured")
    frames = sorted(found["frames"])
    figures = {
        "long_tasks": len(found["tasks"]),
        "longest_task_ms": round(max(found["tasks"], default=0)),
        "frames": len(frames),
        "median_frame_ms": round(frames[len(frames) // 2], 1),
        "p99_frame_ms": round(frames[int(0.99 * len(frames))], 1),
    }
    record_property("smoothness", figures)
    print(figures)
    assert len(frames) > 20, "the page stood still"


def test_a_sweep_of_trials_shows_what_each_alpha_gave_and_which_came_nearest(page, service, address):
    spec = SweepSpec(model=service.upload(b"no model"), targets=(0.5,), search={"strategy": "trials"}, side_by_side=2)
    _, jobs = service.ledger.create_sweep(spec)
    low, high = sorted(jobs, key=lambda job: job.spec.search.alpha)
    for job, sparsity in ((low, 0.41), (high, 0.52)):
        trial = TrialReport(alpha=job.spec.search.alpha, sparsity=sparsity)
        service.finish(service.claim(job), trials=(trial,))
    page.goto(f"{address}/#/sweeps/{low.sweep_id}")
    expect(page.get_by_text("2 of 2 trials are done")).to_be_visible()
    rows = page.get_by_role("table", name="Targets").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("0.4100")
    expect(rows.nth(1).get_by_title("its α came nearest to the target")).to_have_count(0)
    expect(rows.nth(2)).to_contain_text("0.5200")
    expect(rows.nth(2).get_by_title("its α came nearest to the target")).to_be_visible()


def test_of_trials_close_together_the_nearest_alone_has_its_name_in_the_plot(page, service, address):
    spec = SweepSpec(model=service.upload(b"no model"), targets=(0.5,), search={"strategy": "trials"}, side_by_side=4)
    sweep, jobs = service.ledger.create_sweep(spec)
    for n, job in enumerate(jobs):
        trial = TrialReport(alpha=job.spec.search.alpha, sparsity=0.4 + 0.05 * n)
        service.finish(
            service.claim(job), trials=(trial,), metric=Metric(name="accuracy", baseline=0.9, ternary=0.88, drop=0.02)
        )
    page.goto(f"{address}/#/sweeps/{sweep.id}")
    expect(page.locator(".pareto .scatterlayer .point")).to_have_count(4)
    expect(page.locator(".pareto .textpoint").filter(has_text=re.compile("."))).to_have_count(1)


def test_a_sweep_is_stopped_cancelled_and_deleted(page, service, address):
    spec = SweepSpec(model=service.upload(b"no model"), targets=(0.5, 0.6), labels={"name": "swept"})
    sweep, jobs = service.ledger.create_sweep(spec)
    lease = service.claim(jobs[0])
    page.goto(f"{address}/#/sweeps/{sweep.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("swept, several targets")
    rows = page.get_by_role("table", name="Targets").get_by_role("row")
    page.get_by_role("button", name="Stop and keep the best").focus()
    page.keyboard.press("Enter")
    expect(rows.nth(2)).to_contain_text("cancelled")
    expect(rows.nth(1)).to_contain_text("running")
    assert service.ledger.renew(lease, lease_s=60) == "stop"
    expect(page.get_by_role("button", name="Stop and keep the best")).to_be_enabled()

    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    assert service.ledger.renew(lease, lease_s=60) == "stop"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the sweep").click()
    expect(page.locator("#announcer")).to_have_text("Asked to cancel")
    assert service.ledger.renew(lease, lease_s=60) == "cancel"
    assert service.ledger.cancelled(lease)
    expect(page.locator(".heading .chip")).to_have_text("finished")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the sweep").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    assert service.http.get(f"/v1/sweeps/{sweep.id}").status_code == 404
    assert [service.http.get(f"/v1/jobs/{job.id}").status_code for job in jobs] == [404, 404]
