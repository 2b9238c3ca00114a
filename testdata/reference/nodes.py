"""The ONNX project's own node tests, for TestNodes of onnx/gradient: one-operator models, and the slopes of their outputs.

    python testdata/reference/nodes.py FILE [--sample]

Needs onnx 1.23.2, whose tests it writes, and numpy. FILE gets one JSON object a line: a test's name and operators, the
shapes of its inputs and outputs, and
- declared: the model with the shapes of what it computes taken away;
- held: the same with its integers (axes, sizes, limits) as initializers, as exporters write them;
- sloped: for float32 tests, the model with all inputs as initializers and a scalar "objective", the sum of its float outputs times
  seeded weights; and for each float input a direction and the loss's derivative along it, by central differences of
  ONNX's reference evaluator in float64; the loss itself is "value". Inputs are moved a little, so that no maximum is shared and no limit is met.
  A derivative that two steps do not agree in is left out, and why.
--sample writes the few tests of testdata/reference/nodes.jsonl.
"""
import argparse
import base64
import json
import math
import re
import sys
import warnings
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

VERSION = "1.23.2"
WHOLE = {TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL}
LARGEST = 40_000  # elements of a tensor whose slope is taken
STEP = 1e-4
SAMPLE = re.compile(  # an operator of each kind, and what once was wrong
    "test_(attention_3d_expanded|maxpool_with_argmax_2d_precomputed_strides|matmul_4d_1d|split_(equal|variable)_parts_1d_opset18|gelu_tanh_1|softmax_axis_1|clip_example"
    "|averagepool_2d_ceil|maxpool_2d_precomputed_same_upper|conv_with_strides_padding|gemm_all_attributes|matmul_3d|gather_1"
    "|gathernd_example_float32|layer_normalization_(3d_axis2_epsilon|2d_axis1)|reduce_max_keepdims_example|reduce_l2_keep_dims_example"
    "|where_example|slice_negative_axes|constant_pad|reshape_negative_dim|expand_dim_changed|tile_precomputed|pow_example|hardswish"
    "|elu|resize_upsample_scales_linear|unsqueeze_two_axes|squeeze|transpose_default|batchnorm_example)$")


def stripped(model):
    """The model without the shapes of what it computes."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    for v in m.graph.output:
        if v.type.HasField("tensor_type"):
            v.type.tensor_type.ClearField("shape")
    del m.graph.value_info[:]
    return m


def held(model, arrays, which):
    """The model with those inputs as initializers."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    for v in list(m.graph.input):
        if v.name in arrays and which(v):
            m.graph.initializer.append(numpy_helper.from_array(arrays[v.name], v.name))
            m.graph.input.remove(v)
    return m


def packed(m):
    return base64.b64encode(zlib.compress(m.SerializeToString(deterministic=True), 9)).decode()


def kind(v):
    return v.type.tensor_type.elem_type if v.type.HasField("tensor_type") else 0


def doubled(model):
    """The model as float64 computes it: constants, casts and precisions of single floats become double."""
    m = onnx.ModelProto()
    m.CopyFrom(model)

    def tensor(t):
        if t.data_type == TensorProto.FLOAT:
            t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name))

    def graph(g):
        for v in [*g.input, *g.output, *g.value_info]:
            if kind(v) == TensorProto.FLOAT:
                v.type.tensor_type.elem_type = TensorProto.DOUBLE
        for t in g.initializer:
            tensor(t)
        for n in g.node:
            for a in n.attribute:
                if a.name in ("to", "dtype", "stash_type", "softmax_precision") and a.i == TensorProto.FLOAT:
                    a.i = TensorProto.DOUBLE
                if a.HasField("t"):
                    tensor(a.t)
                if a.HasField("g"):
                    graph(a.g)
                if n.op_type == "Constant" and a.name in ("value_float", "value_floats"):
                    v = np.array(a.f if a.name == "value_float" else list(a.floats), np.float64)
                    a.CopyFrom(helper.make_attribute("value", numpy_helper.from_array(v)))
    graph(m.graph)
    return m


def exact(function):
    """A function of numbers for arrays of float64; ONNX's own makes float32 of them."""
    f = np.vectorize(function, otypes=[np.float64])
    return lambda x: f(x) if x.size else x


ERF = exact(math.erf)


class Erf(OpRun):
    def _run(self, x):
        return (ERF(x),)


class Gelu(OpRun):
    def _run(self, x, approximate=None):
        if approximate == "tanh":
            return (x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + .044715 * x ** 3))),)
        return (x / 2 * (1 + ERF(x / math.sqrt(2))),)


