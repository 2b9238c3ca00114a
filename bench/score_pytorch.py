"""Scores a folder as people do with PyTorch: DataLoader workers decode by Pillow,
the network runs in eager mode. Prints images/s end to end.

    python bench/score_pytorch.py resnet34|efficientnet-lite0 FOLDER [WORKERS]

Weights are random (ResNet34) or the package's; the time does not depend on them.
Needs torch, torchvision, Pillow and, for the second, efficientnet_lite_pytorch.
"""
import pathlib
import sys
import time

import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T


class Photos(Dataset):
    def __init__(self, root):
        self.paths = sorted(p for p in pathlib.Path(root).rglob("*") if p.is_file())
        self.change = T.Compose([T.Resize(224), T.CenterCrop(224), T.ToTensor(), T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return self.change(Image.open(self.paths[i]).convert("RGB"))


def main(name, root, workers="1"):
    if name == "resnet34":
        net = torchvision.models.resnet34(weights=None)
    else:
        from efficientnet_lite_pytorch import EfficientNet

        net = EfficientNet.from_name(name)
    net.eval()
    photos = Photos(root)
    start = time.time()
    with torch.inference_mode():
        n = sum(len(net(x)) for x in DataLoader(photos, batch_size=32, num_workers=int(workers)))
    seconds = time.time() - start
    print(f"{name}: {n} photographs in {seconds:.1f} s, {n / seconds:.1f} images/s, torch {torch.__version__}, {torch.get_num_threads()} threads, {workers} workers")


if __name__ == "__main__":
    main(*sys.argv[1:])
