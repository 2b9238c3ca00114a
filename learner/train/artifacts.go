package train

import (
	"errors"
	"fmt"

	"finetune/finetuning"
	"finetune/head"
	"finetune/internal/failure"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/onednn"
	"finetune/onnx/trainable"
)

// layerGroups are the body of s up to its features and the layer groups of it.
func layerGroups(s *features.Setup) (*graph.Model, []artifacts.Group, error) {
	features, err := s.CheckedModel()
	if err != nil {
		return nil, nil, err
	}
	groups, err := finetuning.Groups(features, s.Body.Spec)
	return features, groups, err
}

// BodyGroups counts the layer groups of the body of s.
func BodyGroups(s *features.Setup) (int, error) {
	_, groups, err := layerGroups(s)
	return len(groups), err
}

// writeArtifacts writes what trains the network, of which begin is the first head or nil.
func (tr *training) writeArtifacts(dir string, photographs int, begin *head.Head) error {
	o, err := artifactOptions(tr.Setup, len(tr.Set.Classes), tr.Set.Multi)
	if err != nil {
		return err
	}
	if tr.keepsHead() {
		for _, t := range begin.State() {
			switch t.Name {
			case "0.running_mean":
				o.Head.Mean = t.Data
			case "0.running_var":
				o.Head.Variance = t.Data
			}
		}
	}
	if o.OneDNN, o.Block, err = kernels(tr.Config.Machine.Device, tr.Config.Train.Precision); err != nil {
		return err
	}
	if err := tr.cutPrefix(&o, photographs); err != nil {
		return err
	}
	_, err = artifacts.Write(dir, o)
	return err
}

// WriteArtifacts writes the files of full fine-tuning for a configuration's body and a head
// of so many classes; portable ones run on any processor.
func WriteArtifacts(dir string, c runs.Config, classes int, multi, portable bool, ui runs.UI) (artifacts.Manifest,
	error) {
	c.Images.Augment, c.Images.MaxZoom, c.Train.Unfreeze = "none", 1, true
	if err := c.ValidateBody(); err != nil {
		return artifacts.Manifest{}, err
	}
	s, err := features.OpenBody(c, ui)
	if err != nil {
		return artifacts.Manifest{}, err
	}
	defer s.Close()
	o, err := artifactOptions(s, classes, multi)
	if err != nil {
		return artifacts.Manifest{}, err
	}
	if !portable && !onnx.Accelerated(c.Machine.Device) { // oneDNN's operators are no other program's
		if o.Block, err = onnx.BlockSize(); err != nil {
			return artifacts.Manifest{}, err
		}
	}
	return artifacts.Write(dir, o)
}

// CheckPrecision refuses a precision of the whole network that nothing here computes in, before anything is computed.
func CheckPrecision(c runs.Config) error {
	if c.Train.Precision != config.BFloat16 {
		return nil
	}
	_, _, err := kernels(c.Machine.Device, c.Train.Precision)
	return err
}

// kernels are those that train on the device: oneDNN's operators in a precision, or ONNX
// Runtime's with their block; neither on a GPU.
func kernels(device string, p config.Precision) (domain string, block int64, err error) {
	if onnx.Accelerated(device) {
		return "", 0, nil
	}
	path, err := onnx.OneDNN()
	switch bfloat16 := p == config.BFloat16 || p == config.AutoPrecision && onnx.HasBFloat16(); {
	case err != nil:
		return "", 0, err
	case bfloat16 && path != "":
		return onednn.BFloat16, 0, nil
	case p == config.BFloat16:
		return "", 0, failure.Usage(errors.New("learner: --precision bfloat16 needs oneDNN, which is not installed; run " +
			"`finetune fetch onednn`, or leave --precision out"))
	case path != "":
		return onednn.Float32, 0, nil
	}
	block, err = onnx.BlockSize()
	return "", block, err
}

// artifactOptions describe the network, for standard operators.
func artifactOptions(s *features.Setup, classes int, multi bool) (artifacts.Options, error) {
	c := s.Config.Train
	features, groups, err := layerGroups(s)
	if err != nil {
		return artifacts.Options{}, err
	}
	if len(groups) == 0 {
		return artifacts.Options{}, failure.Usage(fmt.Errorf("learner: %s: nothing before the cut can be trained: its "+
			"weights are integers (QDQ) or reach no layer directly; leave --unfreeze out, or give the float32 network",
			s.Body.Path))
	}
	hc := headConfig(s, classes, multi)
	var still []string
	if s.Body.Spec.Kind != bodies.MapFeatures { // convolutional networks keep the decay that they always had
		if still, err = trainable.WithoutDecay(features); err != nil {
			return artifacts.Options{}, err
		}
	}
	return artifacts.Options{
		NoDecay: still, Body: features, Groups: groups, Size: s.Config.Images.Size, Multi: multi,
		FreezeTo: c.FreezeTo, FreezeBN: c.BNFreeze, Momentum: c.StatMomentum(), Optimizer: string(c.Optimiser),
		Decoupled: c.Decoupled,
		Head:      artifacts.Head{Hidden: hc.Hidden, Drop: hc.Drop, Classes: classes, Seed: hc.Seed},
	}, nil
}
