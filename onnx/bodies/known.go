package bodies

import (
	"fmt"

	"finetune/onnx/hub"
)

var (
	imageNetMean = [3]float32{0.485, 0.456, 0.406}
	imageNetStd  = [3]float32{0.229, 0.224, 0.225}

	// EfficientNet-Lite is published for (x-127)/128 of bytes.
	liteMean = [3]float32{127. / 255, 127. / 255, 127. / 255}
	liteStd  = [3]float32{128. / 255, 128. / 255, 128. / 255}
)

// The longest prefix decides, so "_blocks" is what _blocks.0 to 4 leave over.
var (
	resnetGroups = []Group{
		{"early", []string{"conv1", "bn1", "maxpool", "layer1", "layer2"}},
		{"middle", []string{"layer3", "layer4"}},
		{"head", []string{"avgpool", "flatten", "fc", "logits"}},
	}
	convnextGroups = []Group{
		{"early", []string{"features.0", "features.1", "features.2", "features.3"}},
		{"middle", []string{"features"}},
		{"head", []string{"avgpool", "flatten", "classifier", "logits"}},
	}
	liteGroups = []Group{
		{"early", []string{"_conv_stem", "_bn0", "_blocks.0", "_blocks.1", "_blocks.2", "_blocks.3", "_blocks.4"}},
		{"middle", []string{"_blocks", "_conv_head", "_bn1"}},
		{"head", []string{"avgpool", "flatten", "_fc", "logits"}},
	}
)

const (
	torchvision = "torchvision, trained on ImageNet-1k"
	litePorted  = "EfficientNet-Lite by Google, PyTorch weights by ML Illustrated, trained on ImageNet-1k"
)

// A vision transformer is prepared as its best known weights are; a file of the hub beside the weights goes before.
var (
	vitPrepared  = hub.Preprocessing{Resize: 248, Resample: "bicubic", Mean: half, Std: half}
	deitPrepared = hub.Preprocessing{Resize: 248, Resample: "bicubic", Mean: imageNetMean, Std: imageNetStd}
	dinoPrepared = hub.Preprocessing{Resize: 256, Resample: "bicubic", Mean: imageNetMean, Std: imageNetStd,
		Floor: true}
	siglipPrepared = hub.Preprocessing{Resample: "bicubic", Squash: true, Mean: half, Std: half}
	clipPrepared   = hub.Preprocessing{Resample: "bicubic", Floor: true,
		Mean: [3]float32{.48145466, .4578275, .40821073}, Std: [3]float32{.26862954, .26130258, .27577711}}

	half = [3]float32{.5, .5, .5}
)

const (
	augReg   = "ViT by Google, trained on ImageNet-21k and 1k"
	deitBy   = "DeiT by Facebook, trained on ImageNet-1k"
	dinoBy   = "DINOv2 by Meta, trained on LVD-142M without labels"
	openAI   = "CLIP by OpenAI, trained on pairs of photographs and texts"
	siglipBy = "SigLIP by Google, trained on WebLI"
)

