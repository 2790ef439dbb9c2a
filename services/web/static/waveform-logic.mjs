// The logic view: what each waveform says by cycle, beside what is simulated; without a simulation by its threshold.

import { MARGIN, colourOf, themeColour } from "./waveform-drawing.mjs";
import { binEdge } from "./waveform-data.mjs";

const UNSURE = 2; // standard deviations from the threshold within which a cycle is left open
const ROW = 26;

/** Bits and levels of a simulation's document, unpacked once. */
export class Logic {
  constructor(document) {
    this.cycle = document.cycle_s;
    this.cycles = document.cycles;
    this.nets = new Map(document.nets.map((each) => [each.net, unpackBits(each.bits, this.cycles)]));
    this.suspects = document.suspects.map((each) => ({
      ...each, changes: new Map(Object.entries(each.changes).map(([net, text]) => [net, unpackBits(text, this.cycles)])),
    }));
    this.waveforms = new Map(document.waveforms.map((each) => [each.file, { ...each, values: unpackFloats(each.levels) }]));
  }

  /** A net's value in each cycle: in a good die, or under suspect number `suspect` (from 1) while it is active. */
  valuesOf(net, suspect) {
    const good = this.nets.get(net);
    const changes = suspect ? this.suspects[suspect - 1]?.changes.get(net) : undefined;
    return good && changes ? good.map((bit, i) => bit ^ changes[i]) : good;
  }

