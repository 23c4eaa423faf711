/** The public API, as anyone could call it: every answer is JSON, a problem of RFC 9457, or did not come. */

import { apiKey } from "./session.js";
import { askForKey } from "./key_dialog.js";

/** The service refused: `message` says what was found, `hint` what to do. */
export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `The service answered ${status}`);
    this.status = status;
    this.code = body.code ?? `HTTP_${status}`;
    this.hint = body.hint ?? "";
    this.errors = body.errors ?? [];
  }
}

/** No answer came. Nothing is known of what the request did. */
export class Unreachable extends Error {
  constructor() {
    super("The service does not answer");
    this.code = "UNREACHABLE";
    this.hint = "Is it running, and is the network up? What you typed is kept; try again in a moment.";
    this.errors = [];
  }
}

/** GET of a resource. */
export function get(path, options = {}) {
  return call("GET", path, options);
}

/** POST of JSON, or of nothing. */
export function post(path, body, options = {}) {
  return call("POST", path, { ...options, body });
}

/** DELETE of a resource. */
export function del(path, options = {}) {
  return call("DELETE", path, options);
}

/**
 * One call. A missing or refused key is asked for, and the call made again.
 *
 * @returns {Promise<any>} the JSON of the answer; null where it has none.
 * @throws {Problem|Unreachable|DOMException} DOMException: the signal said to stop.
 */
export async function call(method, path, { body, headers = {}, signal } = {}) {
  const answer = await request(method, path, {
    headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  });
  const text = await answer.text().catch((error) => { throw unanswered(error); });
  return text ? JSON.parse(text) : null;
}

/** The answer itself, for streams and files; anything from 400 on is thrown. */
export async function request(method, path, { headers = {}, body, signal } = {}) {
  for (;;) {
    const used = apiKey();
    let answer;
    try {
      answer = await fetch(path, { method, headers: { ...authorization(), ...headers }, body, signal, cache: "no-cache", redirect: "error" });
    } catch (error) {
      throw unanswered(error);
    }
    if (answer.ok || answer.status === 304) return answer;
    const problem = new Problem(await readProblem(answer), answer.status);
    if (answer.status !== 401) throw problem;
    await askForKey(problem, used, signal);
  }
}

/** The header that the key makes; empty where there is none. */
export function authorization() {
  const key = apiKey();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** A key that makes a repeated submission one submission. */
export function newIdempotencyKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether it is only that somebody left or changed their mind. */
export function isAborted(error) {
  return error?.name === "AbortError";
}

function unanswered(error) {
  return error instanceof TypeError ? new Unreachable() : error;
}

async function readProblem(answer) {
  try {
    return JSON.parse(await answer.text());
  } catch {
    return { detail: `The service answered ${answer.status}, and not in its own words`, hint: "A proxy may be in between: ask whoever runs it." };
  }
}
