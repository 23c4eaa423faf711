/** The API to read: every call of /openapi.json, what it takes and what it answers. */

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { problemBox } from "./notices.js";
import { dataTable } from "./table.js";

const METHODS = ["get", "post", "put", "delete"];

/** Names of the objects that have a place of their own on the page. */
let objects = new Set();

/** Shows the view; see `main.js`. */
export async function show(place, _id, _query, signal) {
  fill(place, h("h1", { tabindex: "-1" }, "The API"), h("p", { class: "muted" }, "Loading …"));
  let found;
  try {
    found = await get("/openapi.json", { signal });
  } catch (error) {
    if (!signal.aborted) fill(place, h("h1", { tabindex: "-1" }, "The API"), problemBox(error));
    return;
  }
  if (signal.aborted) return;
  const calls = Object.entries(found.paths).flatMap(([path, item]) => callsOf(path, item));
  const webhooks = Object.entries(found.webhooks ?? {}).flatMap(([name, item]) => callsOf(name, item));
  const schemas = found.components.schemas;
  objects = new Set(Object.keys(schemas));
  fill(place,
    h("h1", { tabindex: "-1" }, "The API"),
    h("p", {}, found.info.description, " Version ", found.info.version, ". For programs: ", h("a", { href: "/openapi.json" }, "/openapi.json"), " (OpenAPI ", found.openapi, ")."),
    [...new Set(calls.map((call) => call.tag))].map((tag) => section(tag, calls.filter((call) => call.tag === tag))),
    webhooks.length > 0 && section("what webhooks are told", webhooks),
    h("section", {}, h("h2", {}, "Objects"), Object.entries(schemas).map(([name, schema]) => objectPart(name, schema))));
}

function callsOf(path, item) {
  return METHODS.filter((method) => item[method]).map((method) => ({ path, method: method.toUpperCase(), ...item[method], tag: item[method].tags?.[0] ?? "other" }));
}

function section(title, calls) {
  return h("section", {}, h("h2", {}, title), calls.map(callPart));
}

function callPart(call) {
  const [first, ...rest] = (call.description ?? call.summary ?? "").split("\n\n");
  return h("details", { class: "fold call" },
    h("summary", {}, h("code", {}, `${call.method} ${call.path}`), " ", h("span", { class: "muted" }, first)),
    rest.map((text) => h("p", {}, text)),
    call.parameters?.length > 0 && dataTable({
      label: `Parameters of ${call.method} ${call.path}`,
      columns: [
        { head: "parameter", cell: (one) => h("code", {}, one.name), wide: true },
        { head: "in", cell: (one) => (one.required ? `${one.in}, required` : one.in) },
        { head: "type", cell: (one) => typeOf(one.schema) },
        { head: "what", cell: (one) => one.description ?? "" },
      ],
      rows: call.parameters,
    }),
    Object.entries(call.requestBody?.content ?? {}).map(([type, { schema }]) => h("div", {}, h("h3", {}, "Takes ", type), schemaPart(schema ?? {}, `What ${call.method} ${call.path} takes as ${type}`))),
    dataTable({
      label: `Answers of ${call.method} ${call.path}`,
      columns: [
        { head: "answer", cell: (one) => one.status, wide: true },
        { head: "when", cell: (one) => one.description },
        { head: "body", cell: (one) => Object.entries(one.content ?? {}).map(([type, { schema }]) => h("div", {}, typeOf(schema ?? {}), " ", h("small", {}, type))) },
      ],
      rows: Object.entries(call.responses ?? {}).map(([status, answer]) => ({ status, ...answer })),
    }));
}

function objectPart(name, schema) {
  return h("details", { class: "fold call", id: `object-${name}` },
    h("summary", {}, h("code", {}, name), " ", h("span", { class: "muted" }, (schema.description ?? "").split("\n")[0])),
    schemaPart(schema, `Fields of ${name}`));
}

function schemaPart(schema, label) {
  if (!schema.properties) return h("p", {}, typeOf(schema));
  const required = new Set(schema.required ?? []);
  const example = schema.examples?.[0];
  return h("div", {},
    dataTable({
      label,
      columns: [
        { head: "field", cell: (one) => h("code", {}, one.name), wide: true },
        { head: "type", cell: (one) => [typeOf(one.schema), required.has(one.name) && h("small", {}, " required")] },
        { head: "unless given", cell: (one) => ("default" in one.schema ? h("code", {}, JSON.stringify(one.schema.default)) : "") },
        { head: "what", cell: (one) => one.schema.description ?? "" },
      ],
      rows: Object.entries(schema.properties).map(([name, one]) => ({ name, schema: one })),
    }),
    example && h("pre", { tabindex: "0", "aria-label": `Example: ${label}` }, JSON.stringify(example, null, 2)));
}

/** A type in a few words; the name of an object opens what it is. */
function typeOf(schema) {
  if (schema.$ref) return objectLink(schema.$ref.split("/").at(-1));
  if (schema.properties) return objects.has(schema.title) ? objectLink(schema.title) : `object with ${Object.keys(schema.properties).join(", ")}`;
  if (schema.anyOf || schema.oneOf) return joined((schema.anyOf ?? schema.oneOf).map(typeOf));
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return h("span", {}, "list of ", typeOf(schema.items ?? {}));
  if (schema.format === "binary") return "bytes";
  return [schema.type ?? "anything", bounds(schema)].filter(Boolean).join(", ");
}

function bounds(schema) {
  const words = [
    ["minimum", "≥"], ["exclusiveMinimum", ">"], ["maximum", "≤"], ["exclusiveMaximum", "<"],
  ].filter(([name]) => name in schema).map(([name, sign]) => `${sign} ${schema[name]}`);
  return words.join(", ");
}

function joined(parts) {
  return h("span", {}, parts.flatMap((part, at) => (at ? [" | ", part] : [part])));
}

function objectLink(name) {
  const open = (event) => {
    event.preventDefault();
    const part = document.getElementById(`object-${name}`);
    part.open = true;
    part.querySelector("summary").focus();
  };
  return h("a", { href: `#object-${name}`, onclick: open }, name);
}
