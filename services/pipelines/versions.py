"""Versions of the analyses, importable without the analyses: they are part of job keys."""

LOCALIZATION_VERSION = "19"
"""Of :mod:`services.pipelines.probing.localization`; raised whenever the same input may give another answer."""

BATCH_LOCALIZATION_VERSION = "4"
"""Of :mod:`services.pipelines.probing.batch_localization`, in the same sense."""

MONITORING_VERSION = "2"
"""Of :mod:`services.pipelines.monitoring.reference_readings` and
:mod:`services.pipelines.monitoring.chart_evaluation`, in the same sense."""

ANOMALY_VERSION = "3"
"""Of :mod:`services.pipelines.probing.golden_comparison`, in the same sense."""

POPULATION_VERSION = "1"
"""Of :mod:`services.pipelines.probing.population_outliers`, in the same sense."""

PROCESS_TRACE_VERSION = "1"
"""Of :mod:`services.pipelines.probing.process_traces`, in the same sense."""

SIMULATION_VERSION = "1"
"""Of :mod:`services.pipelines.probing.simulation`, in the same sense."""

AVERAGING_VERSION = "1"
"""Of :mod:`services.pipelines.probing.averaging`, in the same sense."""

LAYOUT_VERSION = "2"
"""Of :mod:`services.pipelines.mask.layout_nets` and :mod:`services.pipelines.mask.layout_window`, in the same sense."""

FRAMES_VERSION = "1"
"""Of :mod:`services.pipelines.mask.coordinate_frames`, in the same sense."""

HANDOFF_VERSION = "4"
"""Of :mod:`services.pipelines.repair.handoff`, in the same sense."""

LEARNING_VERSION = "2"
"""Of :mod:`services.pipelines.repair.repair_learning`, in the same sense."""

METROLOGY_VERSION = "3"
"""Of :mod:`services.pipelines.mask.mask_metrology`, in the same sense."""

OUTCOME_VERSION = "4"
"""Of :mod:`services.pipelines.repair.repair_outcomes`, in the same sense."""

ADVICE_VERSION = "2"
"""Of :mod:`services.pipelines.repair.repair_advice`, in the same sense."""

PRINTABILITY_VERSION = "2"
"""Of :mod:`services.pipelines.mask.printability`, in the same sense."""

PICTURES_VERSION = "1"
"""Of :mod:`services.pipelines.mask.printing_pictures`, in the same sense."""

SIGNATURE_VERSION = "1"
"""Of :mod:`services.pipelines.mask.defect_signatures`, in the same sense."""

LIFE_DATA_VERSION = "3"
"""Of :mod:`services.pipelines.reliability.life_data`, in the same sense."""

RELIABILITY_ANSWERS_VERSION = "2"
"""Of :mod:`services.pipelines.reliability.reliability_answers`, in the same sense."""

SCREENING_VERSION = "4"
"""Of :mod:`services.pipelines.reliability.screening`, in the same sense."""

REPORT_VERSION = "2"
"""Of :mod:`services.pipelines.reliability.report_document` and the pages made of it, in the same sense."""

LATENT_RISK_VERSION = "3"
"""Of :mod:`services.pipelines.latent_risk`, in the same sense; a model of another version is refused."""

DEGRADATION_VERSION = "4"
"""Of :mod:`services.pipelines.reliability.degradation`, in the same sense."""

UNIT_EVIDENCE_VERSION = "1"
"""Of :mod:`services.pipelines.latent_risk.evidence_job`, in the same sense."""
