/** The key: typed once, kept while the tab is open. Whatever waited for it goes on by itself. */

import { fill, h } from "./dom.js";
import { sentence } from "./notices.js";
import { apiKey, setApiKey } from "./session.js";

let waiting = null;

/**
 * Asks for a key, unless another one than the refused was entered meanwhile.
 *
 * @param {Error} problem why.
 * @param {string} refused the key that the call was made with; empty where it was made without.
 * @param {AbortSignal} [signal] of whoever waits: they may leave.
 * @returns {Promise<void>} once there is another key.
 */
export async function askForKey(problem, refused, signal) {
  if (apiKey() !== refused) return;
  waiting ??= open(refused ? problem : null).finally(() => { waiting = null; });
  await Promise.race([waiting, leaving(signal)]);
}

/** Lets the key be changed or forgotten. */
export async function changeKey() {
  waiting ??= open(null, { mayLeave: true }).finally(() => { waiting = null; });
  await waiting;
}

function open(problem, { mayLeave = false } = {}) {
  const input = h("input", { type: "password", id: "key", name: "key", autocomplete: "off", spellcheck: "false", required: true, value: apiKey(), "aria-describedby": "key-help" });
  const trouble = h("div", { role: "alert" });
  if (problem) fill(trouble, h("p", { class: "notice bad" }, h("strong", {}, sentence(problem.message)), " ", sentence(problem.hint)));
  return new Promise((resolve) => {
    const done = (key) => {
      if (key !== null) setApiKey(key);
      dialog.close();
      dialog.remove();
      resolve();
    };
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "key-title" },
      h("form", { onsubmit: (event) => { event.preventDefault(); if (input.value.trim()) done(input.value.trim()); } },
        h("h2", { id: "key-title" }, "API key"),
        trouble,
        h("label", { for: "key" }, "Key"),
        input,
        h("p", { class: "muted small", id: "key-help" }, "It begins with ", h("code", {}, "sterna_"), ". It is kept in this tab until it is closed, and sent to this service alone. An operator makes one with ", h("code", {}, "sterna keys create"), "."),
        h("p", { class: "actions" },
          h("button", { type: "submit", class: "primary" }, "Use this key"),
          mayLeave ? h("button", { type: "button", onclick: () => done(null) }, "Close") : null,
          mayLeave && apiKey() ? h("button", { type: "button", onclick: () => done("") }, "Forget it") : null)));
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); if (mayLeave) done(null); });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
    input.select();
  });
}

function leaving(signal) {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
