// Views of waveforms from the API: minimum and maximum of every bin, never a thinned-out trace.

export const MOST_BYTES = 1_000_000;
const PAIR_BYTES = 8;
const HEAD_BYTES = 800;

/** Bins of each trace such that all of them fit into one answer of at most MOST_BYTES. */
export function binsFor(traceCount, wanted) {
  const room = MOST_BYTES - HEAD_BYTES * traceCount;
  return Math.max(16, Math.min(wanted, 4096, Math.floor(room / (PAIR_BYTES * traceCount))));
}

/** The traces of a view, each with its pairs as a Float32Array; `parts` has them by waveform and part. */
export function parseView(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const view = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let offset = 4 + length;
  for (const trace of view.traces) {
    trace.pairs = new Float32Array(buffer, offset, trace.bins * 2);
    offset += trace.bins * PAIR_BYTES;
  }
  view.bytes = buffer.byteLength;
  view.parts = [];
  for (const trace of view.traces) {
    const part = trace.part ?? "measured";
    if (part === "measured") view.parts.push({});
    view.parts.at(-1)[part] = trace;
  }
  return view;
}

/** The problem that the service told. */
export class Refused extends Error {}

/** Ask `source` (path, and pairs of its query) for a window; from and to undefined: all there is. */
export function fetchView(source, from, to, bins, signal) {
  const query = new URLSearchParams([...source.query, ["px", String(bins)]]);
  if (from !== undefined) query.set("from", String(from));
  if (to !== undefined) query.set("to", String(to));
  return fetchAddress(`${source.path}?${query}`, signal);
}

/** Ask for the view at an address of the service. */
export async function fetchAddress(address, signal) {
  const answer = await fetch(address, { signal });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    const text = problem.detail ?? `the service answered ${answer.status}`;
    throw answer.status === 422 ? new Refused(text) : new Error(text);
  }
  return parseView(await answer.arrayBuffer());
}

/** The first sample of bin i, as the service parts them. */
export function binEdge(trace, i) {
  const span = trace.last - trace.first;
  const whole = Math.floor(span / trace.bins);
  return trace.first + i * whole + Math.floor((i * (span % trace.bins)) / trace.bins);
}

/** The bin that holds a sample, -1 when none does. */
export function binOf(trace, sample) {
  if (!trace.bins || sample < trace.first || sample >= trace.last) return -1;
  let i = Math.min(trace.bins - 1, Math.floor(((sample - trace.first) * trace.bins) / (trace.last - trace.first)));
  while (i > 0 && binEdge(trace, i) > sample) i -= 1;
  while (i + 1 < trace.bins && binEdge(trace, i + 1) <= sample) i += 1;
  return i;
}
