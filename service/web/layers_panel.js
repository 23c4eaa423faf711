/** Where the zeros went: each layer's share of them and its size, and its weights before and after. */

import { fill, h, newId } from "./dom.js";
import * as format from "./format.js";
import { draw, plotPlace } from "./plots.js";
import { dataTable } from "./table.js";

/** Bars of all layers, histograms of a chosen one, and the same in figures. */
export function layersPanel(result, signal) {
  const { layers } = result;
  const sparsity = plotPlace(`Share of zeros of ${layers.length} layers; the table below has the figures`, "plot bars");
  const size = plotPlace(`Bytes of ${layers.length} layers; the table below has the figures`, "plot bars");
  const trouble = h("p", { class: "muted" });
  const told = (error) => fill(trouble, error.message);
  // Plots measure their place, so they are drawn once it is on the page.
  queueMicrotask(() => {
    for (const place of [sparsity, size]) place.classList.add(`rows-${Math.min(Math.ceil(layers.length / 4), 10)}`);
    draw(sparsity, (colours) => bars(layers, layers.map((layer) => layer.sparsity), { colours, goal: result.target_sparsity, text: format.share }), { signal }).catch(told);
    draw(size, (colours) => bars(layers, layers.map(bytesOf), { colours, text: format.bytes }), { signal }).catch(told);
  });
  return h("section", { "aria-label": "Layers" },
    h("h3", {}, "Where the zeros went"),
    trouble,
    h("div", { class: "pair" },
      h("figure", {}, h("figcaption", {}, "Sparsity of each layer"), h("div", { class: "scroll tall", tabindex: "0", role: "group", "aria-label": "Sparsity of each layer" }, sparsity)),
      h("figure", {}, h("figcaption", {}, "Packed size of each layer"), h("div", { class: "scroll tall", tabindex: "0", role: "group", "aria-label": "Packed size of each layer" }, size))),
    histograms(layers, signal),
    h("details", { class: "fold" }, h("summary", {}, `All ${layers.length} layers in figures`), layerTable(layers)));
}

function layerTable(layers) {
  return dataTable({
    label: "Ternary layers",
    columns: [
      { head: "Layer", cell: (layer) => h("code", {}, layer.name), wide: true },
      { head: "Shape", cell: (layer) => format.shape(layer.shape), number: true },
      { head: "Weights", cell: (layer) => format.whole(layer.weights), number: true },
      { head: "Sparsity", cell: (layer) => format.share(layer.sparsity), number: true },
      { head: "Packed", cell: (layer) => format.bytes(bytesOf(layer)), number: true },
      { head: "Bits per weight", cell: (layer) => format.digits((8 * bytesOf(layer)) / layer.weights, 4), number: true },
    ],
    rows: layers,
    scroll: true,
  });
}

/** Bytes of a layer's codes: as they are stored, or, where an older job does not say, as their entropy has it. */
function bytesOf(layer) {
  return layer.packed_bytes ?? Math.ceil((layer.weights * entropyBits(layer.sparsity)) / 8);
}

/** Entropy of ternary weights with such a share of zeros and as many of either sign, in bits. */
function entropyBits(sparsity) {
  const part = (share) => (share > 0 ? -share * Math.log2(share) : 0);
  return part(sparsity) + 2 * part((1 - sparsity) / 2);
}

function bars(layers, values, { colours, goal = null, text }) {
  const names = layers.map((layer) => layer.name);
  const trace = {
    type: "bar", orientation: "h", y: names, x: values, marker: { color: colours.main }, width: 0.62,
    text: values.map(text), textposition: "auto", insidetextfont: { color: colours.surface }, outsidetextfont: { color: colours.ink }, cliponaxis: false,
    hovertemplate: "%{y}: %{text}<extra></extra>",
  };
  const layout = {
    margin: { l: 12, r: 16, t: 8, b: 32 },
    xaxis: goal === null ? { rangemode: "tozero", tickformat: ".3~s" } : { range: [0, 1] },
    yaxis: { autorange: "reversed", type: "category", automargin: true, ticklabelstandoff: 6, nticks: null, tickmode: "array", tickvals: names, ticktext: names.map(shortened) },
  };
  if (goal !== null) layout.shapes = [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: goal, x1: goal, line: { color: colours.accent, width: 1.5, dash: "dash" } }];
  return { traces: [trace], layout };
}

function shortened(name) {
  return name.length > 22 ? `…${name.slice(-21)}` : name;
}

function histograms(layers, signal) {
  const with_ = layers.filter((layer) => layer.histogram);
  if (!with_.length) return null;
  const id = newId("layer");
  const place = plotPlace("Histogram of weights before and after");
  const shares = h("p", { class: "muted small" });
  const select = h("select", { id, onchange: show }, with_.map((layer, i) => h("option", { value: i }, layer.name)));
  function show() {
    const layer = with_[select.value];
    const { negative, positive } = layer.histogram;
    fill(shares, `−s ${format.share(negative)} · 0 ${format.share(layer.sparsity)} · +s ${format.share(positive)}. What lies beyond the ends is counted in the outermost bars.`);
    place.setAttribute("aria-label", `Weights of ${layer.name} before and after; after: ${shares.textContent}`);
    draw(place, (colours) => histogram(layer.histogram, colours), { signal }).catch(() => null);
  }
  queueMicrotask(show);
  return h("figure", { class: "histogram" },
    h("figcaption", {}, h("label", { for: id }, "Weights before and after"), " ", select),
    h("p", { class: "legend small", "aria-hidden": "true" }, h("span", { class: "key before" }), " before ", h("span", { class: "key after" }), " after"),
    place, shares);
}

function histogram({ low, high, before, after }, colours) {
  const width = (high - low) / before.length;
  const middles = before.map((_, i) => low + (i + 0.5) * width);
  const trace = (name, y, marker, barWidth) => ({ type: "bar", name, x: middles, y, marker, width: barWidth, hovertemplate: `%{x:.3~g}: %{y:,} ${name}<extra></extra>` });
  return {
    traces: [trace("before", before, { color: colours.soft }, width), trace("after", after, { color: colours.accent }, 0.45 * width)],
    layout: { barmode: "overlay", xaxis: { title: { text: "weight", standoff: 4 } }, yaxis: { title: { text: "weights", standoff: 4 }, type: "log", dtick: 1, tickformat: ",d" } },
  };
}
