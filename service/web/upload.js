/**
 * Sending a file in parts. What arrived stays: after a broken connection or a reload only the missing parts are sent,
 * and a content that the service knows is not sent at all.
 */

import { Problem, Unreachable, authorization, get, isAborted, post } from "./api.js";
import { askForKey } from "./key_dialog.js";
import { pause } from "./dom.js";
import { bytes, whole } from "./format.js";
import { apiKey, begunUpload, forgetUpload, rememberUpload } from "./session.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 15000;

/**
 * Sends a file, however long the service is away.
 *
 * @param {File} file
 * @param {(told: {stage: "hashing"|"sending"|"waiting"|"checking", done: number}) => void} onProgress in bytes.
 * @param {AbortSignal} signal
 * @returns {Promise<Object>} the complete upload.
 * @throws {Problem} the service refused it. @throws {Error} the file cannot be read, or is larger than the service takes.
 */
export async function upload(file, onProgress, signal) {
  if (file.size === 0) throw unusable("The file is empty");
  const limit = Number(document.documentElement.dataset.maxUploadBytes);
  if (file.size > limit) throw unusable(`The file has ${inFull(file.size)}, and at most ${inFull(limit)} are taken`, "Choose a smaller file, or ask whoever runs the service for a higher limit.");
  const sha256 = await digest(file, (done) => onProgress({ stage: "hashing", done }), signal);
  let state = await patiently(() => begin(file, sha256, signal), () => onProgress({ stage: "waiting", done: 0 }), signal);
  rememberUpload(sha256, state.id);
  while (!state.complete) {
    for (const number of state.missing_parts) {
      const start = number * state.part_bytes;
      const before = arrived(state, file);
      const tell = (sent) => onProgress({ stage: "sending", done: before + sent });
      const body = file.slice(start, Math.min(start + state.part_bytes, file.size));
      state = await patiently(() => sendPart(state.id, number, body, tell, signal), () => onProgress({ stage: "waiting", done: before }), signal);
    }
    onProgress({ stage: "checking", done: file.size });
    state = await patiently(() => post(`/v1/uploads/${state.id}/complete`, undefined, { signal }), () => onProgress({ stage: "waiting", done: file.size }), signal);
  }
  forgetUpload(sha256);
  return state;
}

/** The sha-256 of a file, computed in a worker. */
function digest(file, onDone, signal) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./hash_worker.js", import.meta.url), { type: "module" });
    const end = (settle, value) => { worker.terminate(); settle(value); };
    worker.onmessage = ({ data }) => {
      if (data.sha256) end(resolve, data.sha256);
      else if (data.failed) end(reject, unusable(`The file cannot be read: ${data.failed}`));
      else onDone(data.done);
    };
    worker.onerror = () => end(reject, unusable("The file cannot be hashed"));
    signal.addEventListener("abort", () => end(reject, signal.reason), { once: true });
    worker.postMessage(file);
  });
}

/** The upload that was begun for this content, or a new one. */
async function begin(file, sha256, signal) {
  const known = begunUpload(sha256);
  if (known !== null) {
    try {
      const state = await get(`/v1/uploads/${known}`, { signal });
      if (state.sha256 === sha256 && state.bytes === file.size) return state;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
    }
    forgetUpload(sha256); // another service's, or gone
  }
  return post("/v1/uploads", { filename: file.name, bytes: file.size, sha256 }, { signal });
}

/** Sends one part; by XMLHttpRequest, which alone tells how far it is. */
async function sendPart(id, number, body, onSent, signal) {
  for (;;) {
    const used = apiKey();
    const answer = await put(`/v1/uploads/${id}/parts/${number}`, body, onSent, signal);
    if (answer.status === 200) return JSON.parse(answer.text);
    const problem = new Problem(parsed(answer.text), answer.status);
    if (answer.status !== 401) throw problem;
    await askForKey(problem, used, signal);
  }
}

function put(path, body, onSent, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => resolve({ status: request.status, text: request.responseText });
    request.onerror = () => reject(new Unreachable());
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

/** Tries until an answer comes: what is repeated here changes nothing the second time. */
async function patiently(attempt, onWaiting, signal) {
  for (let waitMs = FIRST_PAUSE_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_PAUSE_MS)) {
    try {
      return await attempt();
    } catch (error) {
      const later = error instanceof Unreachable || (error instanceof Problem && [429, 502, 503, 504].includes(error.status));
      if (isAborted(error) || !later) throw error;
      onWaiting();
      await pause(waitMs, signal);
      signal.throwIfAborted();
    }
  }
}

/** Bytes of the parts that are there. */
function arrived(state, file) {
  const missing = state.missing_parts.reduce((sum, number) => sum + Math.min(state.part_bytes, file.size - number * state.part_bytes), 0);
  return file.size - missing;
}

/** 1.2 MB (1 234 567 bytes): where two sizes are near each other only the bytes tell them apart. */
function inFull(size) {
  return size < 1000 ? `${size} bytes` : `${bytes(size)} (${whole(size)} bytes)`;
}

function unusable(message, hint = "Choose another file.") {
  return Object.assign(new Error(message), { hint, code: "", errors: [] });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
