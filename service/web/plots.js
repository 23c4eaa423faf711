/** Plots in the colours of the page. */

import { h } from "./dom.js";
import { loadPlotly, wantsPlotly } from "./plotly_script.js";

const CONFIG = { displayModeBar: false, responsive: true, staticPlot: false, doubleClick: "reset", scrollZoom: false };
const drawn = new Map();

/**
 * A place for a plot.
 *
 * @param {string} label what a screen reader hears of it; may be changed with the drawing.
 */
export function plotPlace(label, className = "plot") {
  return h("div", { class: className, role: "img", "aria-label": label });
}

/**
 * Draws, or draws anew.
 *
 * @param {HTMLElement} place from `plotPlace`.
 * @param {(colours: Object) => {traces: Object[], layout: Object}} figure made anew when light and dark change.
 * @param {{onPoint?: (data: any) => void, signal: AbortSignal}} options `onPoint`: hears of the `customdata` of a
 *   point that is chosen.
 */
export async function draw(place, figure, { onPoint, signal }) {
  const plotly = await loadPlotly();
  if (signal.aborted || !place.isConnected) return;
  const fresh = !drawn.has(place);
  drawn.set(place, figure);
  if (fresh) followSize(plotly, place, signal);
  await redraw(plotly, place, figure);
  if (!fresh) return;
  signal.addEventListener("abort", () => { drawn.delete(place); plotly.purge(place); }, { once: true });
  if (onPoint) place.on("plotly_click", (event) => onPoint(event.points[0].customdata));
}

/** Plotly follows the window alone; a place also becomes narrower when another appears beside it. */
function followSize(plotly, place, signal) {
  let width = place.clientWidth;
  const observer = new ResizeObserver(() => {
    if (!place.clientWidth || place.clientWidth === width) return;
    width = place.clientWidth;
    plotly.Plots.resize(place);
  });
  observer.observe(place);
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
}

function redraw(plotly, place, figure) {
  const colours = theme();
  const { traces, layout } = figure(colours);
  return plotly.react(place, traces, { ...common(colours), ...layout, xaxis: { ...axis(colours), ...layout.xaxis }, yaxis: { ...axis(colours), ...layout.yaxis } }, CONFIG);
}

/** The colours of the page as they are now. */
function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return { ink: colour("ink"), muted: colour("muted"), line: colour("line"), surface: colour("surface"), main: colour("plot-main"), second: colour("plot-second"), accent: colour("plot-accent"), soft: colour("plot-soft") };
}

function common(colours) {
  return {
    autosize: true,
    margin: { l: 56, r: 12, t: 8, b: 36 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 12, color: colours.muted },
    hoverlabel: { bgcolor: colours.surface, bordercolor: colours.line, font: { color: colours.ink } },
    showlegend: false,
    dragmode: false,
    transition: { duration: 0 },
  };
}

function axis(colours) {
  return { gridcolor: colours.line, zerolinecolor: colours.line, linecolor: colours.line, automargin: true, nticks: 6 };
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", async () => {
  if (!wantsPlotly()) return;
  const plotly = await loadPlotly();
  for (const [place, figure] of drawn) redraw(plotly, place, figure);
});
