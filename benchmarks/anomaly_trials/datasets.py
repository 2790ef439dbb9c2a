"""The real data of ``benchmarks.anomaly``, read from the folder of samples beside the project, and its measures."""

import csv
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

NORMAL, ABNORMAL = "normal", "abnormal"
LEARNED_PART = 0.15
_SERIES = "machine_temperature_system_failure.csv"


@dataclass(frozen=True)
class LabelledRows:
    """Traces (float64, ``(n, samples)``) and which are abnormal (bool, ``(n,)``)."""

    rows: NDArray[np.float64]
    abnormal: NDArray[np.bool_]


def sample_folder() -> Path:
    """Return the folder of the machine-learning samples."""
    configured = os.environ.get("FAULTLIGHT_SHARED_DATA")
    shared = Path(configured) if configured else Path(__file__).resolve().parents[3] / "shared" / "data"
    return shared / "ml"


def read_wafer(folder: Path) -> tuple[LabelledRows, LabelledRows]:
    """Return UCR Wafer's official training part (1000, 97 abnormal) and the 6163 rows of its test part (665)."""
    learn = np.loadtxt(folder / "ucr_wafer" / "Wafer_TRAIN.tsv")
    test = np.load(folder / "ucr_wafer" / "femartip_Wafer_TEST.npy", allow_pickle=False).astype(np.float64)
    return LabelledRows(learn[:, 1:], learn[:, 0] == -1), LabelledRows(test[:, 1:], test[:, 0] == 1)


def read_machine_temperature(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    """Return NAB's series, which samples lie in a labelled window, and the count of the first 15 %, to learn from."""
    with (folder / "nab" / _SERIES).open(newline="") as file:
        lines = list(csv.DictReader(file))
    times = np.asarray([datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines])
    labels = json.loads((folder / "nab" / "combined_windows.json").read_text())[f"realKnownCause/{_SERIES}"]
    abnormal = np.zeros(times.size, np.bool_)
    for window in labels:
        begin, end = (datetime.fromisoformat(text).timestamp() for text in window)
        abnormal |= (times >= begin) & (times <= end)
    return np.asarray([float(line["value"]) for line in lines]), abnormal, int(LEARNED_PART * times.size)


def area_under_roc(abnormal: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the probability that an abnormal case scores higher than a normal one; ties count half."""
    faults = int(abnormal.sum())
    ranks = float(rankdata(scores)[abnormal].sum())
    return (ranks - faults * (faults + 1) / 2) / (faults * (abnormal.size - faults))


def average_precision(abnormal: NDArray[np.bool_], scores: NDArray[np.float64]) -> float:
    """Return the mean precision over the abnormal cases in falling order of score; ties count against the scores."""
    order = np.lexsort((abnormal, -scores))
    hits = abnormal[order]
    precision = np.cumsum(hits) / np.arange(1, hits.size + 1)
    return float(precision[hits].mean())
