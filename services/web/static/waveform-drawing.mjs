// Draws views of waveforms on a canvas: dense traces column by column into its pixels, sparse ones as lines.

import { binEdge } from "./waveform-data.mjs";

export const MARGIN = { left: 78, right: 14, top: 10, bottom: 34 };
const HUES = [212, 16, 140, 280, 40, 330, 185, 95, 255, 0];
const PREFIXES = [[1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"], [1e-15, "f"]];

export function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Red, green and blue of trace number i. */
export function colourOf(i) {
  const turn = Math.floor(i / HUES.length);
  const lightness = (isDark() ? 0.68 : 0.4) + (isDark() ? -1 : 1) * 0.07 * (turn % 3);
  return fromHsl(HUES[i % HUES.length] + 11 * turn, 0.68, lightness);
}

function fromHsl(hue, saturation, lightness) {
  const a = saturation * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((n) => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}

/** A round step of which about `count` fit into `span`. */
export function roundStep(span, count) {
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5].find((step) => step * power >= raw * 0.999) ?? 10);
}

/** A position on the axis as text, with digits for the step it is one of. */
export function writePosition(value, step, axis) {
  if (axis === "sample") return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
  const [factor, prefix] = prefixFor(Math.max(Math.abs(value), step));
  const decimals = Math.max(0, Math.min(9, -Math.floor(Math.log10(step / factor) + 1e-9)));
  return `${(value / factor).toFixed(decimals)} ${prefix}s`;
}

export function prefixFor(size) {
  return PREFIXES.find(([factor]) => size >= factor * 0.9999) ?? PREFIXES.at(-1);
}

export function writeValue(value, span) {
  if (!Number.isFinite(value)) return "–";
  const decimals = Math.max(0, Math.min(9, 3 - Math.floor(Math.log10(span || Math.abs(value) || 1))));
  return value.toFixed(decimals);
}

/** Where each series goes: one lane for all of a unit, or a lane for each waveform; differences have their own. */
export function layOut(series, height, stacked) {
  const inner = height - MARGIN.top - MARGIN.bottom;
  const lanes = groupBy(series, (each) => `${stacked ? each.index : each.unit} ${each.part === "difference"}`);
  const gap = lanes.length > 12 ? 2 : 8;
  const tall = (inner - gap * (lanes.length - 1)) / lanes.length;
  return lanes.map((members, i) => {
    const low = Math.min(...members.map((trace) => trace.low));
    const high = Math.max(...members.map((trace) => trace.high));
    const pad = (high - low || Math.abs(high) || 1) * 0.04;
    return { members, low: low - pad, high: high + pad, top: MARGIN.top + i * (tall + gap), height: tall };
  });
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups.values()];
}

export function themeColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const STRONGER = 0.35; // of the way from a trace's colour to that of ink, for what is simulated of it

/** What is simulated has one colour, unless several traces share the lane: then each has a stronger one of its trace. */
function simulatedColour(meta, lane) {
  const ink = hexOf(themeColour("--ink"));
  const alone = lane.members.filter((each) => each.part === "simulated").length < 2;
  return alone ? hexOf(themeColour("--simulated")) : colourOf(meta.index).map((part, k) => Math.round(part + STRONGER * (ink[k] - part)));
}

