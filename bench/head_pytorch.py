"""One head epoch in PyTorch, the loop that BenchmarkHeadEpoch (head/epoch_test.go) runs in Go; with --find a search for the rate.

    yes '' | head -5 | python bench/head_pytorch.py [--engine compile] [--find 150]

25,000 x 1024 random rows, batch 64, 512 hidden, two classes, SGD with momentum, dropout .25 and .5.
"""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

import networks
from turns import take_turns

a = argparse.ArgumentParser()
a.add_argument("--rows", type=int, default=25000)
a.add_argument("--features", type=int, default=1024)
a.add_argument("--batch", type=int, default=64)
a.add_argument("--threads", type=int, default=2)
a.add_argument("--engine", default="eager", choices=["eager", "compile"])
a.add_argument("--find", type=int, default=0, help="a turn is N steps of a fresh head at growing rates")
a = a.parse_args()

torch.set_num_threads(a.threads)
torch.manual_seed(0)
x, y = torch.rand(a.rows, a.features), torch.randint(0, 2, (a.rows,))


def fresh():
    head = nn.Sequential(nn.BatchNorm1d(a.features), nn.Dropout(0.25), nn.Linear(a.features, 512), nn.ReLU(), nn.BatchNorm1d(512), nn.Dropout(0.5), nn.Linear(512, 2)).train()
    return head, torch.compile(head) if a.engine == "compile" else head, torch.optim.SGD(head.parameters(), 0.01, momentum=0.9)


head, model, opt = fresh()


def step(i):
    opt.zero_grad()
    loss = F.cross_entropy(model(x[i]), y[i])
    loss.backward()
    opt.step()
    return loss


def epoch():
    for i in torch.randperm(len(x)).split(a.batch):
        if len(i) > 1:
            step(i)


def find():
    global head, model, opt
    head, model, opt = fresh()
    losses, order = [], torch.randperm(len(x))
    for k in range(a.find):
        for g in opt.param_groups:
            g["lr"] = 1e-5 * (10 / 1e-5) ** (k / (a.find - 1))
        lo = k * a.batch % max(1, len(x) - a.batch + 1)
        losses.append(step(order[lo : lo + a.batch]).item())


take_turns(find if a.find else epoch, engine=networks.torch_name(a.engine))
