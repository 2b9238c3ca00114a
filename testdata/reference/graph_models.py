"""Makes testdata/models/graph_*.onnx and graph_models.json: tiny networks in the styles that exporters produce.

    python testdata/reference/graph_models.py      # torch, onnx, onnxscript (for the dynamo exporter), numpy

Each network has a trunk and a classifier. The JSON holds, for every file, what PyTorch says the frozen
body must give: features = [max over pixels of trunk(x), mean over pixels of trunk(x)] for two images
x = Stream(SEED, text(name)).uniform(-1, 1), with the streams of rng.py.
"""
import json, os, sys, warnings
import numpy as np
import onnx
import torch
from torch import nn
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, "..", "models")
sys.path.insert(0, HERE)
from rng import Stream, text  # noqa: E402

SEED = 41
torch.set_num_threads(1)
warnings.filterwarnings("ignore")


def conv(i, o, k=3, s=1, g=1, act=nn.ReLU):
    layers = [nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, act()) if act else nn.Sequential(*layers)


class Basic(nn.Module):  # torchvision BasicBlock
    def __init__(self, i, o, s):
        super().__init__()
        self.conv1, self.conv2 = conv(i, o, 3, s), conv(o, o, act=None)
        self.down = conv(i, o, 1, s, act=None) if s > 1 or i != o else nn.Identity()

    def forward(self, x):
        return torch.relu(self.conv2(self.conv1(x)) + self.down(x))


class Excite(nn.Module):  # squeeze-and-excitation, torchvision MobileNetV3
    def __init__(self, c):
        super().__init__()
        self.pool, self.fc1, self.fc2 = nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, 4, 1), nn.Conv2d(4, c, 1)

    def forward(self, x):
        return x * nn.functional.hardsigmoid(self.fc2(torch.relu(self.fc1(self.pool(x)))))


class Inverted(nn.Module):  # MobileNet block, act as given, with squeeze-and-excitation if se
    def __init__(self, i, o, s, act, se=False):
        super().__init__()
        self.body = nn.Sequential(conv(i, 2 * i, 1, act=act), conv(2 * i, 2 * i, 3, s, 2 * i, act),
                                  Excite(2 * i) if se else nn.Identity(), conv(2 * i, o, 1, act=None))
        self.add = s == 1 and i == o

    def forward(self, x):
        return x + self.body(x) if self.add else self.body(x)


class Shuffle(nn.Module):  # ShuffleNet's channel shuffle, with the batch read from the shape
    def __init__(self, c):
        super().__init__()
        self.conv = conv(c, c, 3, 1, 2)

    def forward(self, x):
        n, c, h, w = self.conv(x).shape
        return self.conv(x).view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class ChannelNorm(nn.Module):  # ConvNeXt: LayerNorm over channels, written out
    def __init__(self, c):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))

    def forward(self, x):
        m = x.mean(1, keepdim=True)
        v = (x - m).pow(2).mean(1, keepdim=True)
        return self.weight[:, None, None] * ((x - m) / torch.sqrt(v + 1e-6)) + self.bias[:, None, None]


class Net(nn.Module):
    def __init__(self, trunk, head):
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, x):
        return self.head(self.trunk(x))


