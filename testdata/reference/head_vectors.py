"""Training steps of the head in PyTorch, dropout off: losses, first gradients, final weights, log-probabilities.

    python head_vectors.py > head_vectors.json        (PyTorch 2.9, one thread)

Inputs and initial weights come from the random streams of rng.py; head/vectors_test.go makes the same ones.
"""
import json

import torch
import torch.nn as nn
import torch.nn.functional as F

from rng import Stream, text

torch.set_num_threads(1)
ROWS, IN = 24, 12
CASES = [
    dict(name="sgd", steps=20, lr=0.02),
    dict(name="sgd in float64", steps=20, lr=0.02, double=True),
    dict(name="two hidden layers", hidden=[10, 6], steps=5, lr=0.02),
    dict(name="no hidden layer", hidden=[], steps=20, lr=0.02),
    dict(name="weight decay", steps=20, lr=0.02, decay=0.01),
    dict(name="decoupled decay", steps=20, lr=0.02, decay=0.01, decoupled=True),
    dict(name="clip", steps=20, lr=0.02, clip=0.1),
    dict(name="clip and decay", steps=20, lr=0.02, clip=0.1, decay=0.01),
    dict(name="adam", steps=20, lr=0.003, decay=0.01, optimizer="adam"),
    dict(name="adamw", steps=20, lr=0.003, decay=0.01, optimizer="adamw"),
    dict(name="smoothing and class weights", steps=10, lr=0.02, smoothing=0.1, weights=[1, 2, 0.5]),
    dict(name="several labels", steps=10, lr=0.02, multi=True, weights=[1, 2, 0.5]),
    dict(name="frozen statistics", steps=10, lr=0.02, freeze=True),
]


def fill(name, shape, lo, hi, dtype):
    return torch.tensor(Stream(11, text(name)).uniform(lo, hi, shape)).to(dtype)


def build(hidden, dtype):
    layers, width = [], IN
    for w in hidden + [3]:
        layers += [nn.BatchNorm1d(width), nn.Linear(width, w), nn.ReLU()]
        width = w
    model = nn.Sequential(*layers[:-1]).to(dtype)
    with torch.no_grad():
        for name, p in model.named_parameters():
            lo, hi = (0.5, 1.5) if p.dim() == 1 and name.endswith("weight") else (-0.5, 0.5)
            p.copy_(fill(name, tuple(p.shape), lo, hi, dtype))
    return model


def run(c):
    dtype = torch.float64 if c.get("double") else torch.float32
    model = build(c.get("hidden", [10]), dtype)
    decay = c.get("decay", 0.0)
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(c.get("optimizer"))
    coupled = 0.0 if c.get("decoupled") else decay
    opt = make(model.parameters(), c["lr"], weight_decay=decay) if make else torch.optim.SGD(model.parameters(), c["lr"], momentum=0.9, weight_decay=coupled)
    weights = torch.tensor(c["weights"], dtype=dtype) if "weights" in c else None
    losses, gradients = [], {}
    model.train(not c.get("freeze"))
    for step in range(c["steps"]):
        x = fill(f"x{step}", (ROWS, IN), -1, 2, dtype)
        z = model(x)
        if c.get("multi"):
            t = torch.tensor([[float((i + j + step) % 3 != 0) for j in range(3)] for i in range(ROWS)], dtype=dtype)
            loss = F.binary_cross_entropy_with_logits(z, t, weight=weights)
        else:
            y = torch.tensor([(i * i + step) % 3 for i in range(ROWS)])
            loss = F.cross_entropy(z, y, weight=weights, label_smoothing=c.get("smoothing", 0.0))
        opt.zero_grad()
        loss.backward()
        if step == 0:
            gradients = {n: p.grad.flatten().tolist() for n, p in model.named_parameters()}
        if c.get("clip"):
            nn.utils.clip_grad_norm_(model.parameters(), c["clip"])
        if c.get("decoupled"):
            with torch.no_grad():
                for p in model.parameters():
                    p -= c["lr"] * decay * p
        opt.step()
        losses.append(loss.item())
    model.eval()
    with torch.inference_mode():
        z = model(fill("valid", (5, IN), -1, 2, dtype))
        logp = F.logsigmoid(z) if c.get("multi") else F.log_softmax(z, 1)
    state = {n: p.flatten().tolist() for n, p in model.state_dict().items() if "num_batches" not in n}
    return dict(c, losses=losses, gradients=gradients, state=state, logp=logp.flatten().tolist())


print(json.dumps([json.loads(json.dumps(run(c)), parse_float=lambda s: float(f"{float(s):.9g}")) for c in CASES]))
