"""Versions of the analyses, importable without the analyses: they are part of job keys."""

LOCALIZATION_VERSION = "7"
"""Of :mod:`services.pipelines.localization`; raised whenever the same input may give another answer."""

MONITORING_VERSION = "2"
"""Of :mod:`services.pipelines.reference_readings` and :mod:`services.pipelines.chart_evaluation`, in the same sense."""

ANOMALY_VERSION = "1"
"""Of :mod:`services.pipelines.golden_comparison`, in the same sense."""

AVERAGING_VERSION = "1"
"""Of :mod:`services.pipelines.averaging`, in the same sense."""

LAYOUT_VERSION = "1"
"""Of :mod:`services.pipelines.layout_nets` and :mod:`services.pipelines.layout_window`, in the same sense."""

HANDOFF_VERSION = "1"
"""Of :mod:`services.pipelines.handoff`, in the same sense."""

LEARNING_VERSION = "1"
"""Of :mod:`services.pipelines.repair_learning`, in the same sense."""

METROLOGY_VERSION = "1"
"""Of :mod:`services.pipelines.mask_metrology`, in the same sense."""

OUTCOME_VERSION = "1"
"""Of :mod:`services.pipelines.repair_outcomes`, in the same sense."""

ADVICE_VERSION = "1"
"""Of :mod:`services.pipelines.repair_advice`, in the same sense."""

PRINTABILITY_VERSION = "1"
"""Of :mod:`services.pipelines.printability`, in the same sense."""

SIGNATURE_VERSION = "1"
"""Of :mod:`services.pipelines.defect_signatures`, in the same sense."""

LIFE_DATA_VERSION = "1"
"""Of :mod:`services.pipelines.life_data`, in the same sense."""

SCREENING_VERSION = "1"
"""Of :mod:`services.pipelines.screening`, in the same sense."""
