"""Logits and pooled features of torchvision's ConvNeXt-T with seeded weights, in the form of bodies_logits.json.

    python testdata/reference/bodies_convnext.py

Needs torch, torchvision, timm and transformers. Leaves bodies_convnext.json beside itself.
"""
import json
import pathlib

import torch
import torchvision

import rng
from bodies_vit import SEED, seeded


def main():
    torch.set_num_threads(1)
    model = torchvision.models.convnext_tiny().eval()
    model.load_state_dict(seeded(model.state_dict()))
    x = torch.from_numpy(rng.Stream(SEED, rng.text("image")).uniform(-4, 4, (2, 3, 64, 64)))
    with torch.no_grad():
        logits, maps = model(x), model.features(x)
    pooled = torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1)
    out = {"size": 64, "batch": 2, "features_shape": list(pooled.shape), "logits": logits[1, :32].tolist(), "logits_square": logits.double().square().sum().item(),
           "features": pooled[1, :: pooled.shape[1] // 32].tolist(), "features_square": pooled.double().square().sum().item()}
    file = pathlib.Path(__file__).parent / "bodies_convnext.json"
    file.write_text(json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__, "networks": {"convnext-t": out}}, indent=0) + "\n")
    print("rms of logits", (out["logits_square"] / 2000) ** .5, "parameters", sum(p.numel() for p in model.parameters()), len(model.state_dict()))


if __name__ == "__main__":
    main()
