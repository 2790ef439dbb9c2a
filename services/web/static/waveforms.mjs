// The waveform page: state in the address, pan and zoom, cursors, and a fresh view from the service when needed.

import { Refused, binOf, binsFor, fetchAddress, fetchView } from "./waveform-data.mjs";
import { Plot, colourOf, writeMeasured, writePosition, writeValue } from "./waveform-drawing.mjs";
import { EDGES_HEIGHT, edgeStrip, nearestEdge } from "./waveform-edges.mjs";
import { PAN_STEP, ZOOM_STEP, bindKeys, bindPointer } from "./waveform-input.mjs";
import { drawLevels, drawLogic, logicHeight } from "./waveform-logic.mjs";
import { bindMixture } from "./waveform-mixture.mjs";
import { Simulated, bindSimulated } from "./waveform-simulation.mjs";

const AHEAD = 0.25; // of the window is asked for on each side, so that small moves need no answer
const SETTLE_MS = 40;

class Viewer {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.plot = new Plot(this.canvas);
    this.status = root.querySelector("[data-status]");
    this.readout = root.querySelector("[data-readout]");
    this.rows = [...document.querySelectorAll("[data-trace]")];
    this.traces = this.rows.map((row, index) => ({
      index, id: row.dataset.trace, unit: row.dataset.unit, label: row.dataset.label, net: row.dataset.net,
      file: row.dataset.file, probe: row.dataset.probe === undefined ? undefined : Number(row.dataset.probe),
      low: Number(row.dataset.low), high: Number(row.dataset.high),
    }));
    this.ids = this.traces.map((trace) => trace.id);
    this.simulated = new Simulated(root, this.traces);
    this.state = this.readAddress();
    this.reach = this.traces.map((trace) => (trace.high - trace.low) / 2);
    this.next = "a";
  }

  readAddress() {
    const query = new URLSearchParams(location.search);
    this.simulated.readAddress(query);
    const number = (name) => (query.has(name) && Number.isFinite(Number(query.get(name))) ? Number(query.get(name)) : undefined);
    return {
      axis: this.root.dataset.axis,
      from: number("from"), to: number("to"),
      stacked: query.has("stacked") ? query.get("stacked") === "1" : this.traces.length > 6,
      hidden: new Set((query.get("hidden") ?? "").split(",").filter(Boolean).map(Number)),
      cursors: { a: number("a"), b: number("b") },
    };
  }

  writeAddress() {
    const query = new URLSearchParams(location.search);
    const { from, to, stacked, hidden, cursors } = this.state;
    const set = (name, value) => (value === undefined || value === "" ? query.delete(name) : query.set(name, value));
    const whole = from === this.all.from && to === this.all.to;
    set("from", whole ? undefined : String(from));
    set("to", whole ? undefined : String(to));
    set("stacked", stacked ? "1" : "0");
    set("hidden", [...hidden].join(","));
    set("a", cursors.a === undefined ? undefined : String(cursors.a));
    set("b", cursors.b === undefined ? undefined : String(cursors.b));
    this.simulated.writeAddress(query);
    history.replaceState(null, "", `?${query}`);
    const source = this.simulated.source(this.ids, this.state.axis);
    const window = whole ? [] : [["from", String(from)], ["to", String(to)]];
    this.root.querySelector("[data-api]").href = `${source.path}?${new URLSearchParams([...source.query, ...window])}`;
  }

  async start() {
    this.colourRows();
    this.bindControls();
    bindPointer(this);
    bindKeys(this);
    if (this.simulated.simulation || this.simulated.localization) await this.simulated.load();
    bindSimulated(this.simulated, () => this.change());
    bindMixture(this.simulated, () => this.change());
    this.fitHeight();
    this.all = { from: Number(this.root.dataset.from), to: Number(this.root.dataset.to) };
    const { view, coarser } = await this.askFirst();
    this.state.from = view.from;
    this.state.to = view.to;
    this.take(view, view.from, view.to, (view.to - view.from) * coarser);
    this.draw();
    if (this.needsView() || this.isNearEdge()) this.timer = setTimeout(() => this.refresh(), SETTLE_MS);
    let known = this.plot.width;
    new ResizeObserver(() => {
      const width = this.canvas.clientWidth;
      if (width === known || width === 0) return; // the first size is told too, and none when nothing is shown
      known = this.canvas.clientWidth;
      this.plot.resize();
      this.change(true);
    }).observe(this.canvas);
    document.addEventListener("themechange", () => { this.colourRows(); this.draw(); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.colourRows(); this.draw(); });
  }

  /** Make the canvas as high as its logic and its edges need. */
  fitHeight() {
    const logic = this.simulated.logic ? logicHeight(this.visible().length) : 0;
    const wanted = Math.max(480, logic + 60) + (this.simulated.edges ? EDGES_HEIGHT : 0);
    if (wanted === this.tall) return;
    this.canvas.style.height = `${wanted}px`;
    this.tall = wanted;
    this.plot.resize();
  }

  /** The first view, and how much coarser than the canvas it is: the page has asked for it where it could know which. */
  async askFirst() {
    const { firstView, firstBins } = this.root.dataset;
    const { from, to } = this.state;
    if (firstView === undefined || this.simulated.compares) return { view: await this.ask(from, to), coarser: 1 };
    const view = await this.ask(from, to, 1, firstView);
    const whole = view.traces.every((trace) => trace.bins === trace.last - trace.first);
    return { view, coarser: whole ? 1 : Math.max(1, this.wantedBins(1) / Number(firstBins)) };
  }

  wantedBins(widen) {
    const count = this.ids.length * (this.simulated.compares ? 3 : 1);
    return binsFor(count, Math.round(this.plot.innerWidth * this.plot.ratio * widen));
  }

  async ask(from, to, widen = 1, address = undefined) {
    this.asking?.abort();
    this.asking = new AbortController();
    this.root.setAttribute("aria-busy", "true");
    const key = this.simulated.key();
    this.asked = key;
    const source = this.simulated.source(this.ids, this.state.axis);
    let view;
    try {
      const { signal } = this.asking;
      view = await (address ? fetchAddress(address, signal) : fetchView(source, from, to, this.wantedBins(widen), signal));
    } catch (error) {
      if (!(error instanceof Refused) || !this.simulated.compares) throw error;
      this.simulated.refused = error.message; // what was measured is shown all the same
      return this.ask(from, to, widen);
    }
    view.key = key;
    this.root.removeAttribute("aria-busy");
    this.status.textContent = this.simulated.refused ? `Nothing is simulated beside it: ${this.simulated.refused}` : "";
    this.growReach(view);
    return view;
  }

  /** Differences keep one scale, which grows when a larger one is met: none is ever cut off. */
  growReach(view) {
    view.parts.forEach((parts, index) => {
      for (const value of parts.difference?.pairs ?? []) {
        if (Math.abs(value) > this.reach[index]) this.reach[index] = Math.abs(value);
      }
    });
  }

  /** What is drawn: the parts of each trace that is not hidden. */
  series() {
    const parts = this.simulated.parts();
    return this.visible().flatMap((trace) => parts.map((part) => {
      const reach = this.reach[trace.index] || 1;
      return part === "difference" ? { ...trace, part, low: -reach, high: reach } : { ...trace, part };
    }));
  }

  visible() {
    return this.traces.filter((trace) => !this.state.hidden.has(trace.index) && Number.isFinite(trace.low));
  }

  draw() {
    if (!this.view) return;
    const traces = this.visible();
    const strips = this.simulated.edges ? [edgeStrip(this.timing())] : [];
    this.state.shifts = this.simulated.shifts();
    this.state.suspect = this.simulated.suspect;
    if (this.simulated.logic) {
      this.plot.draw(this.view, this.state, [], strips, () => {
        this.wrong = drawLogic(this.plot, this.view, this.state, traces, this.simulated.document);
      });
    } else {
      const levels = this.simulated.levels && this.simulated.document;
      const over = levels ? (plot, lanes) => drawLevels(plot, this.state, lanes, levels) : undefined;
      this.plot.draw(this.view, this.state, this.series(), strips, over);
    }
    this.tellCursors();
    this.tellFits();
    if (!this.needsView()) { // what is shown is exact: every sample of the window is in some column of it
      this.canvas.dataset.drawn = String(Number(this.canvas.dataset.drawn ?? 0) + 1);
      this.canvas.dataset.bytes = String(this.view.bytes);
      performance.mark("waveforms-drawn");
    }
  }

  /** After any change of the window: draw what is there at once, ask for what is missing. */
  change(force = false) {
    if (this.simulated.key() !== this.asked) {
      this.asked = this.simulated.key();
      this.simulated.refused = "";
      force = true;
    }
    this.fitHeight();
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
    clearTimeout(this.timer);
    if (force || this.needsView()) this.timer = setTimeout(() => this.refresh(), this.moving ? SETTLE_MS : 0);
    else if (this.isNearEdge()) this.timer = setTimeout(() => this.refresh(), SETTLE_MS); // before it is needed
    clearTimeout(this.writing);
    this.writing = setTimeout(() => this.writeAddress(), 150);
  }

  needsView() {
    const { from, to } = this.state;
    const fine = to - from >= this.madeFor * 0.999;
    return !(fine && this.view.key === this.simulated.key() && from >= this.covered.from && to <= this.covered.to);
  }

  timing() {
    return this.simulated.timing.filter((item) => !this.state.hidden.has(item.index));
  }

  /** Whether one more step would leave what is here. */
  isNearEdge() {
    const { from, to } = this.state;
    const step = PAN_STEP * (to - from) * 1.01;
    return from - step < this.covered.from || to + step > this.covered.to;
  }

  async refresh() {
    const width = this.state.to - this.state.from;
    const from = Math.max(this.all.from, this.state.from - AHEAD * width);
    const to = Math.min(this.all.to, this.state.to + AHEAD * width);
    if (from >= to) return;
    try {
      this.take(await this.ask(from, to, (to - from) / width), from, to, width);
      this.draw();
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
    }
  }

  /** Keep a view of `from` … `to`, with columns as fine as a window of `width` needs; beyond the record is nothing. */
  take(view, from, to, width) {
    this.view = view;
    this.madeFor = width;
    this.covered = { from: from <= this.all.from ? -Infinity : from, to: to >= this.all.to ? Infinity : to };
  }

  fail(error) {
    this.root.removeAttribute("aria-busy");
    this.status.textContent = `This view could not be loaded: ${error.message}`;
  }

  setWindow(from, to) {
    const least = Math.min(...this.view.traces.map((trace) => trace.step)) * 4;
    const most = (this.all.to - this.all.from) * 1.05;
    const middle = (from + to) / 2;
    const width = Math.min(Math.max(to - from, least), most);
    this.state.from = middle - width / 2;
    this.state.to = middle + width / 2;
    this.change();
  }

  pan(part) {
    const width = this.state.to - this.state.from;
    const low = this.all.from - 0.5 * width - this.state.from;
    const high = this.all.to + 0.5 * width - this.state.to;
    const move = Math.min(Math.max(part * width, low), high);
    this.setWindow(this.state.from + move, this.state.to + move);
  }

  zoom(factor, around = (this.state.from + this.state.to) / 2) {
    const { from, to } = this.state;
    this.setWindow(around - (around - from) / factor, around + (to - around) / factor);
  }

  fit() {
    this.setWindow(this.all.from, this.all.to);
    Object.assign(this.state, this.all);
    this.change();
  }

  setCursor(name, position) {
    this.state.cursors[name] = position;
    this.next = name === "a" ? "b" : "a";
    this.change();
  }

  moveCursor(name, samples) {
    const trace = this.view.parts[0].measured;
    const at = this.state.cursors[name] ?? (this.state.from + this.state.to) / 2;
    this.setCursor(name, trace.start + (Math.round((at - trace.start) / trace.step) + samples) * trace.step);
  }

  jumpToEdge(direction) {
    const found = nearestEdge(this.timing(), this.state.cursors.a ?? (direction > 0 ? this.state.from : this.state.to), direction);
    if (!found) return;
    this.setCursor("a", found.edge.at);
    const half = (this.state.to - this.state.from) / 2;
    if (found.edge.at < this.state.from || found.edge.at > this.state.to) this.setWindow(found.edge.at - half, found.edge.at + half);
  }

  tellCursors() {
    const { a, b } = this.state.cursors;
    const step = (this.state.to - this.state.from) / 1000;
    const parts = [];
    for (const [name, at] of [["A", a], ["B", b]]) if (at !== undefined) parts.push(`${name} ${writePosition(at, step, this.state.axis)}`);
    if (a !== undefined && b !== undefined) {
      parts.push(`B − A ${writePosition(b - a, step, this.state.axis)}`);
      if (this.state.axis === "time" && a !== b) parts.push(`1/(B − A) ${(1 / Math.abs(b - a) / 1e6).toPrecision(4)} MHz`);
    }
    const edge = this.simulated.edges && a !== undefined ? nearestEdge(this.timing(), a) : undefined;
    if (edge) parts.push(`nearest edge ${this.traces[edge.item.index].label} ${edge.edge.skew.toFixed(0)} ± ${edge.edge.sigma.toFixed(0)} ps`);
    if (this.simulated.logic && this.simulated.document) parts.push(`${this.wrong} cycle${this.wrong === 1 ? "" : "s"} shown differ from what is simulated`);
    const text = parts.join("   ") || "Click to set cursor A, click again for B.";
    if (this.readout.textContent !== text) this.readout.textContent = text;
    this.cells ??= this.rows.map((row) => [row.querySelector("[data-at-a]"), row.querySelector("[data-at-b]")]);
    this.cells.forEach(([atA, atB], i) => {
      for (const [cell, text] of [[atA, this.valueAt(i, a)], [atB, this.valueAt(i, b)]]) {
        if (cell.textContent !== text) cell.textContent = text;
      }
    });
  }

  /** The value at a position: of the nearest sample when samples are shown, else the range of its bin. */
  valueAt(index, position) {
    const trace = this.view.parts[index]?.measured;
    if (position === undefined || !trace?.bins) return "–";
    const i = binOf(trace, Math.round((position - trace.start) / trace.step));
    if (i < 0) return "–";
    const span = this.traces[index].high - this.traces[index].low;
    const { simulated, difference } = this.view.parts[index];
    const beside = simulated ? `\nsimulated ${writeRange(simulated, i, span)}\ndifference ${writeRange(difference, i, span)}` : "";
    return writeRange(trace, i, span) + beside;
  }

  /** How each simulation was scaled to its waveform. */
  tellFits() {
    this.fits ??= this.rows.map((row) => row.querySelector("[data-fit]"));
    this.fits.forEach((cell, i) => {
      const trace = this.view.parts[i]?.simulated;
      const text = trace ? describeFit(trace) : "–";
      if (cell && cell.textContent !== text) cell.textContent = text;
    });
  }

  colourRows() {
    this.rows.forEach((row, i) => {
      const [red, green, blue] = colourOf(i);
      row.querySelector(".swatch").style.background = `rgb(${red} ${green} ${blue})`;
    });
  }

  bindControls() {
    const acts = {
      "zoom-in": () => this.zoom(ZOOM_STEP), "zoom-out": () => this.zoom(1 / ZOOM_STEP), fit: () => this.fit(),
      left: () => this.pan(-PAN_STEP), right: () => this.pan(PAN_STEP),
      clear: () => { this.state.cursors = {}; this.next = "a"; this.change(); },
    };
    for (const button of this.root.querySelectorAll("[data-act]")) button.addEventListener("click", () => this.view && acts[button.dataset.act]());
    const layout = this.root.querySelector("[data-layout]");
    layout.value = this.state.stacked ? "1" : "0";
    layout.addEventListener("change", () => { this.state.stacked = layout.value === "1"; this.change(); });
    this.rows.forEach((row, i) => {
      const box = row.querySelector("input[type=checkbox]");
      box.checked = !this.state.hidden.has(i);
      box.addEventListener("change", () => {
        if (box.checked) this.state.hidden.delete(i);
        else this.state.hidden.add(i);
        this.change();
      });
    });
  }
}

function writeRange(trace, bin, span) {
  const [low, high] = [trace.pairs[2 * bin], trace.pairs[2 * bin + 1]];
  return low === high ? writeValue(low, span) : `${writeValue(low, span)} to ${writeValue(high, span)}`;
}

function describeFit(trace) {
  const { fit, mixture, unit } = trace;
  const nets = mixture.map(({ net, weight }) => (weight === 1 ? net : `${weight} × ${net}`)).join(" + ");
  const swing = writeMeasured(fit.swing, fit.swing_sigma, unit);
  const left = fit.residual === null ? "too few cycles to say what is" : writeMeasured(fit.residual, null, unit);
  return `${nets}: swing ${swing}, ${left} left in a cycle`;
}

const root = document.querySelector("[data-viewer]");
if (root) {
  const viewer = new Viewer(root);
  viewer.start().catch((error) => viewer.fail(error));
}
