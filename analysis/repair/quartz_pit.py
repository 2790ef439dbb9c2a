"""What a pit or bump in a mask's quartz does to the light: a phase error of ``2 pi (n - 1) d / wavelength``."""

import math


def phase_error_deg(depth_nm: float, wavelength_nm: float, index: float) -> float:
    """Return the phase by which light through a pit runs ahead, degrees; negative for a bump.

    Args:
        depth_nm: of the pit, negative for a bump.
        wavelength_nm: of the exposure.
        index: refractive index of the quartz there (fused silica: 1.563 at 193 nm).

    Raises:
        ValueError: a number is not finite, or the wavelength is not above 0, or the index is not above 1.
    """
    if not (math.isfinite(depth_nm) and wavelength_nm > 0 and index > 1 and math.isfinite(wavelength_nm * index)):
        raise ValueError(f"no phase from {depth_nm} nm at {wavelength_nm} nm with the index {index}")
    return 360.0 * (index - 1) * depth_nm / wavelength_nm
