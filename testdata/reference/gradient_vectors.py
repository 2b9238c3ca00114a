"""Gradients of onnx/gradient's rules and of whole networks: PyTorch in float64, for TestRules and TestNetworks.

    python gradient_vectors.py [--networks FOLDER]     # writes gradient_rules.json, and gradient_networks.json from models there

Inputs come from internal/rng on both sides, so that only numbers about the answers are kept: for each parameter the norm of
its gradient and its products with seeded random vectors of unit variance, which no wrong gradient matches. Every case also
passes torch.autograd.gradcheck, that is central differences in float64.
FOLDER holds NAME.onnx as TestNetworks writes them with GRADIENT_MODELS=FOLDER; weights are read from there.
"""
import argparse, json, pathlib, sys
import numpy as np, torch, torch.nn.functional as F
from rng import Stream, text

HERE = pathlib.Path(__file__).parent
PROJECTIONS = 4


def seeded(case, name, shape, lo=-1.0, hi=1.0):
    return torch.from_numpy(Stream(11, text(f"{case}/{name}")).uniform(lo, hi, shape, np.float64).astype(np.float32).astype(np.float64))


def summary(name, g):
    g = g.detach().numpy().ravel().astype(np.float64)
    r = [Stream(13, text(name), k).uniform(-3**.5, 3**.5, g.shape, np.float64) for k in range(PROJECTIONS)]
    return {"norm": float(np.linalg.norm(g)), "products": [float(g @ v) for v in r]}


def pad(x, p): return F.pad(x, (p[1], p[3], p[0], p[2]))  # p: top, left, bottom, right


def conv(x, w, b=None, s=1, p=(0, 0, 0, 0), d=1, g=1): return F.conv2d(pad(x, p), w, b, s, 0, d, g)


def norm(x, ga, be, m, v, train=False): return F.batch_norm(x, m, v, ga, be, train, 0.1, 1e-5)


