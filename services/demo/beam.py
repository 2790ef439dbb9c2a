"""The beam on a simulated die: which drains it sees, and with what weights.

It knows nothing of what the nets do, so that dies of every generator share it.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.waveforms.forward_model import spot_intensity

LEAST_INTENSITY = 0.02


@dataclass(frozen=True)
class Beam:
    """A Gaussian spot on the drains of a die.

    Attributes:
        places_um: place of each net's drain in micrometres.
        fwhm_nm: full width of the spot at half its maximum.
        placement_sigma_nm: standard deviation of where it is, in each axis.
    """

    places_um: Mapping[str, tuple[float, float]]
    fwhm_nm: float
    placement_sigma_nm: float

    def near(
        self, net: str, switching: Container[str], off_um: tuple[float, float] = (0.0, 0.0)
    ) -> list[tuple[str, float]]:
        """Return the other nets of ``switching`` that a beam on ``net``, off by ``off_um``, sees, with intensity."""
        x_um, y_um = self.places_um[net]
        near = []
        for other, (there_x, there_y) in self.places_um.items():
            distance_nm = 1e3 * float(np.hypot(there_x - x_um - off_um[0], there_y - y_um - off_um[1]))
            intensity = spot_intensity(distance_nm, self.fwhm_nm)
            if other != net and other in switching and intensity > LEAST_INTENSITY:
                near.append((other, intensity))
        return near

    def draw_weights(
        self, net: str, switching: Container[str], generator: np.random.Generator
    ) -> list[tuple[str, float]]:
        """Put the beam on ``net``, off at random; return what it sees, with signed weights, ``net`` itself first."""
        off = generator.normal(0.0, self.placement_sigma_nm / 1e3, 2)
        weights = [(net, float(generator.choice((-1.0, 1.0)) * generator.uniform(0.6, 1.4)))]
        for other, intensity in self.near(net, switching, (float(off[0]), float(off[1]))):
            weights.append((other, intensity * float(generator.choice((-1.0, 1.0)) * generator.uniform(0.6, 1.4))))
        return weights
