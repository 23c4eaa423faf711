/** A place to drop a file, or to choose one: it is sent at once, and keeps what went wrong beside it. */

import { isAborted } from "./api.js";
import { fill, h, newId, setText } from "./dom.js";
import { bytes } from "./format.js";
import { announce, problemBox } from "./notices.js";
import { upload } from "./upload.js";

const STAGES = { hashing: "Reading", sending: "Sending", waiting: "The service does not answer; trying again. What arrived is kept", checking: "Checking" };

/**
 * A field for one file.
 *
 * @param {{label: string, hint: string, accept: string, initial: Object?, refuse: (file: File) => Error?,
 *          onChange: (upload: Object?) => void, onTrouble?: (error: Error?) => void, signal: AbortSignal}} options
 *   `initial`: the upload that a draft remembers. `refuse`: what is wrong with a file that need not be sent.
 *   `onChange`: hears of the complete upload, and of null when there is none any more.
 * @returns {{element: HTMLElement, setProblem: (error: Error?) => void}}
 */
export function fileField({ label, hint, accept, initial, refuse, onChange, signal }) {
  const id = newId("file");
  const input = h("input", { type: "file", id, accept, class: "unseen", "aria-describedby": `${id}-state`, onchange: () => take(input.files[0]) });
  const state = h("p", { class: "file-state", id: `${id}-state` });
  const bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": `${label}: progress` });
  const remove = h("button", { type: "button", class: "quiet small", hidden: true, onclick: () => clear() }, "Remove");
  const trouble = h("div", { class: "file-trouble" });
  const element = h("div", { class: "drop" },
    h("label", { for: id, class: "drop-label" }, h("strong", {}, label), " ", h("span", { class: "muted" }, "drop a file or ", h("u", {}, "choose one"))),
    input, state, bar, remove, trouble);
  let running = null;

  for (const name of ["dragenter", "dragover"]) element.addEventListener(name, (event) => { event.preventDefault(); element.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) element.addEventListener(name, () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => { event.preventDefault(); if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]); });
  signal.addEventListener("abort", () => running?.abort(signal.reason));

  function idle() {
    setText(state, hint);
    bar.hidden = remove.hidden = true;
    element.classList.remove("has");
  }

  function shown(done) {
    setText(state, `${done.filename} · ${bytes(done.bytes)}`);
    element.classList.add("has");
    bar.hidden = true;
    remove.hidden = false;
    setText(remove, `Remove ${label.toLowerCase()}`);
  }

  function clear() {
    running?.abort();
    input.value = "";
    fill(trouble);
    idle();
    onChange(null);
    input.focus();
  }

  async function take(file) {
    if (!file) return;
    running?.abort();
    running = new AbortController();
    const mine = running;
    fill(trouble);
    onChange(null);
    const refusal = refuse(file);
    if (refusal) {
      idle();
      setText(state, `${file.name} · ${bytes(file.size)}`);
      return setProblem(refusal);
    }
    bar.hidden = remove.hidden = false;
    setText(remove, "Cancel");
    element.classList.remove("has");
    try {
      const done = await upload(file, (told) => tell(file, told), mine.signal);
      if (mine !== running) return;
      shown(done);
      announce(`${label} ${file.name} is uploaded`);
      onChange(done);
    } catch (error) {
      if (isAborted(error) || mine !== running) return;
      idle();
      setText(state, `${file.name} · ${bytes(file.size)}`);
      setProblem(error, h("button", { type: "button", onclick: () => take(file) }, "Try again"));
    }
  }

  function tell(file, { stage, done }) {
    bar.value = file.size ? done / file.size : 0;
    const percent = Math.floor(100 * bar.value);
    setText(state, `${STAGES[stage]} ${stage === "waiting" ? `(${percent} %)` : `${file.name} · ${percent} % of ${bytes(file.size)}`}`);
  }

  function setProblem(error, ...actions) {
    fill(trouble, error ? problemBox(error, ...actions) : null);
    element.classList.toggle("wrong", Boolean(error));
  }

  if (initial) shown(initial);
  else idle();
  return { element, setProblem };
}
