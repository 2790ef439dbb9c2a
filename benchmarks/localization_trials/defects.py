"""Hidden defects of every stratum, drawn at random until the patterns detect one, by simulators of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.localization_trials.dies import Bridge, Defect, Die, DieGenerator, StuckNets
from benchmarks.localization_trials.timed_die import SlowNet, SlowPath
from services.demo.circuit import DemoCircuit, place_in_rows
from services.demo.die import list_hidden_faults, observed_nets
from services.demo.machine import HiddenFault

SINGLE = ("stem", "pin", "swap", "intermittent")
BRIDGES = ("dominant", "wired", "byzantine")
STRATA = (*SINGLE, "slow", "path", *BRIDGES, "double", "golden")
MOST_DRAWS = 400
BRIDGE_NEAREST = 8
LEAST_PATH = 3
"""Gates of a slow path."""


@dataclass(frozen=True)
class Trial:
    """A die with the nets at which its defect may rightly be reported; none for a good one."""

    stratum: str
    die: Die
    sites: tuple[str, ...]
    described: str


class Undetected(Exception):  # noqa: N818
    """The patterns detect no defect of a stratum in this circuit."""


class DefectSource:
    """Draws defective dies of one circuit.

    Args:
        circuit: of the demonstration's kind.
        patterns: how many are looped.
        generator: makes the dies.
    """

    def __init__(self, circuit: DemoCircuit, patterns: int, generator: DieGenerator) -> None:
        self.circuit, self.patterns, self.generator = circuit, patterns, generator
        self.nets = [gate.output for gate in circuit.gates if gate.function != "DFF"]
        self._drivers = {gate.output: gate.inputs for gate in circuit.gates if gate.function != "DFF"}
        self.tried = dict.fromkeys(STRATA, 0)
        self.missed = dict.fromkeys(STRATA, 0)

    def draw(self, stratum: str, seed: int) -> Trial:
        """Return a die of ``stratum``.

        Raises:
            Undetected: none was detected in many draws.
        """
        generator = np.random.default_rng(seed)
        maker: Callable[[np.random.Generator, int], Trial | None] = {
            "golden": self._golden,
            "slow": self._slow,
            "path": self._path,
            "double": self._double,
        }.get(stratum, self._bridge if stratum in BRIDGES else self._single)
        for draw in range(MOST_DRAWS):
            self._stratum = stratum
            trial = maker(generator, seed * 1000 + draw)
            self.tried[stratum] += 1
            if trial is not None:
                return replace(trial, stratum=stratum)
            self.missed[stratum] += 1
        raise Undetected(f"the patterns detect no {stratum} defect")

    def _made(self, defect: Defect, seed: int, sites: tuple[str, ...], described: str) -> Trial | None:
        """Return a die with ``defect``; ``None`` where the tester sees nothing of it."""
        die = self.generator.make(defect, seed)
        return Trial("", die, sites, described) if die.fails or defect is None else None

    def _golden(self, generator: np.random.Generator, seed: int) -> Trial | None:
        del generator
        return self._made(None, seed, (), "none")

    def _single(self, generator: np.random.Generator, seed: int) -> Trial | None:
        kinds = {"stem": ("stuck",), "pin": ("pin",), "swap": ("swap",)}.get(
            self._stratum, (str(generator.choice(("stuck", "pin", "swap"))),)
        )
        faults = list_hidden_faults(self.circuit, kinds)
        if not faults:
            return None
        fault = faults[int(generator.integers(len(faults)))]
        if self._stratum == "intermittent":
            fault = replace(fault, activity=float(generator.uniform(0.2, 0.8)))
        return self._tested(fault, seed)

    def _tested(self, fault: HiddenFault, seed: int) -> Trial | None:
        return self._made(fault, seed, (fault.net,), str(fault))

    def _slow(self, generator: np.random.Generator, seed: int) -> Trial | None:
        """Half of them late by 0.5, 1 or 2 gate delays, half by a part of the cycle, as a resistive open makes them."""
        delays, cycle_s = self.generator.timing
        net = str(generator.choice(self.nets))
        gate_s = float(np.mean(list(delays.values())))
        small = float(generator.choice((0.5, 1.0, 2.0))) * gate_s
        late = small if generator.random() < 0.5 else float(generator.uniform(0.2, 1.0)) * cycle_s
        rise, fall = [(1, 0), (0, 1), (1, 1)][int(generator.integers(3))]
        slow = SlowNet(net, late * rise, late * fall)
        return self._made(slow, seed, (net,), str(slow))

    def _path(self, generator: np.random.Generator, seed: int) -> Trial | None:
        """Return a die in which every gate of a path from an input to an observed net is slower, each by its own time.

        The path is drawn backwards, one input of a gate as likely as another.
        """
        path, net = [], str(generator.choice(observed_nets(self.circuit)))
        while self._drivers.get(net):
            path.append(net)
            net = str(generator.choice(self._drivers[net]))
        if len(path) < LEAST_PATH:
            return None
        total_s = float(generator.uniform(0.1, 0.8)) * self.generator.timing[1]
        shares = generator.uniform(0.5, 1.5, len(path))
        slow = SlowPath(tuple(reversed(path)), tuple((total_s * shares / shares.sum()).tolist()))
        return self._made(slow, seed, slow.nets, str(slow))

    def _double(self, generator: np.random.Generator, seed: int) -> Trial | None:
        first, second = (str(net) for net in generator.choice(self.nets, 2, replace=False))
        values = {net: int(generator.integers(2)) for net in (first, second)}
        return self._made(StuckNets(values), seed, (first, second), f"{first} and {second} stuck")

    def _bridge(self, generator: np.random.Generator, seed: int) -> Trial | None:
        first = str(generator.choice(self.nets))
        near = self._neighbours(first)
        if not near:
            return None
        second = str(generator.choice(near))
        kind, side = self._stratum, 0
        if kind == "wired":
            kind = "wired-and" if generator.random() < 0.5 else "wired-or"
        elif kind == "byzantine":
            side = int.from_bytes(generator.bytes(self.patterns // 8 + 1), "big") & ((1 << self.patterns) - 1)
        described = f"{self._stratum} bridge of {first} and {second}"
        return self._made(Bridge(kind, first, second, side), seed, (first, second), described)

    def _neighbours(self, net: str) -> Sequence[str]:
        """Return the nearest drains in the placement whose nets do not feed ``net`` nor are fed by it."""
        places = place_in_rows(self.circuit)
        x_um, y_um = places[net]
        near = sorted(self.nets, key=lambda other: np.hypot(places[other][0] - x_um, places[other][1] - y_um))
        return [
            other
            for other in near[1 : BRIDGE_NEAREST + 1]
            if other not in self._fan_in(net) and net not in self._fan_in(other)
        ]

    def _fan_in(self, net: str) -> set[str]:
        reached, waiting = set(), [net]
        while waiting:
            for source in self._drivers.get(waiting.pop(), ()):
                if source not in reached:
                    reached.add(source)
                    waiting.append(source)
        return reached
