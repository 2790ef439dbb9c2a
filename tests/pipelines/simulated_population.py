"""SIMULATED sessions of many dies of one product: own fixtures, written as instruments would, labelled simulated."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from instruments.records import PatternSet, ProbingSession, Samples, Segment, Waveform

CYCLES = 32
CYCLE_S = 1e-8
NETS = ("n1", "n2")
NEIGHBOURS = 3


@dataclass(frozen=True)
class DieScene:
    """A die: its ``seed``, ``fault`` (``flip``: cycles 5 to 9 of n1 inverted; ``dead``: n1 shows neighbours only)."""

    name: str
    seed: int
    fault: str = ""
    lot: str = "L1"
    samples: int = 10
    averages_sigma: float = 0.25
    unit: str = "reflectance"
    role: str = "suspect"
    not_a_number: bool = False
    cycles: int = CYCLES
    place: tuple[int, int] | None = None


def make_die(scene: DieScene, nets: Sequence[str] = NETS) -> ProbingSession:
    """Return the session of ``scene`` as it is read."""
    bits, numbers = _chip(scene), np.random.default_rng(scene.seed)
    dt_s = CYCLE_S / scene.samples
    waveforms = {}
    for net in nets:
        values = _waveform(bits[NETS.index(net)], scene, net, numbers)
        read = Waveform(
            name=net,
            samples=Samples.of(values),
            unit=scene.unit,
            dt_s=dt_s,
            segments=(Segment(values.size, dt_s / 2, 0.0),),
            minimum=float(np.nanmin(values)),
            maximum=float(np.nanmax(values)),
        )
        waveforms[f"{net}.csv"] = (read,)
    patterns = PatternSet("patterns", ("a",), (bits[0, 0, :, None] < 0).astype(np.uint8))
    document = _document(scene, nets)
    return ProbingSession(scene.name, scene.role, document, None, patterns, None, None, (), waveforms, {}, ())


def write_die(folder: Path, scene: DieScene, nets: Sequence[str] = NETS) -> Path:
    """Write the session of ``scene`` into the new ``folder``."""
    folder.mkdir(parents=True)
    bits, numbers = _chip(scene), np.random.default_rng(scene.seed)
    for net in nets:
        values = _waveform(bits[NETS.index(net)], scene, net, numbers)
        times = (np.arange(values.size) + 0.5) * CYCLE_S / scene.samples
        rows = "\n".join(f"{time:.6e},{value:.6f}" for time, value in zip(times, values, strict=True))
        (folder / f"{net}.csv").write_text(f"time_s,reflectance\n{rows}\n")
    (folder / "good.bench").write_text("INPUT(a)\nOUTPUT(n1)\nOUTPUT(n2)\nn1 = NOT(a)\nn2 = BUFF(a)\n")
    driven = "".join(f"{cycle},{int(bits[0, 0, cycle] < 0)}\n" for cycle in range(scene.cycles))
    (folder / "patterns.csv").write_text("cycle,a\n" + driven)
    (folder / "session.json").write_text(json.dumps(_document(scene, nets)))
    return folder


def _chip(scene: DieScene) -> np.ndarray:
    """Return what the nets and the neighbours of each do: shape ``(nets, 1 + neighbours, cycles)``, -1 and 1."""
    return np.random.default_rng(7).choice((-1.0, 1.0), (len(NETS), 1 + NEIGHBOURS, scene.cycles))


def _document(scene: DieScene, nets: Sequence[str]) -> dict[str, object]:
    x, y = scene.place if scene.place is not None else (scene.seed, 1)
    beam = {"x_um": 1.0, "y_um": 2.0, "placement_sigma_nm": 30}
    return {
        "schema": "faultlight.probing-session/1",
        "session": scene.name,
        "role": scene.role,
        "simulated": True,
        "unit": {"program": "demo", "product": "P1", "lot": scene.lot, "wafer": "W1", "x": x, "y": y},
        "technique": "LVP",
        "spot_fwhm_nm": 279,
        "stimulus": {"cycle_s": CYCLE_S, "cycles": scene.cycles},
        "netlist": "good.bench",
        "patterns": "patterns.csv",
        "waveforms": [{"file": f"{net}.csv", "net": net, **beam} for net in nets],
    }


def _waveform(bits: np.ndarray, scene: DieScene, net: str, numbers: np.random.Generator) -> np.ndarray:
    own = bits[0].copy()
    amount = 1.0
    if net == "n1" and scene.fault == "flip":
        own[5:10] *= -1
    if net == "n1" and scene.fault == "dead":
        amount = 0.0
    gain = numbers.choice((-1.0, 1.0)) * numbers.uniform(0.6, 1.4)
    beside = numbers.uniform(0.05, 0.3, NEIGHBOURS) @ bits[1:]
    level = np.repeat(gain * (amount * own + beside), scene.samples)
    drift = 0.2 * numbers.normal() * np.linspace(-1, 1, level.size)
    values = 5.0 + level + drift + numbers.normal(0, scene.averages_sigma * np.sqrt(scene.samples / 10), level.size)
    if scene.not_a_number:
        values[17] = np.nan
    return values
