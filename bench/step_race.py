"""A full fine-tuning step (forward, backward, SGD) of finetune and of PyTorch, one after the other in turn, on one machine.

    go build -o /tmp/step_server ./bench/step_server
    python bench/step_race.py --server /tmp/step_server --body resnet34 --batch 8 --threads 2

Prints the seconds of each step, the ratio of the minima and medians, and the peak memory of both processes.
The network is the same but for the head: ours is fast.ai's (two BatchNorm, two Linear), PyTorch's the network's own.
"""
import argparse, resource, statistics, subprocess, tempfile, time
import torch

a = argparse.ArgumentParser()
a.add_argument("--server", required=True)
a.add_argument("--body", default="resnet34")
a.add_argument("--batch", type=int, default=8)
a.add_argument("--size", type=int, default=224)
a.add_argument("--threads", type=int, default=2)
a.add_argument("--steps", type=int, default=6)
a.add_argument("--standard", action="store_true")
a.add_argument("--bn-freeze", action="store_true")
a = a.parse_args()
torch.set_num_threads(a.threads)
if a.body.startswith("resnet"):
    import torchvision
    m = getattr(torchvision.models, a.body)(num_classes=2)
else:
    from efficientnet_lite_pytorch import EfficientNet
    m = EfficientNet.from_name(a.body)
m.train()
if a.bn_freeze:
    for k in m.modules():
        if isinstance(k, torch.nn.BatchNorm2d): k.eval()
opt = torch.optim.SGD(m.parameters(), .001, momentum=.9)
x, y = torch.randn(a.batch, 3, a.size, a.size), torch.randint(0, 2, (a.batch,))
folder = tempfile.TemporaryDirectory()
write = [a.server, "-write", "-dir", folder.name, "-body", a.body, "-size", str(a.size)]
subprocess.run(write + ["-standard"] * a.standard + ["-bn-freeze"] * a.bn_freeze, check=True)
server = subprocess.Popen([a.server, "-dir", folder.name, "-batch", str(a.batch), "-threads", str(a.threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(server.stdout.readline().strip())


def peak(pid): return next(int(l.split()[1]) >> 10 for l in open(f"/proc/{pid}/status") if l.startswith("VmHWM"))


def ours():
    server.stdin.write("\n"); server.stdin.flush()
    return float(server.stdout.readline().split()[0])


def theirs():
    t = time.perf_counter()
    opt.zero_grad(); torch.nn.functional.cross_entropy(m(x), y).backward(); opt.step()
    return time.perf_counter() - t


rows = []
for step in range(a.steps + 1):
    rows.append((ours(), theirs()))
    print(f"step {step}: finetune {rows[-1][0]:.3f} s, PyTorch {rows[-1][1]:.3f} s", flush=True)
rows = rows[1:]  # the first one allocates
o, t = zip(*rows)
print(f"ratio of minima {min(o) / min(t):.3f}, of medians {statistics.median(o) / statistics.median(t):.3f}, median of ratios {statistics.median(p / q for p, q in rows):.3f}")
print(f"peak memory: finetune {peak(server.pid)} MB, PyTorch {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")
server.stdin.close()
server.wait()
