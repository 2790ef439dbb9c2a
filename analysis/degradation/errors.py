"""Why readouts do not allow an answer about degradation, as types with the facts in them."""


class DegradationError(ValueError):
    """The readouts do not allow the answer that was asked for; the message says why and what to do."""


class BadReadouts(DegradationError):  # noqa: N818
    """The readouts contradict themselves, or there are too few of them."""


class NotFitted(DegradationError):  # noqa: N818
    """A method has no accepted fit to the readouts."""

    def __init__(self, method: str, why: str) -> None:
        super().__init__(f"{method} was not fitted: {why}")
        self.method = method
        self.why = why


class NoDrift(DegradationError):  # noqa: N818
    """Nothing in the readouts tells drift from noise: there is nothing to extrapolate."""

    def __init__(self, statistic: float, p_value: float) -> None:
        super().__init__(
            f"the readouts show no drift beyond their noise (likelihood ratio {statistic:.2f}, p "
            f"{p_value:.2g}): a time "
            "to a threshold cannot be extrapolated from them; give later readouts"
        )
        self.p_value = p_value


class ExtrapolationUnsupported(DegradationError):  # noqa: N818
    """The horizon is farther from the readouts than they can carry."""

    def __init__(self, horizon_h: float, seen_h: float, farthest: float) -> None:
        super().__init__(
            f"{horizon_h:g} h of use is {horizon_h / seen_h:.3g} times the {seen_h:g} h that were seen, more than the "
            f"{farthest:g} times that is supported: ask for at most {farthest * seen_h:g} h or give later readouts"
        )
        self.horizon_h = horizon_h
        self.seen_h = seen_h
