"""A full fine-tuning step of a ResNet in ONNX Runtime's last training build (1.19.2). A turn is one step.

    yes '' | head -5 | python bench/step_ort_training.py --body resnet34 --batch 8

It needs an environment of its own: bench/ort-training.txt.
"""
import argparse
import os
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
import torch
import torchvision
from onnxruntime.training import artifacts
from onnxruntime.training.api import CheckpointState, Module, Optimizer

from turns import take_turns

a = argparse.ArgumentParser()
a.add_argument("--body", default="resnet34")
a.add_argument("--batch", type=int, default=8)
a.add_argument("--size", type=int, default=224)
a.add_argument("--threads", type=int, default=2)
a = a.parse_args()
folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "network.onnx")
torch.onnx.export(
    getattr(torchvision.models, a.body)(num_classes=2).train(), torch.randn(a.batch, 3, a.size, a.size), path, dynamo=False, opset_version=15,
    do_constant_folding=False, training=torch.onnx.TrainingMode.TRAINING, input_names=["x"], output_names=["logits"],
    dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}})
model = onnx.load(path)
names = [i.name for i in model.graph.initializer]
trained = [n for n in names if "running" not in n and "num_batches" not in n]
artifacts.generate_artifacts(
    model, requires_grad=trained, frozen_params=[n for n in names if n not in trained], loss=artifacts.LossType.CrossEntropyLoss,
    optimizer=artifacts.OptimType.SGD, artifact_directory=folder.name)
options = ort.SessionOptions()
options.intra_op_num_threads = a.threads
state = CheckpointState.load_checkpoint(os.path.join(folder.name, "checkpoint"))
# Its own evaluation model does not load: BatchNormalization keeps three outputs.
module = Module(os.path.join(folder.name, "training_model.onnx"), state, None, device="cpu", session_options=options)
optimizer = Optimizer(os.path.join(folder.name, "optimizer_model.onnx"), module)
module.train()
draws = np.random.default_rng(0)
x, y = draws.standard_normal((a.batch, 3, a.size, a.size), np.float32), draws.integers(0, 2, a.batch)


def step():
    module(x, y)
    optimizer.step()
    module.lazy_reset_grad()


take_turns(step, engine=f"ONNX Runtime's training build {ort.__version__}")