  /** What the nets of `mixture` other than `net` add to each cycle, under a suspect as much as it is active; and the weight of `net`. */
  besides(net, mixture, suspect) {
    const rest = new Float64Array(this.cycles);
    const active = suspect ? this.suspects[suspect - 1]?.activity ?? 0 : 0;
    let own = 0;
    for (const part of mixture) {
      const good = this.nets.get(part.net);
      if (part.net === net) own += part.weight;
      else if (good) {
        const changed = this.valuesOf(part.net, suspect);
        for (let i = 0; i < rest.length; i += 1) rest[i] += part.weight * (good[i] + active * (changed[i] - good[i]));
      }
    }
    return { own, rest };
  }
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function unpackBits(text, count) {
  const bytes = bytesOf(text);
  return Uint8Array.from({ length: count }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1);
}

function unpackFloats(text) {
  return text ? new Float32Array(bytesOf(text).buffer) : undefined;
}

/** What a net is measured to be in a cycle: 0 or 1, 0.5 where its level is too near the middle, undefined where nothing is. */
export function decide(level, fit, own = 1, rest = 0) {
  if (level === undefined || level !== level || !fit || !fit.swing || !own) return undefined;
  if (fit.residual === null) return 0.5; // as many unknowns as cycles: nothing says how far off a level may be
  const value = ((level - fit.offset) / fit.swing - rest) / own;
  if (Math.abs(value - 0.5) < (UNSURE * fit.residual) / Math.abs(fit.swing * own)) return 0.5;
  return value > 0.5 ? 1 : 0;
}

/** The height that the logic of `count` waveforms needs. */
export function logicHeight(count) {
  return count * 2 * ROW + 8;
}

/** Draw the logic of `rows` (index, label, file, net); `logic` is undefined where nothing is simulated. */
export function drawLogic(plot, view, state, rows, logic) {
  const tall = Math.min(2 * ROW, (plot.height - MARGIN.top - MARGIN.bottom) / Math.max(1, rows.length));
  let wrong = 0;
  rows.forEach((row, k) => {
    const top = MARGIN.top + k * tall;
    const levels = logic?.waveforms.get(row.file)?.values;
    const measured = view.parts[row.index]?.measured;
    if (levels && measured?.fit) wrong += drawCycles(plot, state, { row, top, tall, logic, levels, measured });
    else drawThreshold(plot, measured, state, { row, top, tall });
    drawName(plot, row, top, tall);
  });
  return wrong;
}

function drawName(plot, row, top, tall) {
  const context = plot.context;
  context.fillStyle = themeColour("--ink");
  context.textAlign = "right";
  const name = row.label.length > 11 ? `${row.label.slice(0, 10)}…` : row.label;
  context.fillText(name, MARGIN.left - 6, top + tall / 2 + 4);
}

function cyclesShown(logic, state, shift) {
  const first = Math.floor((state.from - shift) / logic.cycle);
  const last = Math.ceil((state.to - shift) / logic.cycle);
  return [Math.max(0, first), Math.min(logic.cycles, last)];
}

/** Draw measured and simulated cycles; returns in how many of those shown they differ. */
function drawCycles(plot, state, { row, top, tall, logic, levels, measured }) {
  const context = plot.context;
  const shift = state.shifts?.[row.index] ?? 0;
  const [first, last] = cyclesShown(logic, state, shift);
  const expected = logic.valuesOf(row.net, state.suspect);
  const { own, rest } = logic.besides(row.net, measured.mixture, state.suspect);
  const seenAt = (cycle) => decide(levels[cycle], measured.fit, own, rest[cycle]);
  const half = tall / 2;
  const xAt = (cycle) => plot.xOf(cycle * logic.cycle + shift, state);
  let wrong = 0;
  clipped(plot, top, tall, () => {
    for (let cycle = first; cycle < last; cycle += 1) {
      const seen = seenAt(cycle);
      const differs = seen !== undefined && seen !== 0.5 && expected !== undefined && seen !== expected[cycle];
      if (differs) {
        wrong += 1;
        context.fillStyle = themeColour("--bad-ground");
        context.fillRect(xAt(cycle), top + 1, Math.max(1, xAt(cycle + 1) - xAt(cycle)), tall - 3);
      }
      if (seen === 0.5) {
        context.fillStyle = themeColour("--warn-ground");
        context.fillRect(xAt(cycle), top + half + 1, Math.max(1, xAt(cycle + 1) - xAt(cycle)), half - 4);
      }
    }
    if (expected) drawSteps(context, { first, last, xAt, valueAt: (cycle) => expected[cycle], top: top + 3, tall: half - 6, colour: themeColour("--simulated") });
    const colour = `rgb(${colourOf(row.index).join(" ")})`;
    drawSteps(context, { first, last, xAt, valueAt: seenAt, top: top + half + 1, tall: half - 6, colour });
  });
  return wrong;
}

/** Draw the settled level of each cycle as it was measured, over the samples of its lane. */
export function drawLevels(plot, state, lanes, logic) {
  for (const lane of lanes) {
    for (const meta of lane.members.filter((each) => each.part === "measured")) {
      const levels = logic.waveforms.get(meta.file)?.values;
      if (!levels) continue;
      const [first, last] = cyclesShown(logic, state, 0);
      const xAt = (cycle) => plot.xOf(cycle * logic.cycle, state);
      const valueAt = (cycle) => (Number.isNaN(levels[cycle]) ? undefined : (levels[cycle] - lane.low) / (lane.high - lane.low));
      clipped(plot, lane.top, lane.height, () => drawSteps(plot.context, { first, last, xAt, valueAt, top: lane.top, tall: lane.height, colour: themeColour("--ink") }));
    }
  }
}

function drawSteps(context, { first, last, xAt, valueAt, top, tall, colour }) {
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  let pen = false;
  for (let cycle = first; cycle < last; cycle += 1) {
    const value = valueAt(cycle);
    if (value === undefined) { pen = false; continue; }
    const y = top + tall * (1 - value);
    if (pen) context.lineTo(xAt(cycle), y);
    else context.moveTo(xAt(cycle), y);
    context.lineTo(xAt(cycle + 1), y);
    pen = true;
  }
  context.stroke();
}

/** Draw which side of the middle of its range a trace is on; a bin on both sides is a block. */
function drawThreshold(plot, trace, state, { row, top, tall }) {
  if (!trace?.bins) return;
  const context = plot.context;
  const middle = (row.low + row.high) / 2;
  const room = tall - 8;
  clipped(plot, top, tall, () => {
    context.fillStyle = `rgb(${colourOf(row.index).join(" ")})`;
    for (let i = 0; i < trace.bins; i += 1) {
      const [low, high] = [trace.pairs[2 * i], trace.pairs[2 * i + 1]];
      if (low !== low) continue;
      const x = plot.xOf(trace.start + binEdge(trace, i) * trace.step, state);
      const end = plot.xOf(trace.start + binEdge(trace, i + 1) * trace.step, state);
      const y = high > middle ? top + 4 : top + 4 + room;
      const base = low > middle ? top + 4 : top + 4 + room;
      context.fillRect(x, y - 0.75, Math.max(1, end - x), base - y + 1.5);
    }
  });
}

function clipped(plot, top, tall, draw) {
  const context = plot.context;
  context.save();
  context.beginPath();
  context.rect(MARGIN.left, top, plot.innerWidth, tall);
  context.clip();
  draw();
  context.restore();
}
