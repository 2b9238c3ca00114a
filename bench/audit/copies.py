"""Copies: puts copies of training photographs into validation and asks `finetune audit` for them.

    FINETUNE=bin/finetune python bench/audit/copies.py DATA [--most 60]

Needs numpy and pillow. Ten kinds: exact, JPEG of quality 60, half size, 5 % cut off, 20 % cut off, mirrored,
turned by 90°, 15 % lighter, text over it, and several at once. Prints recall and seconds a kind, and the
pairs found that nobody planted. DATA is copied to a temporary folder; it is not changed.
"""
import argparse, os, shutil, tempfile

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from common import audit, listed, rows


def cut(im, share):
    w, h = im.size
    x, y = round(w * share / 2), round(h * share / 2)
    return im.crop((x, y, w - x, h - y))


def lighter(im):
    return im.point(lambda v: min(255, round(v * 1.15)))


def text(im):
    im = im.copy()
    w, h = im.size
    ImageDraw.Draw(im).text((w // 10, h // 2), "Copyright of somebody else", fill=(255, 255, 255), font_size=max(h // 12, 8))
    return im


def half(im):
    return im.resize((max(im.width // 2, 1), max(im.height // 2, 1)))


def all_of(im):
    return half(lighter(ImageOps.mirror(cut(im, .05))))


KINDS = {"exact": None, "q60": (lambda im: im, 60), "half": (half, 95), "crop5": (lambda im: cut(im, .05), 95),
         "crop20": (lambda im: cut(im, .2), 95), "flip": (ImageOps.mirror, 95), "rot90": (lambda im: im.rotate(90, expand=True), 95),
         "light": (lighter, 95), "text": (text, 95), "all": (all_of, 60)}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("data")
    a.add_argument("--most", type=int, default=60, help="copies of a kind")
    a.add_argument("--kinds", default=",".join(KINDS))
    a = a.parse_args()
    photographs = listed(a.data)
    rng = np.random.default_rng(1)
    train = sorted(p for p, _, s in photographs if s == "train" and not p.endswith(".gif"))
    label = {p: l for p, l, _ in photographs}
    with tempfile.TemporaryDirectory() as d:
        for p, l, s in photographs:
            to = os.path.join(d, "data", s, l)
            os.makedirs(to, exist_ok=True)
            shutil.copy(os.path.join(a.data, p), to)
        natural = {frozenset(map(os.path.basename, (r["path"], r["other"]))) for r in found(d)[0]}
        planted = {}
        for kind in a.kinds.split(","):
            for p in rng.choice(train, min(a.most, len(train)), replace=False):
                name = f"{kind}_{os.path.basename(p)}"
                to = os.path.join(d, "data", "valid", label[p], name)
                if KINDS[kind] is None:
                    shutil.copy(os.path.join(a.data, p), to)
                else:
                    change, quality = KINDS[kind]
                    to = os.path.splitext(to)[0] + ".jpg"
                    change(ImageOps.exif_transpose(Image.open(os.path.join(a.data, p))).convert("RGB")).save(to, quality=quality)
                planted[os.path.basename(to)] = (kind, os.path.basename(p))
        pairs, result = found(d)
        pairs = {frozenset(map(os.path.basename, (r["path"], r["other"]))) for r in pairs}
        source = lambda n: planted[n][1] if n in planted else n
        for kind in a.kinds.split(","):
            mine = {n: p for n, (k, p) in planted.items() if k == kind}
            hit = sum(frozenset((n, p)) in pairs for n, p in mine.items())
            print(f"{kind:8} {hit}/{len(mine)} recall {hit / len(mine):.3f}")
        strangers = {q for q in pairs if len({source(n) for n in q}) > 1 and q not in natural}
        strangers = {frozenset(map(source, q)) for q in strangers} - natural
        print(f"pairs of two different photographs: {len(strangers)} new, {len(natural)} before planting")
        print("seconds", {k: round(v, 1) for k, v in result["seconds"].items()}, "photographs", sum(1 for _ in pairs), "pairs")
        for f in result["findings"]:
            print(f"{f['kind']:10} {f['text']}")


def found(d):
    out = os.path.join(d, "out")
    result = audit(os.path.join(d, "data"), out)
    return rows(out, "copy"), result


if __name__ == "__main__":
    main()
