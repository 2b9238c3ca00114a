"""Checks an exported model.onnx with stock onnxruntime and nothing of finetune's.

    python export_check.py model.onnx [golden.safetensors] [PHOTOS]

1. The onnx checker passes, shape inference included.
2. The self-test in the metadata comes out.
3. The inputs of golden.safetensors give its probabilities and, where the file knows it, its oddness.
4. With PHOTOS, a folder CLASS/*: accuracy on photographs that Pillow decodes,
   scales (bilinear, antialiased) and crops.
Needs numpy, onnx, onnxruntime; Pillow for 4. Exit code 1 if a check fails.
"""
import json
import pathlib
import struct
import sys

import numpy as np
import onnx
import onnxruntime


def safetensors(path):
    data = pathlib.Path(path).read_bytes()
    (n,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + n])
    kinds = {"F32": np.float32, "U8": np.uint8, "I64": np.int64}
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            lo, hi = t["data_offsets"]
            out[name] = np.frombuffer(data[8 + n + lo : 8 + n + hi], kinds[t["dtype"]]).reshape(t["shape"])
    return out


def test_image(seed, size, whole):
    c, y, x = np.meshgrid(np.arange(3), np.arange(size), np.arange(size), indexing="ij")
    v = ((x * (seed + 2) + y * (2 * seed + 3) + 85 * c) % 256).astype(np.uint8)[None]
    return v.transpose(0, 2, 3, 1).copy() if whole else v.astype(np.float32) / np.float32(255)


def photo(path, images):
    from PIL import Image, ImageOps

    im = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    if images["whole"]:
        return np.asarray(im)[None]
    s = images["size"]
    r = s / min(im.size)
    w, h = max(int(im.size[0] * r), s), max(int(im.size[1] * r), s)
    im = im.resize((w, h), Image.BILINEAR)
    x, y = (w - s + 1) // 2, (h - s + 1) // 2
    im = im.crop((x, y, x + s, y + s))
    return np.asarray(im).transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)


def main(model, golden=None, photos=None):
    onnx.checker.check_model(model, full_check=True)
    print("checker: passes")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta().custom_metadata_map
    classes, images = json.loads(meta["finetune.classes"]), json.loads(meta["finetune.preprocess"])
    failed = False

    knows_odd = "oddness" in [o.name for o in session.get_outputs()]
    odd = []

    def ask(x):
        p, logp = session.run(["probabilities", "log_probabilities"], {"image": x})
        if knows_odd:
            odd.append(session.run(["oddness"], {"image": x})[0])
            assert odd[-1].shape == (len(x), 1)
        assert p.shape == logp.shape == (len(x), len(classes))
        assert np.abs(np.exp(logp) - p).max() < 1e-5
        return p

    def check(what, difference, bound):
        nonlocal failed
        print(f"{what}: largest difference {difference:.3g} (bound {bound:g})")
        failed |= not difference <= bound

    test = json.loads(meta["finetune.selftest"])
    got = np.concatenate([ask(test_image(s, int(meta["finetune.size"]), images["whole"])) for s in test["seeds"]])
    check("self-test", np.abs(got - np.array(test["probabilities"])).max(), test["tolerance"])
    if golden:
        t = safetensors(golden)
        want = t["probabilities"]
        odd.clear()
        got = ask(t["image"]) if "image" in t else np.concatenate([ask(t[f"image.{i}"]) for i in range(len(want))])
        check("golden", np.abs(got - want).max(), max(1e-4, test["tolerance"] if meta["finetune.precision"] == "int8" else 1e-4))
        if knows_odd:
            check("golden oddness", np.abs(np.concatenate(odd) - t["oddness"]).max(), 1e-4)
        one = np.concatenate([ask(t["image"][i : i + 1]) for i in range(len(want))]) if "image" in t else got
        check("golden, one by one", np.abs(one - got).max(), 1e-5)
    if photos:
        right, rows = 0, []
        for path in sorted(pathlib.Path(photos).glob("*/*")):
            p = ask(photo(path, images))[0]
            right += classes[int(p.argmax())] == path.parent.name
            rows.append((f"{path.parent.name}/{path.name}", p))
        print(f"photographs by Pillow: {right} of {len(rows)} right, {100 * right / len(rows):.2f} %")
        np.savez("pillow.npz", names=[r[0] for r in rows], probabilities=np.array([r[1] for r in rows]))
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
