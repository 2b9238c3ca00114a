"""Exports networks of timm, transformers and torchvision with random weights, as people make them, for sweep.py.

    python bench/bodies/export.py OUT [--set timm|transformers|torchvision] [--only NAME,...] [--exporters ts,dynamo]

Needs torch, timm, transformers, torchvision, onnx and onnxscript. Of each network, in OUT:

    NAME.ts.onnx       torch.onnx.export(dynamo=False, opset 17), open batch
    NAME.dynamo.onnx   torch.onnx.export(dynamo=True, opset 18), open batch
    NAME.config.json   its preprocessing as the library writes it: timm's config.json, or preprocessor_config.json
    NAME.npz           three inputs, and what forward_features and the pooling, or the model's outputs, make of them

Nothing is downloaded: weights are drawn, BatchNorm statistics come from noise. Depths are cut, so that the structure stays and the
time does not.
"""
import argparse, json, logging, os, time, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
import numpy as np, torch
torch.set_num_threads(1)

# name: (timm's name, what differs from it)
TIMM = {
    "resnet50d": ("resnet50d", {}),
    "resnetv2_bit": ("resnetv2_50x1_bit", {}),
    "convnextv2_atto": ("convnextv2_atto", {}),
    "tf_efficientnetv2_b0": ("tf_efficientnetv2_b0", {}),
    "efficientnetv2_rw_t": ("efficientnetv2_rw_t", {}),
    "mobilenetv4": ("mobilenetv4_conv_small", {}),
    "vit_tiny": ("vit_tiny_patch16_224", dict(depth=4)),
    "vit_tiny_feat": ("vit_tiny_patch16_224", dict(depth=4, num_classes=0)),
    "vit_tiny_avg": ("vit_tiny_patch16_224", dict(depth=4, global_pool="avg")),
    "deit3_small": ("deit3_small_patch16_224", dict(depth=4)),
    "dinov2_s14": ("vit_small_patch14_dinov2", dict(depth=4, img_size=224)),
    "dinov2_s14_reg4": ("vit_small_patch14_reg4_dinov2", dict(depth=4, img_size=224)),
    "dinov3_s16": ("vit_small_patch16_dinov3", dict(depth=4, img_size=224)),
    "siglip_b16": ("vit_base_patch16_siglip_224", dict(depth=3)),
    "clip_b32": ("vit_base_patch32_clip_224", dict(depth=3, num_classes=512)),
    "eva02_tiny": ("eva02_tiny_patch14_224", dict(depth=4)),
    "swin_tiny": ("swin_tiny_patch4_window7_224", dict(depths=(1, 1, 2, 1))),
    "swinv2_tiny": ("swinv2_tiny_window8_256", dict(depths=(1, 1, 2, 1))),
    "maxvit_pico": ("maxvit_rmlp_pico_rw_256", {}),
    "coatnet_nano": ("coatnet_nano_rw_224", {}),
    "fastvit_t8": ("fastvit_t8", {}),
    "mobileclip_mci0": ("fastvit_mci0", dict(num_classes=512)),
    "hiera_tiny": ("hiera_tiny_224", {}),
    "xcit_nano": ("xcit_nano_12_p16_224", dict(depth=4)),
    "efficientformerv2": ("efficientformerv2_s0", {}),
    "levit_128s": ("levit_128s", {}),
    "mambaout_femto": ("mambaout_femto", {}),
    "poolformerv2": ("poolformerv2_s12", {}),
    "repvit": ("repvit_m0_9", {}),
}
SMALL = dict(hidden_size=96, num_hidden_layers=3, num_attention_heads=3, intermediate_size=192)


