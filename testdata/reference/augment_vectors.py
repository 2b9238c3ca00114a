"""Makes testdata/images/ and augment_vectors.safetensors beside this script.

    pip install numpy pillow opencv-python-headless==4.10.0.84 safetensors
    python testdata/reference/augment_vectors.py

OpenCV judges resampling, rotation, borders and JPEG; Pillow the other formats.
4.10 is the last OpenCV whose warpAffine steps by 1/32 pixel, as fast.ai 0.7 saw it.
"""
import io
import pathlib

import cv2
import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
images = here.parent / "images"
images.mkdir(exist_ok=True)
rng = np.random.default_rng(7)
out = {}


def picture(h, w):
    """Smooth colours with sharp random squares, uint8 RGB."""
    y, x = np.mgrid[0:h, 0:w]
    p = np.stack([x * 255 // w, y * 255 // h, 128 + (x - y) * 2], -1).astype(np.uint8)
    for _ in range(6):
        a, b = rng.integers(0, h - 4), rng.integers(0, w - 4)
        p[a:a + 4, b:b + 4] = rng.integers(0, 256, 3)
    return p


def on_white(im):
    """What transparency leaves on white, rounded."""
    rgba = np.asarray(im.convert("RGBA")).astype(np.int64)
    a = rgba[..., 3:]
    return ((rgba[..., :3] * a + 255 * (255 - a) + 127) // 255).astype(np.uint8)


# Decoding: every file beside the pixels a mature decoder gives.
rgb = picture(21, 33)
alpha = np.dstack([rgb, (np.arange(21 * 33) * 5 % 256).reshape(21, 33).astype(np.uint8)])
grey16 = (np.arange(21 * 33).reshape(21, 33) * 94 + 0x12FF % 251).astype(np.uint16)


def save(name, im, **options):
    im.save(images / name, **options)
    return images / name


def by_pillow(name, im, **options):
    out["decode/" + name] = on_white(Image.open(save(name, im, **options)))


def by_opencv(name, im, **options):
    bgr = cv2.imread(str(save(name, im, **options)), cv2.IMREAD_COLOR)
    out["decode/" + name] = np.ascontiguousarray(bgr[..., ::-1])


for name, sub in ("444", 0), ("422", 1), ("420", 2):
    by_opencv(f"{name}.jpg", Image.fromarray(rgb), quality=90, subsampling=sub)
by_opencv("420_progressive.jpg", Image.fromarray(rgb), quality=90, subsampling=2, progressive=True)
by_opencv("grey.jpg", Image.fromarray(rgb).convert("L"), quality=90)
by_opencv("narrow_420.jpg", Image.fromarray(rgb[:, :3]), quality=90, subsampling=2)
by_pillow("cmyk.jpg", Image.fromarray(rgb).convert("CMYK"), quality=95)
by_pillow("rgb.png", Image.fromarray(rgb))
by_pillow("alpha.png", Image.fromarray(alpha))
by_pillow("grey_alpha.png", Image.fromarray(alpha).convert("LA"))
by_pillow("palette.png", Image.fromarray(rgb).quantize(16), transparency=3)
by_pillow("bilevel.png", Image.fromarray(rgb).convert("1"))
for name in "grey16.png", "grey16.tif":
    save(name, Image.fromarray(grey16))
    out["decode/" + name] = np.repeat((grey16 >> 8).astype(np.uint8)[..., None], 3, -1)
by_pillow("rgb.bmp", Image.fromarray(rgb))
by_pillow("lzw.tif", Image.fromarray(rgb), compression="tiff_lzw")
by_pillow("lossy.webp", Image.fromarray(rgb), quality=80)
by_pillow("lossy_alpha.webp", Image.fromarray(alpha), quality=80)
by_pillow("lossless_alpha.webp", Image.fromarray(alpha), lossless=True, exact=True)

# A GIF whose first frame covers a part of its canvas: the rest is white.
small = Image.fromarray(rgb[:8, :10]).quantize(8)
raw = io.BytesIO()
small.save(raw, "GIF")
raw = bytearray(raw.getvalue())
raw[6:10] = (16).to_bytes(2, "little") + (12).to_bytes(2, "little")
at = raw.index(b"\x2c", 13 + 3 * 2 ** ((raw[10] & 7) + 1))
raw[at + 1:at + 5] = (3).to_bytes(2, "little") + (2).to_bytes(2, "little")
(images / "part.gif").write_bytes(raw)
canvas = np.full((12, 16, 3), 255, np.uint8)
canvas[2:10, 3:13] = np.asarray(small.convert("RGB"))
out["decode/part.gif"] = canvas

# EXIF: the eight orientations of a 3 × 2 picture, upright.
tiny = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
for o in range(1, 9):
    im = Image.fromarray(tiny)
    im.getexif()[274] = o
    out[f"orient/{o}"] = np.asarray(ImageOps.exif_transpose(im))

# Resampling, rotation, borders: float32 RGB on 0..1.
src = picture(23, 37)
out["input"] = src
f = src.astype(np.float32) / np.float32(255)
for h, w in (7, 11), (23, 12), (22, 36), (46, 74), (30, 40), (12, 74), (46, 18), (9, 37), (5, 5):
    out[f"area/{h}x{w}"] = cv2.resize(f, (w, h), interpolation=cv2.INTER_AREA)
out["area/whole"] = cv2.resize(f[:20, :36], (12, 5), interpolation=cv2.INTER_AREA)
for i, angle in enumerate((10.0, -7.3, 3.25, -0.01, 45.0)):
    m = cv2.getRotationMatrix2D((37 // 2, 23 // 2), angle, 1)
    out[f"rotate/{angle}"] = cv2.warpAffine(f, m, (37, 23), borderMode=cv2.BORDER_REFLECT,
                                            flags=cv2.WARP_FILL_OUTLIERS + cv2.INTER_AREA)
out["pad/5"] = cv2.copyMakeBorder(f, 5, 5, 5, 5, cv2.BORDER_REFLECT)


def scale(im, t):
    r, c = im.shape[:2]
    ratio = t / min(r, c)
    return cv2.resize(im, (max(int(c * ratio), t), max(int(r * ratio), t)), interpolation=cv2.INTER_AREA)


def center(im, t):
    r, c = (int(np.ceil((side - t) / 2)) for side in im.shape[:2])
    return im[r:r + t, c:c + t]


mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
for t in 16, 30:
    out[f"valid/{t}"] = np.ascontiguousarray(((center(scale(f, t), t) - mean) / std).transpose(2, 0, 1))
out["squash/16"] = cv2.resize(scale(f, 16), (16, 16), interpolation=cv2.INTER_AREA)

save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, here / "augment_vectors.safetensors")
