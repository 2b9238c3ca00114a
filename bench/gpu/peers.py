"""PyTorch's side: the same networks, their weights by seed, and how fast it runs them.

ResNet has torchvision's names and initialisation, so its state dict is what `finetune import` takes.
"""
import os
import time
import warnings

import torch
from torch import nn
from torch.nn import functional as F


warnings.filterwarnings("ignore")  # PyTorch's about the names of its switches for TF32


class Block(nn.Module):
    def __init__(self, into, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = None
        if stride > 1 or into != out:
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        width = 64
        for i, n in enumerate(blocks):
            out = 64 << i
            layers = [Block(width if k == 0 else out, out, 2 if k == 0 and i else 1) for k in range(n)]
            setattr(self, f"layer{i + 1}", nn.Sequential(*layers))
            width = out
        self.fc = nn.Linear(512, 1000)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


class Inverted(nn.Module):
    def __init__(self, into, out, kernel, stride, expand):
        super().__init__()
        wide = into * expand
        conv = lambda a, b, k, s, g: [nn.Conv2d(a, b, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(b)]
        first = [*conv(into, wide, 1, 1, 1), nn.ReLU6()] if expand > 1 else []
        self.path = nn.Sequential(*first, *conv(wide, wide, kernel, stride, wide), nn.ReLU6(), *conv(wide, out, 1, 1, 1))
        self.same = stride == 1 and into == out

    def forward(self, x):
        return x + self.path(x) if self.same else self.path(x)


class Lite0(nn.Module):
    """EfficientNet-Lite0 up to its last convolution, with random weights: for its speed."""

    def __init__(self):
        super().__init__()
        layers, into = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()], 32
        shape = [(16, 1, 3, 1, 1), (24, 2, 3, 2, 6), (40, 2, 5, 2, 6), (80, 3, 3, 2, 6), (112, 3, 5, 1, 6), (192, 4, 5, 2, 6), (320, 1, 3, 1, 6)]
        for out, n, kernel, stride, expand in shape:
            for k in range(n):
                layers.append(Inverted(into, out, kernel, stride if k == 0 else 1, expand))
                into = out
        self.features = nn.Sequential(*layers, nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6())


def network(name):
    torch.manual_seed(3)
    return {"resnet18": lambda: ResNet([2, 2, 2, 2]), "resnet34": lambda: ResNet([3, 4, 6, 3]), "efficientnet-lite0": Lite0}[name]()


class Files(torch.utils.data.Dataset):
    """Photographs as finetune prepares them: shorter side scaled to 224, centre cropped, normalised."""

    def __init__(self, files):
        self.files = files

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        import numpy as np
        from PIL import Image

        im = Image.open(self.files[i]).convert("RGB")
        w, h = im.size
        s = 224 / min(w, h)
        im = im.resize((max(224, round(w * s)), max(224, round(h * s))), Image.BILINEAR)
        left, top = (im.size[0] - 224) // 2, (im.size[1] - 224) // 2
        x = np.asarray(im.crop((left, top, left + 224, top + 224)), np.float32) / 255
        mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
        return torch.from_numpy(np.ascontiguousarray(((x - mean) / std).transpose(2, 0, 1)))


class Peer:
    def __init__(self, device, threads):
        self.device = torch.device(device)
        self.cuda = device == "cuda"
        torch.set_num_threads(threads)

    def precision(self, tf32):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32

    def seconds(self, f, budget):
        """The time of a call, over about budget seconds of calls, after a few to warm up."""
        sync = torch.cuda.synchronize if self.cuda else (lambda: None)
        begin = time.time()
        for _ in range(3 if self.cuda else 1):
            f()
        sync()
        each = max((time.time() - begin) / 3, 1e-4)
        n = max(2, min(50, int(budget / each)))
        begin = time.time()
        for _ in range(n):
            f()
        sync()
        return (time.time() - begin) / n

    def place(self, net, half):
        net = net.to(self.device, memory_format=torch.channels_last)
        return net.half() if half else net

    def forward(self, name, batch, tf32, half, budget, size=224):
        """Images a second of the frozen body with its pooling, from the host's pinned memory and back."""
        self.precision(tf32)
        net = self.place(network(name).eval(), half)
        x = torch.randn(batch, 3, size, size)
        x = x.pin_memory() if self.cuda else x

        def run():
            y = x.to(self.device, non_blocking=True).to(memory_format=torch.channels_last)
            f = net.features(y.half() if half else y)
            return torch.cat([f.amax((2, 3)), f.mean((2, 3))], 1).float().cpu()

        with torch.no_grad():
            return batch / self.seconds(run, budget)

    def pipeline(self, name, files, batch, workers, tf32, half):
        """Images a second from files, Pillow in worker processes before the body; from the second batch on. None without Pillow."""
        try:
            import PIL  # noqa: F401
        except ImportError:
            return None
        self.precision(tf32)
        net = self.place(network(name).eval(), half)
        loader = torch.utils.data.DataLoader(Files(files), batch, num_workers=workers, pin_memory=self.cuda, prefetch_factor=4)
        begin, done = None, 0
        with torch.no_grad():
            for x in loader:
                x = x.to(self.device, non_blocking=True).to(memory_format=torch.channels_last)
                f = net.features(x.half() if half else x)
                y = torch.cat([f.amax((2, 3)), f.mean((2, 3))], 1).float().cpu()
                done, begin = (0, time.time()) if begin is None else (done + len(y), begin)
        return done / (time.time() - begin)

    def step(self, name, batch, tf32, budget, size=224):
        """Seconds of a training step: forward, backward, SGD with momentum."""
        self.precision(tf32)
        net = self.place(network(name).train(), False)
        opt = torch.optim.SGD(net.parameters(), 1e-3, momentum=0.9)
        x = torch.randn(batch, 3, size, size, device=self.device).to(memory_format=torch.channels_last)
        y = torch.randint(0, 2, (batch,), device=self.device)

        def step():
            opt.zero_grad()
            F.cross_entropy(net(x), y).backward()
            opt.step()

        return self.seconds(step, budget)


def photographs(folder, per_class):
    """folder/{train,valid}/{a,b}/*.jpg: pictures made here, whose class shows in them.

    Sizes are a photograph's, 450 × 300 pixels and some 40 kB of JPEG where Pillow is there; else 24-bit BMP.
    """
    for split, n in (("train", per_class), ("valid", max(4, per_class // 3))):
        for c in (0, 1):
            os.makedirs(os.path.join(folder, split, "ab"[c]), exist_ok=True)
            for i in range(n):
                save(os.path.join(folder, split, "ab"[c], f"{i:04d}.jpg"), picture(c, 2 * i + (split == "valid")))


def picture(c, seed, w=450, h=300):
    """Coarse and fine texture, warmer for the second class, as uint8 [h, w, 3]."""
    g = torch.Generator().manual_seed(2 * seed + c)
    x = 128 + 20 * (2 * c - 1) * torch.tensor([1.0, 0, -1]).view(1, 3, 1, 1)
    for cells, strength in ((4, 60), (16, 30), (64, 16), (256, 7)):
        noise = torch.randn(1, 3, cells * h // w + 1, cells, generator=g)
        x = x + strength * F.interpolate(noise, (h, w), mode="bilinear")
    return x[0].clamp(0, 255).byte().permute(1, 2, 0).contiguous()


def save(path, pixels):
    h, w, _ = pixels.shape
    raw = bytes(pixels.flatten().tolist())
    try:
        from PIL import Image

        Image.frombytes("RGB", (w, h), raw).save(path, "JPEG", quality=90)
    except ImportError:
        pad = b"\0" * (-3 * w % 4)
        lines = b"".join(bytes(pixels[y].flip(1).flatten().tolist()) + pad for y in range(h - 1, -1, -1))
        head = b"BM" + (54 + len(lines)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
        info = (40).to_bytes(4, "little") + w.to_bytes(4, "little") + h.to_bytes(4, "little") + b"\1\0\x18\0" + bytes(24)
        with open(path, "wb") as f:
            f.write(head + info + lines)
