"""Makes a corpus of photographs in every form that people keep them in.

    python make.py FOLDER            a few hundred files, list.csv and reference/*.png
    python make.py --small FOLDER    the few of them that testdata/images/corpus holds

Needs Pillow and numpy, and uses what is there of tifffile with imagecodecs, pillow-heif, and the programs cjpeg and jpegtran.
The reference of a file is Pillow's picture of it; where Pillow does not open it, or shows something else than the file says,
the picture that it was made from.
"""
import csv, io, os, shutil, struct, subprocess, sys, zlib
import numpy as np
from PIL import Image, ImageDraw
from reference import on_white

small = sys.argv[1] == "--small"
out = sys.argv[-1]
shutil.rmtree(out, ignore_errors=True)
os.makedirs(os.path.join(out, "reference"))
rows, missing = [], {}


def scene(w, h):
    """Smooth colours with two hard-edged shapes."""
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([x * 255 // max(w - 1, 1), y * 255 // max(h - 1, 1), 128 + 100 * np.sin(x / 7.0) * np.cos(y / 9.0)], -1).astype(np.uint8)
    im = Image.fromarray(a)
    d = ImageDraw.Draw(im)
    d.rectangle([w // 10, h // 10, w // 3, h // 4], fill=(250, 20, 20))
    d.ellipse([w // 2, h // 2, w * 9 // 10, h * 9 // 10], fill=(20, 20, 240))
    return im


W, H = (61, 47) if small else (163, 121)
rgb = scene(W, H)
arr, grey = np.asarray(rgb), np.asarray(rgb.convert("L"))
alpha = Image.fromarray((np.mgrid[0:H, 0:W][1] * 255 // W).astype(np.uint8))
rgba = rgb.copy(); rgba.putalpha(alpha)
white = Image.new("RGBA", (W, H), "white"); white.alpha_composite(rgba)


def put(kind, name, data, bound=2, status="ok", ref=None, keep=False):
    """Adds a file. ref: an image to compare with, instead of Pillow's of the file. keep: part of the small corpus."""
    if small and not keep: return
    if data is None: missing[kind] = missing.get(kind, 0) + 1; return
    with open(os.path.join(out, name), "wb") as f: f.write(data)
    where = ""
    if status == "ok":
        where = os.path.join("reference", name + ".png")
        im = ref if ref is not None else on_white(Image.open(io.BytesIO(data)))
        im.convert("RGB").save(os.path.join(out, where))
    rows.append([name, kind, bound, status, where])


def enc(im, **k):
    b = io.BytesIO(); im.save(b, **k); return b.getvalue()
def run(data, *args):
    if not shutil.which(args[0]): return None
    r = subprocess.run(args, input=data, capture_output=True)
    return r.stdout if r.returncode == 0 and r.stdout else None
def ppm(im): return enc(im, format="PPM")


# JPEG: sampling x coding x restart markers x size
scans = os.path.join(out, "scans.txt"); open(scans, "w").write("0;\n1;\n2;\n")
partly = os.path.join(out, "partly.txt"); open(partly, "w").write("0;\n1,2;\n")
for sampling in ("1x1", "2x1", "1x2", "2x2", "4x1", "4x2", "1x4", "2x4", "3x1", "3x3", "2x2,2x1,2x1", "2x2,1x2,1x2", "2x2,1x1,1x2", "1x1,2x2,2x2", "4x2,2x1,2x1"):
    for coding, args in (("base", []), ("progressive", ["-progressive"]), ("scans", ["-scans", scans]), ("partly", ["-scans", partly]), ("optimised", ["-optimize"])):
        for restart in ("", "1", "3B"):
            name = "jpeg_%s_%s_%s.jpg" % (sampling.replace(",", "-"), coding, restart or "none")
            data = run(ppm(rgb), "cjpeg", "-quality", "90", "-sample", sampling, *args, *(["-restart", restart] if restart else []))
            put("JPEG " + coding + (", restarts" if restart else ""), name, data, keep=name in ("jpeg_2x2_progressive_3B.jpg", "jpeg_2x1_scans_1.jpg", "jpeg_3x1_base_none.jpg", "jpeg_2x2_partly_3B.jpg", "jpeg_2x2-1x1-1x2_progressive_none.jpg"))
for w, h in ((1, 1), (3, 2), (7, 9), (8, 8), (16, 16), (17, 15), (33, 31), (5, 64), (64, 5)):
    for sampling in ("1x1", "2x1", "2x2", "4x1"):
        for args in ([], ["-progressive", "-restart", "2B"]):
            put("JPEG sizes", "size_%dx%d_%s_%d.jpg" % (w, h, sampling, len(args)), run(ppm(scene(w, h)), "cjpeg", "-quality", "90", "-sample", sampling, *args))
for q in (1, 10, 50, 100):
    put("JPEG qualities", "quality_%d.jpg" % q, enc(rgb, format="JPEG", quality=q))
for n, args in (("grey", ["-grayscale"]), ("grey_2x2", ["-grayscale", "-sample", "2x2"]), ("grey_progressive", ["-grayscale", "-progressive", "-restart", "1B"])):
    put("JPEG grey", n + ".jpg", run(ppm(rgb), "cjpeg", "-quality", "90", *args), keep=n == "grey_progressive")
jpg = enc(rgb, format="JPEG", quality=92, subsampling=0)
cmyk = enc(rgb.convert("CMYK"), format="JPEG", quality=92)
at = cmyk.find(b"Adobe"); ycck = bytearray(cmyk); ycck[at + 11] = 2
def segments(b):
    i = 2
    while True:
        m, n = b[i + 1], struct.unpack(">H", b[i + 2:i + 4])[0]
        if m == 0xDA: yield m, b[i:]; return
        yield m, b[i:i + 2 + n]; i += 2 + n
def drop(b, *marks): return b[:2] + b"".join(s for m, s in segments(b) if m not in marks)
put("JPEG colours", "cmyk.jpg", cmyk, keep=True); put("JPEG colours", "ycck.jpg", bytes(ycck)); put("JPEG colours", "cmyk_no_adobe.jpg", drop(cmyk, 0xEE), keep=True)
put("JPEG colours", "cmyk_420.jpg", enc(rgb.convert("CMYK"), format="JPEG", quality=92, subsampling=2)); put("JPEG colours", "cmyk_progressive.jpg", enc(rgb.convert("CMYK"), format="JPEG", quality=92, progressive=True))
put("JPEG colours", "rgb.jpg", run(ppm(rgb), "cjpeg", "-quality", "92", "-rgb")); put("JPEG colours", "rgb_adobe.jpg", enc(rgb, format="JPEG", quality=92, keep_rgb=True))
put("JPEG oddities", "motion.jpg", drop(enc(rgb, format="JPEG", quality=90), 0xC4), ref=on_white(Image.open(io.BytesIO(enc(rgb, format="JPEG", quality=90)))), keep=True)
put("JPEG oddities", "fill_bytes.jpg", jpg[:2] + b"".join(b"\xff\xff" + s for _, s in segments(jpg))); put("JPEG oddities", "trailing.jpg", jpg + bytes(range(256)) * 9)
rst = enc(rgb, format="JPEG", quality=92, restart_marker_rows=1)
put("JPEG oddities", "wrong_restart.jpg", rst.replace(b"\xff\xd1", b"\xff\xd3", 1), ref=on_white(Image.open(io.BytesIO(rst))), keep=True)
put("JPEG oddities", "tables_16_bit.jpg", run(ppm(rgb), "cjpeg", "-quality", "1"))
put("named unsupported", "arithmetic.jpg", run(ppm(rgb), "cjpeg", "-arithmetic"), status="unsupported"); put("named unsupported", "lossless.jpg", jpg.replace(b"\xff\xc0", b"\xff\xc3", 1), status="unsupported", keep=True)
put("named unsupported", "twelve_bits.jpg", jpg.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c", 1), status="unsupported")
put("damaged", "cut.jpg", jpg[:len(jpg) // 2], status="unreadable"); put("damaged", "zeros.jpg", bytes(900), status="unreadable")


# orientation: 8 x integer types x byte orders x places
TURN = {1: None, 2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}
def stored(o): return rgb.transpose(getattr(Image.Transpose, TURN[o])) if TURN[o] else rgb
def exif(o, kind=3, order="<"):
    v = {1: "B3x", 3: "H2x", 4: "I", 6: "b3x", 8: "h2x", 9: "i"}[kind]
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HIHHHI" + v + "I", 42, 8, 1, 0x112, kind, 1, o, 0)
def app1(t): return b"\xff\xe1" + struct.pack(">H", len(t) + 8) + b"Exif\0\0" + t
def chunk(t, d): return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))
xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>"
front = {"": b"", "_after_xmp": b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp, "_after_400k": (b"\xff\xe2" + struct.pack(">H", 65535) + b"FPXR\0" + bytes(65528)) * 6}
for o in range(1, 9):
    im = stored(o); plain = on_white(Image.open(io.BytesIO(enc(im, format="JPEG", quality=92, subsampling=0))))
    upright = plain.transpose({"ROTATE_90": Image.Transpose.ROTATE_270, "ROTATE_270": Image.Transpose.ROTATE_90}.get(TURN[o]) or getattr(Image.Transpose, TURN[o])) if TURN[o] else plain
    j = enc(im, format="JPEG", quality=92, subsampling=0)
    for kind in (1, 3, 4, 6, 8, 9):
        for order in "<>":
            put("orientation in JPEG", "turn_%d_type%d_%s.jpg" % (o, kind, "II" if order == "<" else "MM"), j[:2] + app1(exif(o, kind, order)) + j[2:], ref=upright, keep=(o, kind, order) in ((6, 4, "<"), (5, 9, ">")))
    for n, b in front.items():
        if n: put("orientation in JPEG", "turn_%d%s.jpg" % (o, n), j[:2] + b + app1(exif(o)) + j[2:], ref=upright)
    p = enc(im, format="PNG"); end = len(p) - 12
    put("orientation in PNG", "turn_%d.png" % o, p[:33] + chunk(b"eXIf", exif(o)) + p[33:], ref=rgb); put("orientation in PNG", "turn_%d_late.png" % o, p[:end] + chunk(b"eXIf", exif(o, 4, ">")) + p[end:], ref=rgb, keep=o == 8)
    put("orientation in WebP", "turn_%d.webp" % o, enc(im, format="WEBP", lossless=True, exif=b"Exif\0\0" + exif(o)), ref=rgb, keep=o == 7)
    t = Image.Exif(); t[0x112] = o; put("orientation in TIFF", "turn_%d.tif" % o, enc(im, format="TIFF", exif=t), ref=rgb, keep=o == 3)


# PNG: colours x depths x interlace
def png(w, h, depth, colour, lines, extra=b"", interlace=0):
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, interlace)) + extra + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + l for l in lines))) + chunk(b"IEND", b"")
def pack(line, depth):
    if depth == 16: return (line.astype(np.uint16) * 257).astype(">u2").tobytes()
    if depth == 8: return line.tobytes()
    return np.packbits(((line >> (8 - depth)).reshape(-1, 1) >> np.arange(depth - 1, -1, -1)) & 1).tobytes()
passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
quant = rgb.quantize(256); index = np.asarray(quant); palette = bytes(quant.getpalette())
la = np.dstack([grey, np.asarray(alpha)]); full = np.asarray(rgba)
for colour, a, depths in ((0, grey, (1, 2, 4, 8, 16)), (2, arr, (8, 16)), (3, index, (8,)), (4, la, (8, 16)), (6, full, (8, 16))):
    for depth in depths:
        for interlace in (0, 1):
            lines = [pack(r.reshape(-1), depth) for r in a] if not interlace else [pack(r.reshape(-1), depth) for x0, y0, dx, dy in passes for r in a[y0::dy, x0::dx] if r.size]
            for n, extra in (("", b""), ("_trns", {0: chunk(b"tRNS", struct.pack(">H", 1)), 2: chunk(b"tRNS", struct.pack(">HHH", 250, 20, 20) if depth == 8 else struct.pack(">HHH", 250 * 257, 20 * 257, 20 * 257)), 3: chunk(b"tRNS", bytes([0] * 40 + [128] * 20))}.get(colour, b""))):
                if n and not extra: continue
                low = Image.fromarray(np.where(grey >> (8 - depth) == 1, 255, (grey >> (8 - depth)).astype(int) * 255 // ((1 << depth) - 1)).astype(np.uint8)) if colour == 0 and depth < 8 else None  # Pillow compares after scaling
                pal = chunk(b"PLTE", palette.ljust(768, b"\0")) if colour == 3 else b""
                put("PNG", "png_%d_%d_%d%s.png" % (colour, depth, interlace, n), png(W, H, depth, colour, lines, pal + extra, interlace), bound=2.5 if depth < 8 else 2,
                    ref=white.convert("RGB") if (colour, depth) == (6, 16) else low if n and colour == 0 and depth < 8 else None, keep=(colour, depth, interlace, n) in ((3, 8, 1, "_trns"), (2, 16, 1, "")))
for depth in (1, 2, 4): put("PNG", "palette_%d.png" % depth, enc(rgb.quantize(1 << depth), format="PNG", bits=depth))
put("first frame", "animated.png", enc(rgb, format="PNG", save_all=True, append_images=[rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]))

# GIF, WebP
mirror = rgb.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
put("GIF", "plain.gif", enc(rgb, format="GIF")); put("GIF", "interlaced.gif", enc(rgb.quantize(200), format="GIF", interlace=1)); put("GIF", "transparent.gif", enc(rgb.quantize(128), format="GIF", transparency=5))
put("first frame", "animated.gif", enc(rgb, format="GIF", save_all=True, append_images=[mirror], duration=100))
for q in (30, 75, 95): put("WebP", "lossy_%d.webp" % q, enc(rgb, format="WEBP", quality=q)); put("WebP", "alpha_%d.webp" % q, enc(rgba, format="WEBP", quality=q))
put("WebP", "lossless.webp", enc(rgb, format="WEBP", lossless=True)); put("WebP", "lossless_alpha.webp", enc(rgba, format="WEBP", lossless=True, exact=True)); put("WebP", "grey.webp", enc(rgb.convert("L"), format="WEBP"))
for n, k in (("lossy", dict(quality=90)), ("lossless", dict(lossless=True))):
    put("first frame", "animated_%s.webp" % n, enc(rgb, format="WEBP", save_all=True, append_images=[mirror], duration=100, **k), keep=n == "lossy")
    put("first frame", "animated_alpha_%s.webp" % n, enc(rgba, format="WEBP", save_all=True, append_images=[mirror.convert("RGBA")], duration=100, **k))

# BMP
def bmp(bits, comp, body, size=40, extra=b"", pal=b"", height=H):
    off = 14 + size + len(pal) + (len(extra) if size == 40 else 0)
    return b"BM" + struct.pack("<IHHI", off + len(body), 0, 0, off) + struct.pack("<IiiHHIIiiII", size, W, height, 1, bits, comp, len(body), 2835, 2835, len(pal) // 4, 0) + extra + pal + body
def rows_of(a): return b"".join(r.tobytes() + b"\0" * (-len(r.tobytes()) % 4) for r in a)
bgr = arr[..., ::-1]; pal4 = b"".join(bytes([palette[i + 2], palette[i + 1], palette[i], 0]) for i in range(0, len(palette) - 2, 3)).ljust(1024, b"\0")
for n, im in (("24", rgb), ("8", quant), ("1", rgb.convert("1")), ("grey", rgb.convert("L"))): put("BMP", "bmp_%s.bmp" % n, enc(im, format="BMP"))
put("BMP", "bmp_top_down.bmp", bmp(24, 0, rows_of(bgr), height=-H)); put("BMP", "bmp_32.bmp", bmp(32, 0, np.dstack([bgr, np.zeros((H, W), np.uint8)])[::-1].tobytes()))
r, g, b = (arr[..., i].astype(np.uint16) for i in range(3))
put("BMP", "bmp_565.bmp", bmp(16, 3, rows_of(((r >> 3) << 11 | (g >> 2) << 5 | b >> 3)[::-1].astype("<u2")), extra=struct.pack("<III", 0xF800, 0x7E0, 0x1F)), keep=True)
put("BMP", "bmp_555.bmp", bmp(16, 0, rows_of(((r >> 3) << 10 | (g >> 3) << 5 | b >> 3)[::-1].astype("<u2"))))
put("BMP", "bmp_rle8.bmp", bmp(8, 1, b"".join(b"".join(bytes([1, v]) for v in row) + b"\0\0" for row in index[::-1]) + b"\0\1", pal=pal4), keep=True)
q16 = rgb.quantize(16); i16 = np.asarray(q16); p16 = bytes(q16.getpalette()); pal16 = b"".join(bytes([p16[i + 2], p16[i + 1], p16[i], 0]) for i in range(0, 48, 3))
put("BMP", "bmp_rle4.bmp", bmp(4, 2, b"".join(b"".join(bytes([1, v << 4]) for v in row) + b"\0\0" for row in i16[::-1]) + b"\0\1", pal=pal16), ref=q16.convert("RGB"))
put("BMP", "bmp_4.bmp", bmp(4, 0, rows_of(np.stack([(np.pad(row, (0, W % 2))[0::2] << 4 | np.pad(row, (0, W % 2))[1::2]).astype(np.uint8) for row in i16[::-1]])), pal=pal16))


# TIFF
for comp in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "jpeg"):
    for mode in ("RGB", "L", "RGBA", "CMYK", "P", "1", "LA", "I;16", "YCbCr"):
        if comp == "jpeg" and mode not in ("RGB", "L", "CMYK", "YCbCr"): continue
        im = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else {"P": quant, "RGBA": rgba, "LA": rgba.convert("LA")}.get(mode) or rgb.convert(mode)
        try: data = enc(im, format="TIFF", compression=comp)
        except Exception: continue
        put("TIFF by libtiff", "tif_%s_%s.tif" % (comp, mode.replace(";", "")), data, keep=(comp, mode) in (("jpeg", "RGB"), ("tiff_lzw", "CMYK")))
bilevel = rgb.convert("1")
for comp in ("group3", "group4"):
    put("TIFF fax", "fax_%s_black.tif" % comp, enc(bilevel, format="TIFF", compression=comp), keep=comp == "group4")
    put("TIFF fax", "fax_%s_white.tif" % comp, enc(bilevel.point(lambda v: 255 - v), format="TIFF", compression=comp, tiffinfo={262: 0}))
try:
    import tifffile
    def tif(kind, name, a, ref, bound=2, keep=False, **k):
        b = io.BytesIO()
        try: tifffile.imwrite(b, a, **k)
        except Exception as e: missing[kind] = missing.get(kind, 0) + 1; return
        put(kind, name + ".tif", b.getvalue(), bound, ref=ref, keep=keep)
    planes = np.moveaxis(arr, -1, 0).copy(); wide = arr.astype(np.uint16) * 257; gim = Image.fromarray(grey).convert("RGB")
    for comp in (None, "zlib", "lzw", "packbits", "zstd"):
        for layout, extra in (("strips", dict(rowsperstrip=16)), ("tiles", dict(tile=(32, 48)))):
            for order in "<>":
                n = "%s_%s_%s" % (comp or "raw", layout, "II" if order == "<" else "MM")
                k = dict(compression=comp, byteorder=order, **extra)
                tif("TIFF planes", "planar_" + n, planes, rgb, photometric="rgb", planarconfig="separate", keep=n in ("zlib_strips_II", "raw_tiles_MM"), **k)
                tif("TIFF 16 bits", "wide_" + n, wide, rgb, photometric="rgb", predictor=comp in ("zlib", "lzw"), **k)
                tif("TIFF planes", "planar16_" + n, np.moveaxis(wide, -1, 0).copy(), rgb, photometric="rgb", planarconfig="separate", **k)
                tif("TIFF 16 bits", "grey16_" + n, grey.astype(np.uint16) * 257, gim, photometric="minisblack", **k)
                tif("TIFF floating point", "float_" + n, grey.astype(np.float32) / 255, gim, photometric="minisblack", predictor=comp == "zlib", keep=n == "zlib_strips_MM", **k)
                tif("TIFF four bands", "bands4_" + n, np.dstack([arr, arr[..., :1]]), rgb, photometric="rgb", extrasamples=["unspecified"], planarconfig="contig", keep=n == "lzw_tiles_II", **k)
                tif("TIFF 8 bits", "rgb_" + n, arr, rgb, photometric="rgb", predictor=comp in ("zlib", "lzw"), **k)
    for t in (np.float16, np.float64): tif("TIFF floating point", t.__name__, (grey / 255).astype(t), gim, photometric="minisblack")
    tif("TIFF floating point", "float_rgb", arr.astype(np.float32) / 255, rgb, photometric="rgb")
    tif("TIFF four bands", "alpha_straight", np.dstack([arr, np.asarray(alpha)]), white, photometric="rgb", extrasamples=["unassalpha"]); tif("TIFF four bands", "bands13", np.repeat(grey[..., None], 13, 2), gim, photometric="minisblack", planarconfig="contig")
    tif("TIFF four bands", "cmyk_planar", np.moveaxis(np.asarray(rgb.convert("CMYK")), -1, 0).copy(), rgb.convert("CMYK").convert("RGB"), photometric="separated", planarconfig="separate"); tif("TIFF four bands", "bands5_planar", np.concatenate([planes, planes[:2]]), rgb, photometric="rgb", planarconfig="separate", extrasamples=["unspecified"] * 2)
    tif("TIFF 8 bits", "white_is_zero", 255 - grey, gim, photometric="miniswhite"); tif("BigTIFF", "big_planar", planes, rgb, bigtiff=True, photometric="rgb", planarconfig="separate", compression="zlib"); tif("BigTIFF", "big", arr, rgb, bigtiff=True, photometric="rgb", keep=True); tif("BigTIFF", "big_MM", arr, rgb, bigtiff=True, byteorder=">", photometric="rgb")
    tif("TIFF 32 bits", "uint32", grey.astype(np.uint32) * 0x1010101, gim, photometric="minisblack")
    b = io.BytesIO()
    with tifffile.TiffWriter(b) as t:
        t.write(np.asarray(mirror.resize((32, 24))), photometric="rgb", subfiletype=1, subifds=1); t.write(arr, photometric="rgb", subfiletype=0)
    put("raw files", "thumbnail_first.dng", b.getvalue(), ref=rgb, keep=True)
except ImportError: missing["tifffile"] = 1

# HEIC, AVIF
try:
    import pillow_heif; pillow_heif.register_heif_opener()
    for w, h in ((W, H), (64, 64), (65, 63), (48, 200)):
        for chroma in (420, 422, 444):
            put("HEIC", "heic_%dx%d_%d.heic" % (w, h, chroma), enc(scene(w, h), format="HEIF", quality=80, chroma=chroma), bound=4)
    put("HEIC", "grey.heic", enc(rgb.convert("L"), format="HEIF", quality=80), bound=4)
    put("HEIC", "named.jpg", enc(rgb, format="HEIF", quality=80), bound=4, keep=True)
    for o in (3, 6, 8): put("HEIC", "turn_%d.heic" % o, enc(stored(o), format="HEIF", quality=90, exif=exif(o)), bound=4)
    put("named unsupported", "alpha.heic", enc(rgba, format="HEIF", quality=80), status="unsupported")
except ImportError: missing["pillow-heif"] = 1
for w, h in ((W, H), (65, 63), (48, 200)):
    for chroma in ("4:2:0", "4:2:2", "4:4:4", "4:0:0"):
        put("AVIF", "avif_%dx%d_%s.avif" % (w, h, chroma.replace(":", "")), enc(scene(w, h), format="AVIF", quality=80, subsampling=chroma), bound=4)
put("AVIF", "alpha.avif", enc(rgba, format="AVIF", quality=85), bound=4)
for o in range(2, 9):
    data = enc(stored(o), format="AVIF", quality=90, exif=exif(o)); put("AVIF", "turn_%d.avif" % o, data, bound=4, keep=o in (6, 7))
put("first frame", "animated.avif", enc(rgb, format="AVIF", quality=90, save_all=True, append_images=[mirror], duration=100), bound=4)

# what is no photograph, and what is not read
for n, f in (("ppm", "PPM"), ("tga", "TGA"), ("pcx", "PCX"), ("ico", "ICO"), ("jp2", "JPEG2000")): put("named unsupported", "other." + n, enc(rgb, format=f), status="unsupported", keep=n == "tga")
put("named unsupported", "lab.tif", enc(rgb.convert("LAB") if not small else rgb, format="TIFF"), status="unsupported"); put("named unsupported", "dicom.dcm", bytes(128) + b"DICM" + bytes(500), status="unsupported")
put("damaged", "lfs.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n", status="unreadable")

os.remove(scans); os.remove(partly)
with open(os.path.join(out, "list.csv"), "w", newline="") as f:
    w = csv.writer(f, lineterminator="\n"); w.writerow(["file", "kind", "bound", "status", "reference"]); w.writerows(rows)
print(len(rows), "files in", out, "; not made here:", missing or "nothing")
