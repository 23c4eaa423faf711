/** How the training goes: the curves, live, and the newest figures. */

import { CURVES, Curves } from "./curves.js";
import { fill, h, pause, setText } from "./dom.js";
import { digits, isNumber, isShare, metric as metricText, metricTitle, share } from "./format.js";
import { draw, plotPlace } from "./plots.js";

const DRAW_EVERY_MS = 700;
const MOST_DRAWN = 800;
const FEW = 50; // so many values of a metric are worth a mark each
const NAMES = { sparsity: "Sparsity", alpha: "α", lambda: "λ", loss: "Loss", metric: "Metric" };

/**
 * The panel of one job.
 *
 * @param {Object} job for its target.
 * @param {AbortSignal} signal
 * @returns {{element: HTMLElement, add: (points: Object[]) => void, setMetricName: (name: string) => void}}
 */
export function trainingPanel(job, signal) {
  const curves = new Curves();
  const empty = h("p", { class: "muted" }, "The curves begin with the first steps of the training.");
  const places = Object.fromEntries(CURVES.map((name) => [name, plotPlace(NAMES[name])]));
  const values = Object.fromEntries(CURVES.map((name) => [name, h("span", { class: "now" })]));
  const titles = Object.fromEntries(CURVES.map((name) => [name, h("span", {}, NAMES[name])]));
  const cards = CURVES.map((name) => h("figure", { class: `curve ${name}`, hidden: true },
    h("figcaption", {}, h("span", {}, titles[name], name === "sparsity" ? h("span", { class: "muted" }, " against the target") : null), values[name]), places[name]));
  const trouble = h("p", { class: "muted" });
  let waiting = false;
  let stale = false; // something came, a point or a name, that the drawing at work may not show
  let metricName = "";

  /** One curve after the other, with the page's own work between: each drawing is a few dozen milliseconds. */
  async function redraw() {
    empty.hidden = curves.points > 0;
    // All at once: each that appears makes those beside it narrower.
    for (const [i, name] of CURVES.entries()) cards[i].hidden = curves.length(name) === 0;
    for (const name of CURVES) {
      if (signal.aborted) return;
      if (!curves.length(name)) continue;
      const text = valueText(name, curves.latest(name));
      values[name].textContent = text;
      places[name].setAttribute("aria-label", `${titles[name].textContent} over the steps of the training; now ${text}`);
      try {
        await draw(places[name], (colours) => figureOf(name, { curves, job, metricName }, colours), { signal });
      } catch (error) {
        fill(trouble, error.message);
      }
      await pause(0, signal);
    }
  }

  /** One drawing for all that came in between: each costs the same however many points there are. */
  async function redrawLater() {
    stale = true;
    if (waiting) return;
    waiting = true;
    while (stale) {
      await pause(DRAW_EVERY_MS, signal);
      stale = false;
      await redraw();
    }
    waiting = false;
  }

  function valueText(name, value) {
    return name === "sparsity" ? share(value) : name === "metric" ? metricText(metricName, value) : digits(value, 4);
  }

  const element = h("section", { "aria-label": "Training", "data-points": 0 }, h("h2", {}, "Training"), empty, trouble, cards[0], h("div", { class: "curves" }, cards.slice(1)));
  function setMetricName(name) {
    if (name === metricName) return;
    metricName = name;
    setText(titles.metric, metricTitle(name));
    if (curves.length("metric")) redrawLater();
  }

  return {
    element,
    add(points) {
      for (const point of points) curves.add(point);
      const named = points.findLast((point) => point.metric_name);
      if (named) setMetricName(named.metric_name);
      element.dataset.points = curves.points;
      if (points.length) redrawLater();
    },
    setMetricName,
  };
}

function figureOf(name, { curves, job, metricName }, colours) {
  const { x, y } = curves.thinned(name, MOST_DRAWN);
  const line = { type: "scatter", mode: y.length < 3 || (name === "metric" && y.length <= FEW) ? "markers+lines" : "lines", x, y, line: { color: colours.main, width: 1.75 }, marker: { color: colours.main, size: y.length < 3 ? 7 : 5 }, hovertemplate: "step %{x}: %{y:.4~g}<extra></extra>", connectgaps: false };
  const layout = { margin: { l: 52, r: 14, t: 8, b: 34 }, xaxis: { title: { text: "step", standoff: 4 }, nticks: name === "sparsity" ? 8 : 4, tickangle: 0, automargin: false }, yaxis: {} };
  if (name === "loss" && spansDecades(y)) layout.yaxis = { type: "log", dtick: 1, tickformat: "~g" };
  if (name === "metric" && isShare(metricName)) layout.yaxis = { tickformat: ".1%" };
  layout.yaxis.automargin = false;
  if (isFlat(y)) layout.yaxis.range = [0.5 * y[0] || -1, 1.5 * y[0] || 1];
  if (name !== "sparsity") return { traces: [line], layout };
  const goal = job.spec.target_sparsity;
  layout.shapes = [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: goal, y1: goal, line: { color: colours.accent, width: 1.5, dash: "dash" } }];
  layout.annotations = [{ xref: "paper", x: 1, y: goal, xanchor: "right", yanchor: "bottom", text: `target ${goal}`, showarrow: false, font: { color: colours.accent } }];
  layout.yaxis = { range: rangeWith(goal, y), automargin: false };
  return { traces: [line], layout };
}

/** Whether nothing has changed yet. */
function isFlat(values) {
  return values.every((value) => value === values[0]);
}

/** Whether only a logarithm shows both ends. */
function spansDecades(values) {
  const all = values.filter((value) => value !== null);
  return all.every((value) => value > 0) && Math.max(...all) > 30 * Math.min(...all);
}

/** The values and the target, with air around. */
function rangeWith(goal, values) {
  const all = values.filter(isNumber).concat(goal);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const air = Math.max(0.08 * (high - low), 0.004);
  return [Math.max(0, low - air), Math.min(1.02, high + 2 * air)];
}