def hf():
    import transformers as t
    clip = dict(SMALL, projection_dim=64, patch_size=32)
    std = dict(rescale_factor=1 / 255, do_rescale=True, do_normalize=True, do_resize=True, resample=3)
    half = dict(image_mean=[.5, .5, .5], image_std=[.5, .5, .5])
    inet = dict(image_mean=[.485, .456, .406], image_std=[.229, .224, .225])
    oai = dict(image_mean=[.48145466, .4578275, .40821073], image_std=[.26862954, .26130258, .27577711])
    crop = dict(do_center_crop=True, crop_size=dict(height=224, width=224))
    sq = dict(size=dict(height=224, width=224))
    return {
        "hf_vit": (lambda: t.ViTModel(t.ViTConfig(**SMALL)), dict(std, **half, **sq, resample=2, image_processor_type="ViTImageProcessor")),
        "hf_vit_cls": (lambda: t.ViTForImageClassification(t.ViTConfig(**SMALL, num_labels=10)), dict(std, **half, **sq, resample=2, image_processor_type="ViTImageProcessor")),
        "hf_dinov2": (lambda: t.Dinov2Model(t.Dinov2Config(**{k: v for k, v in SMALL.items() if k != "intermediate_size"}, image_size=224, patch_size=14)),
                      dict(std, **inet, **crop, size=dict(shortest_edge=256), image_processor_type="BitImageProcessor")),
        "hf_dinov2_reg": (lambda: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**{k: v for k, v in SMALL.items() if k != "intermediate_size"}, image_size=224, patch_size=14)),
                          dict(std, **inet, **crop, size=dict(shortest_edge=256), image_processor_type="BitImageProcessor")),
        "hf_dinov3": (lambda: t.DINOv3ViTModel(t.DINOv3ViTConfig(**SMALL, num_register_tokens=4)), dict(std, **inet, **sq, image_processor_type="DINOv3ViTImageProcessorFast")),
        "hf_clip": (lambda: t.CLIPVisionModel(t.CLIPVisionConfig(**clip)), dict(std, **oai, **crop, size=dict(shortest_edge=224), image_processor_type="CLIPImageProcessor")),
        "hf_clip_proj": (lambda: t.CLIPVisionModelWithProjection(t.CLIPVisionConfig(**clip)), dict(std, **oai, **crop, size=dict(shortest_edge=224), image_processor_type="CLIPImageProcessor")),
        "hf_siglip": (lambda: t.SiglipVisionModel(t.SiglipVisionConfig(**SMALL)), dict(std, **half, **sq, image_processor_type="SiglipImageProcessor")),
        "hf_convnext": (lambda: t.ConvNextModel(t.ConvNextConfig(depths=[1, 1, 2, 1], hidden_sizes=[24, 48, 96, 192])),
                        dict(std, **inet, size=dict(shortest_edge=224), crop_pct=.875, image_processor_type="ConvNextImageProcessor")),
        "hf_convnextv2_cls": (lambda: t.ConvNextV2ForImageClassification(t.ConvNextV2Config(depths=[1, 1, 2, 1], hidden_sizes=[24, 48, 96, 192], num_labels=10)),
                              dict(std, **inet, size=dict(shortest_edge=224), crop_pct=.875, image_processor_type="ConvNextImageProcessor")),
        "hf_swin": (lambda: t.SwinModel(t.SwinConfig(embed_dim=24, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8])), dict(std, **inet, **sq, image_processor_type="ViTImageProcessor")),
        "hf_beit": (lambda: t.BeitModel(t.BeitConfig(**SMALL, use_relative_position_bias=True, use_absolute_position_embeddings=False)), dict(std, **half, **sq, resample=2, image_processor_type="BeitImageProcessor")),
        "hf_resnet": (lambda: t.ResNetModel(t.ResNetConfig(embedding_size=32, hidden_sizes=[64, 96, 128, 160], depths=[1, 1, 2, 1], layer_type="basic")),
                      dict(std, **inet, size=dict(shortest_edge=224), crop_pct=.875, image_processor_type="ConvNextImageProcessor")),
        "hf_mobilevit": (lambda: t.MobileViTModel(t.MobileViTConfig()), dict(std, image_processor_type="MobileViTImageProcessor", do_flip_channel_order=True, size=dict(shortest_edge=288), crop_size=dict(height=256, width=256))),
        "hf_clip_full": (lambda: t.CLIPModel(t.CLIPConfig(text_config=dict(**SMALL, vocab_size=300), vision_config=clip, projection_dim=64)), dict(std, **oai, **crop, size=dict(shortest_edge=224), image_processor_type="CLIPImageProcessor")),
    }


def settle(m, x):
    """Statistics and scales that differ from their start, so that a mistake shows."""
    g = torch.Generator().manual_seed(1)
    for n, p in m.named_parameters():
        with torch.no_grad():
            if p.ndim == 1:
                p.add_(torch.randn(p.shape, generator=g) * .05)
            elif p.numel() and float(p.abs().max()) == 0:
                p.add_(torch.randn(p.shape, generator=g) * .02)
    if any(isinstance(k, torch.nn.modules.batchnorm._BatchNorm) for k in m.modules()):
        m.train()
        with torch.no_grad():
            for _ in range(3):
                m(torch.randn(2, *x.shape[1:], generator=g))
    return m.eval()


def save(m, x, path, kind, names, outs, opset=None):
    t = time.time()
    x = torch.cat([x, x]) if x.shape[0] == 1 else x
    try:
        if kind == "ts":
            torch.onnx.export(m, (x,), path, dynamo=False, opset_version=opset or 17, input_names=names, output_names=outs,
                              dynamic_axes={n: {0: "batch"} for n in names + outs})
        else:
            torch.onnx.export(m, (x,), path, dynamo=True, opset_version=opset or 18, input_names=names, output_names=outs, verbose=False,
                              dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=512)},), external_data=False)
        print(f"{os.path.basename(path)} ok {time.time()-t:.0f}s {os.path.getsize(path)/1e6:.1f} MB", flush=True)
    except Exception as e:
        print(f"{os.path.basename(path)} EXPORT FAILED {type(e).__name__}: {str(e)[:300]!r}", flush=True)


class First(torch.nn.Module):
    """A Hugging Face model as optimum wraps it: pixel_values in, named tensors out."""
    def __init__(self, m, keys): super().__init__(); self.m, self.keys = m, keys
    def forward(self, pixel_values):
        o = self.m(pixel_values=pixel_values)
        return tuple(o[k] for k in self.keys)


