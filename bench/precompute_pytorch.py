"""What `finetune precompute` does, in PyTorch: decode, scale, crop, normalise, frozen body, [max || mean] pooling.

    python bench/precompute_pytorch.py DATA --body efficientnet-lite0 --runs 3      prints JSON: milliseconds an image

Decoding runs on as many threads as the body; ResNet34 has random weights, whose speed is that of trained ones.
"""
import argparse
import glob
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

a = argparse.ArgumentParser()
a.add_argument("data")
a.add_argument("--body", default="efficientnet-lite0", choices=["efficientnet-lite0", "resnet34"])
a.add_argument("--threads", type=int, default=2)
a.add_argument("--runs", type=int, default=3)
a.add_argument("--batch", type=int, default=32)
a = a.parse_args()
torch.set_num_threads(a.threads)

if a.body == "resnet34":
    import torchvision

    net = torch.nn.Sequential(*list(torchvision.models.resnet34().eval().children())[:-2])
else:
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0").eval().extract_features

MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


def load(path, size=224):
    im = Image.open(path).convert("RGB")
    w, h = im.size
    s = size / min(w, h)
    im = im.resize((max(size, round(w * s)), max(size, round(h * s))), Image.BILINEAR)
    left, top = (im.size[0] - size) // 2, (im.size[1] - size) // 2
    x = np.asarray(im.crop((left, top, left + size, top + size)), np.float32) / 255
    return ((x - MEAN) / STD).transpose(2, 0, 1)


files = sorted(f for f in glob.glob(os.path.join(a.data, "*", "*", "*")) if f.lower().endswith((".jpg", ".jpeg", ".png")))
times = []
with ThreadPoolExecutor(a.threads) as pool, torch.inference_mode():
    for _ in range(a.runs):
        start = time.perf_counter()
        for i in range(0, len(files), a.batch):
            f = net(torch.from_numpy(np.stack(list(pool.map(load, files[i : i + a.batch])))))
            torch.cat([f.amax((2, 3)), f.mean((2, 3))], 1)
        times.append(1e3 * (time.perf_counter() - start) / len(files))
print(json.dumps({"body": a.body, "images": len(files), "torch": torch.__version__, "threads": a.threads, "ms_per_image": times}))
