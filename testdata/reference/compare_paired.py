"""Writes compare_paired.json: McNemar's exact test by scipy, and bootstrap intervals of a difference by numpy."""
import json
import numpy as np
import scipy
from scipy.stats import binomtest

cases = [(0, 0), (1, 0), (3, 1), (5, 5), (0, 7), (12, 4), (40, 25), (120, 80), (3, 60), (1000, 1040)]
rows = []
for a, b in cases:
    p = 1.0 if a + b == 0 else binomtest(min(a, b), a + b, .5).pvalue
    rows.append({"only_a": a, "only_b": b, "p": p})
random = np.random.default_rng(0)
intervals = []
for a, b, n in [(12, 4, 153), (5, 5, 100), (40, 25, 656), (0, 7, 60)]:
    values = np.array([-1] * a + [1] * b + [0] * (n - a - b))
    means = np.array([random.choice(values, n).mean() for _ in range(100000)])
    lo, hi = np.percentile(means, [2.5, 97.5])
    intervals.append({"only_a": a, "only_b": b, "n": n, "lo": lo, "hi": hi})
with open("compare_paired.json", "w") as f:
    json.dump({"scipy": scipy.__version__, "numpy": np.__version__, "mcnemar": rows, "intervals": intervals}, f, indent=1)
    f.write("\n")
