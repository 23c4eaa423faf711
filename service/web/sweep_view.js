/** A sweep: what each target costs, as a curve and as a table; both lead to the jobs. */

import { actionsOn } from "./actions.js";
import { get, isAborted } from "./api.js";
import { fill, h, setText } from "./dom.js";
import * as format from "./format.js";
import { showProblem } from "./notices.js";
import { confirmed, stateChip, timeAgo } from "./parts.js";
import { draw, plotPlace } from "./plots.js";
import { poll } from "./polling.js";
import { dataTable } from "./table.js";

const LOOK_EVERY_MS = 2000;

/** Shows the view of the sweep with that id until the signal says to stop. */
export async function show(place, id, _query, signal) {
  const title = h("h1", { tabindex: "-1" }, "Sweep");
  const chip = h("span", { "aria-live": "polite" });
  const lead = h("p", { class: "muted", role: "status" });
  const plot = plotPlace("The curve of accuracy against size", "plot pareto");
  const curve = h("figure", { class: "sheet", hidden: true }, h("figcaption", {}, "What each target costs"), plot);
  const table = h("div", {});
  const trouble = h("div", {});
  const actions = actionsOn(`/v1/sweeps/${id}`, { title, trouble, signal, gone });
  fill(place, h("p", { class: "crumbs" }, h("a", { href: "#/jobs" }, "All jobs")),
    h("div", { class: "heading" }, title, chip, actions.element), lead, trouble, curve, table);
  let drawn = "";
  let state = null;
  try {
    await poll(async (until) => {
      const sweep = await get(`/v1/sweeps/${id}`, { signal: until });
      const news = JSON.stringify(sweep);
      if (news !== drawn) take(sweep);
      drawn = news;
      return sweep.state !== "finished";
    }, LOOK_EVERY_MS, signal);
  } catch (error) {
    gone(error);
  }

  function gone(error) {
    if (isAborted(error) || signal.aborted) return;
    actions.show();
    if (error.status === 404) error.hint = state ? "It was deleted meanwhile. What is shown below is the last that was known." : "It was deleted, it is another tenant's, or the address is not whole.";
    showProblem(trouble, error, h("a", { class: "button", href: "#/jobs" }, "All jobs"));
  }

  function take(sweep) {
    const name = sweep.labels.name ? `${sweep.labels.name}, several targets` : `Sweep ${id.slice(-8)}`;
    document.title = `${name} · Sterna`;
    setText(title, name);
    if (sweep.state !== state) {
      state = sweep.state;
      fill(chip, stateChip(state));
      drawActions();
    }
    const done = sweep.points.filter((point) => point.artifact_bytes !== null);
    const what = sweep.points.some(isTrial) ? "trials" : "targets";
    const why = sweep.ended_because ? ` The rounds ended early: ${sweep.ended_because}.` : "";
    fill(lead, `${done.length} of ${sweep.points.length} ${what} are done. Submitted `, timeAgo(sweep.created_at), ` ago.${why}`);
    const focused = table.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    fill(table, pointTable(sweep));
    if (focused) table.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    curve.hidden = done.length === 0;
    if (done.length) {
      plot.setAttribute("aria-label", `${done.length} points of ${axisName(done[0])} against file size; the table below has the figures and the links`);
      draw(plot, (colours) => pareto(done, colours), { signal, onPoint: (job) => { location.hash = `#/jobs/${job}`; } }).catch((error) => fill(lead, error.message));
    }
  }

  function drawActions() {
    actions.show(...(state === "finished"
      ? [actions.button("Delete", remove)]
      : [actions.button("Stop and keep the best", stop), actions.button("Cancel", cancel)]));
  }

  async function stop() {
    taken(await actions.ask("stop", "Asked to stop: jobs that run finish with their best so far, those that wait are cancelled"));
  }

  async function cancel() {
    if (!(await confirmed("Throw all jobs of this sweep away that have not ended? What they have done so far is lost.", "Cancel the sweep"))) return;
    taken(await actions.ask("cancel", "Asked to cancel"));
  }

  function taken(sweep) {
    if (sweep) take(sweep);
  }

  function remove() {
    return actions.remove("Delete this sweep with all its jobs, their events, logs and files?", "Delete the sweep", "The sweep is deleted");
  }
}

