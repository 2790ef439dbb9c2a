// Sends dropped files through the API's resumable uploads (tus 1.0), and tells what became of each.

import { forgeryToken } from "./console.mjs";

const PIECE_BYTES = 8 << 20;
const MOST_TRIES = 6;
const FOLLOW_MS = 1000;
const TUS = { "Tus-Resumable": "1.0.0" };

class Refused extends Error {}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function encodeMetadata(pairs) {
  return Object.entries(pairs).map(([name, value]) => {
    const bytes = new TextEncoder().encode(value);
    return `${name} ${btoa(String.fromCharCode(...bytes))}`;
  }).join(",");
}

async function call(method, path, headers = {}, body = undefined) {
  const answer = await fetch(path, { method, body, headers: { "X-Faultlight-Forgery": forgeryToken(), ...headers } });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  const text = problem.detail ?? `the service answered ${answer.status}`;
  throw answer.status >= 500 || answer.status === 429 || answer.status === 423 ? new Error(text) : new Refused(text);
}

function sendPiece(location, offset, piece, tell) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PATCH", location);
    const headers = { ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream", "X-Faultlight-Forgery": forgeryToken() };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => tell(offset + event.loaded);
    request.onerror = () => reject(new Error("the connection was cut"));
    request.onload = () => {
      if (request.status === 204) resolve(request);
      else {
        let text = `the service answered ${request.status}`;
        try { text = JSON.parse(request.responseText).detail ?? text; } catch { /* no document */ }
        reject(request.status >= 500 || request.status === 409 || request.status === 423 ? new Error(text) : new Refused(text));
      }
    };
    request.send(piece);
  });
}

/** Send one file; returns the id of the original that it has become. */
async function sendFile(file, metadata, tell) {
  const created = await call("POST", "/api/v1/uploads", { ...TUS, "Upload-Length": String(file.size), "Upload-Metadata": encodeMetadata(metadata) });
  if (created.headers.get("Faultlight-Raw-File")) return created.headers.get("Faultlight-Raw-File");
  const location = created.headers.get("Location");
  let offset = 0;
  for (let tries = 0; ;) {
    try {
      const answer = await sendPiece(location, offset, file.slice(offset, offset + PIECE_BYTES), tell);
      offset = Number(answer.getResponseHeader("Upload-Offset"));
      tries = 0;
      const raw = answer.getResponseHeader("Faultlight-Raw-File");
      if (raw) return raw;
    } catch (error) {
      tries += 1;
      if (error instanceof Refused || tries > MOST_TRIES) throw error;
      await sleep(500 * 2 ** tries);
      const stand = await call("HEAD", location, TUS);
      if (stand.headers.get("Faultlight-Raw-File")) return stand.headers.get("Faultlight-Raw-File");
      offset = Number(stand.headers.get("Upload-Offset"));
    }
  }
}

async function digest(file) {
  const bytes = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function addRow(name) {
  const row = document.createElement("tr");
  const cells = ["td", "td", "td"].map((tag) => row.appendChild(document.createElement(tag)));
  cells[0].textContent = name;
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.value = 0;
  bar.setAttribute("aria-label", `Progress of ${name}`);
  cells[1].append(bar);
  document.querySelector("[data-sent]").prepend(row);
  document.querySelector("[data-sent]").closest("div").nextElementSibling.hidden = true;
  return { bar, outcome: cells[2] };
}

function showOutcome(place, state, text, href, call) {
  place.replaceChildren();
  const label = document.createElement("span");
  label.className = `state state-${state}`;
  label.textContent = state;
  place.append(label, " ");
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = text;
    place.append(link);
  } else place.append(text);
  if (call) {
    const link = document.createElement("a");
    link.href = call;
    link.textContent = "API call";
    place.append(" ", link);
  }
}

