/** Looking again: while the page is seen, with more patience while the service does not answer. */

import { Problem, Unreachable, isAborted } from "./api.js";
import { pause } from "./dom.js";
import { showConnection } from "./notices.js";

const LONGEST_PAUSE_MS = 15000;

/**
 * Calls `look` every so often until it says that it has seen enough, or the signal says to stop.
 *
 * @param {(signal: AbortSignal) => Promise<boolean>} look tells whether there is more to see.
 * @param {number} everyMs
 * @param {AbortSignal} signal
 * @throws {Problem} the service refuses, and would again.
 */
export async function poll(look, everyMs, signal) {
  let waitMs = everyMs;
  while (!signal.aborted) {
    await seen(signal);
    if (signal.aborted) return;
    try {
      const more = await look(signal);
      showConnection("");
      if (!more) return;
      waitMs = everyMs;
    } catch (error) {
      if (isAborted(error) || signal.aborted) return;
      if (!isPassing(error)) throw error;
      waitMs = Math.min(Math.max(2 * waitMs, 1000), LONGEST_PAUSE_MS);
      showConnection(`The service does not answer. Trying again in ${Math.round(waitMs / 1000)} s; what is shown may be old.`);
    }
    await pause(waitMs, signal);
  }
}

/** Whether trying again later may help. */
export function isPassing(error) {
  return error instanceof Unreachable || (error instanceof Problem && (error.status >= 500 || error.status === 429));
}

function seen(signal) {
  if (document.visibilityState === "visible") return null;
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true, signal });
    signal.addEventListener("abort", resolve, { once: true });
  });
}