class Do(nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


def resnet():
    return nn.Sequential(conv(3, 4, 7, 2), nn.MaxPool2d(3, 2, 1), Basic(4, 4, 1), Basic(4, 6, 2), Basic(6, 8, 2), Basic(8, 10, 2))


def mobile(act=nn.ReLU6, se=False):
    return nn.Sequential(conv(3, 4, 3, 2, act=act), Inverted(4, 4, 1, act, se), Inverted(4, 6, 2, act, se), Inverted(6, 6, 1, act, se),
                         Inverted(6, 8, 2, act, se), conv(8, 12, 1, act=act))


def linear(c, pool):
    return nn.Sequential(pool, nn.Flatten(), nn.Linear(c, 3))


GAP = nn.AdaptiveAvgPool2d(1)
# name: network, channels at the cut, image size, batch when exporting, options
NETS = {
    "resnet_opset17": (lambda: Net(resnet(), linear(10, GAP)), 10, 64, 2, dict(opset_version=17, dynamic_batch=True)),
    "resnet_bn_opset13": (lambda: Net(resnet(), linear(10, GAP)), 10, 64, 2, dict(opset_version=13, dynamic_batch=True, do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)),
    "resnet_inputs_opset9": (lambda: Net(resnet(), linear(10, GAP)), 10, 64, 1, dict(opset_version=9, keep_initializers_as_inputs=True)),
    "resnet_avgpool_opset11": (lambda: Net(resnet(), nn.Sequential(nn.AvgPool2d(2), Do(lambda x: x.view(x.size(0), -1)), nn.Linear(10, 3))), 10, 64, 1, dict(opset_version=11, dynamic_batch=True)),
    "mobilenet_mean_opset11": (lambda: Net(mobile(), nn.Sequential(Do(lambda x: x.mean([2, 3])), nn.Dropout(0.2), nn.Linear(12, 3))), 12, 32, 1, dict(opset_version=11, dynamic_batch=True)),
    "mobilenet_meanmean_opset13": (lambda: Net(mobile(), nn.Sequential(Do(lambda x: x.mean(3).mean(2)), nn.Linear(12, 3))), 12, 32, 1, dict(opset_version=13, dynamic_batch=True)),
    "excite_opset14": (lambda: Net(mobile(nn.Hardswish, True), nn.Sequential(GAP, nn.Conv2d(12, 6, 1), nn.Hardswish(), nn.Flatten(), nn.Linear(6, 3))), 12, 32, 1, dict(opset_version=14, dynamic_batch=True)),
    "timm_mean_opset18": (lambda: Net(mobile(nn.SiLU, True), nn.Sequential(Do(lambda x: x.mean((2, 3), keepdim=True)), nn.Flatten(), nn.Linear(12, 3))), 12, 32, 1, dict(opset_version=18, dynamic_batch=True)),
    "shuffle_fixed_opset13": (lambda: Net(nn.Sequential(conv(3, 8, 3, 2), Shuffle(8), conv(8, 8, 3, 2)), nn.Sequential(Do(lambda x: x.mean([2, 3])), nn.Linear(8, 3))), 8, 32, 1, dict(opset_version=13)),
    "vgg_flatten_opset13": (lambda: Net(nn.Sequential(conv(3, 6), nn.MaxPool2d(4), conv(6, 8), nn.MaxPool2d(4)), nn.Sequential(nn.AdaptiveAvgPool2d(2), Do(lambda x: torch.flatten(x, 1)), nn.Linear(32, 3))), 8, 32, 1, dict(opset_version=13)),
    "flatmean_opset13": (lambda: Net(nn.Sequential(conv(3, 8, 3, 4)), nn.Sequential(Do(lambda x: x.flatten(2).mean(-1)), nn.Linear(8, 3))), 8, 32, 1, dict(opset_version=13)),
    "convnext_opset16": (lambda: Net(nn.Sequential(nn.Conv2d(3, 8, 4, 4), ChannelNorm(8), nn.Conv2d(8, 8, 7, 1, 3, groups=8), nn.GELU(), nn.Conv2d(8, 10, 2, 2)), nn.Sequential(GAP, ChannelNorm(10), nn.Flatten(), nn.Linear(10, 3))), 10, 32, 1, dict(opset_version=16, dynamic_batch=True)),
    "half_opset17": (lambda: Net(nn.Sequential(Do(lambda x: x.half()), nn.Conv2d(3, 8, 3, 2).half(), nn.ReLU()), nn.Sequential(GAP, nn.Flatten(), nn.Linear(8, 3).half())), 8, 16, 1, dict(opset_version=17, dynamic_batch=True)),
    "dynamo_opset18": (lambda: Net(mobile(nn.Hardswish, True), linear(12, GAP)), 12, 32, 2, dict(opset_version=18, dynamo=True, dynamic_batch=True)),
    "dynamo_fixed_opset20": (lambda: Net(resnet(), linear(10, GAP)), 10, 64, 1, dict(opset_version=20, dynamo=True)),
}


def seeded(net, name):
    """Weights from rng.py, so that a rerun gives the same file; BatchNorm keeps its spread."""
    for key, t in list(net.named_parameters()) + list(net.named_buffers()):
        s = Stream(SEED, text(name + "." + key))
        if t.dim() > 1:
            bound = (3.0 / (t.numel() / t.shape[0])) ** 0.5
            v = s.uniform(-bound, bound, tuple(t.shape))
        elif t.dim() == 1:
            v = s.uniform(0.5, 1.5, tuple(t.shape))
        else:
            continue
        t.data.copy_(torch.from_numpy(v))
    return net.eval()


def images(name, size):
    return Stream(SEED, text(name)).uniform(-1, 1, (2, 3, size, size))


def pooled(maps):
    return torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], 1)


