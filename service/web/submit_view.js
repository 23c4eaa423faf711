/** The page where a network is submitted: files, what becomes of them, the target, and the same order for a shell. */

import { Problem, get, isAborted, newIdempotencyKey, post } from "./api.js";
import { curlJob, curlSweep, sternaCommand } from "./commands.js";
import { copyable } from "./copyable.js";
import { debounced, fill, h, newId } from "./dom.js";
import { fileField } from "./file_field.js";
import { bytes, roughly, target } from "./format.js";
import { inspectionTable } from "./inspection_table.js";
import { announce, problemBox, showProblem } from "./notices.js";
import { optionsForm, specOf } from "./options_form.js";
import { apiKey, draft, setDraft } from "./session.js";
import { targetField } from "./target_field.js";

const ESTIMATE_PAUSE_MS = 250;
const MOST_ESTIMATES = 6;
const EXPORT_HINT = 'Export it with stock torch: torch.export.save(torch.export.export(model, (example,)), "model.pt2"), or send one .onnx file.';
const ABOUT_THE_SPEC = new Set(["INVALID_SPEC", "TARGET_UNREACHABLE", "NOTHING_TO_TERNARISE", "EXPORT_UNSUPPORTED"]);
const NO_MODELS = /\.(pt|pth|ckpt|bin|pkl|h5|keras|tflite|py|safetensors|gguf|sterna|npz|npy|csv|png|jpe?g|pdf|txt|tar|gz)$/i;
const NO_DATA = /\.(pt2?|pth|onnx|pkl|csv|npy|txt|png|jpe?g|pdf|tar|gz|h5|zip)$/i;

