/**
 * Plotly's script from the installed package, held to the page's policy. To read it occupies the page for about half a
 * second, in one piece: that is done while nobody does anything, or, at the latest, when the first plot is drawn.
 */

import { h, pause } from "./dom.js";

const QUIET_MS = 2000;

let loading = null;

/**
 * The script's own object.
 *
 * @throws {Error} it is not installed, or did not come.
 */
export function loadPlotly() {
  loading ??= load().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/**
 * Loads it before it is needed, once the page has not been touched for a while. Where that does not work nothing is
 * said: the first plot tries again. Not where traffic is to be saved.
 */
export async function loadPlotlyWhenIdle() {
  const address = document.documentElement.dataset.plotly;
  if (!address || navigator.connection?.saveData) return;
  await untilQuiet();
  if (loading) return;
  try {
    // Into the browser's cache first: when it has come somebody may be typing.
    await (await fetch(address, { priority: "low" })).arrayBuffer();
    await untilQuiet();
    await loadPlotly();
  } catch {
    // As said above.
  }
}

/** Whether it was asked for: there are plots then. */
export function wantsPlotly() {
  return loading !== null;
}

function load() {
  const address = document.documentElement.dataset.plotly;
  if (!address) return Promise.reject(new Error("There are no plots: the service was installed without plotly."));
  return new Promise((resolve, reject) => {
    const end = withoutStyles();
    const script = h("script", {
      src: address,
      onload: () => { end(); resolve(window.Plotly); },
      onerror: () => { end(); script.remove(); reject(new Error("The plots did not come: the service does not answer. Load the page anew.")); },
    });
    document.head.append(script);
  });
}

/** Waits until nobody has typed, clicked or scrolled for a while, and the browser has nothing else to do. */
async function untilQuiet() {
  const heard = ["pointerdown", "keydown", "wheel", "touchmove"];
  let last = performance.now();
  const hear = () => { last = performance.now(); };
  for (const name of heard) addEventListener(name, hear, { capture: true, passive: true });
  for (let left = QUIET_MS; left > 0; left = last + QUIET_MS - performance.now()) await pause(left);
  for (const name of heard) removeEventListener(name, hear, { capture: true });
  if (window.requestIdleCallback) await new Promise((resolve) => { requestIdleCallback(resolve); });
}

/**
 * While the script is read it writes a style sheet for maps, of which we draw none; the policy would refuse it and
 * report a breach. What it makes meanwhile as a style is an element that does nothing.
 */
function withoutStyles() {
  document.createElement = (name, ...more) => Document.prototype.createElement.call(document, name === "style" ? "template" : name, ...more);
  return () => { delete document.createElement; };
}
