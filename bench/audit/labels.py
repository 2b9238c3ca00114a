"""Wrong labels: plants 0, 1, 5, 10 % of them and asks `finetune audit` and cleanlab on the same rows.

    FINETUNE=bin/finetune python bench/audit/labels.py DATA [--seeds 5] [--no-cleanlab]

Needs numpy, pyarrow, scikit-learn and cleanlab. Prints a line a share: precision at the number
planted, average precision, how many are flagged, with what precision and recall, seconds.
"""
import argparse, os, tempfile, time

import numpy as np

from common import audit, average_precision, features, listed, plant, rows, write_labels


def ours(data, photographs, planted):
    with tempfile.TemporaryDirectory() as d:
        csv = os.path.join(d, "labels.csv")
        write_labels(csv, photographs)
        seconds = audit(data, d, csv)["seconds"]["label"]
        found = rows(d, "label")
    return [r["path"] for r in found], {r["path"] for r in found if r["flagged"] == "1"}, seconds


def cleanlab(x, photographs, seed):
    """Out-of-fold logistic regression, as cleanlab's own examples do, and its default filter."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.preprocessing import StandardScaler

    paths = [p for p, _, s in photographs if s == "train"]
    names = sorted({l for _, l, _ in photographs})
    y = np.array([names.index(l) for _, l, s in photographs if s == "train"])
    started = time.time()
    model = LogisticRegression(C=0.01, max_iter=300)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    p = cross_val_predict(model, StandardScaler().fit_transform(x), y, cv=folds, method="predict_proba")
    order = np.argsort(get_label_quality_scores(y, p))
    flagged = find_label_issues(y, p)
    return [paths[i] for i in order], {paths[i] for i in np.flatnonzero(flagged)}, time.time() - started


def main():
    a = argparse.ArgumentParser()
    a.add_argument("data")
    a.add_argument("--seeds", type=int, default=5)
    a.add_argument("--shares", default="0,.01,.05,.1")
    a.add_argument("--no-cleanlab", action="store_true")
    a = a.parse_args()
    photographs = sorted(listed(a.data))
    x = None if a.no_cleanlab else features(a.data, [p for p, _, s in photographs if s == "train"])
    print("method     planted  P@n   AP    flagged  precision  recall  seconds")
    for share in map(float, a.shares.split(",")):
        for name in ["ours"] + ([] if a.no_cleanlab else ["cleanlab"]):
            results = []
            for seed in range(a.seeds if share else 1):
                noisy, planted = plant(photographs, share, seed)
                ranked, flagged, seconds = (ours(a.data, noisy, planted) if name == "ours" else cleanlab(x, noisy, seed))
                right = len(flagged & planted)
                at = len(set(ranked[:len(planted)]) & planted) / max(len(planted), 1)
                results.append((at, average_precision(ranked, planted), len(flagged), right / max(len(flagged), 1),
                                right / max(len(planted), 1), seconds))
            m = np.mean(results, axis=0)
            print(f"{name:10} {share:6.0%}  {m[0]:.2f}  {m[1]:.2f}  {m[2]:7.1f}  {m[3]:9.2f}  {m[4]:6.2f}  {m[5]:7.2f}", flush=True)


if __name__ == "__main__":
    main()
