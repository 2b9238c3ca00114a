"""Small files in every format that onnx/weights reads, written by PyTorch and safetensors.

    python testdata/reference/weights_files.py     (torch 2.9.0, safetensors 0.8.0)

Leaves weights_zip.pth, weights_legacy.pth, weights_wrapped.pth, weights_namespace.pth,
weights_files.safetensors and weights_files.json (the values expected) beside itself.
"""
import argparse
import collections
import json
import pathlib

import safetensors
import safetensors.torch
import torch

HERE = pathlib.Path(__file__).parent


def state():
    base = torch.arange(24, dtype=torch.float32) / 8 - 1
    d = collections.OrderedDict()
    d["conv.weight"] = torch.nn.Parameter(base.reshape(2, 3, 2, 2).clone())
    d["transposed"] = base.reshape(4, 6).t()  # strides (1, 6)
    d["slice"] = base.reshape(4, 6)[1:3, ::2]  # offset 6, strides (6, 2)
    d["double"] = torch.tensor([1 / 3, -1e-40, 1e300], dtype=torch.float64)
    d["half"] = torch.tensor([1 / 3, -6e-8, 65504, float("inf")], dtype=torch.float16)
    d["bfloat"] = torch.tensor([1 / 3, -3e38, 0], dtype=torch.bfloat16)
    d["bn.num_batches_tracked"] = torch.tensor(123456789012, dtype=torch.int64)
    d["int32"] = torch.tensor([-5, 7], dtype=torch.int32)
    d["int16"] = torch.tensor([-300, 300], dtype=torch.int16)
    d["int8"] = torch.tensor([-128, 127], dtype=torch.int8)
    d["uint8"] = torch.tensor([0, 255], dtype=torch.uint8)
    d["bool"] = torch.tensor([True, False, True])
    d["empty"] = torch.zeros(0, 3)
    return d


def main():
    d = state()
    module = torch.nn.BatchNorm2d(2).state_dict()  # carries _metadata, which becomes a BUILD opcode
    for k, v in d.items():
        module[k] = v
    torch.save(module, HERE / "weights_zip.pth")
    torch.save(module, HERE / "weights_legacy.pth", _use_new_zipfile_serialization=False)
    wrapped = {"epoch": 3, "lr": 0.1, "optimizer": {"state": [torch.ones(3), None]},
               "state_dict": {"module." + k: v for k, v in module.items()}}
    torch.save(wrapped, HERE / "weights_wrapped.pth", pickle_protocol=4)
    torch.save({"state_dict": dict(d), "args": argparse.Namespace(lr=1)}, HERE / "weights_namespace.pth")
    safetensors.torch.save_file({k: v.detach().contiguous() for k, v in module.items()},
                                HERE / "weights_files.safetensors", {"format": "pt", "note": "é \"quoted\""})

    def value(t):
        t = t.detach()
        if t.is_floating_point():
            return [x.hex() for x in t.float().flatten().tolist()]
        return [int(x) for x in t.flatten().tolist()]

    expected = {k: {"shape": list(v.shape), "float": v.is_floating_point(), "values": value(v)} for k, v in module.items()}
    with open(HERE / "weights_files.json", "w") as f:
        json.dump({"torch": torch.__version__, "safetensors": safetensors.__version__, "tensors": expected}, f, indent=0)
        f.write("\n")


main()
