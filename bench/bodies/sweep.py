"""What finetune makes of every network that export.py wrote: a row each.

    python bench/bodies/sweep.py FINETUNE NETWORKS PHOTOS OUT.jsonl [--part features|frozen|unfrozen|int8|float16] [--only NAME,...]
    python bench/bodies/sweep.py --table OUT.jsonl...            # the table, as Markdown

FINETUNE is the program, beside which bench/bodies was built as FINETUNE-features (go build -o FINETUNE-features ./bench/bodies).
Rows that OUT.jsonl has already are left out, so that a sweep may be cut and continued. Each part of a network:

    features   against forward_features or the model's outputs, pooled as `inspect` says: Python's onnxruntime on the model that
               training runs
    frozen     a head trained with no flag but --body; export, and the exported file's probabilities in Python against finetune's;
               pixels of four photographs against the network's own processor of transformers or timm
    unfrozen   an epoch of the whole network
    int8, float16   a head on features of that precision

PHOTOS should be few: a dozen photographs of two classes take half a minute a network on one processor.
"""
import argparse
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ARGS = None


def sh(*command, limit=420):
    start = time.time()
    try:
        p = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=limit)
        return p.returncode, p.stdout, p.stderr, time.time() - start
    except subprocess.TimeoutExpired:
        return 124, "", f"longer than {limit} s", limit


def said(err):
    lines = [l for l in err.strip().splitlines() if l.startswith("finetune:")] or err.strip().splitlines()[-1:] or [""]
    return lines[-1].replace(str(ARGS.networks) + "/", "").removeprefix("finetune: ")


def tensors(path):
    import numpy as np
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        head, base, out = json.loads(f.read(n)), 8 + n, {}
        for k, v in head.items():
            if k == "__metadata__" or v["dtype"] != "F32":
                continue
            f.seek(base + v["data_offsets"][0])
            out[k] = np.frombuffer(f.read(v["data_offsets"][1] - v["data_offsets"][0]), np.float32).reshape(v["shape"])
    return out


def session(path):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.log_severity_level = 1, 4
    return ort.InferenceSession(str(path), o, providers=["CPUExecutionProvider"])


def lay(file, folder):
    """A folder as a hub lays it out: the network, and the configuration of its library."""
    name = file.name.split(".")[0]
    config = ARGS.networks / f"{name}.config.json"
    library = "preprocessor_config.json" if name.startswith("hf_") else "config.json"
    shutil.copy(config, folder / library)
    os.symlink(file.resolve(), folder / "model.onnx")
    return folder


def pooled(kind, f, prefix):
    import numpy as np
    if kind == "tokens" and f.ndim == 3:
        mean = f[:, prefix:].mean(1)
        return [np.concatenate([f[:, 0], mean], 1) if prefix else mean]
    if kind == "tokens" and f.ndim == 4:
        return [f.mean((2, 3)), f.mean((1, 2))]
    if kind == "map" and f.ndim == 4:
        return [np.concatenate([f.max(a), f.mean(a)], 1) for a in ((2, 3), (1, 2))]
    return [f] if kind == "vector" and f.ndim == 2 else []


def features(file, row, tmp):
    """The largest difference of a feature from the library's own, over the largest feature."""
    import numpy as np
    one = tmp / "one"
    one.mkdir()
    os.symlink(file.resolve(), one / file.name)
    (tmp / "cut").mkdir()
    rc, out, err, _ = sh(str(ARGS.finetune) + "-features", one, tmp / "cut")
    parts = out.strip().split("\t")
    if rc or len(parts) < 3:
        row["features"] = "refused: " + (parts[1] if len(parts) > 1 else err).replace(str(one) + "/", "")
        return
    row["kind"] = parts[2]
    kind, words = parts[2].split()[0].rstrip(","), parts[2].split(" before")[0].split()
    prefix = int(words[-1]) if " before" in parts[2] else 0
    z = np.load(ARGS.networks / (file.name.split(".")[0] + ".npz"))
    s = session(tmp / "cut" / file.name)
    image = next(i for i in s.get_inputs() if len(i.shape) == 4)
    x = z["x"].astype(np.float32)
    if isinstance(image.shape[0], int):
        y = np.concatenate([s.run(None, {image.name: x[i:i + 1]})[0] for i in range(len(x))])
    else:
        y = s.run(None, {image.name: x})[0]
    row["width"] = y.shape[1]
    best = [(float(np.abs(v - y).max() / max(np.abs(y).max(), 1e-9)), k) for k in z.files if k != "x" for v in pooled(kind, z[k], prefix) if v.shape == y.shape]
    row["features"] = min(best)[0] if best else f"nothing of the library has {y.shape[1]} such numbers"
    if best:
        row["as"] = min(best)[1]


