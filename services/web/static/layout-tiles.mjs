// Tiles of a layout: which are needed for a view, fetched once, kept as masks that any colour can be poured into.

const MOST_KEPT = 600;
const MOST_AT_ONCE = 8;

/** The tiles of one result. */
export class Tiles {
  constructor(id, body, arrived) {
    this.id = id;
    this.body = body;
    this.arrived = arrived;
    this.kept = new Map();
    this.waiting = [];
    this.running = 0;
    this.failed = 0; // what failed once is not asked for again before the page is loaded anew
  }

  get levels() {
    return this.body.pitch_nm.length;
  }

  /** The first and last column and row of tiles of the finest level that hold anything, and the side of one, µm. */
  get drawn() {
    this.found ??= this.findDrawn();
    return this.found;
  }

  findDrawn() {
    const level = this.levels - 1;
    const side = this.body.side_um / 2 ** level;
    const [columns, rows] = [0, 1].map(() => [Infinity, -Infinity]);
    for (const index of Object.values(this.body.index)) {
      for (const key of Object.keys(index)) {
        const [at, x, y] = key.split("/").map(Number);
        if (at !== level) continue;
        for (const [reach, place] of [[columns, x], [rows, y]]) {
          reach[0] = Math.min(reach[0], place);
          reach[1] = Math.max(reach[1], place);
        }
      }
    }
    return columns[0] <= columns[1] ? { side, columns, rows } : { side: this.body.side_um, columns: [0, 0], rows: [0, 0] };
  }

  /** The coarsest level whose pixels are no larger than those of the screen. */
  levelFor(pixelsPerUm) {
    const level = this.body.pitch_nm.findIndex((pitch) => (pitch / 1000) * pixelsPerUm <= 1);
    return level < 0 ? this.levels - 1 : level;
  }

  has(layer, level, x, y) {
    return this.body.index[layer]?.[`${level}/${x}/${y}`] !== undefined;
  }

  /** The tile's mask, or that of the nearest ancestor that is here, with the part of it that is meant. */
  find(layer, level, x, y) {
    if (!this.has(layer, level, x, y)) return undefined;
    const own = this.take(layer, level, x, y, true);
    if (own) return { mask: own, left: 0, top: 0, part: 1 };
    for (let up = 1; up <= level; up += 1) {
      const mask = this.take(layer, level - up, x >> up, y >> up, false);
      const part = 1 / 2 ** up;
      if (mask) return { mask, left: (x - ((x >> up) << up)) * part, top: (y - ((y >> up) << up)) * part, part };
    }
    return undefined;
  }

  take(layer, level, x, y, fetchIt) {
    const key = `${layer}/${level}/${x}/${y}`;
    const found = this.kept.get(key);
    if (found) {
      this.kept.delete(key);
      this.kept.set(key, found);
      return found.mask;
    }
    if (fetchIt) {
      this.kept.set(key, {});
      this.waiting.push({ key, path: `${layer.replace("/", "_")}/${level}/${x}/${y}` });
      this.next();
    }
    return undefined;
  }

  next() {
    while (this.running < MOST_AT_ONCE && this.waiting.length) {
      const { key, path } = this.waiting.pop(); // what was asked for last is looked at now
      this.running += 1;
      this.load(key, path).catch(() => { this.failed += 1; }).finally(() => {
        this.running -= 1;
        this.arrived();
        this.next();
      });
    }
  }

  get busy() {
    return this.running + this.waiting.length > 0;
  }

  async load(key, path) {
    const answer = await fetch(`/api/v1/results/${this.id}/tiles/${path}`);
    if (!answer.ok) throw new Error(`the tile ${path} could not be loaded`);
    const picture = await createImageBitmap(await answer.blob());
    this.kept.set(key, { mask: maskOf(picture) });
    while (this.kept.size > MOST_KEPT) this.kept.delete(this.kept.keys().next().value);
  }
}

/** A picture's grey as opacity. */
function maskOf(picture) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const image = context.getImageData(0, 0, picture.width, picture.height);
  const { data } = image;
  for (let i = 0; i < data.length; i += 4) data[i + 3] = data[i];
  context.putImageData(image, 0, 0);
  return canvas;
}
