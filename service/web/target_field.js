/** The share of zeros that is wanted: one, by slider or typed, or several to compare. */

import { h, newId, setText } from "./dom.js";

const LEAST = 0.3;
const MOST = 0.99;

/**
 * The field.
 *
 * @param {{several: boolean, one: string, list: string, beside: string}} initial
 * @param {() => void} onChange
 * @returns {{element: HTMLElement, size: HTMLElement, values: () => Object, targets: () => number[], beside: () => number?}}
 *   `size`: where the predicted size is shown. `targets`: what was asked for, one or more; a word that is no number
 *   is NaN. `beside`: of a sweep, how many trials for each target are jobs of their own; null: not given.
 */
export function targetField(initial, onChange) {
  const [oneId, listId, besideId, name] = [newId("target"), newId("targets"), newId("beside"), newId("kind")];
  const exact = h("input", { id: oneId, type: "number", class: "exact", min: 0, max: 1, step: "any", value: initial.one, inputmode: "decimal" });
  const slider = h("input", { type: "range", min: LEAST, max: MOST, step: 0.01, value: initial.one, "aria-label": "Target sparsity, slider" });
  const list = h("input", { id: listId, type: "text", value: initial.list, inputmode: "decimal", autocomplete: "off", spellcheck: "false", "aria-describedby": `${listId}-help` });
  const beside = h("input", { id: besideId, type: "number", min: 2, max: 8, step: 1, value: initial.beside, inputmode: "numeric", "aria-describedby": `${besideId}-help` });
  const radios = [[false, "One target"], [true, "Compare several"]].map(([several, label]) => h("label", { class: "check" },
    h("input", { type: "radio", name, value: several ? "several" : "one", checked: several === initial.several, onchange: choose }), " ", label));
  const size = h("output", { class: "predicted", for: oneId });
  const single = h("div", { class: "target-row" }, slider, h("label", { for: oneId, class: "unseen" }, "Target sparsity"), exact);
  const many = h("div", {}, h("label", { for: listId }, "Targets"), list, h("p", { class: "muted small", id: `${listId}-help` }, "Shares of zeros with commas between. Each becomes a job of one sweep."),
    h("label", { for: besideId }, "Trials side by side"), beside, h("p", { class: "muted small", id: `${besideId}-help` }, "2 to 8, where α is found by trials (an option below): so many jobs for each target at once, in up to three rounds. Left empty, one job makes its trials one after the other."));
  const ends = h("p", { class: "ends small muted" }, h("span", {}, "more accurate"), h("span", {}, "smaller"));

  slider.addEventListener("input", () => { exact.value = slider.value; changed(); });
  exact.addEventListener("input", () => { slider.value = exact.value; changed(); });
  list.addEventListener("input", onChange);
  beside.addEventListener("input", onChange);

  function isSeveral() {
    return radios[1].firstChild.checked;
  }

  function changed() {
    slider.setAttribute("aria-valuetext", `${Math.round(100 * slider.value)} percent zeros`);
    onChange();
  }

  function choose() {
    single.hidden = ends.hidden = isSeveral();
    many.hidden = !isSeveral();
    onChange();
  }

  single.hidden = ends.hidden = initial.several;
  many.hidden = !initial.several;
  slider.setAttribute("aria-valuetext", `${Math.round(100 * slider.value)} percent zeros`);
  setText(size, "");
  return {
    element: h("fieldset", { class: "target" }, h("legend", {}, "Target sparsity"), h("div", { class: "checks" }, radios), single, ends, many, size),
    size,
    values: () => ({ several: isSeveral(), one: exact.value, list: list.value, beside: beside.value }),
    targets: () => (isSeveral() ? list.value.split(/[\s,;]+/).filter((word) => word !== "") : [exact.value]).map((word) => (word === "" ? NaN : Number(word))),
    beside: () => (isSeveral() && beside.value.trim() ? Number(beside.value) : null),
  };
}