def pixels(folder, row, tmp):
    """The mean difference of a pixel from the network's own processor, of 255, over four photographs."""
    import numpy as np
    from PIL import Image
    photos = sorted((ARGS.photos / "train").glob("*/*.jpg"))[:4]
    worst = 0.0
    for p in photos:
        rc, _, err, _ = sh(ARGS.finetune, "preview", ARGS.photos, "--body", folder, "--augment", "none", "--count", "1", "--photo",
                           p.relative_to(ARGS.photos), "-o", tmp / "p.png", "--tensor", tmp / "p.safetensors")
        if rc:
            row["pixels"] = said(err)
            return
        ours = tensors(tmp / "p.safetensors")["images"][0]
        im = Image.open(p).convert("RGB")
        if (folder / "preprocessor_config.json").exists():
            import transformers
            config = json.load(open(folder / "preprocessor_config.json"))
            kind = getattr(transformers, config["image_processor_type"].removesuffix("Fast"), None) or getattr(transformers, config["image_processor_type"])
            theirs = kind.from_pretrained(str(folder))(images=im, return_tensors="np")["pixel_values"][0]
            std = np.array(config.get("image_std", [1, 1, 1])).reshape(3, 1, 1)
            if config.get("do_flip_channel_order"):  # finetune turns the colours inside the network
                theirs = theirs[::-1]
        else:
            from timm.data import create_transform
            c = json.load(open(folder / "config.json"))["pretrained_cfg"]
            theirs = create_transform(**{k: c[k] for k in ("input_size", "interpolation", "mean", "std", "crop_pct")}, crop_mode=c.get("crop_mode"))(im).numpy()
            std = np.array(c["std"]).reshape(3, 1, 1)
        if theirs.shape != ours.shape:
            row["pixels"] = f"{ours.shape} instead of {theirs.shape}"
            return
        worst = max(worst, float((np.abs(theirs - ours) * 255 * std).mean()))
    row["pixels"] = worst


def train(folder, tmp, *flags):
    shutil.rmtree(tmp / "run", ignore_errors=True)
    rc, out, err, took = sh(ARGS.finetune, "train", ARGS.photos, "--body", folder, "--run", tmp / "run", "--no-report", "--threads", "1", "--json", *flags)
    return ("ok" if rc == 0 else said(err)), took


def frozen(file, folder, row, tmp):
    import numpy as np
    row["frozen"], row["seconds"] = train(folder, tmp)
    if row["frozen"] != "ok":
        return
    rc, _, err, _ = sh(ARGS.finetune, "export", tmp / "run", "-o", tmp / "x.onnx", "--golden", "4", "--threads", "1")
    if rc:
        row["export"] = said(err)
        return
    golden, s = tensors(tmp / "golden.safetensors"), session(tmp / "x.onnx")
    out = s.run(None, {s.get_inputs()[0].name: golden["image"]})
    p = next(v for v in out if v.shape == golden["probabilities"].shape)
    row["export"] = float(np.abs(p - golden["probabilities"]).max())
    if ".ts." in file.name or not file.with_name(file.name.replace(".dynamo.", ".ts.")).exists():  # the other has the same files beside it
        pixels(folder, row, tmp)


def main():
    global ARGS
    a = argparse.ArgumentParser(usage=__doc__)
    a.add_argument("finetune", type=pathlib.Path)
    a.add_argument("networks", type=pathlib.Path)
    a.add_argument("photos", type=pathlib.Path)
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--part", default="features", choices=("features", "frozen", "unfrozen", "int8", "float16"))
    a.add_argument("--only", default="")
    ARGS = a.parse_args()
    done = {(r["file"], r["part"]) for r in map(json.loads, open(ARGS.out))} if ARGS.out.exists() else set()
    for file in sorted(ARGS.networks.glob("*.onnx")):
        if (file.name, ARGS.part) in done or ARGS.only and file.name.split(".")[0] not in ARGS.only.split(","):
            continue
        row = {"file": file.name, "part": ARGS.part}
        with tempfile.TemporaryDirectory() as tmp:
            tmp = pathlib.Path(tmp)
            folder = tmp / file.name.split(".")[0]
            folder.mkdir()
            lay(file, folder)
            try:
                if ARGS.part == "features":
                    features(file, row, tmp)
                elif ARGS.part == "frozen":
                    frozen(file, folder, row, tmp)
                elif ARGS.part == "unfrozen":
                    row["unfrozen"], row["seconds"] = train(folder, tmp, "--unfreeze", "--bs", "8", "--epochs", "1", "--lr", "0.001")
                else:
                    row[ARGS.part], row["seconds"] = train(folder, tmp, "--body-precision", ARGS.part)
            except Exception as e:  # a row, too
                row["error"] = f"{type(e).__name__}: {str(e)[:300]}"
        with open(ARGS.out, "a") as w:
            w.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def table(paths):
    rows, notes = {}, []
    for path in paths:
        for r in map(json.loads, open(path)):
            rows.setdefault(r["file"], {}).update({k: v for k, v in r.items() if k not in ("seconds", "part")})

    def cell(r, key, form="{:.0e}"):
        v = r.get(key)
        if v is None or isinstance(v, float):
            return "" if v is None else "0" if v == 0 else form.format(v)
        if v == "ok":
            return v
        if v not in notes:
            notes.append(v)
        return f"({notes.index(v) + 1})"

    columns = [("features", "difference", "{:.0e}"), ("pixels", "pixels", "{:.2f}"), ("frozen", "frozen", ""), ("export", "export", "{:.0e}"),
               ("unfrozen", "unfrozen", ""), ("int8", "int8", ""), ("float16", "float16", ""), ("error", "error", "")]
    columns = [c for c in columns if any(c[0] in r for r in rows.values())]
    print("| network | exporter | features | " + " | ".join(c[1] for c in columns) + " |\n" + "|---" * (3 + len(columns)) + "|")
    for file, r in sorted(rows.items()):
        name, exporter, _ = file.split(".")
        exporter = {"ts": "older", "dynamo": "newer"}[exporter]
        print(f"| {name} | {exporter} | {r.get('kind', '')} | " + " | ".join(cell(r, c[0], c[2]) for c in columns) + " |")
    print()
    for i, n in enumerate(notes):
        print(f"{i + 1}. {n}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--table"]:
        table(sys.argv[2:])
    else:
        main()
