"""Makes small shards and writes what webdataset reads in them (vectors.json).

    python make.py     with webdataset 1.0.2
"""
import hashlib, io, json, tarfile, webdataset

FILES = {  # shard: members in order
    "plain": [("0001.jpg", b"photo one"), ("0001.cls", b"3"), ("0002.png", b"photo two"), ("0002.json", b'{"label": "ants"}'),
              ("0003.jpg", b"photo three")],
    "folders": [("a.v1/0001.JPG", b"one"), ("a.v1/0001.Cls", b" bees\n"), ("b/0001.jpg", b"two"), ("b/0001.json", b'{"class": 7}'),
                ("./c/0001.jpeg", b"three"), ("noextension", b"x"), ("__meta__", b"m"), ("__meta__/x.jpg", b"m")],
    "dots": [("x.left.jpg", b"left"), ("x.right.jpg", b"right"), ("x.cls", b"0"), ("y.seg.png", b"y"), ("y.txt", b"words")],
    "long": [("/".join(["folder" * 8] * 4) + "/" + "n" * 90 + ".jpg", b"long"), ("ü/é.jpg", b"accents"), ("ü/é.cls", b"caf\xc3\xa9")],
    "odd": [("../up.jpg", b"up"), ("/root/abs.jpg", b"absolute"), ("/root/abs.cls", b"1")],
}
FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
IMAGES = ("jpg", "jpeg", "png")

vectors = {"webdataset": "1.0.2", "shards": []}
for name, members in FILES.items():
    for form, number in FORMATS.items():
        file = f"{name}-{form}.tar"
        with tarfile.open(file, "w", format=number) as t:
            d = tarfile.TarInfo("d.jpg"); d.type = tarfile.DIRTYPE; t.addfile(d)
            for n, data in members:
                info = tarfile.TarInfo(n); info.size = len(data); t.addfile(info, io.BytesIO(data))
        samples = []
        for s in webdataset.WebDataset(file, shardshuffle=False, empty_check=False):
            photos = {k: hashlib.sha256(v).hexdigest() for k, v in s.items() if k.split(".")[-1] in IMAGES}
            label = s["cls"].decode().strip() if "cls" in s else None
            if label is None and "json" in s:
                o = json.loads(s["json"]); label = next((str(o[k]) for k in ("label", "class", "cls") if k in o), None)
            samples.append({"key": s["__key__"], "photos": photos, "label": label or ""})
        vectors["shards"].append({"file": file, "samples": samples})
json.dump(vectors, open("vectors.json", "w"), indent=1, ensure_ascii=False)
