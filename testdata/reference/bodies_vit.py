"""Features and logits of vision transformers of timm and transformers, with seeded weights by each library's names.

    python testdata/reference/bodies_vit.py

Needs torch, timm and transformers (versions are in the result). Weights and images come from rng.py by the rules of
onnx/bodies Seeded, each tensor from a stream of its own name. For transformers the names are those of the files
that save_pretrained writes, from which the network is then loaded. Networks of base size have 2 blocks of their 12.
DINOv2's position tables are of 518 pixels, and the
networks take 224: each library resamples them. Leaves bodies_vit.json beside itself: names and shapes of the tensors
(of block 0 alone, which stands for all), and per network the features (first token and mean of the patches behind the
final norm, or SigLIP's pooler) of the last image at a stride, the first logits, and sums of squares.
"""
import json
import pathlib
import tempfile

import safetensors.torch
import timm
import torch
import transformers
from timm.models.vision_transformer import checkpoint_filter_fn

import rng

HERE = pathlib.Path(__file__).parent
SEED = 7


def span(name, t):
    kind = name.rpartition(".")[2]
    if t.dim() == 4:
        return (6 / (t.shape[1] * t.shape[2] * t.shape[3])) ** .5
    if t.dim() == 2:
        return (3 / t.shape[1]) ** .5
    if kind in ("gamma", "lambda1", "layer_scale"):
        return .2, .4
    return (.75, 1.25) if kind == "weight" else .1


def seeded(shapes, seed=SEED):
    state = {}
    for name, t in shapes.items():
        lo = span(name, t)
        lo, hi = lo if isinstance(lo, tuple) else (-lo, lo)
        state[name] = torch.from_numpy(rng.Stream(seed, rng.text(name)).uniform(lo, hi, tuple(t.shape)))
    return state


def measure(library, state, depth, prefix, features, logits, batch):
    x = torch.from_numpy(rng.Stream(SEED, rng.text("image")).uniform(-4, 4, (batch, 3, 224, 224)))
    with torch.no_grad():
        f = features(x)
        if f.dim() == 3:
            f = torch.cat([f[:, 0], f[:, prefix:].mean(1)], 1)
        y = logits(x) if logits else torch.zeros(batch, 0)
    return {
        "library": library, "depth": depth, "batch": batch, "width": f.shape[1],
        "tensors": [[n, list(t.shape)] for n, t in state.items() if not any(f".{i}." in n for i in range(1, 12))],
        "features": f[-1, :: f.shape[1] // 32].tolist(), "features_square": f.double().square().sum().item(),
        "logits": y[-1, :32].tolist(), "logits_square": y.double().square().sum().item(),
    }


def of_timm(name, batch=1, **changes):
    made = timm.create_model(name, **changes)
    state = seeded(made.state_dict())
    model = timm.create_model(name, img_size=224, **changes).eval()
    model.load_state_dict(checkpoint_filter_fn(state, model))
    features = model.forward_features
    if model.attn_pool is not None:
        features = lambda x: model.forward_head(model.forward_features(x), pre_logits=True)
    return measure("timm", state, len(model.blocks), model.num_prefix_tokens, features, model if model.num_classes else None, batch)


def of_transformers(kind, config, prefix, features, logits=None, modules=False, batch=1):
    made = kind(config)
    if modules:
        state = seeded(made.state_dict())
        made.load_state_dict(state)
    else:
        with tempfile.TemporaryDirectory() as folder:
            made.save_pretrained(folder)
            file = folder + "/model.safetensors"
            state = seeded(safetensors.torch.load_file(file))
            safetensors.torch.save_file(state, file, {"format": "pt"})
            made = kind.from_pretrained(folder)
    made.eval()
    depth = getattr(config, "vision_config", config).num_hidden_layers
    return measure("transformers", state, depth, prefix, lambda x: features(made, x), logits and (lambda x: logits(made, x)), batch)


def main():
    torch.set_num_threads(1)
    t = transformers
    size = lambda width, heads, **more: dict(hidden_size=width, num_attention_heads=heads, intermediate_size=4 * width, **more)
    tiny, small, base = size(192, 3), size(384, 6), size(768, 12, num_hidden_layers=2)
    logits = lambda m, x: m(x).logits
    last = lambda part: lambda m, x: (getattr(m, part) if part else m)(x).last_hidden_state
    vit = lambda c: t.ViTConfig(**c, num_labels=1000)
    clip = lambda m, x: m.post_layernorm(m(x).last_hidden_state)
    inner = lambda m: getattr(m, "vision_model", m)
    networks = {
        "vit-t16 timm": of_timm("vit_tiny_patch16_224", batch=2),
        "vit-t16 transformers": of_transformers(t.ViTForImageClassification, vit(tiny), 1, last("vit"), logits),
        "vit-t16 modules": of_transformers(t.ViTForImageClassification, vit(tiny), 1, last("vit"), logits, modules=True),
        "vit-s16 timm": of_timm("vit_small_patch16_224"),
        "vit-s16 transformers": of_transformers(t.ViTModel, vit(small), 1, last("")),
        "deit-t16-distilled timm": of_timm("deit_tiny_distilled_patch16_224"),
        "deit-t16-distilled transformers": of_transformers(t.DeiTForImageClassificationWithTeacher, t.DeiTConfig(**tiny, num_labels=1000), 2, last("deit"), logits),
        "dinov2-s14 timm": of_timm("vit_small_patch14_dinov2"),
        "dinov2-s14 transformers": of_transformers(t.Dinov2Model, t.Dinov2Config(**small, image_size=518, patch_size=14), 1, last("")),
        "dinov2-s14-reg timm": of_timm("vit_small_patch14_reg4_dinov2"),
        "dinov2-s14-reg transformers": of_transformers(t.Dinov2WithRegistersModel, t.Dinov2WithRegistersConfig(**small, image_size=518, patch_size=14), 5, last("")),
        "clip-b32 timm": of_timm("vit_base_patch32_clip_quickgelu_224", num_classes=0, depth=2),
        "clip-b32 transformers": of_transformers(t.CLIPModel, t.CLIPConfig(
            vision_config=dict(**base, patch_size=32), text_config=dict(num_hidden_layers=1, hidden_size=32, num_attention_heads=2, intermediate_size=32, vocab_size=99)),
            1, lambda m, x: clip(inner(m), x)),
        "siglip-b16 timm": of_timm("vit_base_patch16_siglip_224", num_classes=0, depth=2),
        "siglip-b16 transformers": of_transformers(t.SiglipVisionModel, t.SiglipVisionConfig(**base, patch_size=16), 0, lambda m, x: m(x).pooler_output),
    }
    with open(HERE / "bodies_vit.json", "w") as f:
        json.dump({"torch": torch.__version__, "timm": timm.__version__, "transformers": t.__version__, "networks": networks}, f, indent=0)
        f.write("\n")
    for name, n in networks.items():
        print(f"{name:32} width {n['width']}, rms {(n['features_square'] / n['width'] / n['batch']) ** .5:.3f}")


if __name__ == "__main__":
    main()