var architectures = map[string]architecture{
	"resnet18": residual(resnet(false, 2, 2, 2, 2), "resnet18-f37072fd.pth", "resnet18-5c106cde.pth"),
	"resnet34": residual(resnet(false, 3, 4, 6, 3), "resnet34-b627a593.pth", "resnet34-333f7ec4.pth"),
	"resnet50": residual(resnet(true, 3, 4, 6, 3), "resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth",
		"resnet50-19c8e357.pth"),
	"resnet50-v2": residual(resnet(true, 3, 4, 6, 3), "resnet50-11ad3fa6.pth").scaledTo(232),
	"convnext-t": architecture{build: convnext([]int{3, 3, 9, 3}, []int64{96, 192, 384, 768}), size: 224,
		mean: imageNetMean, std: imageNetStd, groups: convnextGroups, licence: "BSD-3-Clause", source: torchvision,
		released: []string{"convnext_tiny-983f1562.pth"}}.scaledTo(236),
	"efficientnet-lite0": scaled(1.0, 1.0, 224, "efficientnet-lite0-57934424.pth"),
	"efficientnet-lite1": scaled(1.0, 1.1, 240, "efficientnet-lite1-77cc7160.pth"),
	"efficientnet-lite2": scaled(1.1, 1.2, 260, "efficientnet-lite2-9656183e.pth"),

	"vit-t16":            vitOf(192, 3, 16).class(1).labelled("Apache-2.0", augReg, vitPrepared),
	"vit-s16":            vitOf(384, 6, 16).class(1).labelled("Apache-2.0", augReg, vitPrepared),
	"vit-b16":            vitOf(768, 12, 16).class(1).labelled("Apache-2.0", augReg, vitPrepared),
	"deit-t16":           vitOf(192, 3, 16).class(1).labelled("Apache-2.0", deitBy, deitPrepared),
	"deit-s16":           vitOf(384, 6, 16).class(1).labelled("Apache-2.0", deitBy, deitPrepared),
	"deit-b16":           vitOf(768, 12, 16).class(1).labelled("Apache-2.0", deitBy, deitPrepared),
	"deit-t16-distilled": vitOf(192, 3, 16).class(2).labelled("Apache-2.0", deitBy, deitPrepared),
	"deit-s16-distilled": vitOf(384, 6, 16).class(2).labelled("Apache-2.0", deitBy, deitPrepared),
	"deit-b16-distilled": vitOf(768, 12, 16).class(2).labelled("Apache-2.0", deitBy, deitPrepared),
	"dinov2-s14":         vitOf(384, 6, 14).dino(0).labelled("Apache-2.0", dinoBy, dinoPrepared),
	"dinov2-b14":         vitOf(768, 12, 14).dino(0).labelled("Apache-2.0", dinoBy, dinoPrepared),
	"dinov2-s14-reg":     vitOf(384, 6, 14).dino(4).labelled("Apache-2.0", dinoBy, dinoPrepared),
	"dinov2-b14-reg":     vitOf(768, 12, 14).dino(4).labelled("Apache-2.0", dinoBy, dinoPrepared),
	"clip-b32":           vitOf(768, 12, 32).clip().labelled("MIT", openAI, clipPrepared),
	"clip-b16":           vitOf(768, 12, 16).clip().labelled("MIT", openAI, clipPrepared),
	"siglip-b16":         vitOf(768, 12, 16).siglip().labelled("Apache-2.0", siglipBy, siglipPrepared),
}

// vitOf is a vision transformer of 12 blocks for 224 pixels.
func vitOf(width, heads, patch int64) vit {
	return vit{width: width, depth: 12, heads: heads, patch: patch, size: 224, activation: gelu, eps: 1e-6, hubEps: 1e-6}
}

func (v vit) class(prefix int64) vit {
	v.prefix, v.distilled, v.classes, v.hubEps = prefix, prefix == 2, true, 1e-12
	return v
}

func (v vit) dino(registers int64) vit {
	v.prefix, v.apart, v.scaled = 1+registers, registers > 0, true
	return v
}

func (v vit) clip() vit {
	v.prefix, v.preNorm, v.activation, v.eps, v.hubEps = 1, true, quickGELU, 1e-5, 1e-5
	return v
}

func (v vit) siglip() vit {
	v.pooler, v.hubActivation = true, tanhGELU
	return v
}

func (v vit) labelled(licence, source string, p hub.Preprocessing) architecture {
	return architecture{vit: &v, size: int(v.size), mean: p.Mean, std: p.Std, groups: v.groups(), licence: licence,
		source: source, prepared: p}
}

// groups cut the blocks in halves, as the lesson cuts a ResNet.
func (v vit) groups() []Group {
	early := Group{"early", []string{"patch_embed", "pos_embed", "cls_token", "dist_token", "reg_token", "tokens", "rows",
		"norm_pre"}}
	for i := range v.depth / 2 {
		early.Layers = append(early.Layers, fmt.Sprintf("blocks.%d", i))
	}
	return []Group{early, {"middle", []string{"blocks", "norm", "attn_pool"}},
		{"head", []string{"head", "head_dist", "logits"}}}
}

func residual(build func(*net, string) (string, int64), released ...string) architecture {
	return architecture{build: build, size: 224, mean: imageNetMean, std: imageNetStd, groups: resnetGroups,
		licence: "BSD-3-Clause", source: torchvision, released: released}
}

// scaledTo is the network with torchvision's newer recipe: photographs are scaled to resize pixels, of which the middle
// is taken.
func (a architecture) scaledTo(resize int) architecture {
	a.prepared = hub.Preprocessing{Resize: resize, Resample: "bilinear"}
	return a
}

func scaled(width, depth float64, size int, released ...string) architecture {
	return architecture{build: lite(width, depth, int64(size)), size: size, mean: liteMean, std: liteStd,
		groups: liteGroups, licence: "Apache-2.0", source: litePorted, released: released}
}
