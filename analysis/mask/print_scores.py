"""What a printed image is worth against its target: the scores of the ICCAD-2013 mask optimisation contest.

L2 is the area that prints differently from the target at nominal dose and focus; the process variability band (PVB)
is the area between the largest and the smallest print of the corners: high dose in focus, low dose out of focus
(OpenILT). Both are in square nanometres.
"""

from dataclasses import dataclass

import torch

from analysis.mask.coherent_kernels import CoherentKernels, ImagingError, aerial_image

_UNDECIDED = 1e-6


@dataclass(frozen=True)
class ProcessCorners:
    """Threshold of the resist, and the dose of the corners as a factor of the mask's amplitude.

    The figures are those of the ICCAD-2013 set as OpenILT has them: intensity 0.225 prints, doses 0.98 and 1.02.
    """

    threshold: float = 0.225
    low_dose: float = 0.98
    high_dose: float = 1.02

    def __post_init__(self) -> None:
        if not (0 < self.threshold < 10 and 0 < self.low_dose <= 1 <= self.high_dose < 10):
            raise ImagingError(
                f"threshold {self.threshold:g}, doses {self.low_dose:g} and {self.high_dose:g}: expected a positive"
                " threshold and a low dose up to 1 up to the high dose"
            )


@dataclass(frozen=True)
class PrintScores:
    """Scores of a mask.

    Attributes:
        l2_nm2: area that prints differently from the target.
        pv_band_nm2: area between the outer and the inner corner.
        printed_nm2: area that prints at nominal dose and focus.
        highest_intensity: of the nominal image; nothing prints below the threshold.
        undecided_pixels: pixels of any corner within a millionth of the threshold: rounding decides about them.
    """

    l2_nm2: float
    pv_band_nm2: float
    printed_nm2: float
    highest_intensity: float
    undecided_pixels: int


@dataclass(frozen=True)
class FocusPair:
    """Kernels in focus, and at the defocus of the corner."""

    focus: CoherentKernels
    defocus: CoherentKernels


def score_print(
    mask: torch.Tensor, target: torch.Tensor, kernels: FocusPair, corners: ProcessCorners, pixel_nm: float = 1.0
) -> PrintScores:
    """Return the scores of ``mask`` against ``target``.

    Args:
        mask: real transmission of amplitude, shape ``(rows, columns)``.
        target: what is to print, the same shape; a pixel is wanted from 0.5 on.
        kernels: in focus and at the corner's defocus.
        corners: threshold and doses.
        pixel_nm: side of a pixel in nanometres.

    Raises:
        ImagingError: the shapes differ, or as :func:`aerial_image`.
    """
    if mask.shape != target.shape:
        raise ImagingError(f"the mask has {tuple(mask.shape)} pixels, the target {tuple(target.shape)}")
    nominal = aerial_image(mask, kernels.focus)
    low = aerial_image(mask, kernels.defocus, corners.low_dose)
    # High dose in focus is the nominal image at a threshold that is lower by the square of the dose.
    limits = (
        (nominal, corners.threshold / corners.high_dose**2),
        (nominal, corners.threshold),
        (low, corners.threshold),
    )
    outer, printed, inner = (image >= limit for image, limit in limits)
    area = pixel_nm**2
    return PrintScores(
        l2_nm2=int(torch.count_nonzero(printed != (target >= 0.5))) * area,
        pv_band_nm2=int(torch.count_nonzero(outer != inner)) * area,
        printed_nm2=int(torch.count_nonzero(printed)) * area,
        highest_intensity=float(nominal.max()),
        undecided_pixels=sum(_count_near(image, limit) for image, limit in limits),
    )


def _count_near(image: torch.Tensor, limit: float) -> int:
    above = torch.count_nonzero(image > limit - _UNDECIDED)
    return int(above - torch.count_nonzero(image >= limit + _UNDECIDED))