async function follow(path, page, place) {
  for (;;) {
    const row = await (await call("GET", path)).json();
    if (row.state === "stored") return showOutcome(place, "stored", row.format ? `read as ${row.format}` : "read", page, path);
    if (row.state === "quarantined") {
      const reasons = (row.quarantine_reasons ?? []).filter((each) => each.verdict === "refused");
      const first = reasons[0] ?? row.quarantine_reasons?.[0];
      return showOutcome(place, "quarantined", first ? `${first.adapter ?? "service"}: ${first.reason ?? ""}` : "see the reasons", page, path);
    }
    showOutcome(place, row.state, "waits to be read", page, path);
    await sleep(FOLLOW_MS);
  }
}

async function uploadOne(file, program) {
  const { bar, outcome } = addRow(file.name);
  try {
    const raw = await sendFile(file, { filename: file.name, program }, (sent) => { bar.value = file.size ? sent / file.size : 1; });
    bar.value = 1;
    await follow(`/api/v1/files/${raw}`, `/files/${raw}`, outcome);
  } catch (error) {
    showOutcome(outcome, "failed", `refused: ${error.message}`);
  }
}

async function uploadFolder(name, entries, program) {
  const { bar, outcome } = addRow(`${name}/ (${entries.length} files)`);
  try {
    if (!globalThis.crypto?.subtle) throw new Refused("a folder needs https or this machine's own address; send its .zip, or use faultlight upload");
    const total = entries.reduce((sum, { file }) => sum + file.size, 0) || 1;
    const members = [];
    for (const { path, file } of entries) members.push({ path, sha256: await digest(file), size_bytes: file.size });
    const answer = await call("POST", "/api/v1/bundles", { "Content-Type": "application/json" }, JSON.stringify({ program, name, members }));
    const bundle = await answer.json();
    let done = total;
    for (const { path, file } of entries) if (bundle.missing.includes(path)) done -= file.size;
    for (const { path, file } of entries.filter((each) => bundle.missing.includes(each.path))) {
      const sha256 = members.find((each) => each.path === path).sha256;
      await sendFile(file, { filename: file.name, program, bundle: bundle.id, path, sha256 }, (sent) => { bar.value = (done + sent) / total; });
      done += file.size;
    }
    bar.value = 1;
    await follow(`/api/v1/bundles/${bundle.id}`, `/bundles/${bundle.id}`, outcome);
  } catch (error) {
    showOutcome(outcome, "failed", `refused: ${error.message}`);
  }
}

async function listEntry(entry, prefix = "") {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ path: prefix + entry.name, file }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const each of some) found.push(...await listEntry(each, `${prefix}${entry.name}/`));
  }
}

const drop = document.querySelector("[data-drop]");
if (drop) {
  const program = () => document.querySelector("[data-program]").value;
  const sendAll = async (files) => { for (const file of files) await uploadOne(file, program()); };
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    // Both must be asked for before the first wait; what comes from another program may be a file without an entry.
    const dropped = [...event.dataTransfer.items].filter((item) => item.kind === "file")
      .map((item) => ({ entry: item.webkitGetAsEntry?.(), file: item.getAsFile() }));
    for (const { entry, file } of dropped) {
      if (entry?.isDirectory) {
        const found = await listEntry(entry);
        const cut = entry.name.length + 1;
        await uploadFolder(entry.name, found.map(({ path, file: member }) => ({ path: path.slice(cut), file: member })), program());
      } else if (file) await uploadOne(file, program());
    }
  });
  document.querySelector("[data-files]").addEventListener("change", async (event) => {
    const chosen = [...event.target.files];
    event.target.value = "";
    await sendAll(chosen);
  });
  document.querySelector("[data-folder]").addEventListener("change", async (event) => {
    const chosen = [...event.target.files];
    event.target.value = "";
    if (!chosen.length) return;
    const name = chosen[0].webkitRelativePath.split("/")[0];
    await uploadFolder(name, chosen.map((file) => ({ path: file.webkitRelativePath.slice(name.length + 1), file })), program());
  });
}
