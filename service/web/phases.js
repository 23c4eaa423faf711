/** The phases of a job in their order, and which it is in. */

import { h } from "./dom.js";
import { isNumber, roughly } from "./format.js";

const PHASES = ["validating", "baseline", "search", "recover", "pack", "export"];

/** A list of phases with the present one marked, and how far the job is. A phase that is not known is shown as it is. */
export function phaseList(job) {
  const all = job.phase === null || PHASES.includes(job.phase) ? PHASES : [...PHASES, job.phase];
  const shown = all.filter((phase) => phase !== "export" || job.phase === "export" || job.spec.exports.length);
  const at = shown.indexOf(job.phase);
  const percent = Math.floor(100 * job.progress.fraction);
  const left = isNumber(job.progress.eta_s) ? `, ${roughly(job.progress.eta_s)} left` : "";
  return [
    h("ol", { class: "phases", "aria-label": "Phases" }, shown.map((phase, i) => h("li", { class: i < at ? "past" : i === at ? "present" : null, "aria-current": i === at ? "step" : null }, phase))),
    h("div", { class: "meter" }, h("progress", { max: 1, value: job.progress.fraction, "aria-label": "Progress" }), h("span", { class: "muted small" }, job.state === "queued" ? "waits for a worker" : `${percent} %${left}`)),
  ];
}
