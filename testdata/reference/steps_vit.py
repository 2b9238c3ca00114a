"""Steps of full fine-tuning of timm's ViT-S in PyTorch, for TestFollowsPyTorch of finetuning: steps_vectors.py for tokens.

    python testdata/reference/steps_vit.py

Needs torch, timm and transformers. Leaves steps_vit.json beside itself, in the form of steps.json.
"""
import itertools
import json
import math
import pathlib

import numpy as np
import timm
import torch
import torch.nn.functional as F

from bodies_vit import seeded
from rng import Stream, text

HERE = pathlib.Path(__file__).parent
CLASSES, HIDDEN, STEPS, BATCH = 3, 16, 8, 4
RATES, MOMENTUM, DECAY = {"early": 1e-4, "middle": 1e-3, "head": 1e-2}, 0.9, 0.01
EARLY = ("cls_token", "pos_embed", "patch_embed", *(f"blocks.{i}." for i in range(6)))
PROJECTIONS = 2


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = timm.create_model("vit_small_patch16_224", num_classes=0)
        whole = timm.create_model("vit_small_patch16_224").state_dict()
        self.body.load_state_dict({k: v for k, v in seeded(whole, 1).items() if not k.startswith("head.")})
        nn = torch.nn
        self.head = nn.Sequential(nn.BatchNorm1d(768), nn.Linear(768, HIDDEN), nn.ReLU(), nn.BatchNorm1d(HIDDEN), nn.Linear(HIDDEN, CLASSES))
        for i, layer in enumerate((self.head[1], self.head[4])):
            w = math.sqrt(2 / layer.in_features) * Stream(2, text("head.init"), i).normal(tuple(layer.weight.shape), np.float64)
            layer.weight.data = torch.from_numpy(w.astype(np.float32))
            layer.bias.data.zero_()

    def forward(self, x):
        t = self.body.forward_features(x)
        return self.head(torch.cat([t[:, 0], t[:, 1:].mean(1)], 1))

    def tensors(self):
        return {k: v.detach().double().clone() for k, v in self.state_dict().items() if not k.endswith("num_batches_tracked")}


def part(name):
    if name.rpartition(".")[2] in ("running_mean", "running_var"):
        return "stats"
    if name.startswith("head."):
        return "head"
    return "early" if name.startswith(tuple("body." + e for e in EARLY)) else "middle"


def train(threads, dtype):
    torch.set_num_threads(threads)
    net = Net().to(dtype).train()
    groups = {g: [] for g in RATES}
    for k, p in net.named_parameters():
        groups[part(k)].append(p)
    sgd = torch.optim.SGD([{"params": p, "lr": RATES[g]} for g, p in groups.items()], momentum=MOMENTUM, weight_decay=DECAY)
    first, losses = net.tensors(), []
    for step in range(STEPS):
        y = [(step + i) % CLASSES for i in range(BATCH)]
        noise = Stream(17, step).uniform(-0.5, 0.5, (BATCH, 3, 224, 224), np.float64)
        x = torch.from_numpy((noise + np.array(y).reshape(-1, 1, 1, 1) - 1).astype(np.float32))
        loss = F.cross_entropy(net(x.to(dtype)), torch.tensor(y))
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
        print(threads, dtype, losses[-1], flush=True)
    return losses, first, net.tensors()


def distance(a, b):
    d = dict.fromkeys((*RATES, "stats"), 0.0)
    for k in a:
        d[part(k)] += float((a[k] - b[k]).square().sum())
    return {k: v ** .5 for k, v in d.items()}


def apart(moved, a, b):
    d = {k: v / moved[k] for k, v in distance(a[2], b[2]).items() if moved[k]}
    return d | {"loss": max(abs(x - y) / abs(y) for x, y in zip(a[0], b[0]))}


def brief(tensors):
    out = {}
    for k, v in tensors.items():
        k, g = k.removeprefix("body."), v.numpy().ravel()
        out[k] = [float(f"{g @ Stream(13, text(k), i).uniform(-3**.5, 3**.5, g.shape, np.float64):.9g}") for i in range(PROJECTIONS)]
    return out


def main():
    runs = {threads: train(threads, torch.float32) for threads in (1, 2)}
    exact = train(2, torch.float64)
    moved = distance(exact[1], exact[2])
    pairs = [apart(moved, runs[a], runs[b]) for a, b in itertools.combinations(runs, 2)]
    out = {"network": "vit-s16", "pretrained": False, "frozen": False, "size": 224, "batch": BATCH, "rates": list(RATES.values()), "moved": moved,
           "spread": {k: max(p[k] for p in pairs) for k in pairs[0]}, "double": apart(moved, runs[1], exact), "losses": runs[1][0], "losses64": exact[0],
           "final": brief(runs[1][2]), "final64": brief(exact[2])}
    (HERE / "steps_vit.json").write_text(json.dumps([out], separators=(",", ":")) + "\n")
    print("moved", moved, "\nspread", out["spread"], "\ndouble", out["double"])


if __name__ == "__main__":
    main()