class ClipFull(torch.nn.Module):
    def __init__(self, m): super().__init__(); self.m = m
    def forward(self, input_ids, pixel_values, attention_mask):
        o = self.m(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return o.logits_per_image, o.logits_per_text, o.text_embeds, o.image_embeds


class Vision(torch.nn.Module):
    """A network of torchvision, whose pooled features are what its classifier gets."""
    def __init__(self, m): super().__init__(); self.m = m
    def maps(self, x):
        m = self.m
        if hasattr(m, "features"): return m.features(x)
        x = m.maxpool(m.relu(m.bn1(m.conv1(x))))
        return m.layer4(m.layer3(m.layer2(m.layer1(x))))


TORCHVISION = ("resnet50", "convnext_tiny", "efficientnet_b0", "mobilenet_v3_large", "regnet_y_400mf", "shufflenet_v2_x1_0")


def of_timm(out, name, kinds):
    import timm
    from timm.data import resolve_data_config
    tn, kw = TIMM[name]
    kw = dict(kw); kw.setdefault("num_classes", 10)
    m = timm.create_model(tn, pretrained=False, exportable=True, **kw)
    c = resolve_data_config({}, model=m)
    if "img_size" in kw: c["input_size"] = (3, kw["img_size"], kw["img_size"])
    m = settle(m, torch.randn(1, *c["input_size"], generator=torch.Generator().manual_seed(0)))
    keys = ("input_size", "mean", "std", "crop_pct", "crop_mode", "interpolation")
    json.dump(dict(architecture=tn, pretrained_cfg={k: c[k] for k in keys}), open(f"{out}/{name}.config.json", "w"))
    x = torch.randn(3, *c["input_size"], generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        f = m.forward_features(x); p = m.forward_head(f, pre_logits=True)
    np.savez(f"{out}/{name}.npz", x=x.numpy(), f=f.numpy(), p=p.numpy())
    for k in kinds: save(m, x[:1], f"{out}/{name}.{k}.onnx", k, ["input"], ["output"])


def of_transformers(out, name, kinds):
    make, pre = hf()[name]
    m = make().eval()
    json.dump(pre, open(f"{out}/{name}.config.json", "w"))
    size = 256 if name == "hf_mobilevit" else 224
    x = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(5))
    if name == "hf_clip_full":
        ids = torch.ones(2, 7, dtype=torch.long)
        with torch.no_grad(): e = m.get_image_features(pixel_values=x)
        e = getattr(e, "pooler_output", e)
        np.savez(f"{out}/{name}.npz", x=x.numpy(), image_embeds=(e / e.norm(dim=-1, keepdim=True)).numpy())
        torch.onnx.export(ClipFull(m.eval()), (ids, x[:2], ids), f"{out}/{name}.ts.onnx", dynamo=False, opset_version=17,
                          input_names=["input_ids", "pixel_values", "attention_mask"], output_names=["logits_per_image", "logits_per_text", "text_embeds", "image_embeds"],
                          dynamic_axes={"pixel_values": {0: "image_batch"}, "input_ids": {0: "text_batch"}, "attention_mask": {0: "text_batch"}})
        return
    m = settle(m, x[:1])
    with torch.no_grad(): o, base = m(pixel_values=x), m.base_model(pixel_values=x)
    np.savez(f"{out}/{name}.npz", x=x.numpy(), base=base.last_hidden_state.numpy(), **{k: v.numpy() for k, v in o.items() if hasattr(v, "numpy")})
    keys = [k for k in ("image_embeds", "logits", "last_hidden_state", "pooler_output") if k in o and o[k] is not None]
    for k in kinds: save(First(m, keys).eval(), x[:1], f"{out}/{name}.{k}.onnx", k, ["pixel_values"], keys)


def of_torchvision(out, name, kinds):
    import torchvision
    m = settle(getattr(torchvision.models, name)(num_classes=10), torch.zeros(1, 3, 224, 224))
    json.dump(dict(architecture=name, pretrained_cfg=dict(input_size=[3, 224, 224], mean=[.485, .456, .406], std=[.229, .224, .225], crop_pct=224 / 232,
                                                        crop_mode="center", interpolation="bilinear")), open(f"{out}/{name}.config.json", "w"))
    x = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(5))
    with torch.no_grad(): f = Vision(m).maps(x)
    np.savez(f"{out}/{name}.npz", x=x.numpy(), f=f.numpy())
    for k in kinds: save(m, x[:1], f"{out}/{name}.{k}.onnx", k, ["input"], ["output"])


def main():
    sets = {"timm": (of_timm, TIMM), "transformers": (of_transformers, None), "torchvision": (of_torchvision, TORCHVISION)}
    a = argparse.ArgumentParser(usage=__doc__)
    a.add_argument("out"); a.add_argument("--set", default="timm", choices=sets); a.add_argument("--only", default=""); a.add_argument("--exporters", default="ts,dynamo")
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True)
    make, names = sets[a.set]
    for name in names or hf():
        if a.only and name not in a.only.split(","): continue
        torch.manual_seed(0)
        try: make(a.out, name, a.exporters.split(","))
        except Exception as e: print(f"{name} FAILED {type(e).__name__}: {str(e)[:300]!r}", flush=True)


main()
