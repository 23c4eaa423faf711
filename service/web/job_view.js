/** One job: how it stands, what can be done about it, its curves, its log, and what came out. */

import { actionsOn } from "./actions.js";
import { Problem, get, isAborted, request } from "./api.js";
import { fill, h, setText } from "./dom.js";
import { followEvents } from "./event_stream.js";
import * as format from "./format.js";
import { logPanel } from "./log_panel.js";
import { announce, problemBox, sentence, showProblem } from "./notices.js";
import { confirmed, figure, isFinal, jobName, stateChip, timeAgo } from "./parts.js";
import { phaseList } from "./phases.js";
import { poll } from "./polling.js";
import { resultPanel } from "./result_panel.js";
import { trainingPanel } from "./training_panel.js";

const LOOK_EVERY_MS = 1500;

/** Shows the view of the job with that id until the signal says to stop. */
export async function show(place, id, _query, signal) {
  const title = h("h1", { tabindex: "-1" }, `job ${id.slice(-8)}`);
  const chip = h("span", { "aria-live": "polite" });
  const trouble = h("div", {});
  const actions = actionsOn(`/v1/jobs/${id}`, { title, trouble, signal, gone });
  const facts = h("dl", { class: "facts" });
  const progress = h("div", { class: "progress" });
  const told = h("div", {});
  const result = h("div", {});
  const rest = h("div", {});
  fill(place, h("p", { class: "crumbs" }, h("a", { href: "#/jobs" }, "All jobs")),
    h("div", { class: "heading" }, title, chip, actions.element), trouble, facts, progress, told, result, rest);

  let job = null;
  let panels = null;
  let following = null;
  let ended = new AbortController();
  const known = new Map();

  signal.addEventListener("abort", () => ended.abort(signal.reason));
  document.addEventListener("visibilitychange", lookAgain, { signal });
  await look();

  /** Looks until the job has ended; a retry begins it anew. */
  async function look() {
    ended.abort();
    ended = new AbortController();
    if (signal.aborted) return;
    try {
      await poll(async (until) => { take(await get(`/v1/jobs/${id}`, { signal: until })); return !isFinal(job); }, LOOK_EVERY_MS, ended.signal);
    } catch (error) {
      gone(error);
    }
  }

  /** Of a job that has ended nothing more is heard: whoever comes back to the page is told what became of it since. */
  function lookAgain() {
    if (document.visibilityState === "visible" && job && isFinal(job)) look();
  }

  function gone(error) {
    if (isAborted(error) || signal.aborted) return;
    ended.abort();
    actions.show();
    const missing = error.status === 404;
    if (missing) error.hint = job ? "It was deleted meanwhile, by somebody else or after its time. What is shown below is the last that was known." : "It was deleted, is another tenant's, or the address is not whole.";
    showProblem(trouble, error, h("a", { class: "button", href: "#/jobs" }, "All jobs"));
    if (job) setText(chip, missing ? "deleted" : "unknown");
  }

  function take(now) {
    const before = job;
    job = now;
    if (before && before.state !== job.state) announce(`${jobName(job)} is ${job.state}`);
    document.title = `${jobName(job)} · Sterna`;
    setText(title, jobName(job));
    if (before?.state !== job.state) fill(chip, stateChip(job.state));
    drawFacts();
    fill(progress, isFinal(job) ? null : phaseList(job));
    if (before?.state !== job.state) {
      drawActions();
      fill(told, job.error ? failure(job.error) : null, warnings());
      if (job.state === "queued") tellWhyItWaits();
    }
    panels ??= makePanels();
    if (job.result?.metric) panels.training.setMetricName(job.result.metric.name);
    if (job.result && !before?.result) fill(result, resultPanel(job, signal));
    if (!job.result) fill(result);
    if (!following) follow();
  }

  function makePanels() {
    const training = trainingPanel(job, signal);
    const log = logPanel(id, () => isFinal(job), signal);
    fill(rest, training.element, log.element);
    return { training, log };
  }

  async function follow() {
    following = new AbortController();
    const mine = following;
    try {
      await followEvents(id, hear, signal);
    } catch (error) {
      gone(error);
    }
    if (mine === following && signal.aborted === false) panels.log.refresh();
  }

  function hear(events) {
    panels.training.add(events.map((event) => event.body).filter((body) => body.kind === "progress"));
    for (const { body } of events) if (body.kind === "message") known.set(body.code, body.text);
    if (events.some(({ body }) => body.kind === "message")) fill(told, job.error ? failure(job.error) : null, warnings());
    // A change of state or phase is shown at once, not at the next look.
    if (events.some(({ body }) => body.kind === "state" || body.kind === "phase") && !isFinal(job)) {
      get(`/v1/jobs/${id}`, { signal }).then(take).catch((error) => { if (error.status === 404) gone(error); });
    }
  }

  function drawFacts() {
    const { spec, result: out, latest } = job;
    fill(facts,
      figure("Target", format.target(spec.target_sparsity)),
      figure("Sparsity", format.share(out?.sparsity ?? latest.sparsity)),
      isFinal(job) ? figure("Took", job.started_at ? format.duration((Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000) : "–")
        : figure("Time left", job.state === "queued" ? "waiting" : format.isNumber(job.progress.eta_s) ? format.roughly(job.progress.eta_s) : "–"),
      figure("Step", job.progress.steps ? `${format.whole(job.progress.step)} of ${format.whole(job.progress.steps)}` : "–"),
      figure("Attempt", String(job.attempt)),
      figure("Submitted", [timeAgo(job.created_at), " ago"]),
      job.sandbox ? figure("Sandbox", job.sandbox) : null,
      job.sweep_id ? figure("Part of", h("a", { href: `#/sweeps/${job.sweep_id}` }, "a sweep")) : null);
  }

  function drawActions() {
    actions.show(...(isFinal(job)
      ? [job.state === "succeeded" ? null : actions.button("Retry", retry), actions.button("Delete", remove)]
      : [job.state === "running" ? actions.button("Stop and keep the best", stop) : null, actions.button("Cancel", cancel)]));
  }

  async function stop() {
    asked(await actions.ask("stop", "Asked to stop: it finishes with the best so far"), "It was asked to stop, and finishes with the best so far.");
  }

  async function cancel() {
    if (!(await confirmed("Throw this job away? What it has done so far is lost.", "Cancel the job"))) return;
    asked(await actions.ask("cancel", "Asked to cancel"), "It was asked to cancel.");
  }

  function asked(now, what) {
    if (!now) return;
    take(now);
    if (!isFinal(now)) fill(told, h("p", { class: "notice" }, what));
  }

  async function retry() {
    const now = await actions.ask("retry", "Queued again");
    if (!now) return;
    take(now);
    following = null;
    restart();
  }

  /** After a retry: events begin anew with those that are known, so the panels do, too. */
  function restart() {
    panels = makePanels();
    follow();
    look();
  }

  function remove() {
    return actions.remove("Delete this job with its events, log and files?", "Delete the job", "The job is deleted");
  }

  function warnings() {
    const codes = new Set([...known.keys(), ...(job.result?.warnings ?? [])]);
    if (!codes.size) return null;
    return h("ul", { class: "warnings", "aria-label": "Warnings" }, [...codes].map((code) => h("li", {}, known.has(code) ? [sentence(known.get(code)), " "] : null, h("span", { class: "muted small" }, code))));
  }

  /** A job that waits where no worker lives waits for ever: the service's health says so, and needs no key. */
  async function tellWhyItWaits() {
    const answer = await request("GET", "/readyz", { signal }).catch((error) => error);
    if (answer instanceof Problem && job.state === "queued") fill(told, h("p", { class: "notice" }, h("strong", {}, "It waits. "), sentence(answer.message), " ", sentence(answer.hint)));
  }
}

function failure(error) {
  return problemBox(Object.assign(new Error(error.message), { hint: error.hint, code: error.code }));
}
