/** The events of a job as they happen: server-sent events over `fetch`, which, unlike `EventSource`, can send a key. */

import { request } from "./api.js";
import { pause } from "./dom.js";
import { isPassing } from "./polling.js";

const LONGEST_PAUSE_MS = 15000;

/**
 * Follows a job to its end. A connection that breaks is opened again after the last event that came, so none is lost
 * and none comes twice.
 *
 * @param {string} jobId
 * @param {(events: Object[]) => void} onEvents in batches, oldest first.
 * @param {AbortSignal} signal
 * @throws {Problem} the service refuses: the job is not there any more, for example.
 */
export async function followEvents(jobId, onEvents, signal) {
  let last = 0;
  let retryMs = 2000;
  let waitMs = retryMs;
  while (!signal.aborted) {
    try {
      const headers = { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": String(last) } : {}) };
      const answer = await request("GET", `/v1/jobs/${jobId}/events`, { headers, signal });
      if (answer.status === 204) return;
      for await (const { messages, retry } of blocks(answer.body)) {
        retryMs = retry ?? retryMs;
        const events = messages.filter((message) => Number(message.id) > last).map((message) => JSON.parse(message.data));
        if (events.length) {
          last = events.at(-1).id;
          waitMs = retryMs;
          onEvents(events);
        }
        if (messages.some((message) => message.event === "end")) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      // A body that breaks off is a TypeError, as a connection that was not made.
      if (!(error instanceof TypeError) && !isPassing(error)) throw error;
    }
    await pause(waitMs, signal);
    waitMs = Math.min(2 * waitMs, LONGEST_PAUSE_MS);
  }
}

/** What each piece of a body completes: messages, and how long to wait before coming back. */
async function* blocks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new SseParser();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield { messages: parser.feed(value), retry: parser.retry };
    }
  } finally {
    reader.cancel().catch(() => null); // it has broken off already
  }
}

/** The parser of the HTML standard, 9.2.6; a message that is not complete is kept for the next piece. */
export class SseParser {
  #rest = "";
  #fields = {};
  retry = null;

  feed(text) {
    const found = [];
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    for (const raw of lines) {
      const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
      if (line === "") {
        if (this.#fields.data !== undefined) found.push(this.#fields);
        this.#fields = {};
      } else if (!line.startsWith(":")) this.#field(line);
    }
    return found;
  }

  #field(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "retry") this.retry = /^\d+$/.test(value) ? Number(value) : this.retry;
    else if (name === "data" && this.#fields.data !== undefined) this.#fields.data += `\n${value}`;
    else this.#fields[name] = value;
  }
}
