// Which nets lie under a place: asks the API for a job, waits for it, and tells what it found.

import { forgeryToken } from "./console.mjs";

const ENDED = new Set(["succeeded", "failed", "dead", "cancelled"]);
const POLL_MS = 700;

async function call(path, options = {}) {
  const answer = await fetch(path, options);
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail ?? `the service answered ${answer.status}`);
  return body;
}

/** Ask for the places of a stored layout; returns the result's document. */
async function askPlaces(file, question, tell) {
  const headers = { "Content-Type": "application/json", "X-Faultlight-Forgery": forgeryToken() };
  let job = await call(`/api/v1/files/${file}/places`, { method: "POST", headers, body: JSON.stringify(question) });
  while (!ENDED.has(job.state)) {
    tell(`${job.progress_message || job.state} …`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    job = await call(`/api/v1/jobs/${job.id}`);
  }
  if (job.state !== "succeeded") throw new Error(job.error?.message ?? `the job was ${job.state}`);
  const found = await call(`/api/v1/results?job=${job.id}`);
  return (await call(`/api/v1/results/${found.items[0].id}`)).body;
}

function cell(row, text, numeric = false) {
  const made = row.insertCell();
  made.textContent = text;
  if (numeric) made.className = "num";
}

function showNets(place) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const [text, numeric] of [["Layer", false], ["Net", false], ["Probability", true], ["At the centre", false]]) {
    const made = document.createElement("th");
    made.scope = "col";
    made.textContent = text;
    if (numeric) made.className = "num";
    head.append(made);
  }
  const body = table.createTBody();
  for (const net of place.nets) {
    const row = body.insertRow();
    cell(row, net.layer);
    cell(row, net.name);
    cell(row, net.probability.toFixed(3), true);
    cell(row, net.at_centre ? "yes" : "");
  }
  return table;
}

function describe(document_) {
  const place = document_.places[0];
  const text = document.createElement("p");
  const where = `(${place.x_um.toFixed(3)}, ${place.y_um.toFixed(3)}) µm`;
  if (!place.inside) text.textContent = `${where} lies outside the layout.`;
  else if (!place.nets.length) text.textContent = `No net is under ${where}, as sure as its error ellipse is right.`;
  else text.textContent = `Under ${where} with ${place.sigma_nm[0]} nm standard deviation:`;
  const cells = (place.cells ?? []).map((each) => `${each.cell ?? each.name ?? each.instance} ${each.probability?.toFixed?.(2) ?? ""}`).join(", ");
  const parts = [text];
  if (place.nets.length) parts.push(showNets(place));
  if (cells) {
    const told = document.createElement("p");
    told.className = "faint";
    told.textContent = `Cells: ${cells}`;
    parts.push(told);
  }
  return parts;
}

/** Act on the form of nets at a place. */
export function bindNets(form, answer) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const sigma = Number(data.get("sigma_nm") || 0);
    const place = { x_um: Number(data.get("x_um")), y_um: Number(data.get("y_um")), sigma_x_nm: sigma, sigma_y_nm: sigma };
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const question = { places: [place], process: data.get("process") };
      answer.replaceChildren(...describe(await askPlaces(form.dataset.file, question, (text) => { answer.textContent = text; })));
    } catch (error) {
      answer.textContent = `This could not be told: ${error.message}`;
    }
    button.disabled = false;
  });
}
