"""Classes that show in their files, and odd inputs: plants them in a copy of DATA and asks `finetune audit`.

    FINETUNE=bin/finetune python bench/audit/files.py DATA CLASS [--odd FOLDER] [--cleanvision]

Needs pillow. CLASS is saved again as JPEG of quality 60, or made at most 400 pixels wide, or 15 % lighter;
FOLDER's photographs are put among the training photographs, one at a time. Prints the metadata rows of each, how many
planted odd photographs score above 1 and are flagged, and what cleanvision flags beside ours.
"""
import argparse, os, shutil, tempfile

from PIL import Image, ImageOps

from common import audit, listed, rows


def copied(data, photographs, to, change=lambda im, label: None):
    for p, l, s in photographs:
        target = os.path.join(to, s, l, os.path.basename(p))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(os.path.join(data, p), target)
        if not p.endswith(".gif"):
            change(target, l)


def saved(path, im, quality):
    im.save(path, "JPEG", quality=quality)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("data")
    a.add_argument("cls")
    a.add_argument("--odd")
    a.add_argument("--cleanvision", action="store_true")
    a = a.parse_args()
    photographs = listed(a.data)
    opened = lambda p: ImageOps.exif_transpose(Image.open(p)).convert("RGB")

    def q60(p, l):
        if l == a.cls:
            saved(p, opened(p), 60)

    def small(p, l):
        if l == a.cls:
            im = opened(p)
            im.thumbnail((400, 400))
            saved(p, im, 92)

    def light(p, l):
        if l == a.cls:
            saved(p, opened(p).point(lambda v: min(255, round(1.15 * v))), 92)
        else:
            saved(p, opened(p), 92)

    for name, change in (("untouched", lambda p, l: None), ("q60", q60), ("400 px", small), ("light", light)):
        with tempfile.TemporaryDirectory() as d:
            copied(a.data, photographs, os.path.join(d, "data"), change)
            result = audit(os.path.join(d, "data"), d)
            for r in rows(d, "metadata"):
                print(f"{name:10} {r['detail']}, flagged {r['flagged']}")
            print(f"{name:10} says: " + "; ".join(f["text"] for f in result["findings"] if f["kind"] == "metadata"), flush=True)
    if a.odd:
        with tempfile.TemporaryDirectory() as d:
            copied(a.data, photographs, os.path.join(d, "data"))
            strangers = [os.path.join(r, f) for r, _, fs in sorted(os.walk(a.odd)) for f in sorted(fs)
                         if f.lower().endswith((".jpg", ".png"))]
            strangers = strangers[:: max(len(strangers) // 50, 1)][:50]
            for k, p in enumerate(strangers):
                shutil.copy(p, os.path.join(d, "data", "valid", photographs[0][1], f"stranger{k:02d}" + os.path.splitext(p)[1]))
            audit(os.path.join(d, "data"), d)
            found = rows(d, "odd")
            theirs = [r for r in found if "stranger" in r["path"]]
            print(f"odd: {len(theirs)} of {len(strangers)} strangers score above 1, {sum(r['flagged'] == '1' for r in theirs)} flagged; "
                  f"others above 1: {len(found) - len(theirs)}, flagged {sum(r['flagged'] == '1' for r in found if r not in theirs)}")
    if a.cleanvision:
        from cleanvision import Imagelab

        with tempfile.TemporaryDirectory() as d:
            audit(a.data, d)
            ours = [(r["detail"].split(":")[0], os.path.basename(r["path"])) for r in rows(d, "basic")]
        lab = Imagelab(data_path=a.data)
        lab.find_issues(n_jobs=1)
        for c in lab.issues.columns:
            if c.startswith("is_") and lab.issues[c].any():
                print("cleanvision", c, int(lab.issues[c].sum()))
        for what in sorted({w for w, _ in ours}):
            print("ours", what, sum(w == what for w, _ in ours))


if __name__ == "__main__":
    main()