class Slopes:
    """The loss of a test's model, and its derivatives."""

    def __init__(self, case, model, arrays):
        self.rng = np.random.default_rng(zlib.crc32(case.name.encode()))
        self.model = model
        self.arrays = dict(arrays)
        self.inputs = [v.name for v in model.graph.input if kind(v) == TensorProto.FLOAT and v.name in arrays]
        self.outputs = [v.name for v in model.graph.output if kind(v) == TensorProto.FLOAT]
        if {n.op_type for n in model.graph.node} <= {"BatchNormalization", "LayerNormalization"}:
            self.outputs = self.outputs[:1]  # the statistics that it makes too are not learnt from
        self.run = ReferenceEvaluator(doubled(model), new_ops=[Erf, Gelu])
        self.move()
        first = self.values(self.arrays)
        self.shapes = [v.shape for v in first]
        self.weights = [self.rng.normal(size=v.shape) for v in first]

    def values(self, arrays):
        feed = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in arrays.items()}
        return [np.asarray(v, np.float64) for v in self.run.run(self.outputs, feed)]

    def move(self):
        """Moves each float input by up to 0.02 where that changes no shape."""
        shapes = [v.shape for v in self.values(self.arrays)]
        for name in self.inputs:
            x = self.arrays[name]
            moved = self.arrays | {name: (x + .02 * self.rng.uniform(-1, 1, x.shape)).astype(np.float32)}
            try:
                values = self.values(moved)
            except Exception:  # a scale that does not fit, say
                continue
            if [v.shape for v in values] == shapes and all(np.isfinite(v).all() for v in values):
                self.arrays = moved

    def loss(self, name, x):
        values = self.values(self.arrays | {name: x})
        if [v.shape for v in values] != self.shapes:
            raise ValueError("its shape depends on the input")
        return float(sum((w * v).sum() for w, v in zip(self.weights, values)))

    def slope(self, name):
        x = self.arrays[name].astype(np.float64)
        along = np.round(self.rng.uniform(-1, 1, x.shape), 3)

        def difference(h):
            return (self.loss(name, x + h * along) - self.loss(name, x - h * along)) / (2 * h)
        coarse, fine = difference(STEP), difference(STEP / 4)
        if not abs(coarse - fine) <= 1e-4 * (1 + abs(fine)):
            raise ValueError(f"two steps give {coarse:.6g} and {fine:.6g}")
        at = self.loss(name, x)
        right, left = (self.loss(name, x + STEP * along) - at) / STEP, (at - self.loss(name, x - STEP * along)) / STEP
        if not abs(right - left) <= 1e-2 * (1 + abs(fine)):
            raise ValueError(f"a kink: {left:.6g} before it and {right:.6g} behind")
        return along, fine

    def sloped(self):
        """The model with its inputs held and the loss."""
        m = held(self.model, self.arrays, lambda v: True)
        terms = []
        for k, (name, w) in enumerate(zip(self.outputs, self.weights)):
            m.graph.initializer.append(numpy_helper.from_array(w.astype(np.float32), f"weight{k}"))
            m.graph.initializer.append(numpy_helper.from_array(np.array([1, w.size], np.int64), f"count{k}"))
            m.graph.node.extend([
                helper.make_node("Mul", [name, f"weight{k}"], [f"weighed{k}"]),
                helper.make_node("Reshape", [f"weighed{k}", f"count{k}"], [f"flat{k}"]),
                helper.make_node("MatMul", [f"flat{k}", f"one{k}"], [f"term{k}"]),
            ])
            m.graph.initializer.append(numpy_helper.from_array(np.ones([w.size, 1], np.float32), f"one{k}"))
            terms.append(f"term{k}")
        last = terms[0]
        for t in terms[1:]:
            m.graph.node.append(helper.make_node("Add", [last, t], [last + "+" + t]))
            last = last + "+" + t
        m.graph.node.append(helper.make_node("Identity", [last], ["objective"]))
        del m.graph.output[:]
        m.graph.output.append(helper.make_tensor_value_info("objective", TensorProto.FLOAT, [1]))
        return m


def taken(case, model, arrays):
    """The sloped model of a test, its slopes, and why there are none."""
    ins = [v for v in model.graph.input if v.name in arrays]
    if not any(kind(v) == TensorProto.FLOAT for v in ins) or not any(kind(v) == TensorProto.FLOAT for v in model.graph.output):
        return {}
    if sum(a.size for a in arrays.values()) > LARGEST:
        return {"unsloped": "large"}
    try:
        s = Slopes(case, stripped(model), arrays)
        if not all(w.size and np.isfinite(w).all() for w in s.weights):
            return {"unsloped": "an output is empty"}
        slopes = {}
        for name in s.inputs:
            if not s.arrays[name].size:
                continue
            try:
                along, slope = s.slope(name)
                slopes[name] = {"along": along.ravel().tolist(), "slope": slope}
            except Exception as e:
                slopes[name] = {"unsteady": f"{type(e).__name__}: {e}"[:120]}
        value = float(sum((w * v).sum() for w, v in zip(s.weights, s.values(s.arrays))))
        if not math.isfinite(value):
            return {"unsloped": "its value is no number"}
        return {"sloped": packed(s.sloped()), "slopes": slopes, "value": value}
    except Exception as e:
        return {"unsloped": f"{type(e).__name__}: {e}"[:120]}


def written(case):
    model, data = case.model, case.data_sets[0]
    ins = {v.name: a for v, a in zip(model.graph.input, data[0]) if isinstance(a, (np.ndarray, np.generic)) and v.name}
    outs = {v.name: a for v, a in zip(model.graph.output, data[1]) if isinstance(a, (np.ndarray, np.generic)) and v.name}
    arrays = {k: np.asarray(v) for k, v in ins.items()}
    m = stripped(model)
    return {
        "name": case.name, "ops": sorted({(n.domain + "." if n.domain else "") + n.op_type for n in model.graph.node}),
        "inputs": {k: list(v.shape) for k, v in arrays.items()}, "outputs": {k: list(np.shape(v)) for k, v in outs.items()},
        "declared": packed(m), "held": packed(held(m, arrays, lambda v: kind(v) in WHOLE)),
    } | taken(case, model, arrays)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("file")
    a.add_argument("--sample", action="store_true")
    a = a.parse_args()
    if onnx.__version__ != VERSION:
        sys.exit(f"these are the tests of onnx {VERSION}; this is {onnx.__version__}")
    warnings.filterwarnings("ignore")
    cases = load_model_tests(kind="node")
    with open(a.file, "w") as f:
        for case in cases:
            if a.sample and not SAMPLE.match(case.name):
                continue
            with np.errstate(all="ignore"):
                f.write(json.dumps(written(case), allow_nan=False) + "\n")


main()
