// The strip of edges: how much later than simulated each comes, with its standard error, and the pooled delay.

import { MARGIN, colourOf, roundStep, themeColour } from "./waveform-drawing.mjs";

export const EDGES_HEIGHT = 130;
const SURE = 0.5; // probability of being an outlier from which an edge does not count for the scale
const PICO = 1e-12;

/** The edges of a waveform in a localization's document, in seconds and picoseconds. */
export function readEdges(item) {
  return (item?.edges ?? []).map((edge) => ({
    at: (edge.time_ps + edge.skew_ps) * PICO, skew: edge.skew_ps, sigma: edge.skew_sigma_ps, step: edge.step,
    outlier: edge.outlier_probability ?? 0,
  }));
}

function reach(items) {
  let most = 1;
  for (const item of items) {
    for (const edge of item.edges) if (edge.outlier < SURE) most = Math.max(most, Math.abs(edge.skew) + 1.2 * edge.sigma);
    if (item.skew !== undefined) most = Math.max(most, Math.abs(item.skew) + 1.2 * (item.sigma ?? 0));
  }
  return most;
}

/** A strip that draws `items`: of each trace its index, pooled skew and sigma (ps), and edges. */
export function edgeStrip(items) {
  return { height: EDGES_HEIGHT, draw: (plot, state, place) => drawEdges(plot, state, place, items) };
}

function drawEdges(plot, state, { top, height }, items) {
  const context = plot.context;
  const most = reach(items);
  const yOf = (skew) => top + height / 2 - (skew / most) * (height / 2 - 4);
  context.save();
  context.fillStyle = themeColour("--panel");
  context.fillRect(MARGIN.left, top, plot.innerWidth, height);
  drawScale(plot, most, yOf, { top, height });
  context.beginPath();
  context.rect(MARGIN.left, top, plot.innerWidth, height);
  context.clip();
  let shown = 0;
  for (const item of items) {
    context.strokeStyle = context.fillStyle = `rgb(${colourOf(item.index).join(" ")})`;
    drawPooled(plot, item, yOf);
    for (const edge of item.edges) {
      if (edge.at < state.from || edge.at > state.to) continue;
      drawEdge(plot, edge, plot.xOf(edge.at, state), yOf);
      shown += 1;
    }
  }
  context.restore();
  context.fillStyle = themeColour("--faint");
  context.textAlign = "left";
  const refused = items.reduce((sum, item) => sum + (item.refused ?? 0), 0);
  const noisy = refused ? `; ${refused} too noisy for a delay of ${refused === 1 ? "its" : "their"} own` : "";
  const told = `skew of edges, ps, ± one standard error: ${shown} here`;
  const texts = [`${told}, hollow ones are probably outliers; band: the whole waveform${noisy}`, `${told}${noisy}`, told];
  const fitting = texts.find((text) => context.measureText(text).width < plot.innerWidth - 12) ?? told;
  context.fillText(fitting, MARGIN.left + 6, top + 13);
}

function drawScale(plot, most, yOf, { top, height }) {
  const context = plot.context;
  context.strokeStyle = themeColour("--line");
  context.strokeRect(MARGIN.left + 0.5, Math.round(top) + 0.5, plot.innerWidth - 1, Math.round(height) - 1);
  context.fillStyle = themeColour("--faint");
  context.textAlign = "right";
  const step = roundStep(2 * most, 4);
  for (let value = Math.ceil(-most / step) * step; value <= most; value += step) {
    const tidy = Math.abs(value) < step / 1e6 ? 0 : value;
    context.fillText(tidy.toFixed(Math.max(0, -Math.floor(Math.log10(step)))), MARGIN.left - 6, yOf(value) + 4);
    context.strokeStyle = themeColour(tidy === 0 ? "--faint" : "--grid");
    plot.line(MARGIN.left, Math.round(yOf(value)) + 0.5, MARGIN.left + plot.innerWidth, Math.round(yOf(value)) + 0.5);
  }
}

function drawPooled(plot, item, yOf) {
  if (item.skew === undefined) return;
  const context = plot.context;
  const half = item.sigma ?? 0;
  context.globalAlpha = 0.18;
  context.fillRect(MARGIN.left, yOf(item.skew + half), plot.innerWidth, Math.max(1.5, yOf(item.skew - half) - yOf(item.skew + half)));
  context.globalAlpha = 1;
}

function drawEdge(plot, edge, x, yOf) {
  const context = plot.context;
  context.lineWidth = 1.2;
  plot.line(x, yOf(edge.skew - edge.sigma), x, yOf(edge.skew + edge.sigma));
  context.beginPath();
  context.arc(x, yOf(edge.skew), 2.6, 0, 2 * Math.PI);
  if (edge.outlier < SURE) context.fill();
  else context.stroke();
}

/** The edge next to a position among `items`, or the next one on in a direction. */
export function nearestEdge(items, position, direction = 0) {
  let best;
  for (const item of items) {
    for (const edge of item.edges) {
      if (direction && (edge.at - position) * direction <= 1e-15) continue;
      if (!best || Math.abs(edge.at - position) < Math.abs(best.edge.at - position)) best = { edge, item };
    }
  }
  return best;
}
