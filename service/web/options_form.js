/** The advanced options of a spec, folded away; what is left as it is, is not sent. */

import { h, newId } from "./dom.js";

const EXPORTS = [["onnx", "ONNX"], ["gguf", "GGUF"], ["safetensors", "safetensors, dense"], ["pt2", ".pt2"]];

/** Each field: where it goes in the spec, what it is called, what it is. */
const FIELDS = [
  { path: "tolerance", label: "Tolerance", help: "How far the share of zeros may be off. Usual: 0.0005.", type: "number", min: 0, max: 0.4999, step: "any" },
  { path: "granularity", label: "Reached over", choices: [["", "the whole network"], ["layer", "each layer by itself"]] },
  { path: "objective", label: "Objective", choices: [["", "chosen by the data"], ["classification", "classification"], ["regression", "regression"], ["distillation", "distillation"]] },
  { path: "method", label: "Method", choices: [["", "regularised (SCA)"], ["ste", "straight-through (STE)"]] },
  { path: "search.strategy", label: "How α is found", choices: [["", "in one run"], ["trials", "by trials"], ["fixed", "as given"]] },
  { path: "search.alpha", label: "α", help: "Where α is as given, or for one trial alone: above 0, below 2.", type: "number", min: 0, max: 2, step: "any" },
  { path: "budget.epochs", label: "Epochs at most", type: "number", min: 0, step: "any" },
  { path: "budget.seconds", label: "Seconds at most", type: "number", min: 0, step: "any" },
  { path: "acceptance.max_drop", label: "The metric may lose", help: "In its own unit; accuracy is 0 to 1.", type: "number", min: 0, step: "any" },
  { path: "acceptance.on_miss", label: "Where it loses more", choices: [["", "deliver, with a warning"], ["fail", "fail the job"]] },
  { path: "seed", label: "Seed", type: "number", min: 0, max: 4294967295, step: 1 },
  { path: "time_limit_s", label: "Time limit, seconds", help: "An attempt that runs longer fails.", type: "number", min: 0, step: "any" },
  { path: "exclude", label: "Leave as they are", help: "Names of layers, one a line; * stands for anything.", lines: true },
  { path: "labels", label: "Labels", help: "key=value, one a line.", lines: true },
];

/**
 * The form.
 *
 * @param {Object} initial what a draft remembers, by path.
 * @param {() => void} onChange
 * @returns {{element: HTMLElement, values: () => Object}} values by path, empty ones left out.
 */
export function optionsForm(initial, onChange) {
  const inputs = new Map();
  const fields = FIELDS.map((field) => {
    const id = newId("option");
    const input = control(field, id, initial[field.path] ?? "");
    input.addEventListener("input", onChange);
    inputs.set(field.path, input);
    return h("div", { class: field.lines ? "field broad" : "field" }, h("label", { for: id }, field.label), input, field.help ? h("p", { class: "muted small", id: `${id}-help` }, field.help) : null);
  });
  const exports = EXPORTS.map(([name, label]) => {
    const box = h("input", { type: "checkbox", name: "exports", value: name, checked: (initial.exports ?? []).includes(name), onchange: onChange });
    return [box, h("label", { class: "check" }, box, " ", label)];
  });
  return {
    element: h("details", { class: "fold", open: Object.keys(initial).length > 0 },
      h("summary", {}, "Advanced options"),
      h("fieldset", { class: "broad" }, h("legend", {}, "Write these formats as well"), h("div", { class: "checks" }, exports.map(([, label]) => label))),
      h("div", { class: "fields" }, fields)),
    values() {
      const found = Object.fromEntries([...inputs].map(([path, input]) => [path, input.value.trim()]).filter(([, value]) => value !== ""));
      const wanted = exports.filter(([box]) => box.checked).map(([box]) => box.value);
      return wanted.length ? { ...found, exports: wanted } : found;
    },
  };
}

/** Values by path as the fields of a spec. What cannot be a number is sent as it was typed: the service says why not. */
export function specOf(values) {
  const spec = {};
  for (const field of FIELDS) {
    const text = values[field.path];
    if (text === undefined) continue;
    const [outer, inner] = field.path.split(".");
    const value = field.path === "labels" ? labelsOf(text) : field.lines ? linesOf(text) : field.type === "number" ? numberOf(text) : text;
    if (inner) spec[outer] = { ...spec[outer], [inner]: value };
    else spec[outer] = value;
  }
  if (values.exports) spec.exports = values.exports;
  return spec;
}

function control(field, id, value) {
  const described = field.help ? { "aria-describedby": `${id}-help` } : {};
  if (field.choices) {
    return h("select", { id, ...described }, field.choices.map(([key, label]) => h("option", { value: key, selected: key === value }, label)));
  }
  if (field.lines) return h("textarea", { id, rows: 2, spellcheck: "false", value, ...described });
  return h("input", { id, type: "number", inputmode: "decimal", min: field.min, max: field.max, step: field.step, value, ...described });
}

function numberOf(text) {
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
}

function labelsOf(text) {
  return Object.fromEntries(linesOf(text).map((line) => {
    const at = line.indexOf("=");
    return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }));
}