X, W = ("x", (2, 16, 7, 6)), ("w", (16, 16, 3, 3))
NORM = (("ga", (16,), .5, 1.5), ("be", (16,)))
STATS = (("m", (16,)), ("v", (16,), .5, 1.5))
P1 = (1, 1, 1, 1)
# name: (parameters (name, shape[, lo, hi]), constants, function)
CASES = {
    "conv": ((X, W, ("b", (16,))), (), lambda x, w, b: conv(x, w, b, p=P1)),
    "conv strided, asymmetric": ((X, W), (), lambda x, w: conv(x, w, s=2, p=(0, 1, 1, 2))),
    "conv strided, rows left over": ((("x", (2, 16, 8, 8)), W), (), lambda x, w: conv(x, w, s=(3, 2))),
    "conv dilated": ((X, W), (), lambda x, w: conv(x, w, d=2, p=(2, 2, 1, 2))),
    "conv strided and dilated": ((("x", (2, 16, 9, 9)), W), (), lambda x, w: conv(x, w, s=2, d=2, p=(2, 1, 2, 2))),
    "conv grouped": ((X, ("w", (32, 8, 3, 3))), (), lambda x, w: conv(x, w, g=2, p=P1)),
    "conv grouped, strided": ((X, ("w", (32, 8, 3, 3))), (), lambda x, w: conv(x, w, g=2, s=2, p=P1)),
    "conv pointwise": ((X, ("w", (32, 16, 1, 1))), (), conv),
    "conv pointwise, strided": ((X, ("w", (32, 16, 1, 1))), (), lambda x, w: conv(x, w, s=2)),
    "conv from 3 channels": ((("x", (2, 3, 13, 12)), ("w", (16, 3, 7, 7))), (), lambda x, w: conv(x, w, s=2, p=(3, 3, 3, 3))),
    "conv to 5 channels": ((X, ("w", (5, 16, 3, 3))), (), lambda x, w: conv(x, w, p=P1)),
    "conv depthwise": ((X, ("w", (16, 1, 3, 3))), (), lambda x, w: conv(x, w, g=16, p=P1)),
    "conv depthwise, strided, asymmetric": ((("x", (2, 16, 8, 8)), ("w", (16, 1, 5, 5))), (), lambda x, w: conv(x, w, g=16, s=2, p=(1, 1, 2, 2))),
    "conv depthwise, odd": ((("x", (2, 16, 9, 7)), ("w", (16, 1, 3, 3))), (), lambda x, w: conv(x, w, g=16, s=2, p=P1)),
    "conv depthwise, multiplied": ((X, ("w", (32, 1, 3, 3))), (), lambda x, w: conv(x, w, g=16, p=P1)),
    "batch norm frozen after conv": ((X, W, *NORM), STATS, lambda x, w, ga, be, m, v: norm(conv(x, w, p=P1), ga, be, m, v)),
    "batch norm frozen": ((X, *NORM), STATS, lambda x, ga, be, m, v: norm(x, ga, be, m, v)),
    "batch norm after conv": ((X, W, *NORM), STATS, lambda x, w, ga, be, m, v: norm(conv(x, w, p=P1), ga, be, m, v, True)),
    "batch norm": ((X, *NORM), STATS, lambda x, ga, be, m, v: norm(x, ga, be, m, v, True)),
    "batch norm of rows": ((("x", (5, 16)), *NORM), STATS, lambda x, ga, be, m, v: norm(x, ga, be, m, v, True)),
    "residual": ((X, W, *NORM), STATS, lambda x, w, ga, be, m, v: F.relu(norm(conv(x, w, p=P1), ga, be, m, v, True) + x)),
    "relu": ((X,), (), F.relu),
    "clip": ((("x", (2, 16, 7, 6), -3, 9),), (), F.relu6),
    "leaky relu": ((X,), (), lambda x: F.leaky_relu(x, 0.1)),
    "sigmoid": ((X,), (), torch.sigmoid),
    "tanh": ((X,), (), torch.tanh),
    "swish": ((X,), (), F.silu),
    "hard sigmoid": ((("x", (2, 16, 7, 6), -5, 5),), (), F.hardsigmoid),
    "hard swish": ((("x", (2, 16, 7, 6), -5, 5),), (), F.hardswish),
    "softplus": ((X,), (), F.softplus),
    "elu": ((("x", (2, 16, 7, 6), -3, 3),), (), lambda x: F.elu(x, 0.5)),
    "exp": ((X,), (), torch.exp),
    "log": ((("x", (3, 4), .5, 2),), (), torch.log),
    "sqrt": ((("x", (3, 4), .5, 2),), (), torch.sqrt),
    "erf": ((X,), (), torch.erf),
    "gelu": ((X,), (), F.gelu),
    "abs": ((X,), (), torch.abs),
    "neg": ((X,), (), torch.neg),
    "add": ((X, ("c", (16, 1, 1))), (), torch.add),
    "sub": ((("c", (6,)), X), (), torch.sub),
    "mul": ((X, ("c", (2, 16, 1, 1))), (), torch.mul),
    "mul by itself": ((X,), (), lambda x: x * x),
    "div": ((X, ("c", (1, 16, 1, 1), .5, 2)), (), torch.div),
    "max pool": ((X,), (), lambda x: F.max_pool2d(x, 3, 2, 1)),
    "max pool, ceil": ((X,), (), lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True)),
    "average pool": ((X,), (), lambda x: F.avg_pool2d(x, 2, 2)),
    "average pool, padding counted": ((X,), (), lambda x: F.avg_pool2d(x, 3, 2, 1)),
    "average pool, padding not counted": ((X,), (), lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    "global average pool": ((X,), (), lambda x: x.mean((2, 3), keepdim=True)),
    "global max pool": ((X,), (), lambda x: x.amax((2, 3), keepdim=True)),
    "concat": ((X, ("z", (2, 8, 7, 6))), (), lambda x, z: torch.cat((x, z, x), 1)),
    "flatten": ((X,), (), lambda x: x.flatten(1)),
    "reshape, transpose": ((X,), (), lambda x: x.reshape(2, 8, 2, 42).permute(2, 0, 3, 1)),
    "squeeze, unsqueeze": ((("x", (3, 1, 4)),), (), lambda x: x.squeeze(1).unsqueeze(0)),
    "slice": ((X,), (), lambda x: x[:, 3:, 1:-2]),
    "slice, computed limits": ((X,), (), lambda x: x[:, :8]),
    "split": ((X,), (), lambda x: torch.cat((x.split((4, 7, 5), 1)[2], x[:, :4]), 1)),
    "layer norm": ((("x", (2, 5, 16)), *NORM), (), lambda x, ga, be: F.layer_norm(x, (16,), ga, be, 1e-6)),
    "pad": ((X,), (), lambda x: pad(x, (1, 0, 2, 3))),
    "reduce mean": ((X,), (), lambda x: x.mean((2, 3))),
    "reduce sum": ((X,), (), lambda x: x.sum(1, keepdim=True)),
    "gemm": ((("x", (3, 5)), ("w", (4, 5)), ("b", (4,))), (), F.linear),
    "gemm, transposed": ((("x", (5, 3)), ("w", (5, 4)), ("b", (3, 4))), (), lambda x, w, b: 0.5 * x.T @ w + 2 * b),
    "matmul, bias": ((("x", (3, 5)), ("w", (5, 4)), ("b", (4,))), (), lambda x, w, b: x @ w + b),
    "matmul, stacks": ((("x", (2, 3, 5)), ("w", (2, 5, 4))), (), torch.matmul),
    "matmul, stack by matrix": ((("x", (2, 3, 5)), ("w", (5, 4))), (), torch.matmul),
    "softmax": ((("x", (3, 5)),), (), lambda x: F.softmax(x, 1)),
    "log softmax": ((("x", (3, 5)),), (), lambda x: F.log_softmax(x, 1)),
}
LABELS, HOT, WEIGHTS = torch.tensor([2, 0, 3, 2]), torch.tensor([[1, 0, 1], [0, 0, 1.]]), torch.tensor([.5, 1, 2, 1.5], dtype=torch.float64)


