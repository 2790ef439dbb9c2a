// The die under the pointer or the arrow keys, from the API's answer for the shown wafer.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function describe(map, at) {
  const { dies } = map;
  const said = [`Die ${dies.x[at]}, ${dies.y[at]}`, dies.part[at] ? `part ${dies.part[at]}` : "", verdictOf(dies.verdict[at])];
  if (dies.hard_bin[at]) said.push(`bin ${dies.hard_bin[at]}`);
  if (dies.soft_bin[at] && dies.soft_bin[at] !== dies.hard_bin[at]) said.push(`soft bin ${dies.soft_bin[at]}`);
  if (dies.value) said.push(dies.value[at] === null ? `${map.test}: not read` : `${map.test} ${Number(dies.value[at].toPrecision(6))} ${map.unit}`.trim());
  return said.filter(Boolean).join(", ");
}

function verdictOf(verdict) {
  return { pass: "passed", fail: "failed" }[verdict] ?? "no verdict";
}

class WaferCursor {
  constructor(svg, map) {
    this.svg = svg;
    this.map = map;
    this.rect = svg.querySelector(".cursor");
    this.readout = document.querySelector("[data-die-readout]");
    this.byPlace = new Map(map.dies.x.map((x, at) => [`${x},${map.dies.y[at]}`, at]));
    svg.addEventListener("pointermove", (event) => this.point(event));
    svg.addEventListener("keydown", (event) => this.key(event));
  }

  show(x, y) {
    const at = this.byPlace.get(`${x},${y}`);
    if (at === undefined) return false;
    this.at = { x, y };
    this.rect.setAttribute("x", x);
    this.rect.setAttribute("y", y);
    this.rect.setAttribute("visibility", "visible");
    this.readout.textContent = describe(this.map, at);
    return true;
  }

  point(event) {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    this.show(Math.floor(place.x), Math.floor(place.y));
  }

  key(event) {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    if (!this.at) {
      const middle = Math.floor(this.map.dies.x.length / 2);
      this.show(this.map.dies.x[middle], this.map.dies.y[middle]);
      return;
    }
    // Places without a die are stepped over, as far as the wafer goes.
    for (let far = 1; far < 1000; far += 1) {
      if (this.show(this.at.x + far * step[0], this.at.y + far * step[1])) return;
    }
  }
}

async function start(svg) {
  const answer = await fetch(svg.dataset.wafer, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(`the dies could not be read: ${answer.status}`);
  const cursor = new WaferCursor(svg, await answer.json());
  svg.dataset.ready = String(cursor.byPlace.size);
}

for (const svg of document.querySelectorAll("[data-wafer]")) {
  start(svg).catch((error) => { document.querySelector("[data-die-readout]").textContent = error.message; });
}
