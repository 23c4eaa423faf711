/**
 * What outlives a reload and nothing more: the key and the draft, for as long as the tab is open. Uploads that were not
 * finished are remembered by the content's digest beyond that, so that a large file need not be sent twice.
 */

const KEY = "sterna.key";
const DRAFT = "sterna.draft";
const UPLOADS = "sterna.uploads";
const MOST_UPLOADS = 50;

export function apiKey() {
  return read(sessionStorage, KEY) ?? "";
}

export function setApiKey(key) {
  if (key) write(sessionStorage, KEY, key);
  else remove(sessionStorage, KEY);
}

/** What was typed and chosen for a job that is not submitted yet. */
export function draft() {
  return read(sessionStorage, DRAFT) ?? {};
}

export function setDraft(fields) {
  write(sessionStorage, DRAFT, fields);
}

/** The id of the upload that was begun for this content, if any. */
export function begunUpload(sha256) {
  return (read(localStorage, UPLOADS) ?? {})[sha256] ?? null;
}

export function rememberUpload(sha256, id) {
  const all = Object.entries(read(localStorage, UPLOADS) ?? {}).filter(([known]) => known !== sha256);
  write(localStorage, UPLOADS, Object.fromEntries([...all.slice(1 - MOST_UPLOADS), [sha256, id]]));
}

export function forgetUpload(sha256) {
  const { [sha256]: _, ...others } = read(localStorage, UPLOADS) ?? {};
  write(localStorage, UPLOADS, others);
}

function read(storage, name) {
  try {
    return JSON.parse(storage.getItem(name));
  } catch {
    return null; // switched off, or not ours
  }
}

function write(storage, name, value) {
  try {
    storage.setItem(name, JSON.stringify(value));
  } catch {
    // Full or switched off: the page works on, and forgets at a reload.
  }
}

function remove(storage, name) {
  try {
    storage.removeItem(name);
  } catch {
    // As above.
  }
}