def clean(path):
    """Drop what names this machine or this run, check, and put every weight into the file."""
    m = onnx.load(path)
    for part in [m, m.graph, *m.graph.node, *m.graph.input, *m.graph.output, *m.graph.value_info, *m.functions]:
        if part.HasField("doc_string"):
            part.ClearField("doc_string")
        if not isinstance(part, onnx.ModelProto):
            del part.metadata_props[:]
    onnx.checker.check_model(m, full_check=True)
    onnx.save(m, path)
    for extra in (path + ".data",):
        if os.path.exists(extra):
            os.remove(extra)
    return m


def export(name):
    make, channels, size, batch, options = NETS[name]
    net = seeded(make(), name)
    options = dict(options)
    dynamo, dynamic = options.pop("dynamo", False), options.pop("dynamic_batch", False)
    x = torch.from_numpy(images(name, size))
    path = os.path.join(MODELS, f"graph_{name}.onnx")
    if dynamo:
        if dynamic:
            options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(net, (x[:batch],), path, dynamo=True, external_data=False, verbose=False, input_names=["image"], output_names=["logits"], **options)
    else:
        if dynamic:
            options["dynamic_axes"] = {"image": {0: "batch"}, "logits": {0: "batch"}}
        torch.onnx.export(net, (x[:batch],), path, dynamo=False, input_names=["image"], output_names=["logits"], **options)
    clean(path)
    with torch.no_grad():
        feats = pooled(net.trunk(x).float())
    return dict(file=f"graph_{name}.onnx", channels=channels, size=size, layout="NCHW", features=[[float(f"{v:.7g}") for v in row] for row in feats.numpy()])


def floats(name, key, shape):
    bound = (3.0 / max(1, np.prod(shape[1:]))) ** 0.5
    return numpy_helper.from_array(Stream(SEED, text(name + "." + key)).uniform(-bound, bound, shape), key)


def ints(key, values):
    return numpy_helper.from_array(np.array(values, np.int64), key)


def save(name, nodes, inits, shape, opset=17, functions=(), domains=(), classes=3, **kw):
    g = helper.make_graph(nodes, name, [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
                          [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], classes])], inits)
    m = helper.make_model(g, opset_imports=[helper.make_opsetid("", opset), *[helper.make_opsetid(d, 1) for d in domains]], functions=functions, producer_name="graph_models.py", ir_version=8)
    helper.set_model_props(m, {"task": "test", "näme": "ünïcode"})
    onnx.checker.check_model(m, full_check=True)
    onnx.save(m, os.path.join(MODELS, f"graph_{name}.onnx"), **kw)
    return m


def torch_conv(x, t, stride):
    return torch.relu(nn.functional.conv2d(x, torch.from_numpy(numpy_helper.to_array(t)), stride=stride, padding=1))


def reference(name, channels, size, maps, layout="NCHW"):
    return dict(file=f"graph_{name}.onnx", channels=channels, size=size, layout=layout, features=[[float(f"{v:.7g}") for v in row] for row in pooled(maps).numpy()])


def nhwc(name="nhwc_tf"):  # as tf2onnx writes Keras models: NHWC outside, transposed back before the mean
    w, fc = floats(name, "w", (8, 3, 3, 3)), floats(name, "fc", (8, 3))
    save(name, [
        helper.make_node("Transpose", ["image"], ["nchw"], "to_nchw", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["nchw", "w"], ["c"], "conv", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("Transpose", ["r"], ["nhwc"], "to_nhwc", perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["nhwc"], ["mean"], "mean", axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "fc"], ["logits"], "dense"),
    ], [w, fc], ["unk__1", 32, 32, 3], opset=13)
    return reference(name, 8, 32, torch_conv(torch.from_numpy(images(name, 32)), w, 2), "NHWC")


