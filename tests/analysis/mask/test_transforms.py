"""The guard against wrong Fourier transforms, and that nothing here asks for a scaled one."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.mask import transforms
from analysis.mask.transforms import TransformError, analyse, check_transforms, synthesize

MASK = Path(transforms.__file__).parent


def test_transforms_pass_their_own_test() -> None:
    """Both precisions, on this machine."""
    for dtype in (torch.complex64, torch.complex128):
        check_transforms(torch.device("cpu"), dtype)


def test_the_size_that_scales_twice_elsewhere() -> None:
    """2048 x 2048 in single precision on two threads: unscaled and right (pytorch issue 169670)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        spectrum = torch.zeros((2048, 2048), dtype=torch.complex64)
        spectrum[0, 0], spectrum[3, 5] = 1.0, 0.5
        waves = synthesize(spectrum)
        assert float(waves[0, 0].real) == pytest.approx(1.5, abs=1e-5)
        again = analyse(waves)
        assert float((again - spectrum).abs().max()) < 1e-6
    finally:
        torch.set_num_threads(threads)


def test_a_wrong_transform_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that scales once more than asked, or gives nonsense, computes nothing."""
    right = torch.fft.ifft2
    for wrong in (lambda *a, **k: right(*a, **k) / 1296, lambda *a, **k: right(*a, **k) * float("nan")):
        transforms._check_once.cache_clear()
        monkeypatch.setattr(torch.fft, "ifft2", wrong)
        with pytest.raises(TransformError, match="Fourier synthesis of 2 x 36 x 36 values on cpu"):
            check_transforms(torch.device("cpu"))
    monkeypatch.undo()
    transforms._check_once.cache_clear()
    check_transforms(torch.device("cpu"))


def test_compare_says_by_how_much() -> None:
    """The message has the size of the error."""
    with pytest.raises(TransformError, match=r"wrong by 0\.5 of its largest"):
        transforms.compare("sum", torch.tensor([1.0, 2.0]), np.asarray([1.0, 4.0]), 1e-3)


def test_no_scaled_transform_is_asked_for() -> None:
    """Only this module calls the library's transforms, and only with its unscaled norms."""
    for path in MASK.glob("*.py"):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("torch.fft.")
        ]
        if path.stem != "transforms":
            assert not calls, path
            continue
        for call in calls:
            norm = {each.arg: ast.unparse(each.value) for each in call.keywords}.get("norm")
            name = ast.unparse(call.func).removeprefix("torch.fft.")
            assert (name, norm) in {("ifft2", "'forward'"), ("fft2", None)}
