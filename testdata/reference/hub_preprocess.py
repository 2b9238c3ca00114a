"""Writes hub_preprocess.json: four made-up pictures as Pillow scales them, and as the transforms of transformers,
timm and open_clip's torchvision make network inputs of them, by the configurations that hubs keep beside networks.

    python hub_preprocess.py        transformers 5.24.0, timm 1.0.31, torchvision of torch 2.15.0, Pillow 12

Pixel of picture (w, h, seed), channel c, row y, column x: see pixels(). "config" is the text of the file called "file".
Of each tensor every 97th value is kept, and its mean."""
import json
import os
import tempfile

import numpy as np
import PIL
import timm
import torch
import torchvision.transforms as T
import transformers
from PIL import Image

PICTURES = [(640, 427, 1), (375, 500, 2), (301, 299, 3), (231, 777, 4)]


def pixels(w, h, seed):
    y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(3), indexing="ij")
    smooth = x * (seed + 2) // 3 + y * (2 * seed + 3) // 5 + 85 * c
    edges = 40 * ((x // 7 + y // (5 + seed)) % 3)
    return ((smooth + edges) % 256).astype(np.uint8)


def sampled(t):
    t = np.asarray(t, np.float32).reshape(-1)
    return {"every": [round(float(v), 6) for v in t[::997]], "mean": float(t.mean())}


def hf(cls, **kw):
    with tempfile.TemporaryDirectory() as d:
        p = getattr(transformers, cls)(**kw)
        p.save_pretrained(d)
        name = [f for f in os.listdir(d)][0]
        text = json.load(open(os.path.join(d, name)))
        text["image_processor_type"] = cls
    run = lambda im: p(images=im, return_tensors="np")["pixel_values"][0]
    return {"file": "preprocessor_config.json", "config": text}, run


def timm_case(name, **cfg):
    m = timm.create_model(name, pretrained=False)
    c = dict(m.pretrained_cfg, **cfg)
    keep = {k: c[k] for k in ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std", "license") if k in c}
    data = timm.data.resolve_data_config(dict(cfg), pretrained_cfg=c)
    tr = timm.data.create_transform(**data, is_training=False)
    return {"file": "config.json", "config": {"architecture": name, "pretrained_cfg": keep}}, lambda im: tr(im).numpy()


def clip_case():
    cfg = {"model_cfg": {"vision_cfg": {"image_size": 224}}, "preprocess_cfg": {
        "mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}}
    tr = T.Compose([T.Resize(224, T.InterpolationMode.BICUBIC), T.CenterCrop(224), T.ToTensor(),
                    T.Normalize(cfg["preprocess_cfg"]["mean"], cfg["preprocess_cfg"]["std"])])
    return {"file": "open_clip_config.json", "config": cfg}, lambda im: tr(im).numpy()


INET = dict(image_mean=[.485, .456, .406], image_std=[.229, .224, .225])
CASES = {
    "dinov2": lambda: hf("BitImageProcessor", size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, resample=3, **INET),
    "clip": lambda: hf("CLIPImageProcessor"),
    "vit": lambda: hf("ViTImageProcessor"),
    "siglip": lambda: hf("SiglipImageProcessor"),
    "dinov3": lambda: hf("DINOv3ViTImageProcessor", **INET),
    "convnext": lambda: hf("ConvNextImageProcessor", size={"shortest_edge": 224}, crop_pct=0.875, resample=3),
    "convnext 384": lambda: hf("ConvNextImageProcessor", size={"shortest_edge": 384}, resample=3),
    "deit": lambda: hf("DeiTImageProcessor"),
    "mobilevit, blue first": lambda: hf("MobileViTImageProcessor", size={"shortest_edge": 288}, crop_size={"height": 256, "width": 256}, resample=2),
    "efficientnet, from -1": lambda: hf("EfficientNetImageProcessor", size={"height": 224, "width": 224}, rescale_factor=1 / 127.5,
                                        rescale_offset=True, do_normalize=False, resample=2),
    "timm vit": lambda: timm_case("vit_tiny_patch16_224"),
    "timm mobilenetv4": lambda: timm_case("mobilenetv4_conv_small"),
    "timm squash": lambda: timm_case("vit_tiny_patch16_224", crop_mode="squash", crop_pct=1.0, interpolation="bilinear"),
    "open_clip": clip_case,
}


def main():
    ims = [Image.fromarray(pixels(*p)) for p in PICTURES]
    out = {"versions": {"transformers": transformers.__version__, "timm": timm.__version__, "torch": torch.__version__,
                        "pillow": PIL.__version__}, "pictures": PICTURES, "pillow": [], "cases": []}
    for name, f in (("bilinear", 2), ("bicubic", 3), ("lanczos", 1)):
        for size in ((37, 29), (300, 700), (640, 200)):
            a = np.asarray(ims[0].resize(size, f), np.int64).reshape(-1)
            out["pillow"].append({"filter": name, "size": size, "every": a[::499].tolist(), "sum": int(a.sum()),
                                  "mixed": int((a * (np.arange(a.size) % 8191)).sum())})
    for name, make in CASES.items():
        case, run = make()
        out["cases"].append(dict(case, name=name, shape=list(np.asarray(run(ims[0])).shape), tensors=[sampled(run(im)) for im in ims]))
        print(name, out["cases"][-1]["shape"])
    json.dump(out, open("hub_preprocess.json", "w"), indent=1)


main()
