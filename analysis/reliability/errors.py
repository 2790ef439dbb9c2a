"""Why life data do not allow an answer, as types with the facts in them."""


class LifeDataError(ValueError):
    """The life data do not allow the answer that was asked for; the message says why and what to do."""


class BadLifeData(LifeDataError):  # noqa: N818
    """The data contradict themselves: times out of order, counts below zero, nothing there."""


class NoFailures(LifeDataError):  # noqa: N818
    """No device failed: a model's parameters are not defined; a bound on the failure rate is."""

    def __init__(self, devices: float) -> None:
        super().__init__(
            f"none of the {devices:g} devices failed: no life distribution can be estimated; "
            "ask for the zero-failure bound of the rate instead"
        )
        self.devices = devices


class OneDistinctTime(LifeDataError):  # noqa: N818
    """All failures are known at one time or within one readout only: one parameter can be estimated, not more."""

    def __init__(self, model: str, failures: float) -> None:
        super().__init__(
            f"all {failures:g} failures lie at one distinct time or within one readout: the spread of a {model} "
            "distribution cannot be estimated; fit an exponential distribution or give more readouts"
        )
        self.failures = failures


class UnboundedLikelihood(LifeDataError):  # noqa: N818
    """The likelihood grows without bound along some direction: there is no estimate."""

    def __init__(self, model: str, why: str) -> None:
        super().__init__(f"the likelihood of the {model} model has no maximum: {why}")


class NotIdentified(LifeDataError):  # noqa: N818
    """At the best point the information is singular: the data do not tell some parameter."""

    def __init__(self, model: str, why: str) -> None:
        super().__init__(f"the data do not identify the {model} model: {why}")


class NotConverged(LifeDataError):  # noqa: N818
    """The score is not zero where the search ended: the numbers there are no estimate."""

    def __init__(self, model: str, score_norm: float, iterations: int) -> None:
        super().__init__(
            f"the {model} fit did not converge: after {iterations} steps the score is {score_norm:.3g} standard errors "
            "away from zero"
        )
        self.score_norm = score_norm