/** Shows the view in a place until the signal says to stop. */
export function show(place, _id, _query, signal) {
  const known = draft();
  const state = { model: known.model ?? null, data: known.data ?? null, readable: false, key: newIdempotencyKey(), sent: "" };
  const inspected = h("div", { "aria-live": "polite" });
  const trouble = h("div", {});
  const nameId = newId("name");
  const name = h("input", { id: nameId, type: "text", maxlength: 255, autocomplete: "off", value: known.name ?? "", oninput: changed, placeholder: "the model's file name" });
  const goal = targetField({ several: false, one: "0.9", list: "0.5, 0.7, 0.9", beside: "", ...known.target }, changed);
  const options = optionsForm(known.options ?? {}, changed);
  const curl = copyable("With curl");
  const command = copyable("With the command line");
  const button = h("button", { type: "submit", class: "primary" }, "Start the job");
  const model = fileField({
    label: "Model", hint: ".pt2 of torch.export.save, .onnx, or a zip of config.json and model.safetensors", accept: ".pt2,.onnx,.zip", initial: state.model, signal,
    refuse: (file) => (NO_MODELS.test(file.name) ? wrongFile(file, "no model that is read", EXPORT_HINT) : null),
    onChange: (upload) => { state.model = upload; changed(); inspect(); },
  });
  const data = fileField({
    label: "Data", hint: "Optional: .npz or .safetensors, an array for each input, and target", accept: ".npz,.safetensors", initial: state.data, signal,
    refuse: (file) => (NO_DATA.test(file.name) ? wrongFile(file, "no data that is read", 'Save it with np.savez("data.npz", input=…, target=…): an array for each input, by its name.') : null),
    onChange: (upload) => { state.data = upload; changed(); },
  });

  fill(place,
    h("h1", { tabindex: "-1" }, "Make a network ternary"),
    h("p", { class: "lead" }, "Give a trained network and a share of zeros; get back one file, 10 to 50 times smaller, with exactly that share."),
    h("form", { class: "columns", novalidate: true, onsubmit: submit },
      h("div", { class: "column" }, model.element, data.element, goal.element,
        h("div", { class: "field" }, h("label", { for: nameId }, "Name"), name),
        options.element, trouble, h("p", { class: "actions" }, button)),
      h("div", { class: "column" },
        h("section", { "aria-label": "What becomes ternary" }, h("h2", {}, "What becomes ternary"), inspected),
        h("section", { "aria-label": "The same for a shell" }, h("h2", {}, "The same for a shell"), curl.element, command.element))));

  const estimate = debounced(predict, ESTIMATE_PAUSE_MS);

  function changed() {
    setDraft({ model: state.model, data: state.data, name: name.value, target: goal.values(), options: options.values() });
    button.textContent = goal.values().several ? "Start the sweep" : "Start the job";
    writeCommands();
    estimate();
  }

  /** The spec as far as both ways of sending share it. */
  function common() {
    const spec = specOf(options.values());
    const title = name.value.trim() || state.model?.filename;
    if (title) spec.labels = { ...spec.labels, name: title };
    return spec;
  }

  function writeCommands() {
    const several = goal.values().several;
    const targets = goal.targets();
    const order = { model: state.model?.filename ?? "model.pt2", data: state.data?.filename ?? (state.model ? null : "data.npz"), address: location.origin, keyed: apiKey() !== "" };
    const spec = several ? { ...common(), ...severalFields(targets) } : { target_sparsity: targets[0], ...common() };
    curl.set(several ? curlSweep({ ...order, spec, modelId: state.model?.id, dataId: state.data?.id }) : curlJob({ ...order, spec }));
    command.set(sternaCommand({ ...order, spec, targets: several ? targets : null }));
  }

  /** What only a sweep has. */
  function severalFields(targets) {
    const beside = goal.beside();
    return beside === null ? { targets } : { targets, side_by_side: beside };
  }

  async function inspect() {
    model.setProblem(null);
    if (!state.model) return fill(inspected, h("p", { class: "muted" }, "Choose a model: its layers are listed here at once, with those that stay as they are and why."));
    const mine = state.model;
    state.readable = false;
    fill(inspected, h("p", { class: "muted" }, "Reading the model …"));
    try {
      const inspection = await get(`/v1/uploads/${mine.id}/inspection`, { signal });
      if (mine !== state.model) return;
      state.readable = true;
      fill(inspected, inspectionTable(inspection));
    } catch (error) {
      if (isAborted(error) || mine !== state.model) return;
      fill(inspected, h("p", { class: "muted" }, "Nothing is known of the model yet."));
      if (error.status === 404) return lost(error);
      model.setProblem(error, h("button", { type: "button", onclick: inspect }, "Try again"));
    }
  }

  /** The uploads of the draft are no longer there: the rest of it is. */
  function lost(error) {
    setDraft({ ...draft(), model: null, data: null });
    state.model = state.data = null;
    showProblem(trouble, Object.assign(error, { hint: "The upload is gone: choose the files once more. Everything else is kept.", errors: [] }));
  }

  async function predict(pausing) {
    data.setProblem(null);
    if (!state.model) return fill(goal.size, h("span", { class: "muted" }, "The predicted size appears here once there is a model."));
    const targets = goal.targets().slice(0, MOST_ESTIMATES);
    const both = AbortSignal.any([pausing, signal]);
    try {
      const found = [];
      for (const one of targets) found.push(await post("/v1/jobs/estimate", spec(one), { signal: both }));
      fill(goal.size, targets.map((one, i) => predicted(one, found[i], state.model.bytes)));
      showProblem(trouble, null);
    } catch (error) {
      if (isAborted(error)) return;
      fill(goal.size, h("span", { class: "muted" }, "No size can be predicted yet."));
      if (!(error instanceof Problem) || error.status !== 422) return;
      if (ABOUT_THE_SPEC.has(error.code)) showProblem(trouble, error);
      else if (state.data && state.readable) data.setProblem(error);
    }
  }

  function spec(one) {
    return { ...common(), model: state.model.id, ...(state.data ? { data: state.data.id } : {}), target_sparsity: one };
  }

  async function submit(event) {
    event.preventDefault();
    if (!state.model) {
      showProblem(trouble, Object.assign(new Error("There is no model yet"), { hint: "Choose a model file above, and wait until it has arrived." }));
      document.getElementById(place.querySelector(".drop label").htmlFor).focus();
      return;
    }
    const several = goal.values().several;
    const targets = goal.targets();
    const { target_sparsity: first, ...rest } = spec(targets[0]);
    const body = several ? { ...rest, ...severalFields(targets) } : { ...rest, target_sparsity: first };
    // The same order sent again, after an answer that did not come, makes no second job.
    const text = JSON.stringify(body);
    if (text !== state.sent) Object.assign(state, { sent: text, key: newIdempotencyKey() });
    button.disabled = true;
    try {
      const made = await post(several ? "/v1/sweeps" : "/v1/jobs", body, { signal, headers: { "Idempotency-Key": state.key } });
      setDraft({ ...draft(), name: "" });
      announce(several ? "The sweep is submitted" : "The job is submitted");
      location.hash = several ? `#/sweeps/${made.id}` : `#/jobs/${made.id}`;
    } catch (error) {
      if (!isAborted(error)) fill(trouble, problemBox(error));
    } finally {
      button.disabled = false;
    }
  }

  changed();
  inspect();
}

function predicted(one, estimate, modelBytes) {
  return h("p", {},
    h("span", { class: "muted" }, `At ${target(one)}: about `), h("strong", {}, bytes(estimate.artifact_bytes)),
    h("span", { class: "muted" }, `, ${(modelBytes / estimate.artifact_bytes).toFixed(1)}× smaller than the file sent; ${roughly(estimate.seconds)} of work`));
}

function wrongFile(file, what, hint) {
  return Object.assign(new Error(`${file.name} is ${what} here`), { hint, code: "", errors: [] });
}
