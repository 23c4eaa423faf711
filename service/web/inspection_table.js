/** What becomes ternary and what does not, before anything is trained. */

import { h } from "./dom.js";
import { shape, whole } from "./format.js";
import { dataTable } from "./table.js";

/**
 * The layers of an inspected model.
 *
 * @param {Object} inspection an answer of `GET /v1/uploads/{id}/inspection`.
 */
export function inspectionTable(inspection) {
  const { layers, parameters, ternarisable_weights: ternary } = inspection;
  const kept = layers.filter((layer) => !layer.ternarisable).length;
  const inputs = inspection.inputs.map((one) => `${one.name} (${one.dtype}, ${shape(one.shape)})`).join(", ");
  return h("div", {},
    h("p", {},
      h("strong", {}, `${whole(ternary)} of ${whole(parameters)} parameters`), ` (${parameters ? Math.round((100 * ternary) / parameters) : 0} %) in ${layers.length - kept} ${layers.length - kept === 1 ? "layer" : "layers"} become ternary`,
      kept ? `; ${kept} ${kept === 1 ? "layer stays" : "layers stay"} as ${kept === 1 ? "it is" : "they are"}.` : "."),
    h("p", { class: "muted small" }, `Format ${inspection.format}. Takes ${inputs}.`),
    dataTable({
      label: "Layers of the model",
      columns: [
        { head: "Layer", cell: (layer) => h("code", {}, layer.name), wide: true },
        { head: "Kind", cell: (layer) => layer.kind },
        { head: "Shape", cell: (layer) => shape(layer.shape), number: true },
        { head: "Weights", cell: (layer) => whole(layer.weights), number: true },
        { head: "Becomes ternary", cell: (layer) => (layer.ternarisable ? h("span", { class: "yes" }, "yes") : h("span", { class: "no" }, "no: ", layer.why_not)) },
      ],
      rows: layers,
      scroll: true,
    }));
}
