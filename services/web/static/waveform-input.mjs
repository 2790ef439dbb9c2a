// What pointer and keyboard do to the waveforms.

import { MARGIN } from "./waveform-drawing.mjs";
import { stepControl } from "./waveform-simulation.mjs";

export const ZOOM_STEP = 1.6;
export const PAN_STEP = 0.2;

/** Drag pans, a click sets a cursor, the wheel zooms. */
export function bindPointer(viewer) {
  const place = (event) => event.clientX - viewer.canvas.getBoundingClientRect().left;
  let grabbed;
  viewer.canvas.addEventListener("pointerdown", (event) => {
    if (!viewer.view || event.button !== 0) return;
    grabbed = { x: place(event), from: viewer.state.from, to: viewer.state.to, moved: false };
    viewer.canvas.setPointerCapture(event.pointerId);
  });
  viewer.canvas.addEventListener("pointermove", (event) => {
    if (!grabbed) return;
    const shift = ((grabbed.x - place(event)) / viewer.plot.innerWidth) * (grabbed.to - grabbed.from);
    grabbed.moved ||= Math.abs(grabbed.x - place(event)) > 3;
    viewer.moving = true;
    if (grabbed.moved) viewer.setWindow(grabbed.from + shift, grabbed.to + shift);
  });
  viewer.canvas.addEventListener("pointerup", (event) => {
    if (grabbed && !grabbed.moved) viewer.setCursor(event.shiftKey ? "b" : viewer.next, viewer.plot.positionOf(place(event), viewer.state));
    grabbed = undefined;
    viewer.moving = false;
  });
  viewer.canvas.addEventListener("wheel", (event) => {
    if (!viewer.view || place(event) < MARGIN.left) return;
    event.preventDefault();
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (sideways) viewer.pan(event.deltaX / viewer.plot.innerWidth);
    else viewer.zoom(Math.exp(-event.deltaY / 400), viewer.plot.positionOf(place(event), viewer.state));
  }, { passive: false });
}

/** Act on the keys that the page tells of. */
export function bindKeys(viewer) {
  const keys = {
    ArrowLeft: () => viewer.pan(-PAN_STEP), ArrowRight: () => viewer.pan(PAN_STEP),
    "+": () => viewer.zoom(ZOOM_STEP), "=": () => viewer.zoom(ZOOM_STEP), "-": () => viewer.zoom(1 / ZOOM_STEP),
    Home: () => viewer.fit(), a: () => viewer.moveCursor("a", 0), b: () => viewer.moveCursor("b", 0),
    ",": () => viewer.moveCursor("a", -1), ".": () => viewer.moveCursor("a", 1),
    "<": () => viewer.moveCursor("b", -1), ">": () => viewer.moveCursor("b", 1),
    "[": () => viewer.jumpToEdge(-1), "]": () => viewer.jumpToEdge(1),
    s: () => stepControl(viewer.simulated.panel, "show"), u: () => stepControl(viewer.simulated.panel, "suspect"),
    l: () => stepControl(viewer.simulated.panel, "logic"), e: () => stepControl(viewer.simulated.panel, "edges"),
    t: () => stepControl(viewer.simulated.panel, "aligned"), v: () => stepControl(viewer.simulated.panel, "levels"),
  };
  viewer.canvas.addEventListener("keydown", (event) => {
    if (!viewer.view || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
}
