"""What the audit's benches share: lists of photographs, planted labels, cached features."""
import csv, glob, hashlib, json, os, subprocess, tempfile

import numpy as np


def listed(data):
    """Photographs below DATA as (path, label, split), as `finetune audit` lists them."""
    with tempfile.TemporaryDirectory() as out:
        audit(data, out)
        return [(r["path"], r["label"], r["split"]) for r in rows(out, name="relabel.csv")]


def audit(data, out, labels=None, binary=None):
    """Runs finetune audit; returns the object of --json."""
    line = [binary or os.environ.get("FINETUNE", "finetune"), "audit", data, "-q", "--json", "-o", out]
    if labels:
        line += ["--labels", labels]
    return json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def rows(out, kind=None, name="audit.csv"):
    with open(os.path.join(out, name), newline="") as f:
        return [r for r in csv.DictReader(f) if kind is None or r["kind"] == kind]


def write_labels(path, photographs):
    with open(path, "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["path", "label", "split"])
        w.writerows(photographs)


def plant(photographs, share, seed):
    """Gives a share of the training photographs another label, drawn evenly of the others."""
    rng = np.random.default_rng(seed)
    classes = sorted({l for _, l, _ in photographs})
    train = [i for i, p in enumerate(photographs) if p[2] == "train"]
    wrong = set(rng.choice(train, max(1, round(share * len(train))), replace=False).tolist()) if share else set()
    out = []
    for i, (path, label, split) in enumerate(photographs):
        if i in wrong:
            label = classes[(classes.index(label) + 1 + rng.integers(len(classes) - 1)) % len(classes)]
        out.append((path, label, split))
    return out, {photographs[i][0] for i in wrong}


def average_precision(ranked, planted):
    """Mean of the precision at each planted photograph, worst first."""
    hits, total = 0, 0.0
    for k, path in enumerate(ranked, 1):
        if path in planted:
            hits += 1
            total += hits / k
    return total / max(len(planted), 1)


def features(data, paths):
    """The features [n, width] of photographs that the default body's cache has, found by their files' SHA-256."""
    import pyarrow as pa

    have = {}
    home = os.environ.get("FINETUNE_HOME", os.path.expanduser("~/.cache/finetune"))
    for f in glob.glob(os.path.join(home, "cache", "*", "*.arrow")):
        with open(os.path.join(os.path.dirname(f), "key.json")) as k:
            of = json.load(k)
        key = of["key"]
        if of["features"] != 2560 or (key["view"], key["precision"], key["size"]) != ("centre", "float32", 224):
            continue  # another body, an augmented view, or maps
        t = pa.ipc.open_file(f).read_all()
        x = np.array(t["features"].combine_chunks().flatten()).reshape(t.num_rows, -1)
        have.update(zip(t["digest"].to_pylist(), x))
    digest = lambda p: hashlib.sha256(open(os.path.join(data, p), "rb").read()).hexdigest()
    return np.stack([have[digest(p)] for p in paths])
