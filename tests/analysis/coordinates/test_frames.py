"""Named frames: one way from each to each, maps with their provenance, the mask's and the backside's mirror."""

import numpy as np
import pytest

from analysis.coordinates.affine import Affine, NotInvertible, Points
from analysis.coordinates.frames import Frames, FramesRefused, Link, backside_mirror, mask_to_wafer


def _frames() -> Frames:
    frames = Frames({"mask": "um", "wafer": "um", "die": "um", "stage": "um", "package": "um"})
    frames.connect(Link("mask", "wafer", mask_to_wafer(), "definition"))
    frames.connect(Link("wafer", "die", Affine.exact(np.eye(2), (-500.0, -200.0)), "wafer map"))
    frames.connect(Link("stage", "die", Affine(np.eye(2), np.array([7.0, 8.0]), np.eye(6) * 0.01), "three corners"))
    return frames


def test_a_way_may_run_against_the_arrows() -> None:
    """From the mask to the stage: reduced, mirrored, shifted, and with the stage's uncertainty."""
    frames = _frames()
    there = frames.convert(Points.isotropic(np.array([[400.0, 80.0]])), "mask", "stage")
    np.testing.assert_allclose(there.xy, [[-100.0 - 500.0 - 7.0, 20.0 - 200.0 - 8.0]])
    assert there.sigma_along_axes.min() > 0.1
    assert frames.provenance("mask", "stage") == ("definition", "wafer map", "three corners")
    back = frames.convert(there, "stage", "mask")
    np.testing.assert_allclose(back.xy, [[400.0, 80.0]])
    np.testing.assert_allclose(frames.between("die", "die").matrix, np.eye(2))


def test_what_would_be_ambiguous_or_unknown_is_refused() -> None:
    """No second way, no unknown frame, no gap, no map without a way back."""
    frames = _frames()
    with pytest.raises(FramesRefused, match="'mask' and 'stage' are connected already"):
        frames.connect(Link("mask", "stage", Affine.identity(), "guess"))
    with pytest.raises(FramesRefused, match="connected already"):
        frames.connect(Link("die", "die", Affine.identity(), "guess"))
    with pytest.raises(FramesRefused, match=r"no frame 'chip'; known: die, mask"):
        frames.between("chip", "die")
    with pytest.raises(FramesRefused, match="no map leads from 'package' to 'die'"):
        frames.between("package", "die")
    with pytest.raises(NotInvertible):
        frames.connect(Link("package", "die", Affine.exact(np.zeros((2, 2))), "broken"))


def test_mirrors_are_their_own_inverse() -> None:
    """Seen through the backside twice is seen from the front; a mask that is not mirrored keeps its hand."""
    twice = backside_mirror(900.0).then(backside_mirror(900.0))
    np.testing.assert_allclose(twice.matrix, np.eye(2))
    np.testing.assert_allclose(twice.shift, 0.0)
    assert mask_to_wafer().decompose().mirrored
    assert not mask_to_wafer(5.0, mirrored=False).decompose().mirrored
    with pytest.raises(ValueError, match="positive"):
        mask_to_wafer(0.0)
