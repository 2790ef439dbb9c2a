// The panel in which a waveform's simulation is put together of nets with weights.

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

function ownMixture(simulated, index) {
  const given = simulated.mixtureOf(index);
  return given.length ? given.map((each) => ({ ...each })) : [{ net: simulated.traces[index].net, weight: 1 }];
}

class MixturePanel {
  constructor(root, simulated, change) {
    this.root = root;
    this.simulated = simulated;
    this.change = change;
    this.nets = [...simulated.document.nets.keys()];
    this.trace = root.querySelector("[data-mix-trace]");
    this.list = root.querySelector("[data-mix-parts]");
    simulated.traces.forEach((trace) => this.trace.append(option(String(trace.index), `${trace.label} (${trace.index + 1})`)));
    this.trace.addEventListener("change", () => this.show());
    root.querySelector("[data-mix-add]").addEventListener("click", () => this.add());
    root.querySelector("[data-mix-own]").addEventListener("click", () => this.set([]));
    root.querySelector("[data-mix-fitted]").addEventListener("click", () => this.takeFitted());
    this.show();
  }

  get index() {
    return Number(this.trace.value);
  }

  set(parts) {
    const own = this.simulated.traces[this.index].net;
    const trivial = parts.length === 1 && parts[0].net === own && parts[0].weight === 1;
    this.simulated.setMixture(this.index, trivial ? [] : parts);
    this.show();
    this.change();
  }

  add() {
    const parts = ownMixture(this.simulated, this.index);
    const used = new Set(parts.map((each) => each.net));
    const next = this.nets.find((net) => !used.has(net));
    if (next) this.set([...parts, { net: next, weight: 0.5 }]);
  }

  takeFitted() {
    const known = new Set(this.nets);
    const fitted = this.simulated.timing[this.index].mixture ?? [];
    const parts = fitted.filter((each) => known.has(each.net) && Number.isFinite(each.weight)).map(({ net, weight }) => ({ net, weight: Number(weight.toPrecision(4)) }));
    if (parts.length) this.set(parts);
  }

  show() {
    const parts = ownMixture(this.simulated, this.index);
    this.root.querySelector("[data-mix-fitted]").disabled = !this.simulated.timing[this.index].mixture?.length;
    this.list.replaceChildren(...parts.map((part, place) => this.row(parts, part, place)));
  }

  row(parts, part, place) {
    const item = document.createElement("li");
    const weight = document.createElement("input");
    Object.assign(weight, { type: "number", step: "any", value: String(part.weight) });
    weight.setAttribute("aria-label", `weight of ${part.net}`);
    const net = document.createElement("select");
    net.setAttribute("aria-label", "net");
    net.append(...this.nets.map((name) => option(name, name)));
    net.value = part.net;
    const remove = document.createElement("button");
    Object.assign(remove, { type: "button", textContent: "Remove", disabled: parts.length === 1 });
    weight.addEventListener("change", () => {
      if (Number.isFinite(weight.valueAsNumber)) this.set(parts.with(place, { net: part.net, weight: weight.valueAsNumber }));
    });
    net.addEventListener("change", () => this.set(parts.with(place, { net: net.value, weight: part.weight })));
    remove.addEventListener("click", () => this.set(parts.toSpliced(place, 1)));
    item.append(weight, " × ", net, " ", remove);
    return item;
  }
}

/** Show the panel once there is something to mix. */
export function bindMixture(simulated, change) {
  const root = document.querySelector("[data-mixture]");
  if (!root || !simulated.document) return;
  root.hidden = false;
  new MixturePanel(root, simulated, change);
}
