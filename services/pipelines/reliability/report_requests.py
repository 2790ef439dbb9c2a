"""What a reliability report is asked for: the content of schedules and requests, the file of the command line."""

import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.pipelines.question import read_question
from services.pipelines.reliability.life_requests import ModelName
from services.pipelines.reliability.screening_requests import ScreenRequest

LawName = Literal[
    "arrhenius", "eyring", "inverse-power", "temperature-voltage", "peck", "coffin-manson", "norris-landzberg",
    "electromigration", "tddb-e", "tddb-inverse-e", "tddb-power", "hot-carrier", "bias-temperature", "mobile-ions",
    "stress-migration",
]  # fmt: skip
Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Part = Annotated[float, Field(gt=0, lt=1)]
Conditions = Annotated[dict[Word, float], Field(max_length=20)]
Stresses = Annotated[list[Word], Field(max_length=50)]

_REPORT_MODELS: tuple[ModelName, ...] = ("exponential", "weibull", "lognormal", "defective-weibull")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Coefficient(_Part):
    """A coefficient of a mechanism's law: measured, with its standard error, and where it is from."""

    value: float
    standard_error: float = Field(default=0.0, ge=0)
    source: str = Field(default="", max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")


class ReportedMechanism(_Part):
    """A failure mechanism: which failures are its, and by which law stress ages faster than use."""

    name: Word
    modes: list[Word] = Field(
        default_factory=list, max_length=100, description="failure modes in the tables; none: every mode left over"
    )
    law: LawName = "arrhenius"
    coefficients: dict[Word, Coefficient] = Field(default_factory=dict, max_length=20)
    use: Conditions = Field(default_factory=dict, description="conditions of use besides the temperature, by name")
    stress: Conditions = Field(
        default_factory=dict, description="conditions of the stress that the tables do not tell, by name"
    )


class EarlyLife(_Part):
    """Early life: which stress tests it, for how long it lasts, and the Weibull shape that is assumed."""

    hours: float = Field(default=4380.0, gt=0, le=1e6)
    beta: float = Field(default=1.0, gt=0, le=1)


class BurnInQuestion(_Part):
    """Which burn-ins are judged: hours of burn-in, hours in the field that count, factor to use."""

    hours: list[Annotated[float, Field(gt=0, le=1e5)]] = Field(
        default_factory=lambda: [24.0, 48.0, 96.0], max_length=20
    )
    field_h: float = Field(default=87600.0, gt=0, le=1e7)
    acceleration: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="hours of use for an hour of burn-in; that of the failures' mechanism if absent",
    )


class StressNames(_Part):
    """How the tables' column `stress` calls each kind of test; compared without case."""

    rate: Stresses = Field(default_factory=lambda: ["HTOL", "LTOL"], description="operating life: FIT")
    early_life: Stresses = Field(default_factory=lambda: ["ELFR"])
    burn_in: Stresses = Field(default_factory=lambda: ["burn-in", "BI"])
    unnamed: Literal["rate", "early_life", "burn_in", "other"] = Field(
        default="rate", description="what a table without the column is"
    )


class Targets(_Part):
    """What is to be kept; a target that is absent is not judged."""

    fit: float | None = Field(default=None, gt=0, description="failures in 10^9 device hours")
    early_life_ppm: float | None = Field(default=None, gt=0)
    mission_ppm: float | None = Field(default=None, gt=0)
    fallout_ppm: float | None = Field(default=None, gt=0, description="of screening")
    burn_in_ppm: float | None = Field(default=None, gt=0, description="failing in the field after the first burn-in")
    open_excursions: int | None = Field(default=None, ge=0)


class ReportContent(_Part):
    """What a report tells of, and under which assumptions; every default is printed in the report."""

    files: list[uuid.UUID] = Field(
        default_factory=list, max_length=1000, description="stored files with lifetimes; none: all of the program"
    )
    lifetimes: Literal["all", "period"] = Field(
        default="all", description="those that had ever arrived, or arrived in the report's period"
    )
    lots: list[Word] = Field(default_factory=list, max_length=1000, description="only these; none: all")
    use_temperature_c: float = Field(default=55.0, gt=-273, le=1000, description="of the junction in use")
    mission_h: float = Field(default=87600.0, gt=0, le=1e7)
    confidences: list[Part] = Field(
        default_factory=lambda: [0.6, 0.9], min_length=1, max_length=4, description="of one-sided upper bounds"
    )
    level: Part = Field(default=0.9, description="of two-sided intervals")
    mechanisms: list[ReportedMechanism] = Field(
        default_factory=lambda: [ReportedMechanism(name="all")], min_length=1, max_length=50
    )
    stresses: StressNames = Field(default_factory=StressNames)
    early_life: EarlyLife = Field(default_factory=EarlyLife)
    burn_in: BurnInQuestion = Field(default_factory=BurnInQuestion)
    models: list[ModelName] = Field(default_factory=lambda: list(_REPORT_MODELS), min_length=1, max_length=11)
    screen: ScreenRequest | None = Field(default_factory=ScreenRequest, description="null: no screening")
    targets: Targets = Field(default_factory=Targets)
    boltzmann_ev_per_k: float = Field(default=8.617333262e-5, gt=8e-5, lt=9e-5)
    zero_celsius_k: float = Field(default=273.15, gt=273, lt=274)

    @model_validator(mode="after")
    def _mechanisms_differ(self) -> "ReportContent":
        names = [each.name for each in self.mechanisms]
        claimed = [mode.lower() for each in self.mechanisms for mode in each.modes]
        rest = [each.name for each in self.mechanisms if not each.modes]
        if len(set(names)) < len(names) or len(set(claimed)) < len(claimed):
            raise ValueError("a mechanism's name, or a failure mode, is there twice")
        if len(rest) > 1:
            raise ValueError(f"only one mechanism can have every mode left over, not {', '.join(rest)}")
        return self


def ask_report(content: dict[str, Any]) -> ReportContent:
    """Return the content that ``content`` is.

    Raises:
        ValueError: it is none; one sentence says why.
    """
    return read_question(ReportContent, content)