def losses():
    x = seeded("cross-entropy", "x", (4, 4), -3, 3).requires_grad_()
    F.cross_entropy(x, LABELS, WEIGHTS, label_smoothing=0.1).backward()
    z = seeded("binary cross-entropy", "x", (2, 3), -3, 3).requires_grad_()
    w = WEIGHTS[:3]
    l = F.binary_cross_entropy_with_logits(z, HOT.double() * 0.9 + 0.05, w)
    l.backward()
    return {"cross-entropy": {"loss": F.cross_entropy(x, LABELS, WEIGHTS, label_smoothing=0.1).item(), "grads": {"x": summary("x", x.grad)}},
            "binary cross-entropy": {"loss": l.item(), "grads": {"x": summary("x", z.grad)}}}


def rules():
    out = {}
    for case, (params, constants, f) in CASES.items():
        p = [seeded(case, *a).requires_grad_() for a in params]
        c = [seeded(case, *a) for a in constants]
        r = seeded(case, "r", f(*p, *[v.clone() for v in c]).shape)
        loss = lambda *p: (f(*p, *[v.clone() for v in c]) * r).sum()
        if not torch.autograd.gradcheck(loss, p, eps=1e-6, atol=1e-5): sys.exit(case)
        stats = [v.clone() for v in c]
        l = (f(*p, *stats) * r).sum()
        l.backward()
        out[case] = {"loss": l.item(), "grads": {a[0]: summary(a[0], v.grad) for a, v in zip(params, p)}}
        if any((a != b).any() for a, b in zip(stats, c)):
            out[case]["stats"] = {a[0]: summary(a[0], v) for a, v in zip(constants, stats)}
    return out | losses()


def network(name):
    if name.startswith("resnet"):
        import torchvision
        return getattr(torchvision.models, name)()
    from efficientnet_lite_pytorch import EfficientNet
    m = EfficientNet.from_name(name)
    m._dropout, m._global_params = torch.nn.Identity(), m._global_params._replace(drop_connect_rate=0.0)
    return m


def networks(folder):
    import onnx
    out = {}
    for name in ("resnet34", "efficientnet-lite0"):
        state = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in onnx.load(folder / f"{name}.onnx").graph.initializer}
        for mode in ("frozen", "batch"):
            for seed in range(3):
                case = f"{name}/{mode}/{seed}"
                x = seeded(case, "image", (4, 3, 64, 64), -2, 2)
                y = torch.tensor([3, 1, 4, 1])
                got = {}
                for dtype in (torch.float32, torch.float64):
                    m = network(name)
                    m.load_state_dict({k: v for k, v in state.items() if k in m.state_dict()}, strict=False)
                    m = m.to(dtype).train(mode == "batch")
                    loss = F.cross_entropy(m(x.to(dtype)), y)
                    loss.backward()
                    got[dtype] = loss.item(), {k: p.grad.double() for k, p in m.named_parameters()}
                l, g = got[torch.float64]
                out[case] = {"loss": l, "grads": {k: summary(k, v) for k, v in g.items()},
                             "float32": sum(float((got[torch.float32][1][k] - v).norm()) ** 2 for k, v in g.items()) ** .5}
                print(case, out[case]["float32"])
    return out


def bfloat16(folder):
    """Distances of gradients by autocast to bfloat16 from those in float64."""
    import onnx
    out = {}
    for name in ("resnet34", "efficientnet-lite0"):
        state = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in onnx.load(folder / f"{name}.onnx").graph.initializer}
        for mode in ("frozen", "batch"):
            for seed in range(3):
                case = f"{name}/{mode}/{seed}"
                x, y, got = seeded(case, "image", (4, 3, 64, 64), -2, 2), torch.tensor([3, 1, 4, 1]), {}
                for dtype in (torch.float32, torch.float64):
                    m = network(name)
                    m.load_state_dict({k: v for k, v in state.items() if k in m.state_dict()}, strict=False)
                    m = m.to(dtype).train(mode == "batch")
                    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.float32):
                        loss = F.cross_entropy(m(x.to(dtype)), y)
                    loss.backward()
                    got[dtype] = {k: p.grad.double() for k, p in m.named_parameters()}
                out[case] = sum(float((got[torch.float32][k] - v).norm()) ** 2 for k, v in got[torch.float64].items()) ** .5
                print(case, out[case])
    return out


if __name__ == "__main__":
    a = argparse.ArgumentParser()
    a.add_argument("--networks", type=pathlib.Path)
    a.add_argument("--bfloat16", type=pathlib.Path, help="folder of the networks; writes gradient_bfloat16.json alone")
    a = a.parse_args()
    torch.set_num_threads(1)
    if a.bfloat16:
        (HERE / "gradient_bfloat16.json").write_text(json.dumps(bfloat16(a.bfloat16), indent=0) + "\n")
        raise SystemExit
    (HERE / "gradient_rules.json").write_text(json.dumps(rules(), indent=0) + "\n")
    if a.networks:
        (HERE / "gradient_networks.json").write_text(json.dumps(networks(a.networks), separators=(",", ":")) + "\n")
