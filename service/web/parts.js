/** Small parts that several views share: states, names, links, times. */

import { h } from "./dom.js";
import { age } from "./format.js";

const FINAL = new Set(["succeeded", "failed", "cancelled"]);
const KNOWN = new Set(["queued", "running", "finished", ...FINAL]);

/** Whether a job has ended; a state that is not known here has not. */
export function isFinal(job) {
  return FINAL.has(job.state);
}

/** The state of a job as a chip, as it is said; one that is not known looks neutral. */
export function stateChip(state) {
  return h("span", { class: `chip ${KNOWN.has(state) ? state : "other"}` }, state);
}

/** What people call a job: the name that it was given, else the end of its id. */
export function jobName(job) {
  return job.labels?.name || `job ${job.id.slice(-8)}`;
}

/** The way to a job. */
export function jobLink(job) {
  return h("a", { href: `#/jobs/${job.id}` }, jobName(job));
}

/** How long ago, with the time itself for whoever asks. */
export function timeAgo(iso) {
  return h("time", { datetime: iso, title: new Date(iso).toLocaleString() }, age(iso));
}

/** A figure with its name. */
export function figure(name, value, note = null) {
  return h("div", { class: "figure" }, h("dt", {}, name), h("dd", {}, value, note ? h("small", {}, note) : null));
}

/** Asks before something is thrown away; resolves with whether to. */
export function confirmed(question, yes) {
  return new Promise((resolve) => {
    const answer = (value) => { dialog.close(); dialog.remove(); resolve(value); };
    const dialog = h("dialog", { class: "dialog", "aria-label": question, oncancel: (event) => { event.preventDefault(); answer(false); } },
      h("p", {}, question),
      h("p", { class: "actions" },
        h("button", { type: "button", class: "primary", onclick: () => answer(true) }, yes),
        h("button", { type: "button", onclick: () => answer(false) }, "Keep it")));
    document.body.append(dialog);
    dialog.showModal();
  });
}
