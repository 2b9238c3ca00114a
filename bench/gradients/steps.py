"""Ten steps of fine-tuning, finetune's training graph beside PyTorch, on small networks with random weights.

    python bench/gradients/steps.py FINETUNE [NAME,...]       FINETUNE: the binary

Each network is exported by both of PyTorch's exporters and given to `finetune artifacts`. Its training graph runs in
ONNX Runtime, the same network with the same head in PyTorch, in float32 and in float64. Each takes 10 steps of SGD by its
own gradients. A row says, for the worst of the 10 steps, how far the gradient of all weights is from float64's,
as a share of its length: finetune's, and PyTorch's own float32. "apart" names weights of the graph that PyTorch has no
tensor for, because the exporter computed them from others; they stay as they are on both sides.
"""
import copy, json, logging, os, subprocess, sys, tempfile, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
import numpy as np, onnxruntime as ort, torch
from torch import nn
torch.set_num_threads(2)
STEPS, BATCH, RATE = 10, 4, 0.02


def timm_net(name, **kw):
    import timm
    return timm.create_model(name, pretrained=False, exportable=True, num_classes=0, **kw)


def hf(kind, **kw):
    import transformers as t
    small = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2)
    return getattr(t, kind + "Model")(getattr(t, kind + "Config")(**{**small, **kw}))


NETS = {  # name -> (network, size, attribute of a transformers output, prefix of its tokens)
    "vit": (lambda: timm_net("vit_tiny_patch16_224", depth=2, img_size=64), 64, None, 1),
    "dinov2": (lambda: timm_net("vit_small_patch14_reg4_dinov2", depth=2, img_size=56), 56, None, 5),
    "dinov2_hf": (lambda: hf("Dinov2", image_size=56, patch_size=14), 56, "last_hidden_state", 1),
    "dinov3": (lambda: timm_net("vit_small_patch16_dinov3", depth=2, img_size=64), 64, None, 5),
    "clip": (lambda: timm_net("vit_base_patch32_clip_224", depth=1, img_size=96), 96, None, 1),
    "clip_hf": (lambda: hf("CLIPVision", intermediate_size=128, image_size=64, patch_size=16), 64, "last_hidden_state", 1),
    "siglip_hf": (lambda: hf("SiglipVision", intermediate_size=128, image_size=64, patch_size=16), 64, "pooler_output", 0),
    "swin": (lambda: timm_net("swin_tiny_patch4_window7_224", embed_dim=24, depths=(1, 2, 1, 1), drop_path_rate=0.), 224,
             None, 0),
    "swinv2": (lambda: timm_net("swinv2_tiny_window8_256", embed_dim=24, depths=(1, 2, 1, 1), drop_path_rate=0.), 256, None,
               0),
    "convnextv2": (lambda: timm_net("convnextv2_atto", depths=(1, 1, 1, 1)), 64, None, 0),
    "mobilenetv4": (lambda: timm_net("mobilenetv4_conv_small"), 96, None, 0),
    "maxvit": (lambda: timm_net("maxvit_rmlp_pico_rw_256", drop_path_rate=0.), 256, None, 0),
    "eva02": (lambda: timm_net("eva02_tiny_patch14_224", depth=2, img_size=56), 56, None, 1),
    "hiera": (lambda: timm_net("hiera_tiny_224", stages=(1, 1, 1, 1), drop_path_rate=0.), 224, None, 0),
    "levit": (lambda: timm_net("levit_128s"), 224, None, 0),
    "xcit": (lambda: timm_net("xcit_nano_12_p16_224", depth=2), 224, None, 1),
    "mambaout": (lambda: timm_net("mambaout_femto", depths=(1, 1, 1, 1)), 96, None, 0),
}


class Output(nn.Module):
    """What a network's file holds: its tokens or its map, or what transformers calls KEY."""
    def __init__(self, net, key): super().__init__(); self.net, self.key = net, key
    def forward(self, image):
        return self.net(image)[self.key] if self.key else self.net.forward_features(image)


class Whole(nn.Module):
    """The network, pooled as finetune pools, with finetune's head."""
    def __init__(self, body, found, head):
        super().__init__()
        self.body, self.found = body, found
        self.norm, self.linear = nn.BatchNorm1d(head["head.0.weight"].size), nn.Linear(*head["head.1.weight"].shape[::-1])
        with torch.no_grad():
            for t, n in ((self.norm.weight, "0.weight"), (self.norm.bias, "0.bias"), (self.linear.weight, "1.weight"),
                         (self.linear.bias, "1.bias")):
                t.copy_(torch.tensor(head["head." + n]))

    def forward(self, image):
        x, kind, prefix = self.body(image), self.found["kind"], self.found["prefix"]
        if kind == "tokens":
            x = torch.cat([x[:, 0], x[:, prefix:].mean(1)], 1) if prefix else x.mean(1)
        elif kind == "map":
            axes = (1, 2) if self.found.get("layout") == "NHWC" else (2, 3)
            x = torch.cat([x.amax(axes), x.mean(axes)], 1)
        return self.linear(self.norm(x.reshape(len(x), -1)))


def settle(net, x):
    """Scales and statistics that differ from their start, so that a mistake shows."""
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            if p.ndim == 1: p.add_(torch.randn(p.shape, generator=g) * .05)
            elif p.numel() and float(p.abs().max()) == 0: p.add_(torch.randn(p.shape, generator=g) * .02)
    return net


def export(net, x, path, kind):
    if kind == "ts":
        torch.onnx.export(net, (x,), path, dynamo=False, opset_version=17, input_names=["image"], output_names=["out"],
                          dynamic_axes={"image": {0: "N"}, "out": {0: "N"}})
    else:
        torch.onnx.export(net, (x,), path, dynamo=True, opset_version=18, input_names=["image"], output_names=["out"],
                          verbose=False, dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=512)},), external_data=False)


