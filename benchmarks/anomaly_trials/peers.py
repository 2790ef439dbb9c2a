"""Peers of ``benchmarks.anomaly``: pyod's isolation forest and aeon's MiniRocket, in the interpreter that has them.

Reads arrays ``learn``, ``test`` and, for the labelled peer, ``labels`` from the .npz file named on the command line and
writes ``{peer: [scores of each seed]}`` to standard output. It imports nothing of this project, so that peers whose
requirements do not fit the project's may live in an environment of their own.
"""

import json
import sys
import warnings
from typing import Any

import numpy as np

SEEDS = 3


def isolation_forest(learn: Any, test: Any, _labels: Any, seed: int) -> Any:
    """Return pyod's scores with 200 trees."""
    from pyod.models.iforest import IForest

    return IForest(n_estimators=200, random_state=seed).fit(learn).decision_function(test)


def rocket_features(learn: Any, test: Any, seed: int) -> tuple[Any, Any]:
    """Return aeon's MiniRocket features of both."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    transformer = MiniRocket(random_state=seed)
    first = transformer.fit_transform(learn[:, None, :].astype(np.float32))
    return np.asarray(first, np.float64), np.asarray(transformer.transform(test[:, None, :].astype(np.float32)))


def rocket_neighbour(learn: Any, test: Any, _labels: Any, seed: int) -> Any:
    """Return the distance to the nearest learned row among 32 whitened principal components of the features."""
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    known, asked = rocket_features(learn, test, seed)
    components = PCA(32, whiten=True, random_state=seed).fit(known)
    near = NearestNeighbors(n_neighbors=1).fit(components.transform(known))
    return near.kneighbors(components.transform(asked))[0][:, 0]


def rocket_classifier(learn: Any, test: Any, labels: Any, seed: int) -> Any:
    """Return the ridge classifier's score: it learns from labelled faults too, which the others do not see."""
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.preprocessing import StandardScaler

    known, asked = rocket_features(learn, test, seed)
    scaler = StandardScaler().fit(known)
    model = RidgeClassifierCV(np.logspace(-3, 3, 10)).fit(scaler.transform(known), labels)
    return model.decision_function(scaler.transform(asked))


PEERS = {
    "pyod IForest 200": isolation_forest,
    "aeon MiniRocket, PCA 32, nearest": rocket_neighbour,
    "aeon MiniRocket, ridge, with labels": rocket_classifier,
}


def main(path: str) -> int:
    """Score the arrays of ``path`` by every peer that can be imported; one that cannot is left out."""
    warnings.simplefilter("ignore")
    arrays = np.load(path, allow_pickle=False)
    labels = arrays.get("labels")
    found = {}
    for name in json.loads(str(arrays["peers"])):
        if name == "aeon MiniRocket, ridge, with labels" and labels is None:
            continue
        try:
            found[name] = [PEERS[name](arrays["learn"], arrays["test"], labels, seed).tolist() for seed in range(SEEDS)]
        except ImportError as error:
            sys.stderr.write(f"{name}: {error}\n")
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
