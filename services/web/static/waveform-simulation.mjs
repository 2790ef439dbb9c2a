// What is simulated beside what was measured: which die, which mixture of nets, aligned or not, as state of the address.

import { readEdges } from "./waveform-edges.mjs";
import { Logic } from "./waveform-logic.mjs";

export const SHOWN = ["measured", "over", "difference", "both"];
const PICO = 1e-12;

async function fetchBody(id) {
  const answer = await fetch(`/api/v1/results/${id}`);
  if (!answer.ok) throw new Error(`the result ${id} could not be loaded: the service answered ${answer.status}`);
  return (await answer.json()).body;
}

/** The simulation and the localization of the traces' session, where there are any. */
export class Simulated {
  constructor(root, traces) {
    this.panel = document.querySelector("[data-simulated]");
    this.traces = traces;
    this.simulation = root.dataset.simulation || undefined;
    this.localization = root.dataset.localization || undefined;
    this.timing = traces.map((trace) => ({ index: trace.index, edges: [] }));
    this.refused = "";
  }

  readAddress(query) {
    const whole = Number(query.get("suspect"));
    const known = SHOWN.includes(query.get("show")) ? query.get("show") : "over";
    this.show = this.simulation ? known : "measured";
    this.suspect = Number.isInteger(whole) && whole > 0 ? whole : 0;
    this.aligned = query.get("aligned") !== "0";
    this.logic = query.get("logic") === "1";
    this.edges = query.get("edges") === "1";
    this.levels = query.get("levels") === "1";
    this.mixtures = new Map();
    for (const text of query.getAll("mix")) {
      const [place, weight] = text.split("*", 2);
      const net = text.slice(place.length + weight.length + 2);
      if (net && this.traces[Number(place)] && Number.isFinite(Number(weight))) {
        this.mixtures.set(Number(place), [...this.mixtureOf(Number(place)), { net, weight: Number(weight) }]);
      }
    }
  }

  writeAddress(query) {
    const set = (name, value) => (value === undefined ? query.delete(name) : query.set(name, value));
    set("sim", this.simulation);
    set("show", this.simulation && this.show !== "over" ? this.show : undefined);
    set("suspect", this.suspect ? String(this.suspect) : undefined);
    set("aligned", this.aligned ? undefined : "0");
    set("logic", this.logic ? "1" : undefined);
    set("edges", this.edges ? "1" : undefined);
    set("levels", this.levels ? "1" : undefined);
    query.delete("mix");
    for (const text of this.mixes()) query.append("mix", text);
  }

  mixtureOf(index) {
    return this.mixtures.get(index) ?? [];
  }

  setMixture(index, parts) {
    if (parts.length) this.mixtures.set(index, parts);
    else this.mixtures.delete(index);
  }

  mixes() {
    return [...this.mixtures].flatMap(([index, parts]) => parts.map(({ net, weight }) => `${index}*${weight}*${net}`));
  }

  /** How much later each trace's simulation is drawn, seconds. */
  shifts() {
    return this.timing.map((item) => (this.aligned && item.skew !== undefined ? item.skew * PICO : 0));
  }

  get compares() {
    return this.simulation !== undefined && !this.refused && (this.logic || this.show !== "measured");
  }

  /** Whether an answer of the service has what is wanted: where nothing is simulated the plain view is asked for. */
  source(ids, axis) {
    const query = ids.map((id) => ["waveform", id]);
    if (!this.compares) return { path: "/api/v1/waveform-views", query: [["axis", axis], ...query] };
    query.push(["simulation", this.simulation], ["suspect", String(this.suspect)]);
    for (const text of this.mixes()) query.push(["mix", text]);
    this.shifts().forEach((seconds, index) => { if (seconds) query.push(["shift", `${index}*${seconds}`]); });
    return { path: "/api/v1/waveform-comparisons", query };
  }

  /** Names what an answer depends on besides the window. */
  key() {
    return JSON.stringify([this.compares, this.suspect, this.mixes(), this.shifts()]);
  }

  parts() {
    if (!this.compares) return ["measured"];
    return { measured: ["measured"], over: ["measured", "simulated"], difference: ["difference"], both: ["measured", "simulated", "difference"] }[this.show];
  }

  /** Load the documents, as far as there are any; without the localization nothing is aligned. */
  async load() {
    const [logic, timing] = await Promise.all([
      this.simulation ? fetchBody(this.simulation) : undefined,
      this.localization ? fetchBody(this.localization) : undefined,
    ]);
    if (logic) this.document = new Logic(logic);
    if (timing) this.takeTiming(timing);
  }

  takeTiming(body) {
    for (const item of this.timing) {
      const place = this.traces[item.index].probe;
      const found = place === undefined ? undefined : body.waveforms[place];
      if (!found) continue;
      item.edges = readEdges(found);
      item.refused = found.edges_refused ?? 0;
      item.mixture = found.mixture ?? [];
      if (found.skew_ps !== null && found.skew_ps !== undefined) [item.skew, item.sigma] = [found.skew_ps, found.skew_sigma_ps];
    }
  }
}

/** The controls of what is simulated; `change` is called after every change. */
export function bindSimulated(simulated, change) {
  const panel = simulated.panel;
  if (!panel) return;
  const control = (name) => panel.querySelector(`[data-${name}]`);
  const show = control("show");
  if (show) {
    show.value = simulated.show;
    show.addEventListener("change", () => { simulated.show = show.value; change(); });
    const suspect = control("suspect");
    if (simulated.suspect >= suspect.options.length) simulated.suspect = 0;
    suspect.value = String(simulated.suspect);
    suspect.addEventListener("change", () => { simulated.suspect = Number(suspect.value); change(); });
  }
  for (const name of ["aligned", "levels", "logic", "edges"]) {
    const box = control(name);
    if (!box) continue;
    box.checked = simulated[name];
    box.addEventListener("change", () => { simulated[name] = box.checked; change(); });
  }
}

/** Step through a control by key: a select's next option, or a box's other state. */
export function stepControl(panel, name) {
  const control = panel?.querySelector(`[data-${name}]`);
  if (!control || control.disabled) return;
  if (control.tagName === "SELECT") control.selectedIndex = (control.selectedIndex + 1) % control.options.length;
  else control.checked = !control.checked;
  control.dispatchEvent(new Event("change"));
}
