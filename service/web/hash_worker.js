/** Hashes a file beside the page, which stays responsive: a `File` comes in, `{done}` and at last `{sha256}` go out. */

import { Sha256 } from "./sha256.js";

const PIECE_BYTES = 4 * 2 ** 20;

self.onmessage = async ({ data: file }) => {
  try {
    const hash = new Sha256();
    for (let start = 0; start < file.size; start += PIECE_BYTES) {
      hash.update(new Uint8Array(await file.slice(start, start + PIECE_BYTES).arrayBuffer()));
      self.postMessage({ done: Math.min(start + PIECE_BYTES, file.size) });
    }
    self.postMessage({ sha256: hash.hex() });
  } catch (error) {
    self.postMessage({ failed: error.message });
  }
};
