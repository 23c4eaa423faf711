/** What is said beside the work: problems with what to do about them, news for screen readers, the state of the connection. */

import { fill, h, setText } from "./dom.js";

/** Tells a screen reader, without moving the focus. */
export function announce(text) {
  setText(document.getElementById("announcer"), text);
}

/** A line at the top of the page while the service does not answer; empty text takes it away. */
export function showConnection(text) {
  const banner = document.getElementById("connection");
  setText(banner, text);
  banner.classList.toggle("shown", text !== "");
}

/**
 * An error as a box: what happened and what to do.
 *
 * @param {Error} error a `Problem`, `Unreachable`, or a fault of the page.
 * @param {...HTMLElement} actions buttons that go with it.
 */
export function problemBox(error, ...actions) {
  return h("div", { class: "notice bad", role: "alert" }, ...problemText(error), actions.length ? h("p", { class: "actions" }, actions) : null);
}

/** Shows or takes away a problem in a place of its own. */
export function showProblem(place, error, ...actions) {
  return error ? fill(place, problemBox(error, ...actions)) : fill(place);
}

function problemText(error) {
  const fields = (error.errors ?? []).filter((field) => !error.message.includes(field.detail));
  return [
    h("p", {}, h("strong", {}, sentence(error.message))),
    fields.length ? h("ul", {}, fields.map((field) => h("li", {}, field.pointer ? h("code", {}, field.pointer) : null, " ", field.detail))) : null,
    error.hint ? h("p", {}, sentence(error.hint)) : null,
    error.code ? h("p", { class: "muted small" }, error.code) : null,
  ];
}

/** With a capital and a full stop, as the service's own words come without. */
export function sentence(text) {
  const trimmed = text.trim();
  if (!trimmed) return "";
  const begun = trimmed[0].toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