def same(values, tensors):
    """The tensor of PyTorch that holds these values, with how it is laid out in the graph."""
    for name, t in tensors.items():
        if t.numel() != values.size: continue
        a = t.detach().numpy()
        if a.size == values.size and np.array_equal(a.ravel(), values.ravel()): return name, lambda g: g
        if a.ndim == 2 and np.array_equal(a.T.ravel(), values.ravel()): return name, lambda g: g.T
    return None


def compare(finetune, name, kind, tmp):
    make, size, key, _ = NETS[name]
    torch.manual_seed(0)
    x = torch.randn(BATCH, 3, size, size, generator=torch.Generator().manual_seed(5))
    body = Output(settle(make(), x), key).eval()
    path = os.path.join(tmp, f"{name}.{kind}.onnx")
    export(body, x, path, kind)
    found = json.loads(subprocess.run([finetune, "inspect", path, "--json"], capture_output=True, check=True).stdout)
    out = os.path.join(tmp, "out." + name + kind)
    run = subprocess.run([finetune, "artifacts", path, "--classes", "3", "-o", out, "--hidden", "", "--dropout", "0",
                          "--mean", "0,0,0", "--std", "1,1,1", "--size", str(size)], capture_output=True, text=True)
    if run.returncode: return "refused: " + run.stderr.strip().splitlines()[-1]
    from safetensors.numpy import load_file
    state = load_file(os.path.join(out, "checkpoint.safetensors"))
    options = ort.SessionOptions(); options.log_severity_level = 3; options.intra_op_num_threads = 2
    session = ort.InferenceSession(os.path.join(out, "training_model.onnx"), options, providers=["CPUExecutionProvider"])
    grads = [o.name for o in session.get_outputs() if o.name.startswith("grad.")]
    stats = [o.name for o in session.get_outputs() if o.name.startswith("next.")]
    whole = Whole(body, found["features"], state).train()
    twin = copy.deepcopy(whole).double()
    tensors = dict(whole.named_parameters())
    heads = {"head.0.weight": "norm.weight", "head.0.bias": "norm.bias", "head.1.weight": "linear.weight",
             "head.1.bias": "linear.bias"}
    pairs, apart, left = {}, [], dict(tensors)
    for g in grads:
        n = g[5:]
        hit = (heads[n], lambda t: t) if n in heads else same(state[n], left)
        if hit is None: apart.append(n); continue
        pairs[n] = hit; left.pop(hit[0])
    labels = np.arange(BATCH) % 3
    feed = {n: state[n] for n in (i.name for i in session.get_inputs()) if n in state}
    feed.update({i.name: v for i in session.get_inputs() for k, v in (
        ("labels", labels.astype(np.int64)), ("class_weights", np.ones(3, np.float32)),
        ("label_smoothing", np.array(0, np.float32)), ("loss_scale", np.array(1, np.float32))) if i.name == k})
    image = next(i.name for i in session.get_inputs() if i.name not in feed)
    feed[image] = x.numpy()
    worst, loss = [0., 0., 0.], None
    for _ in range(STEPS):
        got = dict(zip([o.name for o in session.get_outputs()], session.run(None, feed)))
        sides = []
        for net, dtype in ((whole, torch.float32), (twin, torch.float64)):
            net.zero_grad()
            value = nn.functional.cross_entropy(net(x.to(dtype)), torch.tensor(labels))
            value.backward()
            sides.append((value.item(), {n: p.grad for n, p in net.named_parameters()}))
        zero = lambda t, like: np.zeros(like.shape) if t is None else t.numpy()
        off = [0., 0., 0.]
        for n, (p, turn) in pairs.items():
            exact = turn(zero(sides[1][1][p], tensors[p].detach().numpy())).ravel()
            own = turn(zero(sides[0][1][p], tensors[p].detach().numpy())).ravel()
            ours = got["grad." + n].astype(np.float64).ravel()
            off = [o + v for o, v in zip(off, (((ours - exact) ** 2).sum(), ((own - exact) ** 2).sum(), (exact ** 2).sum()))]
            feed[n] = np.asarray(feed[n] - np.float32(RATE) * got["grad." + n], np.float32)
        for s in stats: feed[s[5:]] = got[s]
        for net, (_, g) in zip((whole, twin), sides):
            with torch.no_grad():
                for p, t in net.named_parameters():
                    if g[p] is not None and p not in left: t.sub_(RATE * g[p])
        worst = [max(worst[0], (off[0] / off[2]) ** .5), max(worst[1], (off[1] / off[2]) ** .5),
                 max(worst[2], abs(float(got["loss"].ravel()[0]) - sides[1][0]))]
        loss = sides[1][0]
    used = [p for p in left if sides[1][1][p] is not None and float(sides[1][1][p].abs().max()) > 0]
    return (f"{found['features']['kind']:6} {len(pairs)} weights | {worst[0]:.1e} | {worst[1]:.1e} | loss {worst[2]:.1e} "
            f"(ends at {loss:.4f}) | apart {len(apart)} {apart[:3]} | of PyTorch not trained {len(used)} {used[:4]}")


def main():
    names = sys.argv[2].split(",") if len(sys.argv) > 2 else list(NETS)
    print("network | features | finetune's gradient from float64 | PyTorch's | loss | weights apart", flush=True)
    for name in names:
        for kind in ("ts", "dynamo"):
            with tempfile.TemporaryDirectory() as tmp:
                try: text = compare(os.path.abspath(sys.argv[1]), name, kind, tmp)
                except Exception as e: text = f"FAILED {type(e).__name__}: {str(e)[:200]}"
            print(f"{name}.{kind} | {text}", flush=True)


main()