def functions(name="functions"):  # calls of the model's own functions, one inside the other, an attribute handed on
    w, fc = floats(name, "w", (8, 3, 3, 3)), floats(name, "fc", (8, 3))
    opsets = [helper.make_opsetid("", 17)]
    stride = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    ref = helper.make_attribute_ref("strides", onnx.AttributeProto.INTS)
    ref.ref_attr_name = "stride"
    stride.attribute.append(ref)
    act = helper.make_function("pkg", "act", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], opsets)
    block = helper.make_function("pkg", "block", ["x", "w"], ["z"], [stride, helper.make_node("act", ["y"], ["z"], domain="pkg")],
                                 opsets + [helper.make_opsetid("pkg", 1)], attributes=["stride"])
    pool = helper.make_function("pkg", "mean", ["x"], ["y"], [
        helper.make_node("Identity", ["x"], ["same"]), helper.make_node("GlobalAveragePool", ["same"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])], opsets)
    save(name, [
        helper.make_node("block", ["image", "w"], ["map"], "block0", domain="pkg", stride=[2, 2]),
        helper.make_node("mean", ["map"], ["flat"], "pool", domain="pkg"),
        helper.make_node("MatMul", ["flat", "fc"], ["logits"], "dense"),
    ], [w, fc], ["N", 3, 16, 16], functions=[act, block, pool], domains=["pkg"])
    return reference(name, 8, 16, torch_conv(torch.from_numpy(images(name, 16)), w, 2))


def branches(name="if_branch"):  # If whose branches read a weight and a map from around them; a dead branch; nodes called "features"
    w, v, fc = floats(name, "w", (6, 3, 3, 3)), floats(name, "v", (8, 6, 3, 3)), floats(name, "fc", (8, 3))
    out = helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
    other = helper.make_tensor_value_info("e", TensorProto.FLOAT, None)
    then = helper.make_graph([helper.make_node("Conv", ["features", "v"], ["t"], pads=[1, 1, 1, 1])], "then", [], [out])
    els = helper.make_graph([helper.make_node("Neg", ["v"], ["minus"]), helper.make_node("Conv", ["features", "minus"], ["e"], pads=[1, 1, 1, 1])], "else", [], [other])
    save(name, [
        helper.make_node("Conv", ["image", "w"], ["c"], "features/0", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["features"], "features"),
        helper.make_node("GlobalMaxPool", ["features"], ["dead"], "unused"),
        helper.make_node("If", ["yes"], ["i"], "choose", then_branch=then, else_branch=els),
        helper.make_node("Relu", ["i"], ["map"], "last"),
        helper.make_node("GlobalAveragePool", ["map"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["flat"], "flat"),
        helper.make_node("MatMul", ["flat", "fc"], ["logits"], "dense"),
    ], [w, v, fc, numpy_helper.from_array(np.array(True), "yes")], ["N", 3, 16, 16])
    x = torch_conv(torch.from_numpy(images(name, 16)), w, 2)
    return reference(name, 8, 16, torch_conv(x, v, 1))


def external(name="external"):  # weights in a file beside the model
    data = os.path.join(MODELS, f"graph_{name}.data")
    if os.path.exists(data):
        os.remove(data)  # onnx appends
    w, fc = floats(name, "w", (8, 3, 3, 3)), floats(name, "fc", (8, 3))
    save(name, [
        helper.make_node("Conv", ["image", "w"], ["c"], "conv", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["flat"], "flat"),
        helper.make_node("MatMul", ["flat", "fc"], ["logits"], "dense"),
    ], [w, fc], ["N", 3, 16, 16], save_as_external_data=True, location=os.path.basename(data), size_threshold=0)
    return reference(name, 8, 16, torch_conv(torch.from_numpy(images(name, 16)), w, 2))


def patches(name="no_pooling"):  # a vision transformer's stem: no map is pooled
    w, fc = floats(name, "w", (8, 3, 8, 8)), floats(name, "fc", (8, 3))
    save(name, [
        helper.make_node("Conv", ["image", "w"], ["patches"], "conv", strides=[8, 8]),
        helper.make_node("Reshape", ["patches", "shape"], ["tokens"], "tokens"),
        helper.make_node("ReduceMax", ["tokens"], ["m"], "first", axes=[1], keepdims=1),
        helper.make_node("Flatten", ["m"], ["flat"], "flat"),
        helper.make_node("MatMul", ["flat", "wide"], ["logits"], "dense"),
    ], [w, floats(name, "wide", (16, 3)), ints("shape", [0, 8, 16])], ["N", 3, 32, 32])


def main():
    os.makedirs(MODELS, exist_ok=True)
    want = [export(n) for n in NETS] + [f() for f in (nhwc, functions, branches, external)]
    patches()
    with open(os.path.join(HERE, "graph_models.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(w) for w in want) + "\n]\n")


if __name__ == "__main__":
    main()
