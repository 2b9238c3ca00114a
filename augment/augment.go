// Package augment turns photographs into the float32 [3, height, width] a network takes.
//
// Sizes, crops, the random transforms and the order of their draws follow fast.ai 0.7
// (fastai/fastai1 old/fastai/transforms.py); resampling by area and rotation follow OpenCV.
// Package picture, which lies below it, reads the files. Everything here is safe for
// concurrent use.
package augment

// Normalisation of the ImageNet weights that torchvision publishes, per RGB channel on 0..1.
var (
	ImageNetMean = [3]float32{0.485, 0.456, 0.406}
	ImageNetStd  = [3]float32{0.229, 0.224, 0.225}
)
