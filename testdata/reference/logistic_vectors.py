"""Logistic regression in scikit-learn, trained until it converges: weights, biases, losses, log-probabilities.

    python logistic_vectors.py > logistic_vectors.json        (scikit-learn 1.9, float64)

Rows and labels come from the random streams of rng.py; logistic/vectors_test.go makes the same ones.
"""
import json
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression

from rng import Stream, text

ROWS, FEATURES, EPSILON = 90, 20, 1e-5
CASES = [
    dict(name="two classes", classes=2, C=1.0),
    dict(name="two classes, strong penalty", classes=2, C=0.01),
    dict(name="three classes", classes=3, C=0.1),
    dict(name="class weights", classes=3, C=0.1, weights=[1, 2, 0.5]),
    dict(name="several labels", classes=3, C=0.1, multi=True),
]


def fit(x, y, c, weight=None):
    model = LogisticRegression(C=c, tol=1e-12, max_iter=100000, class_weight=weight, solver="lbfgs")
    return model.fit(x, y)


def run(case):
    k = case["classes"]
    x = Stream(12, text("rows")).uniform(-1, 3, (ROWS, FEATURES)).astype(np.float32).astype(np.float64)
    x[:, 1] *= 50
    x[:, 2] = 0.25  # a feature that does not vary
    label = np.minimum((Stream(12, text("labels")).uniform(0, k, (ROWS,))).astype(int), k - 1)
    label = np.where(x[:, 0] > 2, 0, label)
    mean, var = x.mean(0), x.var(0)
    z = (x - mean) / np.sqrt(var + EPSILON)
    if case.get("multi"):
        targets = Stream(12, text("targets")).uniform(0, 1, (ROWS, k)) < 0.4
        models = [fit(z, targets[:, j], case["C"]) for j in range(k)]
        w, b = np.vstack([m.coef_ for m in models]), np.concatenate([m.intercept_ for m in models])
        logits = z @ w.T + b
        logp = -np.logaddexp(0, -logits)
        loss = (np.logaddexp(0, logits) - targets * logits).sum(1).mean()
    else:
        weights = case.get("weights")
        m = fit(z, label, case["C"], dict(enumerate(weights)) if weights else None)
        w, b = m.coef_, m.intercept_
        if k == 2:
            w, b = np.vstack([-w / 2, w / 2]), np.concatenate([-b / 2, b / 2])
        logits = z @ w.T + b
        logp = logits - np.logaddexp.reduce(logits, 1, keepdims=True)
        each = -logp[np.arange(ROWS), label] * (np.array(weights)[label] if weights else 1)
        loss = each.mean()
    return dict(case, Weight=w.ravel().round(9).tolist(), Bias=b.round(9).tolist(), Loss=float(loss),
                Logp=logp[:10].ravel().round(9).tolist())


json.dump([run(c) for c in CASES], sys.stdout, indent=None, separators=(",", ":"))
print()
