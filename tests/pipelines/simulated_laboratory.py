"""SIMULATED logs of a laboratory whose constants are known."""

import math

import numpy as np

from analysis.repair.ablation import Shot, depth_curve, find_law, pulses_per_place
from analysis.repair.default_constants import default_table

THRESHOLD_FACTOR, PENETRATION_FACTOR, RATE = 1.15, 0.85, 0.14
LASER_HEADER = (
    "# simulated: yes\nStep,Operation,Material,Wavelength [nm],Pulse width (fs),Fluence [J/cm²],spot_um,"
    "Pitch x [um],Pitch y [um],Passes,Depth [µm],walls,taper_deg,haz_um\n"
)
BEAM_HEADER = (
    "# simulated: yes\nStep,Operation,Material,Beam [kV],Current [nA],Ion,Time [min],size_x [um],"
    "size_y [um],Depth [nm]\n"
)


def laser_log(wrong_step: int = 10) -> str:
    """Sixteen runs on silicon, one of them far too shallow."""
    generator = np.random.default_rng(7)
    law = find_law(default_table(), "silicon", Shot(1030.0, 3.5e-13, 2.0))
    rows = []
    for step in range(1, 17):
        fluence = round(math.exp(generator.uniform(math.log(0.5), math.log(6))), 3)
        passes = int(generator.integers(2, 15))
        pulses = pulses_per_place(10, 6, 6) * passes
        curve = depth_curve(law, Shot(1030.0, 3.5e-13, fluence), pulses, (0.85, 0.5), THRESHOLD_FACTOR)
        depth = float(curve.at(pulses)) * PENETRATION_FACTOR * math.exp(0.06 * generator.normal())
        depth *= 0.4 if step == wrong_step else 1.0
        taper, heat = 2.2 + 0.3 * generator.normal(), 1.1 * math.exp(0.2 * generator.normal())
        rows.append(
            f"{step},laser,silicon,1030,350,{fluence},20,6,6,{passes},{depth / 1000:.3f},controlled,"
            f"{taper:.2f},{heat:.2f}"
        )
    return LASER_HEADER + "\n".join(rows) + "\n"


def beam_log() -> str:
    """Eight milled boxes, an image and a deposition."""
    generator = np.random.default_rng(8)
    rows = []
    for step in range(1, 9):
        minutes = round(generator.uniform(1, 5), 2)
        depth = RATE * math.exp(0.05 * generator.normal()) * 65 * minutes * 60 / 100
        rows.append(f"{step},mill,silicon,30,65,Ga,{minutes},10,10,{depth * 1000:.0f}")
    rows += ["9,image,silicon,30,0.01,Ga,1,10,10,", "10,deposition,silicon,30,0.3,Ga,5,10,10,500"]
    return BEAM_HEADER + "\n".join(rows) + "\n"
