/** The list of jobs, live, and filtered by state and label. */

import { get } from "./api.js";
import { debounced, fill, h, newId, setText } from "./dom.js";
import * as format from "./format.js";
import { problemBox } from "./notices.js";
import { jobLink, stateChip, timeAgo } from "./parts.js";
import { poll } from "./polling.js";
import { dataTable } from "./table.js";

const LOOK_EVERY_MS = 2000;
const PAGE_SIZE = 50;
const MOST_SHOWN = 200;
const STATES = ["queued", "running", "succeeded", "failed", "cancelled"];

/** Shows the view in a place until the signal says to stop. */
export function show(place, _id, query, signal) {
  const [stateId, labelId] = [newId("state"), newId("label")];
  const state = h("select", { id: stateId, onchange: filtered }, h("option", { value: "" }, "any"), STATES.map((one) => h("option", { value: one, selected: query.get("state") === one }, one)));
  const label = h("input", { id: labelId, type: "search", placeholder: "key=value", value: query.get("label") ?? "", autocomplete: "off", spellcheck: "false", oninput: debounced(() => filtered(), 400) });
  const count = h("p", { class: "muted small", role: "status" });
  const list = h("div", {});
  const more = h("p", {});
  let wanted = PAGE_SIZE;
  let looking = new AbortController();
  let drawn = "";

  fill(place,
    h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, "Jobs"), h("a", { class: "button primary", href: "#/" }, "New job")),
    h("form", { class: "filters", onsubmit: (event) => event.preventDefault() },
      h("div", { class: "field" }, h("label", { for: stateId }, "State"), state),
      h("div", { class: "field" }, h("label", { for: labelId }, "Label"), label)),
    count, list, more);
  signal.addEventListener("abort", () => looking.abort());
  start();

  /** Keeps the filter in the address, so that it can be kept and sent. */
  function filtered() {
    const kept = new URLSearchParams(Object.entries({ state: state.value, label: label.value.trim() }).filter(([, value]) => value));
    history.replaceState(null, "", `#/jobs${kept.size ? `?${kept}` : ""}`);
    wanted = PAGE_SIZE;
    start();
  }

  async function start() {
    looking.abort();
    looking = new AbortController();
    drawn = "";
    try {
      await poll(look, LOOK_EVERY_MS, looking.signal);
    } catch (error) {
      setText(count, "");
      fill(list, problemBox(error));
    }
  }

  async function look(looksUntil) {
    const query = new URLSearchParams({ page_size: wanted });
    if (state.value) query.append("state", state.value);
    if (label.value.trim()) query.append("label", label.value.trim());
    const page = await get(`/v1/jobs?${query}`, { signal: looksUntil });
    draw(page);
    return true;
  }

  function draw(page) {
    // Rows are made anew only where something changed, or whoever stands on a link would lose it.
    const news = JSON.stringify([page.jobs.map((job) => [job.id, job.state, job.phase, job.latest, job.progress, format.age(job.created_at)]), page.next_page_token === ""]);
    if (news === drawn) return;
    drawn = news;
    const focused = list.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    setText(count, page.jobs.length ? `${page.jobs.length}${page.next_page_token ? " newest" : ""} ${page.jobs.length === 1 ? "job" : "jobs"}` : "");
    fill(list, page.jobs.length ? table(page.jobs) : nothing());
    if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    fill(more, !page.next_page_token ? null : wanted < MOST_SHOWN
      ? h("button", { type: "button", onclick: () => { wanted = Math.min(wanted + PAGE_SIZE, MOST_SHOWN); start(); } }, "Show more")
      : h("span", { class: "muted" }, `The newest ${MOST_SHOWN} are shown. Filter by label to find older ones.`));
  }

  function nothing() {
    const none = state.value || label.value.trim();
    return h("div", { class: "empty" },
      h("p", {}, none ? "No job is like that." : "There are no jobs yet."),
      h("p", { class: "muted" }, none ? "Change the filter above." : ["Send a network: ", h("a", { href: "#/" }, "new job"), "."]));
  }
}

function table(jobs) {
  return dataTable({
    label: "Jobs",
    columns: [
      { head: "Job", cell: (job) => [jobLink(job), job.sweep_id ? [" ", h("a", { class: "small", href: `#/sweeps/${job.sweep_id}` }, "sweep")] : null], wide: true },
      { head: "State", cell: (job) => [stateChip(job.state), job.state === "running" ? h("span", { class: "muted small" }, ` ${job.phase ?? ""} ${Math.floor(100 * job.progress.fraction)} %`) : null] },
      { head: "Target", cell: (job) => format.target(job.spec.target_sparsity), number: true },
      { head: "Sparsity", cell: (job) => format.share(job.result?.sparsity ?? job.latest.sparsity), number: true },
      { head: "Metric", cell: metricOf, number: true },
      { head: "Ratio", cell: (job) => (job.result ? `${job.result.ratio.toFixed(1)}×` : "–"), number: true },
      { head: "Age", cell: (job) => timeAgo(job.created_at), number: true },
    ],
    rows: jobs,
  });
}

function metricOf(job) {
  const found = job.result?.metric;
  return found ? h("span", { title: found.name }, format.metric(found.name, found.ternary)) : "–";
}
