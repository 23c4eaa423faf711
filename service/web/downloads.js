/** The files of a job: what each is, how to be sure of it, how to load it. */

import { apiKey } from "./session.js";
import { isAborted, request } from "./api.js";
import { copyable } from "./copyable.js";
import { h, setText } from "./dom.js";
import * as format from "./format.js";
import { announce, showProblem } from "./notices.js";
import { dataTable } from "./table.js";

/** How each kind of file is loaded, in two lines. */
const LOADING = [
  [/\.sterna$/, (name) => `import sterna\nnetwork = sterna.load("${name}")  # a torch module in evaluation mode`],
  [/\.onnx$/, (name) => `import onnxruntime\nsession = onnxruntime.InferenceSession("${name}")`],
  [/\.gguf$/, (name) => `import gguf\nreader = gguf.GGUFReader("${name}")`],
  [/\.safetensors$/, (name) => `from safetensors.numpy import load_file\ntensors = load_file("${name}")`],
  [/\.pt2$/, (name) => `import torch\nnetwork = torch.export.load("${name}").module()`],
];

/** The table of files, and under it how each is loaded. */
export function downloads(job, signal) {
  const trouble = h("div", {});
  const files = job.result.artifacts;
  return h("section", { class: "downloads", "aria-label": "Files" },
    h("h3", {}, "Files"),
    trouble,
    dataTable({
      label: "Files",
      columns: [
        { head: "File", cell: (file) => link(file, trouble, signal), wide: true },
        { head: "Size", cell: (file) => h("span", { title: `${format.whole(file.bytes)} bytes` }, format.bytes(file.bytes)), number: true },
        { head: "Measured", cell: measured },
        { head: "SHA-256", cell: (file) => h("code", { class: "digest" }, file.sha256) },
      ],
      rows: files,
    }),
    h("div", { class: "loading" }, files.map((file) => {
      const lines = LOADING.find(([pattern]) => pattern.test(file.name))?.[1](file.name);
      return lines ? copyable(`Load ${file.name}`, lines).element : null;
    })));
}

/** Larger files are written to disk as they come, where the browser lets a page do so; others it keeps in memory first. */
const MOST_IN_MEMORY = 64 * 2 ** 20;

/** Without a key the browser saves the file by itself; with one it has to be fetched, for a link sends none. */
function link(file, trouble, signal) {
  const [label, picture] = [`Download ${file.name}`, h("span", { class: "arrow", "aria-hidden": "true" }, "↓ ")];
  if (!apiKey()) return h("a", { class: "download", href: file.url, download: file.name, "aria-label": label }, picture, file.name);
  return h("button", { type: "button", class: "download", "aria-label": label, onclick: ({ currentTarget }) => save(file, currentTarget, trouble, signal) }, picture, h("span", {}, file.name));
}

async function save(file, button, trouble, signal) {
  const text = button.lastChild;
  button.disabled = true;
  showProblem(trouble, null);
  try {
    // Asked first: the browser lets a page ask only right after a click.
    const target = file.bytes > MOST_IN_MEMORY && window.showSaveFilePicker ? await window.showSaveFilePicker({ suggestedName: file.name }) : null;
    const answer = await request("GET", file.url, { signal });
    const body = answer.body.pipeThrough(counted((done) => setText(text, `${file.name}: ${Math.floor((100 * done) / file.bytes)} %`)));
    if (target) await body.pipeTo(await target.createWritable(), { signal });
    else offer(await new Response(body, { headers: { "Content-Type": file.media_type } }).blob(), file.name);
    announce(`${file.name} is downloaded`);
  } catch (error) {
    if (!isAborted(error)) showProblem(trouble, error instanceof TypeError ? Object.assign(error, { message: "The connection broke during the download", hint: "Download it again." }) : error);
  } finally {
    button.disabled = false;
    setText(text, file.name);
  }
}

/** Passes bytes on and tells how many there were. */
function counted(onBytes) {
  let done = 0;
  return new TransformStream({ transform(piece, passed) { done += piece.length; onBytes(done); passed.enqueue(piece); } });
}

/** Has the browser save what is in its memory. */
function offer(content, name) {
  const address = URL.createObjectURL(content);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

function measured(file) {
  const found = file.measured;
  return found ? h("span", { title: `in ${found.runtime} ${found.version}` }, `${found.name} ${format.metric(found.name, found.value)} in ${found.runtime}`) : "–";
}
