"""Where tensors are computed: the CPU, or a CUDA card where there is one."""

import torch


class DeviceError(RuntimeError):
    """The device that was asked for is not there; the message says what is."""


def choose_device(name: str = "auto") -> torch.device:
    """Return the torch device called ``name``: ``cpu``, ``cuda``, ``cuda:1`` …, or ``auto``: a card if there is one.

    Raises:
        DeviceError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name} is no device; use auto, cpu, cuda or cuda:<number>") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"{name} is not here: torch sees {torch.cuda.device_count()} CUDA devices; use auto or cpu")
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"{name} is not supported; use auto, cpu, cuda or cuda:<number>")
    return device
