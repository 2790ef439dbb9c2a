// The form of a report schedule: due times while one types, and the draft in the page's address.

import { forgeryToken } from "./console.mjs";

const form = document.querySelector("[data-schedule-form]");
const place = form?.querySelector("[data-due]");
const SHOWN = 6;
const PAUSE_MS = 350;
const LONGEST_ADDRESS = 4000;
const NOT_IN_ADDRESS = new Set(["forgery", "revision", "do"]);
const begun = form ? new Map(new FormData(form)) : new Map();
let timer = 0;
let latest = 0;

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
  for (const [name, text] of new FormData(form)) {
    if (NOT_IN_ADDRESS.has(name)) continue;
    if (text === begun.get(name) && !changed.has(name)) continue;
    changed.set(name, text);
  }
  const query = changed.toString();
  // The page of a draft that was refused has the address of its form, which can only be sent.
  const path = location.pathname.endsWith("/new") || location.pathname.endsWith("/edit") ? location.pathname : null;
  if (path && query.length < LONGEST_ADDRESS) history.replaceState(null, "", query ? `${path}?${query}` : path);
}

if (form) {
  form.addEventListener("input", (event) => {
    keepInAddress();
    if (!["cron", "time_zone", "program"].includes(event.target.name)) return;
    clearTimeout(timer);
    timer = setTimeout(() => showDue().catch(() => {}), PAUSE_MS);
  });
}