function isTrial(point) {
  return format.isNumber(point.round);
}

function pointTable({ points }) {
  const trialColumns = [
    { head: "Round", cell: (point) => `${point.round ?? ""}`, number: true },
    { head: "α", cell: (point) => format.digits(point.trial_alpha, 4), number: true },
    { head: "Sparsity by α", cell: (point) => format.share(point.trial_sparsity), number: true },
    { head: "Nearest", cell: (point) => (point.nearest ? h("span", { class: "yes", title: "its α came nearest to the target" }, "yes") : "") },
  ];
  return dataTable({
    label: "Targets",
    columns: [
      { head: "Target", cell: (point) => h("a", { href: `#/jobs/${point.job_id}` }, format.target(point.target_sparsity)), wide: true },
      { head: "State", cell: (point) => stateChip(point.state) },
      { head: "Sparsity", cell: (point) => format.share(point.sparsity), number: true },
      { head: "Metric", cell: (point) => (point.metric ? `${point.metric.name} ${format.metric(point.metric.name, point.metric.ternary)}` : format.metric("agreement", point.agreement)), number: true },
      { head: "Loss", cell: (point) => (point.metric ? format.drop(point.metric.name, point.metric.drop) : "–"), number: true },
      { head: "Size", cell: (point) => format.bytes(point.artifact_bytes), number: true },
      { head: "Ratio", cell: (point) => (format.isNumber(point.ratio) ? `${point.ratio.toFixed(1)}×` : "–"), number: true },
      { head: "Bits per weight", cell: (point) => format.digits(point.bits_per_weight, 4), number: true },
      { head: "Best", cell: (point) => (point.pareto ? h("span", { class: "yes", title: "no other point is both smaller and better" }, "yes") : "") },
      ...(points.some(isTrial) ? trialColumns : []),
    ],
    rows: points,
  });
}

/** Many trials of one target lie close together: only the nearest has its name beside it, the others tell theirs. */
function isLabelled(point) {
  return !isTrial(point) || point.nearest;
}

function axisName(point) {
  return point.metric ? point.metric.name : "agreement";
}

function valueOf(point) {
  return point.metric ? point.metric.ternary : point.agreement;
}

function pareto(points, colours) {
  const best = points.filter((point) => point.pareto).sort((a, b) => a.artifact_bytes - b.artifact_bytes);
  const name = axisName(points[0]);
  const at = (some) => ({ x: some.map((point) => point.artifact_bytes), y: some.map(valueOf), customdata: some.map((point) => point.job_id) });
  const hover = (some) => some.map((point) => `target ${format.target(point.target_sparsity)}<br>${name} ${format.metric(name, valueOf(point))}<br>${format.bytes(point.artifact_bytes)}`);
  const baseline = points[0].metric?.baseline;
  return {
    traces: [
      { type: "scatter", mode: "lines", ...at(best), line: { color: colours.main, width: 1.75 }, hoverinfo: "skip" },
      {
        type: "scatter", mode: "markers+text", ...at(points), text: points.map((point) => (isLabelled(point) ? format.target(point.target_sparsity) : "")), textposition: points.some(isTrial) ? "middle right" : "top center", textfont: { color: colours.ink },
        marker: { size: 12, color: points.map((point) => (point.pareto ? colours.main : colours.surface)), line: { color: colours.main, width: 1.75 } }, hovertext: hover(points), hoverinfo: "text", cliponaxis: false,
      },
    ],
    layout: {
      hovermode: "closest",
      margin: { l: 64, r: 24, t: 24, b: 44 },
      xaxis: { title: { text: "bytes of the file", standoff: 6 }, tickformat: ".3~s" },
      yaxis: { title: { text: name, standoff: 6 }, tickformat: format.isShare(name) ? ".1%" : ".4~g" },
      shapes: format.isNumber(baseline) ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: baseline, y1: baseline, line: { color: colours.accent, width: 1.5, dash: "dash" } }] : [],
      annotations: format.isNumber(baseline) ? [{ xref: "paper", x: 0, y: baseline, xanchor: "left", yanchor: "bottom", text: "original", showarrow: false, font: { color: colours.accent } }] : [],
    },
  };
}
