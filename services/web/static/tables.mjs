// Tables within a page: sorting and a filter, both kept in the address, and their rows as CSV or Parquet.

import { forgeryToken } from "./console.mjs";

const FORMS = [["csv", "CSV of these rows"], ["parquet", "Parquet of these rows"]];

function cellText(cell) {
  return cell?.dataset.value ?? cell?.querySelector("time")?.dateTime ?? cell?.textContent.trim().replace(/\s+/g, " ") ?? "";
}

function sortKey(cell) {
  const text = cellText(cell);
  const number = Number(text.replace(/[\s\u202f]/g, ""));
  return text !== "" && Number.isFinite(number) ? number : text;
}

function compareKeys(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number") return -1;
  if (typeof b === "number") return 1;
  return a.localeCompare(b, "en", { numeric: true });
}

/** The headings by which columns are named in addresses and files; of two alike the second says which it is. */
function columnNames(table) {
  const seen = new Map();
  return [...table.tHead.rows[0].cells].map((header) => {
    const text = header.textContent.trim().replace(/\s+/g, " ");
    const count = (seen.get(text) ?? 0) + 1;
    seen.set(text, count);
    return text && count > 1 ? `${text} (${count})` : text;
  });
}

function keep(name, value) {
  const query = new URLSearchParams(location.search);
  if (value) query.set(name, value);
  else query.delete(name);
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`);
}

function sortBy(table, column, descending) {
  const headers = table.tHead.rows[0].cells;
  for (const other of headers) other.removeAttribute("aria-sort");
  headers[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row) => [sortKey(row.cells[column]), row]);
  rows.sort((a, b) => (descending ? -1 : 1) * compareKeys(a[0], b[0]));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function startSorting(table, names, parameter) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    if (!names[column] || header.querySelector("a")) return; // a link orders all rows, not those shown
    const button = document.createElement("button");
    button.className = "sort";
    button.type = "button";
    button.title = "Sort the rows shown";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const descending = header.getAttribute("aria-sort") === "ascending";
      sortBy(table, column, descending);
      keep(parameter, `${descending ? "-" : ""}${names[column]}`);
    });
  });
  const asked = new URLSearchParams(location.search).get(parameter) ?? "";
  const column = names.indexOf(asked.replace(/^-/, ""));
  if (asked && column >= 0) sortBy(table, column, asked.startsWith("-"));
}

function filterRows(table, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of table.tBodies[0].rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
}

function readRows(table, names) {
  const chosen = names.map((name, column) => [name, column]).filter(([name]) => name);
  const headers = table.tHead.rows[0].cells;
  return {
    columns: chosen.map(([name, column]) => ({ name, numeric: headers[column].classList.contains("num") })),
    rows: [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => chosen.map(([, column]) => cellText(row.cells[column]))),
  };
}

/** Have the service write the rows shown, as it writes its lists. */
function exportTable(table, names, title, form) {
  const sent = document.createElement("form");
  Object.assign(sent, { method: "post", action: "/tables", hidden: true });
  const fields = { forgery: forgeryToken(), name: title, form, table: JSON.stringify(readRows(table, names)) };
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, value });
    sent.append(field);
  }
  document.body.append(sent);
  sent.submit();
  sent.remove();
}

function startTools(table, names, title) {
  const bar = (table.closest(".scroll") ?? table).previousElementSibling; // kept free by the page, so that nothing moves
  const parameter = `filter.${title}`;
  const filter = document.createElement("input");
  Object.assign(filter, { type: "search", placeholder: "filter these rows", value: new URLSearchParams(location.search).get(parameter) ?? "" });
  filter.setAttribute("aria-label", `Filter the rows of ${title}`);
  filter.addEventListener("input", () => {
    filterRows(table, filter.value);
    keep(parameter, filter.value.trim());
  });
  if (filter.value) filterRows(table, filter.value);
  bar.append(filter);
  for (const [form, words] of FORMS) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "quiet", textContent: words });
    button.addEventListener("click", () => exportTable(table, names, title, form));
    bar.append(button);
  }
}

for (const table of document.querySelectorAll("table[data-sortable], table[data-tools]")) {
  const title = table.dataset.tools || table.closest("section[aria-labelledby]")?.getAttribute("aria-labelledby") || "rows";
  const names = columnNames(table);
  if (table.dataset.sortable !== undefined) startSorting(table, names, `sort.${title}`);
  if (table.dataset.tools !== undefined) startTools(table, names, title);
}