function hexOf(text) {
  const n = Number.parseInt(text.slice(1), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

function packColour(text) {
  return packRgb(hexOf(text));
}

function packRgb([red, green, blue]) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** A value in a unit with its standard error, in the prefix that suits it. */
export function writeMeasured(value, sigma, unit) {
  const [factor, prefix] = value === 0 ? [1, ""] : prefixFor(Math.abs(value));
  const error = sigma === null || sigma === undefined ? "" : ` ± ${Number((sigma / factor).toPrecision(2))}`;
  return `${Number((value / factor).toPrecision(3))}${error} ${prefix}${unit}`;
}

function laneTitle(lane) {
  const first = lane.members[0];
  const unit = first.unit || "no unit";
  const one = lane.members.every((each) => each.index === first.index) ? `${first.label}, ` : "";
  return first.part === "difference" ? `${one}measured − simulated, ${unit}` : `${one}${unit}`;
}

/** A canvas with the window `from` … `to` of a view; `draw` is called for every change. */
export class Plot {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
  }

  resize() {
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * this.ratio);
    this.canvas.height = Math.round(this.height * this.ratio);
    this.image = undefined;
  }

  get innerWidth() {
    return this.width - MARGIN.left - MARGIN.right;
  }

  xOf(position, state) {
    return MARGIN.left + ((position - state.from) / (state.to - state.from)) * this.innerWidth;
  }

  positionOf(x, state) {
    return state.from + ((x - MARGIN.left) / this.innerWidth) * (state.to - state.from);
  }

  /** Draw series of a view; `strips` are drawn below, each with its height and what draws it, `over` above all. */
  draw(view, state, series, strips = [], over = undefined) {
    const below = strips.reduce((sum, strip) => sum + strip.height, 0);
    const lanes = layOut(series, this.height - below, state.stacked);
    this.#begin();
    const sparse = [];
    for (const lane of lanes) {
      for (const meta of lane.members) {
        const trace = view.parts[meta.index]?.[meta.part];
        if (!trace?.bins) continue;
        if (this.#isSparse(trace, state)) sparse.push([trace, meta, lane]);
        else this.#fillColumns(trace, meta, lane, state);
      }
    }
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.putImageData(this.image, 0, 0);
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    this.#drawAxes(lanes, state);
    for (const [trace, meta, lane] of sparse) this.#drawLine(trace, meta, lane, state);
    over?.(this, lanes);
    let top = this.height - MARGIN.bottom - below;
    for (const strip of strips) {
      strip.draw(this, state, { top: top + 8, height: strip.height - 8 });
      top += strip.height;
    }
    this.#drawCursors(state);
  }

  #begin() {
    if (!this.image) {
      this.image = this.context.createImageData(this.canvas.width, this.canvas.height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    this.pixels.fill(packColour(themeColour("--panel")));
  }

  #isSparse(trace, state) {
    const samples = (state.to - state.from) / trace.step;
    return trace.bins === trace.last - trace.first && samples < this.innerWidth;
  }

  #fillColumns(trace, meta, lane, state) {
    const { ratio, pixels } = this;
    const stride = this.canvas.width;
    const outline = meta.part === "simulated" ? Math.max(1, Math.round(1.5 * ratio)) : 0;
    const colour = packRgb(outline ? simulatedColour(meta, lane) : colourOf(meta.index));
    const left = Math.round(MARGIN.left * ratio);
    const right = Math.round((this.width - MARGIN.right) * ratio);
    const scaleX = ((right - left) / (state.to - state.from)) * trace.step;
    const originX = left + ((trace.start - state.from) / (state.to - state.from)) * (right - left);
    const bottom = (lane.top + lane.height) * ratio;
    const scaleY = (lane.height * ratio) / (lane.high - lane.low);
    const topLimit = Math.round(lane.top * ratio);
    const bottomLimit = Math.round(bottom) - 1;
    let lastTop = NaN;
    let lastBottom = NaN;
    for (let i = 0; i < trace.bins; i += 1) {
      const low = trace.pairs[2 * i];
      const high = trace.pairs[2 * i + 1];
      if (low !== low) { lastTop = NaN; continue; }
      const begin = Math.max(left, Math.floor(originX + binEdge(trace, i) * scaleX));
      const end = Math.min(right, Math.max(begin + 1, Math.floor(originX + binEdge(trace, i + 1) * scaleX)));
      let top = Math.round(bottom - (high - lane.low) * scaleY);
      let base = Math.round(bottom - (low - lane.low) * scaleY);
      const [ownTop, ownBase] = [top, base];
      if (top > lastBottom) top = lastBottom;
      if (base < lastTop) base = lastTop;
      [lastTop, lastBottom] = [ownTop, ownBase];
      top = Math.max(topLimit, top);
      base = Math.min(bottomLimit, base);
      if (outline && base - top > 2 * outline) { // what is simulated must not hide what was measured
        for (let x = begin; x < end; x += 1) {
          for (let k = 0; k < outline; k += 1) {
            pixels[(top + k) * stride + x] = colour;
            pixels[(base - k) * stride + x] = colour;
          }
        }
        continue;
      }
      for (let x = begin; x < end; x += 1) {
        for (let p = top * stride + x, stop = base * stride + x; p <= stop; p += stride) pixels[p] = colour;
      }
    }
  }

  #drawLine(trace, meta, lane, state) {
    const context = this.context;
    const simulated = meta.part === "simulated";
    const [red, green, blue] = simulated ? simulatedColour(meta, lane) : colourOf(meta.index);
    const yOf = (value) => lane.top + lane.height * (1 - (value - lane.low) / (lane.high - lane.low));
    const wide = ((state.to - state.from) / trace.step) * 6 < this.innerWidth;
    context.save();
    context.beginPath();
    context.rect(MARGIN.left, lane.top, this.innerWidth, lane.height);
    context.clip();
    context.strokeStyle = context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.lineWidth = simulated ? 1.6 : 1.3;
    if (simulated) context.setLineDash([7, 3]);
    context.beginPath();
    let pen = false;
    for (let i = 0; i < trace.bins; i += 1) {
      const value = trace.pairs[2 * i];
      if (value !== value) { pen = false; continue; }
      const x = this.xOf(trace.start + (trace.first + i) * trace.step, state);
      if (pen) context.lineTo(x, yOf(value));
      else context.moveTo(x, yOf(value));
      pen = true;
      if (wide && !simulated) context.rect(x - 1.5, yOf(value) - 1.5, 3, 3), context.moveTo(x, yOf(value));
    }
    context.stroke();
    context.restore();
  }

  #drawAxes(lanes, state) {
    const context = this.context;
    const faint = themeColour("--faint");
    context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    context.lineWidth = 1;
    const step = roundStep(state.to - state.from, Math.max(2, this.innerWidth / 130));
    context.strokeStyle = themeColour("--grid");
    context.fillStyle = faint;
    context.textAlign = "center";
    for (let value = Math.ceil(state.from / step) * step; value <= state.to; value += step) {
      const x = Math.round(this.xOf(value, state)) + 0.5;
      context.globalAlpha = 0.6;
      this.line(x, MARGIN.top, x, this.height - MARGIN.bottom);
      context.globalAlpha = 1;
      const text = writePosition(Math.abs(value) < step / 1e6 ? 0 : value, step, state.axis);
      context.fillText(text, Math.min(Math.max(x, MARGIN.left + 20), this.width - 34), this.height - 14);
    }
    context.textAlign = "right";
    for (const lane of lanes) this.#drawLane(lane, state, faint);
  }

  #drawLane(lane, state, faint) {
    const context = this.context;
    context.strokeStyle = themeColour("--line");
    context.strokeRect(MARGIN.left + 0.5, Math.round(lane.top) + 0.5, this.innerWidth - 1, Math.round(lane.height) - 1);
    context.fillStyle = faint;
    if (lane.height >= 60) {
      const step = roundStep(lane.high - lane.low, Math.max(2, lane.height / 45));
      for (let value = Math.ceil(lane.low / step) * step; value <= lane.high; value += step) {
        const y = lane.top + lane.height * (1 - (value - lane.low) / (lane.high - lane.low));
        context.fillText(writeValue(Math.abs(value) < step / 1e6 ? 0 : value, step * 10), MARGIN.left - 6, y + 4);
      }
      context.textAlign = "left";
      context.fillText(laneTitle(lane), MARGIN.left + 6, lane.top + 14);
      context.textAlign = "right";
    } else if (lane.height >= 9) {
      const name = lane.members[0].label;
      context.fillText(name.length > 11 ? `${name.slice(0, 10)}…` : name, MARGIN.left - 6, lane.top + lane.height / 2 + 4);
    }
  }

  #drawCursors(state) {
    const context = this.context;
    for (const [name, position] of Object.entries(state.cursors)) {
      if (position === undefined || position < state.from || position > state.to) continue;
      const x = Math.round(this.xOf(position, state)) + 0.5;
      context.strokeStyle = context.fillStyle = themeColour("--focus");
      context.setLineDash(name === "a" ? [] : [5, 4]);
      this.line(x, MARGIN.top, x, this.height - MARGIN.bottom);
      context.setLineDash([]);
      context.textAlign = "left";
      context.fillText(name.toUpperCase(), x + 4, MARGIN.top + 12);
    }
  }

  line(x0, y0, x1, y1) {
    this.context.beginPath();
    this.context.moveTo(x0, y0);
    this.context.lineTo(x1, y1);
    this.context.stroke();
  }
}
