"""Makes testdata/models/graph_shapes_opset*.onnx: one node for every shape rule and variant, with the shapes that
ONNX's own inference (onnx.shape_inference, strict) gives as value_info. The Go rules must agree.

    python testdata/reference/graph_shapes.py      # onnx, numpy
"""
import os
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

MODELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models")


class Cases:
    def __init__(self, opset):
        self.opset, self.nodes, self.inits, self.inputs = opset, [], [], {}
        for name, shape in {"x": [2, 6, 13, 10], "m": [5, 7], "mt": [7, 5], "v": [7], "s": [], "b": [3, 2, 5, 7], "one": [1, 6, 1, 1], "n": ["N", 6, 13, 10], "t": [2, 6, 4]}.items():
            self.inputs[name] = shape

    def ints(self, *values, dtype=np.int64):
        name = f"i{len(self.inits)}"
        self.inits.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def scalar(self, value):
        name = f"i{len(self.inits)}"
        self.inits.append(numpy_helper.from_array(np.array(value, np.int64), name))
        return name

    def floats(self, *shape):
        name = f"i{len(self.inits)}"
        self.inits.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
        return name

    def node(self, op, *inputs, outputs=1, **attrs):
        names = [f"{op}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, names[0], **attrs))
        return names[0] if outputs == 1 else names

    def model(self):
        infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in self.inputs.items()]
        g = helper.make_graph(self.nodes, f"shapes{self.opset}", infos, [], self.inits)
        for name in self.nodes[-1].output:
            g.output.append(helper.make_empty_tensor_value_info(name))
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8, producer_name="graph_shapes.py")
        m = shape_inference.infer_shapes(m, check_type=True, strict_mode=True, data_prop=True)
        onnx.checker.check_model(m)
        return m


def windows(c):
    w, d = c.floats(4, 6, 3, 3), c.floats(6, 1, 5, 5)
    c.node("Conv", "x", w)
    c.node("Conv", "x", w, pads=[1, 1, 1, 1], strides=[2, 2])
    c.node("Conv", "x", w, pads=[0, 1, 2, 3], strides=[3, 2], dilations=[2, 1], kernel_shape=[3, 3])
    c.node("Conv", "x", w, auto_pad="SAME_UPPER", strides=[2, 3])
    c.node("Conv", "x", w, auto_pad="SAME_LOWER")
    c.node("Conv", "x", w, auto_pad="VALID", strides=[2, 2])
    c.node("Conv", "x", d, group=6, pads=[2, 2, 2, 2], strides=[2, 2])
    c.node("Conv", "n", w)
    u = c.floats(6, 2, 3, 3)
    c.node("ConvTranspose", "x", u, strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 0])
    c.node("ConvTranspose", "x", u, group=3, dilations=[2, 1])
    c.node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    c.node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    c.node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], outputs=2)
    c.node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
    c.node("AveragePool", "x", kernel_shape=[13, 10])
    c.node("AveragePool", "x", kernel_shape=[3, 2], auto_pad="SAME_UPPER", strides=[2, 2])
    c.node("GlobalAveragePool", "x")
    c.node("GlobalMaxPool", "n")
    c.node("BatchNormalization", "x", *[c.floats(6) for _ in range(4)])
    c.node("InstanceNormalization", "x", c.floats(6), c.floats(6))


def elementwise(c):
    for op in ["Relu", "Sigmoid", "HardSigmoid", "Tanh", "Sqrt", "Exp", "Erf", "Neg", "Abs", "Identity", "Dropout", "LeakyRelu", "Elu", "Softplus", "Floor"]:
        c.node(op, "x")
    if c.opset >= 14:
        c.node("HardSwish", "x")
    c.node("Softmax", "x", axis=1)
    c.node("LogSoftmax", "m", axis=-1)
    c.node("Cast", "x", to=TensorProto.FLOAT16)
    c.node("Clip", "x", *([c.floats(), c.floats()] if c.opset >= 11 else []))
    for op in ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"]:
        c.node(op, "x", "one")
    c.node("Add", "one", "x")
    c.node("Add", "n", "one")
    c.node("Mul", "b", "v")
    c.node("Mul", "s", "m")
    c.node("Add", "s", "s")
    c.node("Sum", "m", "v", "s")
    c.node("Where", c.node("Greater", "m", "v"), "m", "s")
    c.node("PRelu", "x", c.floats(6, 1, 1))


def products(c):
    c.node("Gemm", "m", "mt")
    c.node("Gemm", "m", "m", transB=1)
    c.node("Gemm", "m", "m", "s", transA=1)
    c.node("MatMul", "m", "mt")
    c.node("MatMul", "b", "mt")


