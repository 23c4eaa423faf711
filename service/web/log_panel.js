/** The end of the runner's log: what it says while the panel is open. */

import { isAborted, request } from "./api.js";
import { fill, h, pause } from "./dom.js";
import { isPassing } from "./polling.js";

const LOOK_EVERY_MS = 3000;

/**
 * The panel, folded; it asks for nothing until it is opened.
 *
 * @param {string} jobId
 * @param {() => boolean} hasEnded
 * @param {AbortSignal} signal
 */
export function logPanel(jobId, hasEnded, signal) {
  const text = h("pre", { class: "log", tabindex: "0", role: "log", "aria-live": "off", "aria-label": "Log of the runner" });
  const note = h("p", { class: "muted small" }, "The last 64 KiB; while the job runs they are a few seconds old.");
  const fold = h("details", { class: "fold", ontoggle: () => { if (fold.open) follow(); } }, h("summary", {}, "Log of the runner"), note, text);
  let following = false;

  async function follow() {
    if (following) return;
    following = true;
    while (fold.open && !signal.aborted) {
      const ended = hasEnded();
      if (!(await refresh()) || ended) break;
      await pause(LOOK_EVERY_MS, signal);
    }
    following = false;
  }

  /** Whether it makes sense to look again. */
  async function refresh() {
    if (!fold.open) return false;
    try {
      const answer = await request("GET", `/v1/jobs/${jobId}/logs`, { signal });
      show(await answer.text());
    } catch (error) {
      if (isAborted(error)) return false;
      if (error.status === 404) show("", "There is no log yet: it begins when a runner takes the job.");
      else if (!isPassing(error)) return false;
    }
    return true;
  }

  function show(content, instead = "It is empty.") {
    const atEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 40;
    if (text.textContent !== (content || instead)) fill(text, content || instead);
    if (atEnd) text.scrollTop = text.scrollHeight;
  }

  return { element: fold, refresh };
}
