/** What came out: the figures to decide by, where the zeros went, and the files. */

import { fill, h } from "./dom.js";
import { downloads } from "./downloads.js";
import * as format from "./format.js";
import { layersPanel } from "./layers_panel.js";
import { figure } from "./parts.js";

/** The panel of a job that has succeeded. */
export function resultPanel(job, signal) {
  const panel = h("section", { class: "result", "aria-label": "Result" });
  const { result } = job;
  return fill(panel,
    h("h2", {}, "Result"),
    h("dl", { class: "figures" }, ...metricFigures(result), ...sizeFigures(result)),
    downloads(job, signal),
    layersPanel(result, signal));
}

function metricFigures({ metric, agreement, sparsity, target_sparsity: goal, target_met: met }) {
  const exact = figure("Sparsity", format.share(sparsity), met ? `target ${format.target(goal)}, met` : `target ${format.target(goal)}, missed`);
  const figures = [];
  if (metric) {
    figures.push(figure(`${format.metricTitle(metric.name)} after`, format.metric(metric.name, metric.ternary), `before ${format.metric(metric.name, metric.baseline)}; ${format.drop(metric.name, metric.drop)}`));
  }
  if (format.isNumber(agreement) && metric?.name !== "agreement") figures.push(figure("Agreement", format.metric("agreement", agreement), "with the original, held-out samples"));
  return [...figures, exact];
}

function sizeFigures(result) {
  const over = result.entropy_bits_per_weight > 0 ? (100 * (result.bits_per_weight / result.entropy_bits_per_weight - 1)) : 0;
  return [
    figure("Whole file smaller by", `${result.ratio.toFixed(1)}×`, `${format.bytes(result.model_bytes)} → ${format.bytes(result.artifact_bytes)}`),
    figure("Bits per weight", format.digits(result.bits_per_weight, 4), `entropy ${format.digits(result.entropy_bits_per_weight, 4)} (${over >= 0 ? "+" : "−"}${Math.abs(over).toFixed(1)} %)`),
    result.alpha === null ? null : figure("α", format.digits(result.alpha, 4), `${format.whole(result.steps)} steps in ${format.duration(result.seconds)}`),
  ];
}