def reductions(c):
    for op in ["ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"]:
        for keep in [0, 1]:
            for axes in [[2, 3], [-1], [1, -2]]:
                if c.opset >= 18 or op == "ReduceSum" and c.opset >= 13:
                    c.node(op, "x", c.ints(*axes), keepdims=keep)
                else:
                    c.node(op, "x", axes=axes, keepdims=keep)
            c.node(op, "n", keepdims=keep)


def views(c):
    inputs = c.opset >= 13
    c.node("Reshape", "x", c.ints(0, -1))
    c.node("Reshape", "x", c.ints(2, 3, 2, 13, 10))
    c.node("Reshape", "x", c.ints(-1))
    c.node("Reshape", "n", c.ints(0, -1, 10))
    if c.opset >= 14:
        c.node("Reshape", "x", c.ints(2, 78, 10), allowzero=1)
    for axis in [0, 1, 2, 4, -1]:
        c.node("Flatten", "x", axis=axis)
    c.node("Transpose", "x")
    c.node("Transpose", "x", perm=[0, 2, 3, 1])
    for axes in [[2, 3], [-1]]:
        c.node("Squeeze", "one", *([c.ints(*axes)] if inputs else []), **({} if inputs else {"axes": axes}))
    c.node("Squeeze", "one")
    for axes in [[0], [-1, 1]]:
        c.node("Unsqueeze", "m", *([c.ints(*axes)] if inputs else []), **({} if inputs else {"axes": axes}))
    c.node("Concat", "x", "x", axis=1)
    c.node("Concat", "m", "m", axis=-1)
    c.node("Concat", "n", "n", "n", axis=-2)
    c.node("Pad", "x", c.ints(0, 0, 1, 2, 0, 0, 3, 4))
    if c.opset >= 18:
        c.node("Pad", "x", c.ints(1, 2, 3, 4), "", c.ints(-1, 2))
        c.node("Split", "x", num_outputs=4, axis=2, outputs=4)
    if inputs:
        c.node("Split", "x", c.ints(2, 4), axis=1, outputs=2)
    else:
        c.node("Split", "x", split=[2, 4], axis=1, outputs=2)
        c.node("Split", "x", axis=1, outputs=3)
    c.node("Slice", "x", c.ints(1), c.ints(5), c.ints(2))
    c.node("Slice", "x", c.ints(0, -3), c.ints(2**63 - 1, -1), c.ints(1, 3), c.ints(2, 1))
    c.node("Slice", "x", c.ints(-1), c.ints(-(2**63)), c.ints(3), c.ints(-1))
    c.node("Slice", "x", c.ints(10), c.ints(1), c.ints(2), c.ints(-2))
    c.node("Slice", "m", c.ints(1, 2), c.ints(3, 100))
    c.node("Gather", "x", c.ints(0, 2), axis=1)
    c.node("Gather", "x", c.scalar(1), axis=2)
    c.node("Expand", "one", c.ints(2, 6, 13, 10))
    c.node("DepthToSpace", c.node("Concat", "x", "x", axis=1), blocksize=2)
    c.node("SpaceToDepth", c.node("Pad", "x", c.ints(0, 0, 0, 0, 0, 0, 1, 0)), blocksize=2)


def shapes_as_values(c):
    """What exporters put around Reshape: shapes taken apart, computed with, and put together."""
    inputs = c.opset >= 13
    shape = c.node("Shape", "x")
    n = c.node("Gather", shape, c.scalar(0), axis=0)
    up = c.node("Unsqueeze", n, *([c.ints(0)] if inputs else []), **({} if inputs else {"axes": [0]}))
    c.node("Reshape", "x", c.node("Concat", up, c.ints(-1), axis=0))
    head = c.node("Slice", shape, c.ints(0), c.ints(2))
    c.node("Reshape", "x", c.node("Concat", head, c.ints(-1), axis=0))
    a = c.node("Gather", shape, c.ints(2), axis=0)
    b = c.node("Gather", shape, c.ints(3), axis=0)
    c.node("Reshape", "x", c.node("Concat", up, c.node("Mul", a, b), c.ints(6), axis=0))
    c.node("ConstantOfShape", c.node("Cast", shape, to=TensorProto.INT64))
    if c.opset >= 15:
        c.node("Shape", "x", start=1, end=-1)
    c.node("Constant", value=numpy_helper.from_array(np.zeros((3, 4), np.float32)))
    c.node("Relu", "x")


for opset in [11, 13, 18]:
    cases = Cases(opset)
    for add in [windows, elementwise, products, reductions, views, shapes_as_values]:
        add(cases)
    onnx.save(cases.model(), os.path.join(MODELS, f"graph_shapes_opset{opset}.onnx"))
