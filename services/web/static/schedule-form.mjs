// The form of a report schedule: due times while one types, rows of mechanisms, and the draft in the page's address.

import { forgeryToken } from "./console.mjs";

const form = document.querySelector("[data-schedule-form]");
const place = form?.querySelector("[data-due]");
const SHOWN = 6;
const PAUSE_MS = 350;
const LONGEST_ADDRESS = 4000;
const NOT_IN_ADDRESS = new Set(["forgery", "revision", "do"]);
const OF_ROWS = /^mechanism-\d+-/;
const begun = form ? new Map(new FormData(form)) : new Map();
let timer = 0;
let latest = 0;
let latestRows = 0;

function paragraph(text, className) {
  const made = document.createElement("p");
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function dueTimes(due) {
  const list = document.createElement("ol");
  list.className = "due-times";
  for (const each of due) {
    const line = document.createElement("li");
    const local = document.createElement("span");
    const utc = document.createElement("span");
    local.textContent = each.local;
    utc.className = "faint";
    utc.textContent = `${each.due_at.slice(0, 16).replace("T", " ")} UTC`;
    line.append(local, " ", ...(each.local.endsWith(" UTC") ? [] : [utc]));
    list.append(line);
  }
  return list;
}

/** Ask when the draft would be due; an answer that a later question has overtaken is dropped. */
async function showDue() {
  const number = ++latest;
  const value = (name) => form.elements[name]?.value.trim() ?? "";
  const question = { program: form.dataset.program ?? value("program"), cron: value("cron"), time_zone: value("time_zone"), count: SHOWN };
  const headers = { "Content-Type": "application/json", "X-Faultlight-Forgery": forgeryToken() };
  const answer = await fetch("/api/v1/report-schedules/previews", { method: "POST", headers, body: JSON.stringify(question) });
  const body = await answer.json();
  if (number !== latest) return;
  if (answer.ok) place.replaceChildren(paragraph(body.explanation), dueTimes(body.due));
  else place.replaceChildren(paragraph("Not due"), paragraph(body.detail ?? body.title, "alert"));
}

/** Keep what was changed in the address, so that it can be reloaded or passed on. */
function keepInAddress() {
  const changed = new URLSearchParams(location.search);
  const now = [...new FormData(form)].filter(([name]) => !NOT_IN_ADDRESS.has(name));
  // Rows of mechanisms stand for one another, so the address has all of them or none.
  const rows = (fields) => JSON.stringify(fields.filter(([name]) => OF_ROWS.test(name)));
  const others = rows(now) !== rows([...begun]) || [...changed.keys()].some((name) => OF_ROWS.test(name));
  for (const name of [...changed.keys()]) if (OF_ROWS.test(name)) changed.delete(name);
  for (const [name, text] of now) {
    if (OF_ROWS.test(name)) {
      if (others && text !== "") changed.set(name, text);
      continue;
    }
    if (text === begun.get(name) && !changed.has(name)) continue;
    changed.set(name, text);
  }
  const query = changed.toString();
  // The page of a draft that was refused has the address of its form, which can only be sent.
  const path = location.pathname.endsWith("/new") || location.pathname.endsWith("/edit") ? location.pathname : null;
  if (path && query.length < LONGEST_ADDRESS) history.replaceState(null, "", query ? `${path}?${query}` : path);
}

/** Do with the rows of mechanisms what a button does, in place; where that fails, send the form as without scripts. */
async function changeRows(action) {
  const number = ++latestRows;
  const sent = new URLSearchParams(new FormData(form));
  sent.set("do", action);
  try {
    const answer = await fetch(form.action, { method: "POST", body: sent });
    if (!answer.ok) throw new Error(String(answer.status));
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-mechanisms]");
    if (number !== latestRows) return;
    const focused = document.activeElement?.name;
    // What was typed while the answer was on its way.
    const typed = [...new FormData(form)].filter(([name, text]) => OF_ROWS.test(name) && sent.get(name) !== text);
    form.querySelector("[data-mechanisms]").replaceWith(document.adoptNode(made));
    if (!action.startsWith("remove")) for (const [name, text] of typed) if (form.elements[name]) form.elements[name].value = text;
    keepInAddress();
    const last = [...form.querySelectorAll("[data-mechanism]")].at(-1);
    const place = action === "show-mechanisms" ? form.elements[focused] : action === "add-mechanism" ? last.querySelector("input[type=text], input:not([type])") : form.querySelector("[value=add-mechanism]");
    place?.focus();
  } catch {
    const button = Object.assign(document.createElement("button"), { name: "do", value: action, formNoValidate: true, hidden: true });
    form.append(button);
    form.requestSubmit(button);
  }
}

if (form) {
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-mechanisms] button");
    if (!button) return;
    event.preventDefault();
    changeRows(button.value);
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-law]")) changeRows("show-mechanisms");
  });
  form.addEventListener("input", (event) => {
    keepInAddress();
    if (!["cron", "time_zone", "program"].includes(event.target.name)) return;
    clearTimeout(timer);
    timer = setTimeout(() => showDue().catch(() => {}), PAUSE_MS);
  });
}
