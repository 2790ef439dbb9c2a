// The layout viewer: layers as tiles, defects over them, the whole view in the address.

import { Tiles } from "./layout-tiles.mjs";
import { bindNets } from "./layout-nets.mjs";
import { colourOf, roundStep, themeColour } from "./waveform-drawing.mjs";

const ZOOM = 1.6;
const PAN = 0.2;
const NEAR = 9; // pixels within which a click means a defect
const CRITICAL = 0.5;

async function fetchBody(id) {
  const answer = await fetch(`/api/v1/results/${id}`);
  if (!answer.ok) throw new Error(`the result could not be loaded: the service answered ${answer.status}`);
  return (await answer.json()).body;
}

class LayoutView {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.context = this.canvas.getContext("2d");
    this.layers = [...root.querySelectorAll("[data-layer]")].map((box) => ({ box, name: box.dataset.layer }));
    this.defects = [];
  }

  async start() {
    const [tiles, overlay] = await Promise.all([this.root.dataset.tiles, this.root.dataset.overlay].map((id) => (id ? fetchBody(id) : undefined)));
    this.tiles = new Tiles(this.root.dataset.tiles, tiles, () => this.arrived());
    this.defects = overlay?.defects ?? [];
    this.resize();
    this.readAddress();
    this.colourLayers();
    this.bind();
    this.draw();
    new ResizeObserver(() => { this.resize(); this.draw(); }).observe(this.canvas);
    for (const event of [document, matchMedia("(prefers-color-scheme: dark)")]) {
      event.addEventListener(event === document ? "themechange" : "change", () => { this.colourLayers(); this.draw(); });
    }
  }

  /** The window that shows all tiles with something in them. */
  get whole() {
    const { left_um: left, top_um: top } = this.tiles.body;
    const { side, columns, rows } = this.tiles.drawn;
    const [wide, high] = [columns, rows].map(([first, last]) => (last - first + 1) * side);
    const [width, height] = [this.canvas.width, this.canvas.height].map((each) => each || 1);
    const span = Math.min(width, height) * Math.max(wide / width, high / height);
    return { x: left + columns[0] * side + wide / 2, y: top - rows[0] * side - high / 2, span };
  }

  readAddress() {
    const query = new URLSearchParams(location.search);
    const number = (name) => (query.has(name) && Number.isFinite(Number(query.get(name))) ? Number(query.get(name)) : undefined);
    const all = this.whole;
    this.x = number("x") ?? all.x;
    this.y = number("y") ?? all.y;
    this.span = Math.max(number("span") ?? all.span * 1.04, 1e-4);
    this.defect = number("defect");
    this.mark = query.has("at") ? query.get("at").split(",").map(Number) : undefined;
    const hidden = new Set((query.get("hidden") ?? "").split(",").filter(Boolean));
    for (const { box, name } of this.layers) box.checked = !hidden.has(name);
  }

  writeAddress() {
    const query = new URLSearchParams(location.search);
    const set = (name, value) => (value === undefined || value === "" ? query.delete(name) : query.set(name, value));
    set("x", this.x.toPrecision(9));
    set("y", this.y.toPrecision(9));
    set("span", this.span.toPrecision(6));
    set("hidden", this.layers.filter(({ box }) => !box.checked).map(({ name }) => name).join(","));
    set("defect", this.defect === undefined ? undefined : String(this.defect));
    set("at", this.mark?.map((each) => each.toFixed(4)).join(","));
    set("tiles", this.root.dataset.tiles);
    set("overlay", this.root.dataset.overlay);
    history.replaceState(null, "", `?${query}`);
  }

  resize() {
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(this.canvas.clientWidth * this.ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * this.ratio);
    this.layer = new OffscreenCanvas(this.canvas.width, this.canvas.height);
  }

  colourLayers() {
    this.layers.forEach(({ box }, i) => { box.parentElement.querySelector(".swatch").style.background = `rgb(${colourOf(i).join(" ")})`; });
  }

  /** Screen pixels of a micrometre. */
  get scale() {
    return Math.min(this.canvas.width, this.canvas.height) / this.span;
  }

  toScreen(x, y) {
    return [this.canvas.width / 2 + (x - this.x) * this.scale, this.canvas.height / 2 - (y - this.y) * this.scale];
  }

  toLayout(px, py) {
    return [this.x + (px - this.canvas.width / 2) / this.scale, this.y - (py - this.canvas.height / 2) / this.scale];
  }

  /** Tiles come one by one; the picture follows a few times a second. */
  arrived() {
    this.status(this.tiles.failed ? `${this.tiles.failed} tiles could not be loaded; load the page again.` : "");
    this.drawing ??= setTimeout(() => { this.drawing = undefined; this.draw(); }, this.tiles.busy ? 200 : 0);
  }

  status(text) {
    if (text) this.root.querySelector("[data-status]").textContent = text;
  }

  change() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
    clearTimeout(this.writing);
    this.writing = setTimeout(() => this.writeAddress(), 150);
  }

  draw() {
    const { context, canvas } = this;
    context.globalAlpha = 1;
    context.fillStyle = themeColour("--panel");
    context.fillRect(0, 0, canvas.width, canvas.height);
    const level = this.tiles.levelFor(this.scale);
    this.layers.forEach(({ box, name }, i) => { if (box.checked) this.drawLayer(name, level, `rgb(${colourOf(i).join(" ")})`); });
    context.globalAlpha = 1;
    if (this.root.querySelector("[data-defects]")?.checked) this.drawDefects();
    this.drawMark();
    this.drawScale();
    if (!this.tiles.busy) canvas.dataset.drawn = String(Number(canvas.dataset.drawn ?? 0) + 1);
  }

  drawLayer(name, level, colour) {
    const side = this.tiles.body.side_um / 2 ** level;
    const { left_um: left, top_um: top } = this.tiles.body;
    const [westUm, northUm] = this.toLayout(0, 0);
    const [eastUm, southUm] = this.toLayout(this.canvas.width, this.canvas.height);
    const last = 2 ** level - 1;
    const clamp = (value) => Math.min(Math.max(Math.floor(value), 0), last);
    const paint = this.layer.getContext("2d");
    paint.globalCompositeOperation = "source-over";
    paint.clearRect(0, 0, this.layer.width, this.layer.height);
    let any = false;
    for (let y = clamp((top - northUm) / side); y <= clamp((top - southUm) / side); y += 1) {
      for (let x = clamp((westUm - left) / side); x <= clamp((eastUm - left) / side); x += 1) {
        const found = this.tiles.find(name, level, x, y);
        if (!found) continue;
        const { mask, left: u, top: v, part } = found;
        const [px, py] = this.toScreen(left + x * side, top - y * side);
        const size = side * this.scale;
        paint.imageSmoothingEnabled = size <= mask.width * part * 1.5;
        paint.drawImage(mask, u * mask.width, v * mask.height, part * mask.width, part * mask.height, px, py, size, size);
        any = true;
      }
    }
    if (!any) return;
    paint.globalCompositeOperation = "source-in";
    paint.fillStyle = colour;
    paint.fillRect(0, 0, this.layer.width, this.layer.height);
    this.context.globalAlpha = 0.55;
    this.context.drawImage(this.layer, 0, 0);
  }

  drawDefects() {
    const { context } = this;
    this.defects.forEach((each, i) => {
      const [px, py] = this.toScreen(each.x_um, each.y_um);
      if (px < -20 || py < -20 || px > this.canvas.width + 20 || py > this.canvas.height + 20) return;
      const critical = (each.criticality ?? 0) >= CRITICAL;
      context.strokeStyle = themeColour(critical ? "--bad" : each.nuisance ? "--faint" : "--warn");
      context.lineWidth = (i === this.defect ? 3 : 1.6) * this.ratio;
      context.beginPath();
      context.arc(px, py, Math.max(4 * this.ratio, ((each.size_um ?? 0) / 2) * this.scale), 0, 2 * Math.PI);
      context.stroke();
      if (i === this.defect) {
        context.beginPath();
        context.arc(px, py, Math.max(9 * this.ratio, (each.size_um ?? 0) * this.scale), 0, 2 * Math.PI);
        context.stroke();
      }
    });
  }

  drawMark() {
    if (!this.mark) return;
    const [px, py] = this.toScreen(...this.mark);
    const r = 8 * this.ratio;
    this.context.strokeStyle = themeColour("--focus");
    this.context.lineWidth = 1.6 * this.ratio;
    this.context.beginPath();
    this.context.moveTo(px - r, py);
    this.context.lineTo(px + r, py);
    this.context.moveTo(px, py - r);
    this.context.lineTo(px, py + r);
    this.context.stroke();
  }

  drawScale() {
    const { context, ratio } = this;
    const length = roundStep(this.span, 5);
    const text = length >= 1 ? `${length} µm` : `${Number((length * 1000).toPrecision(3))} nm`;
    const left = 14 * ratio;
    const base = this.canvas.height - 14 * ratio;
    context.strokeStyle = context.fillStyle = themeColour("--ink");
    context.lineWidth = 2 * ratio;
    context.beginPath();
    context.moveTo(left, base);
    context.lineTo(left + length * this.scale, base);
    context.stroke();
    context.font = `${12 * ratio}px system-ui, 'DejaVu Sans', sans-serif`;
    context.fillText(text, left, base - 5 * ratio);
  }

  zoom(factor, px = this.canvas.width / 2, py = this.canvas.height / 2) {
    const [x, y] = this.toLayout(px, py);
    const all = this.whole.span;
    const span = Math.min(Math.max(this.span / factor, all * 1e-6), all * 3);
    const real = this.span / span;
    this.x = x - (x - this.x) / real;
    this.y = y - (y - this.y) / real;
    this.span = span;
    this.change();
  }

  pan(dx, dy) {
    this.x += dx * this.span;
    this.y += dy * this.span;
    this.change();
  }

  fit() {
    Object.assign(this, { x: this.whole.x, y: this.whole.y, span: this.whole.span * 1.04 });
    this.change();
  }

  choose(index) {
    this.defect = index;
    for (const row of document.querySelectorAll("[data-defect]")) row.classList.toggle("chosen", Number(row.dataset.defect) === index);
    const each = this.defects[index];
    this.root.querySelector("[data-status]").textContent = each ? `Defect ${each.defect_id}: ${each.mode ?? "does nothing"}, criticality ${each.criticality === null ? "unknown" : `${each.criticality.toFixed(3)} ± ${each.criticality_sigma.toFixed(3)}`}` : "";
  }

  goTo(index) {
    const each = this.defects[index];
    if (!each) return;
    Object.assign(this, { x: each.x_um, y: each.y_um, span: Math.min(this.span, Math.max(20 * (each.size_um || 0.1), this.whole.span / 60)) });
    this.choose(index);
    this.change();
    this.canvas.scrollIntoView({ block: "nearest" });
  }

  click(px, py) {
    const near = this.defects.map((each, i) => [Math.hypot(...this.toScreen(each.x_um, each.y_um).map((at, k) => at - [px, py][k])), i]).sort((a, b) => a[0] - b[0])[0];
    if (near && near[0] <= NEAR * this.ratio) return this.choose(near[1]), this.change();
    this.mark = this.toLayout(px, py);
    const form = document.querySelector("[data-nets]");
    if (form) [form.x_um.value, form.y_um.value] = this.mark.map((each) => each.toFixed(4));
    return this.change();
  }

  bind() {
    const acts = { "zoom-in": () => this.zoom(ZOOM), "zoom-out": () => this.zoom(1 / ZOOM), fit: () => this.fit() };
    for (const button of this.root.querySelectorAll("[data-act]")) button.addEventListener("click", acts[button.dataset.act]);
    for (const { box } of this.layers) box.addEventListener("change", () => this.change());
    this.root.querySelector("[data-defects]")?.addEventListener("change", () => this.change());
    for (const button of document.querySelectorAll("[data-show-defect]")) button.addEventListener("click", () => this.goTo(Number(button.dataset.showDefect)));
    if (this.defect !== undefined) this.choose(this.defect);
    this.bindKeys();
    this.bindPointer();
  }

  bindKeys() {
    const keys = {
      ArrowLeft: () => this.pan(-PAN, 0), ArrowRight: () => this.pan(PAN, 0), ArrowUp: () => this.pan(0, PAN), ArrowDown: () => this.pan(0, -PAN),
      "+": () => this.zoom(ZOOM), "=": () => this.zoom(ZOOM), "-": () => this.zoom(1 / ZOOM), Home: () => this.fit(),
      Enter: () => this.click(this.canvas.width / 2, this.canvas.height / 2),
    };
    this.canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  bindPointer() {
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [(event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio];
    };
    let grabbed;
    this.canvas.addEventListener("pointerdown", (event) => {
      grabbed = { from: at(event), x: this.x, y: this.y, moved: false };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const [px, py] = at(event);
      const [x, y] = this.toLayout(px, py);
      this.root.querySelector("[data-place]").textContent = `${x.toFixed(3)}, ${y.toFixed(3)} µm`;
      if (!grabbed) return;
      const [dx, dy] = [px - grabbed.from[0], py - grabbed.from[1]];
      grabbed.moved ||= Math.hypot(dx, dy) > 3 * this.ratio;
      if (grabbed.moved) Object.assign(this, { x: grabbed.x - dx / this.scale, y: grabbed.y + dy / this.scale }), this.change();
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (grabbed && !grabbed.moved) this.click(...at(event));
      grabbed = undefined;
    });
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), ...at(event));
    }, { passive: false });
  }
}

const root = document.querySelector("[data-layout][data-tiles]");
if (root) {
  new LayoutView(root).start().catch((error) => {
    root.querySelector("[data-status]").textContent = `The layers could not be shown: ${error.message}`;
  });
}
const form = document.querySelector("[data-nets]");
if (form) bindNets(form, document.querySelector("[data-nets-answer]"));
