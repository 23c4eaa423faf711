/** The page's frame: which view is shown for which address, and what all views share. */

import { fill, h } from "./dom.js";
import { changeKey } from "./key_dialog.js";
import { announce, problemBox } from "./notices.js";
import { loadPlotlyWhenIdle } from "./plotly_script.js";

/** Each view is loaded when it is first shown: `(place, id, query, signal) → void`, stopped by its signal. */
const VIEWS = [
  { pattern: /^\/?$/, page: "submit", title: "New job", load: () => import("./submit_view.js") },
  { pattern: /^\/jobs$/, page: "jobs", title: "Jobs", load: () => import("./jobs_view.js") },
  { pattern: /^\/jobs\/(\w+)$/, page: "jobs", title: "Job", load: () => import("./job_view.js") },
  { pattern: /^\/sweeps\/(\w+)$/, page: "jobs", title: "Sweep", load: () => import("./sweep_view.js") },
  { pattern: /^\/docs$/, page: "docs", title: "API", load: () => import("./docs_view.js") },
];

let shown = new AbortController();
let first = true;

async function route() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  if (path === "content") return; // the link that skips the header
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const place = document.getElementById("content");
  const view = VIEWS.find(({ pattern }) => pattern.test(path));
  if (!view) {
    document.title = "Not found · Sterna";
    fill(place, h("h1", { tabindex: "-1" }, "There is no such page"), h("p", {}, h("a", { href: "#/jobs" }, "All jobs")));
    return;
  }
  document.title = `${view.title} · Sterna`;
  for (const link of document.querySelectorAll("nav [data-page]")) {
    if (link.dataset.page === view.page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const inner = h("div", { class: "view" });
  try {
    const { show } = await view.load();
    if (signal.aborted) return;
    fill(place, inner);
    show(inner, view.pattern.exec(path)[1], new URLSearchParams(query), signal);
  } catch (error) {
    fill(place, h("h1", { tabindex: "-1" }, view.title), problemBox(Object.assign(error, { hint: "The service may have gone or be of another version: load the page anew." })));
  }
  if (!first) {
    window.scrollTo(0, 0);
    place.querySelector("h1")?.focus({ preventScroll: true });
    announce(document.title);
  }
  first = false;
}

document.getElementById("key-button").addEventListener("click", async () => {
  await changeKey();
  route();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("content").focus();
});
window.addEventListener("hashchange", route);
route().then(loadPlotlyWhenIdle);
