/** Tables that become lists of cards on narrow screens and stay tables for screen readers. */

import { h } from "./dom.js";

/**
 * A table.
 *
 * @param {{label: string, columns: {head: string, cell: (row: any) => any, number?: boolean, wide?: boolean}[],
 *          rows: any[], scroll?: boolean, rowProps?: (row: any) => Object}} options
 *   `wide`: the cell that names the row, its header. `scroll`: a long table scrolls in a box of its own.
 */
export function dataTable({ label, columns, rows, scroll = false, rowProps = () => ({}) }) {
  // Roles are written out, for a table that is laid out as blocks is none to browsers.
  const table = h("table", { role: "table", "aria-label": label },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((column) => h("th", { role: "columnheader", scope: "col", class: column.number ? "number" : null }, column.head)))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row", ...rowProps(row) }, columns.map((column) => tableCell(column, row))))));
  return scroll ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table) : table;
}

function tableCell(column, row) {
  const content = column.cell(row);
  const name = column.wide ? "th" : "td";
  return h(name, { role: column.wide ? "rowheader" : "cell", scope: column.wide ? "row" : null, class: column.number ? "number" : null, "data-head": column.head }, content);
}
