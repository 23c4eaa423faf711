/** Lines to copy. */

import { fill, h, newId, setText } from "./dom.js";
import { announce } from "./notices.js";

/**
 * A block of code with a button that copies it.
 *
 * @param {string} label what it is.
 * @returns {{element: HTMLElement, set: (text: string) => void}}
 */
export function copyable(label, text = "") {
  const id = newId("code");
  const code = h("pre", { tabindex: "0", "aria-labelledby": id, role: "group" }, h("code", {}, text));
  const button = h("button", { type: "button", class: "quiet small", "aria-label": `Copy: ${label}`, onclick: copy }, "Copy");
  let timer = 0;

  async function copy() {
    try {
      await navigator.clipboard.writeText(code.textContent);
      setText(button, "Copied");
      announce(`${label}: copied`);
    } catch {
      // Browsers give the clipboard to pages from this machine or over TLS alone.
      getSelection().selectAllChildren(code);
      setText(button, "Selected: press Ctrl+C");
      announce(`${label}: selected, press Control and C`);
    }
    clearTimeout(timer);
    timer = setTimeout(() => setText(button, "Copy"), 3000);
  }

  return {
    element: h("div", { class: "copyable" }, h("div", { class: "copyable-head" }, h("span", { id, class: "small muted" }, label), button), code),
    set(value) {
      if (code.textContent !== value) fill(code, h("code", {}, value));
    },
  };
}
