// What every page has: the theme's switch, sorting of the shown rows, live progress of jobs.

const THEMES = ["system", "light", "dark"];

export function forgeryToken() {
  return document.querySelector('meta[name="forgery"]')?.content ?? "";
}

function currentTheme() {
  return document.documentElement.dataset.theme ?? "system";
}

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  const age = name === "system" ? 0 : 31536000;
  document.cookie = `faultlight_theme=${name}; path=/; max-age=${age}; samesite=lax`;
  document.dispatchEvent(new CustomEvent("themechange"));
}

function startThemeSwitch() {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  const tell = () => { button.textContent = `Theme: ${currentTheme()}`; };
  button.hidden = false;
  tell();
  button.addEventListener("click", () => {
    setTheme(THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length]);
    tell();
  });
}

function sortKey(cell) {
  const text = cell?.dataset.value ?? cell?.querySelector("time")?.dateTime ?? cell?.textContent.trim() ?? "";
  const number = Number(text.replace(/[\s\u202f]/g, ""));
  return text !== "" && Number.isFinite(number) ? number : text;
}

function compareKeys(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number") return -1;
  if (typeof b === "number") return 1;
  return a.localeCompare(b, "en", { numeric: true });
}

function sortBy(table, column, header) {
  const ascending = header.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows].map((row) => [sortKey(row.cells[column]), row]);
  rows.sort((a, b) => (ascending ? 1 : -1) * compareKeys(a[0], b[0]));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function startSorting() {
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      if (!header.textContent.trim()) return;
      const button = document.createElement("button");
      button.className = "sort";
      button.type = "button";
      button.title = "Sort the shown rows";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(table, column, header));
    });
  }
}

function csvCell(text) {
  const tidy = /^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text)) ? `'${text}` : text; // OWASP, CSV injection
  return /[",\n\r]/.test(tidy) ? `"${tidy.replaceAll('"', '""')}"` : tidy;
}

function exportTable(table, name) {
  const rows = [...table.rows].filter((row) => !row.hidden);
  const text = rows.map((row) => [...row.cells].map((cell) => csvCell(cell.dataset.value ?? cell.textContent.trim().replace(/\s+/g, " "))).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${text}\r\n`], { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** A filter and an export for tables that are not a list of their own. */
function startTableTools() {
  for (const table of document.querySelectorAll("table[data-tools]")) {
    const name = table.dataset.tools || "table";
    const bar = document.createElement("div");
    bar.className = "table-tools";
    const filter = document.createElement("input");
    Object.assign(filter, { type: "search", placeholder: "filter these rows" });
    filter.setAttribute("aria-label", `Filter the rows of ${name}`);
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of table.tBodies[0].rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    });
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "quiet", textContent: "CSV of these rows" });
    button.addEventListener("click", () => exportTable(table, name));
    bar.append(filter, button);
    (table.closest(".scroll") ?? table).before(bar);
  }
}

const ENDED = new Set(["succeeded", "failed", "dead", "cancelled"]);
const POLL_MS = 1500;

function remaining(iso) {
  if (!iso) return "";
  const seconds = Math.round((new Date(iso) - Date.now()) / 1000);
  return seconds > 0 ? `ends in ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}` : "";
}

async function followJob(place) {
  const id = place.dataset.job;
  while (document.contains(place)) {
    if (!document.hidden) {
      const answer = await fetch(`/api/v1/jobs/${id}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const job = await answer.json();
      const bar = place.querySelector("progress");
      bar.value = job.state === "succeeded" ? 1 : job.progress;
      place.querySelector("[data-job-text]").textContent = ENDED.has(job.state) ? job.state : job.progress_message || job.state;
      place.querySelector("[data-job-eta]").textContent = ENDED.has(job.state) ? "" : remaining(job.estimated_finish_at);
      if (ENDED.has(job.state)) {
        if (place.dataset.reload !== undefined) location.reload();
        return;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

startThemeSwitch();
startSorting();
startTableTools();
for (const place of document.querySelectorAll("[data-job]")) followJob(place).catch(() => {});
