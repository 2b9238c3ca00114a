"""One head epoch in PyTorch: the loop that BenchmarkHeadEpoch (head/epoch_test.go) runs in Go.

    python bench/head_pytorch.py --epochs 5 [--compile]      prints JSON: seconds and processor seconds an epoch

25,000 x 1024 random rows, batch 64, 512 hidden, two classes, SGD with momentum, dropout .25 and .5.
"""
import argparse
import json
import platform
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

a = argparse.ArgumentParser()
a.add_argument("--rows", type=int, default=25000)
a.add_argument("--features", type=int, default=1024)
a.add_argument("--batch", type=int, default=64)
a.add_argument("--epochs", type=int, default=5)
a.add_argument("--threads", type=int, default=2)
a.add_argument("--compile", action="store_true", help="torch.compile the head")
a = a.parse_args()

torch.set_num_threads(a.threads)
torch.manual_seed(0)
x, y = torch.rand(a.rows, a.features), torch.randint(0, 2, (a.rows,))
head = nn.Sequential(nn.BatchNorm1d(a.features), nn.Dropout(0.25), nn.Linear(a.features, 512), nn.ReLU(), nn.BatchNorm1d(512), nn.Dropout(0.5), nn.Linear(512, 2))
model = torch.compile(head) if a.compile else head
opt = torch.optim.SGD(head.parameters(), 0.01, momentum=0.9)


def epoch():
    head.train()
    order = torch.randperm(len(x))
    for i in order.split(a.batch):
        if len(i) < 2:
            continue
        opt.zero_grad()
        F.cross_entropy(model(x[i]), y[i]).backward()
        opt.step()


epoch()  # warm-up
seconds, processor = [], []
for _ in range(a.epochs):
    t, p = time.perf_counter(), time.process_time()
    epoch()
    seconds.append(time.perf_counter() - t)
    processor.append(time.process_time() - p)
print(json.dumps({"torch": torch.__version__, "threads": a.threads, "compile": a.compile, "machine": platform.machine(), "vectors": torch.backends.cpu.get_cpu_capability(), "seconds": seconds, "processor_seconds": processor}))
