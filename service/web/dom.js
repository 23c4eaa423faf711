/** Building the page: elements without markup in strings, so that nothing a stranger typed is ever read as HTML. */

const PROPERTIES = new Set(["checked", "disabled", "hidden", "indeterminate", "open", "selected", "textContent", "value"]);

/**
 * An element with attributes, listeners and children.
 *
 * @param {string} tag its name.
 * @param {Object} [props] `onclick` and the like are listeners; null, undefined and false are left out.
 * @param {...(Node|string|number|null|false|Array)} children in order; null and false are left out.
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, value);
  }
  element.append(...shown(children));
  return element;
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...shown(children));
  return element;
}

/** Sets the text only where it changed: a live region speaks at each change. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A number that is the page's own, for ids of labels and what they label. */
let last = 0;
export function newId(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}

/** Calls a function once the calls have paused; what was started last is told to stop by its signal. */
export function debounced(call, pauseMs) {
  let timer = 0;
  let running = null;
  return (...given) => {
    clearTimeout(timer);
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    timer = setTimeout(() => call(signal, ...given), pauseMs);
  };
}

/** Waits, or until the signal says to stop. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

function shown(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "number" ? String(child) : child));
}
