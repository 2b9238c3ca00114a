"""What Pillow makes of a photograph, as the reference of the decoders.

    python reference.py FOLDER     writes FOLDER/list.csv and FOLDER/reference/*.png for the files of FOLDER

Needs Pillow and numpy; pillow-heif for HEIC.
"""
import csv, os, sys, warnings
import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
Image.MAX_IMAGE_PIXELS = None
try:
    import pillow_heif
    pillow_heif.register_heif_opener()
except ImportError:
    pass


def on_white(im):
    """RGB of an opened picture: turned upright, 16 bits to their high byte, transparency on white."""
    im.load()
    im = ImageOps.exif_transpose(im)
    if im.mode.startswith("I;16") or im.mode == "I":
        im = Image.fromarray((np.asarray(im).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if im.mode == "F":
        im = Image.fromarray((np.asarray(im) * 255 + 0.5).clip(0, 255).astype(np.uint8))
    if im.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in im.info:
        im = im.convert("RGBA")
        white = Image.new("RGBA", im.size, "white")
        white.alpha_composite(im)
        im = white
    return im.convert("RGB")


def main(folder):
    os.makedirs(os.path.join(folder, "reference"), exist_ok=True)
    with open(os.path.join(folder, "list.csv"), "w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["file", "kind", "bound", "status", "reference"])
        for n in sorted(os.listdir(folder)):
            p = os.path.join(folder, n)
            if not os.path.isfile(p) or n == "list.csv": continue
            ref = os.path.join("reference", n + ".png")
            try: on_white(Image.open(p)).save(os.path.join(folder, ref))
            except Exception as e:
                w.writerow([n, "Pillow: %s" % type(e).__name__, 0, "unsupported", ""]); continue
            w.writerow([n, n.split("_")[0], 2, "ok", ref])


if __name__ == "__main__":
    main(sys.argv[1])
