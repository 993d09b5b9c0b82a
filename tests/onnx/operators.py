"""Writes operators.safetensors beside this file: each ONNX operator as onnxruntime computes it.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python operators.py

One model per case: x -> Identity -> the operator -> Reshape -> y. Entries of a case: `NAME/model`
(bytes of the ONNX file), `NAME/x`, `NAME/y` (onnxruntime, no graph optimisation), `NAME/w` (random
weights) and `NAME/grad`, the derivative of sum(w * y) after x by central differences in double
precision; no `w` and `grad` where the case says `grad=False`, the operator having no derivative.
Metadata "about": JSON of the versions and the opset of each case. `-v` tells where each derivative
comes from.
"""

import json
import math
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import safetensors
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import op_erf
from safetensors.numpy import save

HERE = Path(__file__).parent
FLOAT, DOUBLE, INT64, BOOL = (
    TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL)
END = 2**63 - 1
CASES = {}


class Graph:
    """Nodes in order; an input that is not a name becomes an initializer."""

    def __init__(self, name):
        self.random = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.initializers, self.count = [], [], 0

    def fresh(self):
        self.count += 1
        return f"v{self.count}"

    def input(self, value):
        if value is None or isinstance(value, str):
            return value or ""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if array.dtype == np.int64 and array.size and abs(array).max() < 2**31:  # shorter so
            tensor = helper.make_tensor(self.fresh(), INT64, array.shape, array.flatten())
        else:
            tensor = numpy_helper.from_array(array, self.fresh())
        self.initializers.append(tensor)
        return self.initializers[-1].name

    def __call__(self, op, *inputs, outputs=1, **attributes):
        names = [self.fresh() for _ in range(outputs)]
        for key, value in attributes.items():
            if isinstance(value, np.ndarray):
                attributes[key] = numpy_helper.from_array(value)
        inputs = [self.input(value) for value in inputs]
        self.nodes.append(helper.make_node(op, inputs, names, **attributes))
        return names[0] if outputs == 1 else names

    def const(self, value):
        return self("Constant", value=np.asarray(value))

    def reshape(self, value, *shape):
        return self("Reshape", value, np.int64(shape))

    def normal(self, *shape):
        return self.random.normal(size=shape).astype(np.float32)

    def positive(self, *shape):
        return self.random.uniform(0.5, 1.5, shape).astype(np.float32)

    def flat(self, *values, cast=()):
        """Several outputs as one; those at the positions `cast` made float first."""
        values = [self("Cast", v, to=FLOAT) if i in cast else v for i, v in enumerate(values)]
        return self("Concat", *(self.reshape(v, -1) for v in values), axis=0)


def case(name, build, x=(1, 2, 3, 4), span=(-1.7, 1.8), opset=17, grad=True, cast=False,
         step=None):
    """`build(graph, "a")` adds the operator. `x` is an array, or a shape to fill with distinct
    values spread over `span`. `cast`: the result is not float. `step`: y is linear in x so far
    around, and single precision will do where nothing runs the model in double."""
    assert name not in CASES, name
    CASES[name] = dict(build=build, x=x, span=span, opset=opset, grad=grad, cast=cast, step=step)


def simple(name, *inputs, x=(1, 2, 3, 4), span=(-1.7, 1.8), opset=17, grad=True, cast=False,
           step=None, **attributes):
    """The operator named by the first part of `name` on `a` and `inputs`, a shape in round brackets
    standing for normal random values."""
    def build(g, a):
        rest = [g.normal(*i) if isinstance(i, tuple) else i for i in inputs]
        return g(name.split(".")[0], a, *rest, **attributes)
    case(name, build, x, span, opset, grad, cast, step)


def small(name, *inputs, **settings):
    simple(name, *inputs, x=(1, 2, 2, 3), **settings)


# ------------------------------------------------------------------------------------------------


def convolutions():
    def one_d(op, w, **k):
        return lambda g, a: g(op, g.reshape(a, 1, 2, 10), g.normal(*w), g.normal(w[0]), **k)

    two = (1, 2, 2, 5)
    case("Conv.1d", one_d("Conv", (3, 2, 3), pads=[1, 2], strides=[2]), two, step=1)
    case("Conv.1d.dilated_groups", one_d("Conv", (2, 1, 2), dilations=[3], group=2), two, step=1)
    s = dict(step=1)
    simple("Conv.2d", (2, 2, 2, 3), **s)
    simple("Conv.2d.bias", (3, 2, 1, 1), (3,), kernel_shape=[1, 1], opset=11, **s)
    simple("Conv.2d.pads", (1, 2, 3, 3), (1,), pads=[1, 1, 1, 1], kernel_shape=[3, 3], **s)
    simple("Conv.2d.asymmetric_pads", (1, 2, 3, 3), (1,), pads=[0, 1, 2, 0], **s)
    simple("Conv.2d.stride", (2, 1, 2, 3), strides=[2, 1], pads=[1, 1, 1, 1], x=(1, 1, 5, 6), **s)
    simple("Conv.2d.dilation", (1, 1, 3, 2), (1,), dilations=[2, 3], pads=[1, 0, 1, 2],
           x=(1, 1, 6, 6), **s)
    simple("Conv.2d.groups", (4, 2, 2, 2), (4,), group=2, x=(1, 4, 3, 3), **s)
    simple("Conv.2d.depthwise", (3, 1, 3, 3), (3,), group=3, pads=[1] * 4, x=(1, 3, 3, 4), **s)
    simple("Conv.2d.depthwise_multiplier", (6, 1, 2, 2), group=3, x=(1, 3, 3, 3), **s)
    simple("Conv.2d.groups_stride_dilation", (4, 1, 2, 2), group=2, strides=[2, 2],
           dilations=[2, 1], pads=[1, 0, 0, 1], x=(1, 2, 4, 5), **s)
    for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        simple(f"Conv.2d.{pad.lower()}", (1, 1, 3, 2), (1,), auto_pad=pad, strides=[2, 2],
               x=(1, 1, 5, 7), **s)
    simple("Conv.2d.same_upper.even", (1, 1, 2, 4), auto_pad="SAME_UPPER", x=(1, 1, 4, 6), **s)
    simple("Conv.2d.same_lower.even", (1, 1, 2, 4), auto_pad="SAME_LOWER", x=(1, 1, 4, 6), **s)
    case("Conv.2d.shared_weight", lambda g, a: g("Conv", a, g("Identity", g.normal(1, 2, 2, 2))),
         **s)
    case("Conv.2d.constant_weight", lambda g, a: g("Conv", a, g.const(g.normal(1, 2, 2, 2))), **s)
    case("Conv.2d.weight_of_x", lambda g, a: g("Conv", g.normal(1, 2, 3, 4), a), x=(1, 2, 2, 2),
         **s)
    simple("Conv.3d", (2, 2, 2, 2, 2), (2,), x=(1, 2, 2, 3, 3), **s)
    simple("Conv.3d.all", (4, 1, 2, 2, 3), group=2, strides=[1, 2, 1], dilations=[1, 2, 1],
           pads=[0, 1, 2, 1, 0, 0], x=(1, 2, 2, 3, 3), **s)
    simple("Conv.3d.same_upper", (1, 1, 2, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2, 1],
           x=(1, 1, 3, 3, 4), **s)

    t = "ConvTranspose"
    case(f"{t}.1d", lambda g, a: g(t, g.reshape(a, 1, 2, 6), g.normal(2, 3, 3), g.normal(3),
                                   strides=[2], pads=[1, 0]), (1, 2, 2, 3), step=1)
    case(f"{t}.1d.groups", lambda g, a: g(t, g.reshape(a, 1, 2, 6), g.normal(2, 1, 2), group=2,
                                          dilations=[2]), (1, 2, 2, 3), step=1)
    simple(f"{t}.2d", (2, 1, 2, 3), x=(1, 2, 2, 3), **s)
    simple(f"{t}.2d.stride", (2, 2, 2, 2), (2,), strides=[2, 2], kernel_shape=[2, 2],
           x=(1, 2, 2, 3), opset=11, **s)
    simple(f"{t}.2d.pads", (2, 1, 3, 3), (1,), strides=[2, 1], pads=[1, 1, 1, 1], **s)
    simple(f"{t}.2d.asymmetric_pads", (1, 2, 3, 4), strides=[1, 2], pads=[0, 2, 1, 1],
           x=(1, 1, 3, 4), **s)
    simple(f"{t}.2d.output_padding", (2, 1, 3, 3), (1,), strides=[2, 3], pads=[1, 1, 1, 1],
           output_padding=[1, 2], x=(1, 2, 2, 3), **s)
    simple(f"{t}.2d.groups", (4, 2, 2, 2), (4,), group=2, strides=[2, 1], x=(1, 4, 2, 2), **s)
    simple(f"{t}.2d.depthwise", (3, 1, 3, 3), group=3, pads=[1, 1, 1, 1], x=(1, 3, 2, 3), **s)
    simple(f"{t}.2d.dilation", (1, 1, 2, 3), dilations=[3, 2], strides=[2, 1], pads=[1, 0, 0, 1],
           x=(1, 1, 3, 4), **s)
    simple(f"{t}.2d.output_shape", (1, 1, 3, 3), strides=[3, 2], output_shape=[7, 6],
           x=(1, 1, 3, 3), **s)
    simple(f"{t}.2d.output_shape.even", (1, 1, 3, 3), strides=[2, 2], output_shape=[6, 7],
           x=(1, 1, 3, 3), **s)
    simple(f"{t}.2d.output_shape.same_upper", (1, 1, 3, 3), strides=[2, 2], output_shape=[6, 6],
           auto_pad="SAME_UPPER", x=(1, 1, 3, 3), **s)
    for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        simple(f"{t}.2d.{pad.lower()}", (1, 1, 3, 4), auto_pad=pad, strides=[2, 1],
               x=(1, 1, 3, 3), **s)
    simple(f"{t}.3d", (2, 1, 2, 2, 2), (1,), strides=[2, 1, 2], x=(1, 2, 2, 2, 2), **s)
    simple(f"{t}.3d.all", (2, 1, 2, 3, 2), group=2, strides=[2, 2, 1], pads=[1, 0, 1, 0, 1, 0],
           output_padding=[1, 0, 0], dilations=[1, 1, 2], x=(1, 2, 2, 2, 2), **s)


def normalisations():
    def batch(g, a, c, **k):
        return g("BatchNormalization", a, g.positive(c), g.normal(c), g.normal(c), g.positive(c),
                 **k)

    case("BatchNormalization.opset11", lambda g, a: batch(g, a, 2, epsilon=1e-3), opset=11)
    case("BatchNormalization", lambda g, a: batch(g, a, 3), x=(1, 3, 2, 3))
    case("BatchNormalization.2d", lambda g, a: batch(g, g.reshape(a, 4, 6), 6))
    case("BatchNormalization.5d", lambda g, a: batch(g, a, 2, epsilon=1e-2), x=(1, 2, 2, 2, 3))
    simple("InstanceNormalization", (2,), (2,))
    simple("InstanceNormalization.5d", (2,), (2,), x=(1, 2, 2, 2, 3), epsilon=1e-2)
    case("InstanceNormalization.3d", lambda g, a: g(
        "InstanceNormalization", g.reshape(a, 2, 3, 4), g.positive(3), g.normal(3)))
    for opset, size in ((18, 2), (21, 4)):
        simple(f"GroupNormalization.opset{opset}", (size,), (size,), num_groups=2,
               x=(1, 4, 2, 3), opset=opset)
    simple("GroupNormalization.opset21.one", (4,), (4,), num_groups=1, epsilon=1e-2,
           x=(1, 4, 2, 3), opset=21)
    simple("LayerNormalization.last", (4,), (4,))
    simple("LayerNormalization.two", (3, 4), (3, 4), axis=-2, epsilon=1e-3)
    simple("LayerNormalization.axis1", (2, 3, 4), axis=1)
    simple("LayerNormalization.no_bias", (4,), axis=3)
    simple("LayerNormalization.broadcast", (4,), (3, 1), axis=2)
    simple("LpNormalization.l2", axis=1)
    simple("LpNormalization.l1", axis=1, p=1)


def activations():
    wide = dict(span=(-4.1, 4.2))
    for op in ("Relu", "Sigmoid", "Tanh", "Softsign", "Erf"):
        small(op)
    small("Softplus", **wide)
    small("LeakyRelu", alpha=0.2)
    small("PRelu.scalar", [0.3])
    small("PRelu.channels", (2, 1, 1))
    small("PRelu.full", (2, 2, 3))
    small("Elu")
    small("Elu.alpha", alpha=0.5)
    small("Celu")
    small("Celu.alpha", alpha=0.5)
    small("Selu")
    small("Selu.parameters", alpha=1.3, gamma=0.7)
    small("ThresholdedRelu")
    small("ThresholdedRelu.alpha", alpha=0.4)
    small("HardSigmoid", **wide)
    small("HardSigmoid.parameters", alpha=1 / 6, beta=0.4)
    small("HardSwish", opset=14, **wide)
    small("Mish", opset=18, **wide)
    small("Gelu", opset=20, **wide)
    small("Gelu.tanh", approximate="tanh", opset=20, **wide)
    small("Clip.opset9", min=-0.5, max=0.9, opset=9)
    small("Clip.opset11", -0.5, 0.9, opset=11)
    small("Clip", -0.5, 0.9)
    small("Clip.min", -0.5)
    small("Clip.max", None, 0.9)
    small("Clip.none")
    case("Clip.relu6", lambda g, a: g("Clip", a, g.const(np.float32(0)), g.const(np.float32(6))),
         span=(-5, 10))
    # At opset 11 all axes from `axis` on are one.
    for op in ("Softmax", "LogSoftmax"):
        small(f"{op}.opset11", opset=11)
        small(f"{op}.opset11.axis2", axis=2, opset=11)
        small(f"{op}.opset11.last", axis=-1, opset=11)
        small(f"{op}.opset13", opset=13)
        small(f"{op}.opset13.axis1", axis=1, opset=13)


def pools():
    odd = dict(x=(1, 1, 5, 7))

    def one_d(op, **k):
        return lambda g, a: g(op, g.reshape(a, 1, 2, 10), **k)

    for op in ("MaxPool", "AveragePool"):
        s = dict(step=1 if op == "AveragePool" else 0.02)
        case(f"{op}.1d", one_d(op, kernel_shape=[3], strides=[2], pads=[1, 0]), (1, 2, 2, 5), **s)
        simple(f"{op}.2d", kernel_shape=[2, 2], strides=[2, 2], x=(1, 2, 4, 4), **s)
        simple(f"{op}.2d.pads", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], **odd, **s)
        simple(f"{op}.2d.asymmetric_pads", kernel_shape=[3, 2], strides=[1, 2], pads=[0, 1, 2, 0],
               **odd, **s)
        simple(f"{op}.2d.ceil", kernel_shape=[2, 3], strides=[2, 3], ceil_mode=1, **odd, **s)
        simple(f"{op}.2d.ceil_pads", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
               ceil_mode=1, x=(1, 1, 4, 6), **s)
        # The window that ceil_mode adds would begin beyond the image and its padding.
        simple(f"{op}.2d.ceil_beyond", kernel_shape=[1, 2], strides=[2, 4], pads=[0, 1, 0, 1],
               ceil_mode=1, x=(1, 1, 4, 7), opset=19, **s)
        for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
            simple(f"{op}.2d.{pad.lower()}", kernel_shape=[3, 2], strides=[2, 2], auto_pad=pad,
                   **odd, **s)
        simple(f"{op}.2d.dilation_pads", kernel_shape=[2, 3], dilations=[2, 2], strides=[1, 2],
               pads=[1, 1, 0, 2], x=(1, 1, 4, 6), opset=19, **s)
        simple(f"{op}.3d", kernel_shape=[1, 2, 2], strides=[1, 2, 1], x=(1, 1, 2, 4, 3), **s)
        simple(f"{op}.3d.pads", kernel_shape=[2, 2, 3], strides=[2, 1, 2],
               pads=[1, 0, 1, 0, 1, 1], x=(1, 1, 3, 3, 4), **s)
        simple(f"Global{op}", **s)
        simple(f"Global{op}.3d", x=(1, 2, 2, 2, 3), **s)
    simple("MaxPool.2d.dilation_opset11", kernel_shape=[2, 2], dilations=[2, 2], x=(1, 1, 4, 5),
           opset=11)
    include = dict(count_include_pad=1, step=1)
    simple("AveragePool.2d.include", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
           **odd, **include)
    simple("AveragePool.2d.include_asymmetric", kernel_shape=[3, 2], strides=[1, 2],
           pads=[0, 1, 2, 0], **odd, **include)
    simple("AveragePool.2d.include_ceil", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
           ceil_mode=1, x=(1, 1, 4, 6), opset=19, **include)
    simple("AveragePool.2d.include_same_upper", kernel_shape=[3, 2], strides=[2, 2],
           auto_pad="SAME_UPPER", **odd, **include)
    simple("AveragePool.3d.include", kernel_shape=[2, 2, 2], pads=[1, 0, 1, 0, 1, 0],
           strides=[2, 2, 1], x=(1, 1, 3, 3, 3), **include)

    def indices(g, a, **k):
        return g.flat(*g("MaxPool", a, outputs=2, **k), cast=(1,))

    case("MaxPool.2d.indices", lambda g, a: indices(
        g, a, kernel_shape=[2, 2], strides=[2, 1], pads=[0, 1, 1, 0]), x=(1, 2, 3, 4))
    case("MaxPool.3d.indices", lambda g, a: indices(
        g, a, kernel_shape=[1, 2, 2], strides=[1, 2, 1]), x=(1, 2, 2, 2, 3))

    def unpool(g, a, shape=None, strides=(2, 2)):
        k = dict(kernel_shape=[2, 2], strides=strides)
        value, index = g("MaxPool", a, outputs=2, **k)
        return g("MaxUnpool", value, index, *shape or [], **k)

    case("MaxUnpool", unpool, x=(1, 2, 4, 4))
    case("MaxUnpool.output_shape", lambda g, a: unpool(g, a, [np.int64([1, 1, 5, 7])]),
         x=(1, 1, 5, 7), step=0.02)
    case("MaxUnpool.uneven", lambda g, a: unpool(g, a, strides=[2, 3]), x=(1, 1, 4, 5))


def resizes():
    image = (1, 1, 4, 5)
    scale = np.float32([1, 1, 1.7, 0.6])
    uneven = np.float32([1, 1, 1.7, 0.7])  # with 0.6 a coordinate is 2 but for its rounding
    size = np.int64([1, 1, 7, 3])

    def resize(name, *inputs, x=image, opset=13, **k):
        simple(f"Resize.{name}", None, *inputs, x=x, opset=opset, step=1, **k)

    coordinates = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
    for mode in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        for c in ("half_pixel", "asymmetric", "align_corners"):
            if c == "align_corners" and not mode.startswith("round"):
                continue
            resize(f"nearest.{mode}.{c}", uneven if c != "align_corners" else None,
                   *([size] if c == "align_corners" else []), mode="nearest", nearest_mode=mode,
                   coordinate_transformation_mode=c)
    resize("nearest.default", np.float32([1, 1, 2, 2]), x=(1, 1, 2, 3))
    resize("nearest.torch", np.float32([1, 1, 2, 3]), x=(1, 1, 2, 3), mode="nearest",
           nearest_mode="floor", coordinate_transformation_mode="asymmetric")
    resize("nearest.halves", np.float32([1, 1, 0.5, 0.5]), x=(1, 1, 4, 6), mode="nearest")
    resize("nearest.halves_ceil", np.float32([1, 1, 0.5, 0.5]), x=(1, 1, 4, 6), mode="nearest",
           nearest_mode="round_prefer_ceil")
    for c in coordinates:
        k = dict(mode="linear", coordinate_transformation_mode=c)
        resize(f"linear.{c}.scales", scale, **k)
        if c in ("half_pixel", "align_corners"):
            resize(f"linear.{c}.sizes", None, size, **k)
    resize("linear.half_pixel.twice", np.float32([1, 1, 2, 2]), x=(1, 1, 3, 3), mode="linear")
    for c in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        resize(f"linear.{c}.to_one", None, np.int64([1, 1, 1, 3]), mode="linear",
               coordinate_transformation_mode=c)
    resize("linear.half_pixel.from_one", None, np.int64([1, 2, 3, 4]), x=(1, 2, 1, 1),
           mode="linear")
    symmetric = dict(opset=19, coordinate_transformation_mode="half_pixel_symmetric")
    resize("linear.half_pixel_symmetric", scale, mode="linear", **symmetric)
    resize("nearest.half_pixel_symmetric", scale, mode="nearest", **symmetric)
    for c in ("half_pixel", "align_corners", "asymmetric"):
        resize(f"cubic.{c}.scales", scale, mode="cubic", coordinate_transformation_mode=c)
    resize("cubic.half_pixel.sizes", None, size, mode="cubic")
    resize("cubic.align_corners.sizes", None, size, mode="cubic",
           coordinate_transformation_mode="align_corners")
    resize("cubic.coefficient", scale, mode="cubic", cubic_coeff_a=-0.5)
    resize("cubic.exclude_outside", scale, mode="cubic", exclude_outside=1)
    volume = dict(x=(1, 1, 2, 3, 2))
    for c in ("half_pixel", "align_corners"):
        resize(f"linear.3d.{c}", None, np.int64([1, 1, 3, 4, 3]), mode="linear",
               coordinate_transformation_mode=c, **volume)
    resize("linear.3d.scales", np.float32([1, 1, 1.7, 0.7, 1.5]), mode="linear", **volume)
    resize("nearest.3d", np.float32([1, 1, 2, 1, 2]), mode="nearest", nearest_mode="floor",
           coordinate_transformation_mode="asymmetric", **volume)
    for mode in ("linear", "nearest"):
        case(f"Resize.{mode}.1d", lambda g, a, mode=mode: g(
            "Resize", g.reshape(a, 1, 2, 6), None, np.float32([1, 1, 1.7]), mode=mode),
            x=(1, 2, 2, 3), step=1)
    empty = np.float32([])
    simple("Resize.opset11.scales", empty, scale, x=image, opset=11, mode="linear", step=1)
    simple("Resize.opset11.sizes", empty, empty, size, x=image, opset=11, mode="linear",
           coordinate_transformation_mode="pytorch_half_pixel", step=1)
    resize("opset18.axes_scales", np.float32([1.7, 0.6]), axes=[2, 3], opset=18, mode="linear")
    resize("opset19.axes_sizes", None, np.int64([3, 7]), axes=[3, 2], opset=19, mode="linear")
    for policy, opset in (("not_larger", 18), ("not_smaller", 18), ("not_smaller", 19)):
        resize(f"opset{opset}.{policy}", None, np.int64([7, 8]), axes=[2, 3], opset=opset,
               keep_aspect_ratio_policy=policy, mode="linear")
    resize("opset18.not_larger_all", None, np.int64([1, 1, 6, 9]), opset=18, mode="nearest",
           nearest_mode="floor", keep_aspect_ratio_policy="not_larger")
    resize("opset18.axis", np.float32([1.7]), axes=[-1], opset=18, mode="linear")
    up = np.float32([1, 1, 2, 3])
    simple("Upsample.nearest", up, mode="nearest", x=(1, 1, 2, 3), opset=9, step=1)
    simple("Upsample.linear", up, mode="linear", x=(1, 1, 2, 3), opset=9, step=1)
    simple("Upsample.fractional", np.float32([1, 1, 1.7, 1.5]), mode="nearest", x=(1, 1, 3, 4),
           opset=9, step=1)


def movements():
    def concat(axis, *shapes):
        return lambda g, a: g("Concat", a, *(g.normal(*s) for s in shapes), axis=axis)

    case("Concat.axis1", concat(1, (1, 1, 3, 4)))
    case("Concat.last", concat(-1, (1, 2, 3, 2)))
    case("Concat.three", lambda g, a: g("Concat", g.normal(1, 1, 3, 4), a, a, axis=-3), opset=11)
    case("Concat.one", concat(2))

    def split(count, *sizes, **k):
        return lambda g, a: g.flat(*reversed(g("Split", a, *sizes, outputs=count, **k)))

    case("Split.opset11", split(2, axis=3), opset=11)
    case("Split.opset11.sizes", split(3, axis=-2, split=[1, 3, 1]), x=(1, 2, 5, 2), opset=11)
    case("Split.opset13", split(3, axis=2), opset=13)
    case("Split.opset13.sizes", split(2, np.int64([1, 3]), axis=-1), opset=13)
    case("Split.opset18", split(2, num_outputs=2, axis=1), opset=18)
    case("Split.opset18.uneven", split(3, num_outputs=3, axis=3), x=(1, 1, 3, 7), opset=18)

    big = (1, 2, 4, 5)
    simple("Slice.opset9", axes=[2, 3], starts=[1, -4], ends=[3, END], x=big, opset=9)
    ints = lambda *rows: [np.int64(r) for r in rows]
    simple("Slice.negative", *ints([-3, -2], [-1, END], [-2, -1]), x=big)
    simple("Slice.steps", *ints([0, 1], [END, END], [2, 3], [2, 2]), x=big)
    simple("Slice.reverse", *ints([-1], [-END - 1], [3], [-1]), x=big)
    simple("Slice.reverse_steps", *ints([4, 3], [0, -END], [3, 2], [-2, -3]), x=big)
    simple("Slice.int_max", *(np.int32(r) for r in ([1], [2**31 - 1], [2])), x=big)
    simple("Slice.beyond", *ints([1, -100], [100, 3], [2, 3]), x=big)
    simple("Slice.no_axes", *ints([0, 1, 1, 2], [1, 2, 3, 5]), x=big)

    simple("Gather.axis0", np.int64([0, 0]), axis=0)
    simple("Gather.axis1", np.int64([1, 0, 1]), axis=1)
    simple("Gather.negative", np.int64([-1, 0, -2]), axis=-1)
    simple("Gather.scalar", np.int64(1), axis=2, opset=11)
    simple("Gather.matrix", np.int64([[0, 2], [1, 1]]), axis=2)
    simple("GatherElements", np.int64([[[[0, 2, 1, 0]], [[2, 2, 0, 1]]]]), axis=2)
    simple("GatherND", np.int64([[0, 1, 2], [0, 0, 1]]))
    simple("GatherND.negative", np.int64([[0, 1, 2, -1], [0, -2, 1, 3]]))
    simple("GatherND.batch", np.int64([[[1, 2], [0, 0]]]), batch_dims=1)
    simple("ScatterND", np.int64([[0, 1, 2], [0, 0, 1]]), (2, 4))
    case("ScatterND.updates", lambda g, a: g(
        "ScatterND", g.normal(4, 12), np.int64([[2], [0]]), g.reshape(a, 2, 12)))
    case("ScatterND.both", lambda g, a: g(
        "ScatterND", a, np.int64([[0, 1], [0, 0]]), g("Mul", a2 := g.reshape(a, 2, 3, 4), a2)))
    simple("ScatterND.add", np.int64([[0, 1, 2], [0, 0, 1], [0, 1, 2]]), (3, 4), reduction="add",
           opset=16)
    simple("ScatterElements", np.int64([[[[2, 0, 1, 1]]]]), (1, 1, 1, 4), axis=2)
    case("ScatterElements.updates", lambda g, a: g(
        "ScatterElements", g.normal(1, 2, 3, 6), np.int64(np.tile([5, 0, -2, 1], (1, 2, 3, 1))), a,
        axis=-1))
    simple("ScatterElements.add", np.int64([[[[2, 0], [2, 1]]]]), (1, 1, 2, 2), axis=2,
           reduction="add", opset=18)

    pads = np.int64([0, 0, 1, 2, 0, 0, 0, 1])
    simple("Pad.opset9", pads=[0, 0, 1, 2, 0, 0, 0, 1], value=0.5, opset=9)
    simple("Pad.opset11", pads, opset=11)
    simple("Pad.constant", pads, 0.7)
    simple("Pad.channels", np.int64([0, 1, 0, 0, 0, 2, 0, 0]), 0.7, x=(1, 2, 2, 3))
    simple("Pad.reflect", pads, mode="reflect")
    simple("Pad.reflect_wide", np.int64([0, 0, 2, 3, 0, 0, 2, 3]), mode="reflect", x=(1, 1, 3, 4))
    simple("Pad.edge", pads, mode="edge")
    simple("Pad.crop", np.int64([0, 0, -1, 0, 0, 0, 0, -2]))
    simple("Pad.crop_and_constant", np.int64([0, 0, -1, 2, 0, 0, 1, -2]), 0.7)
    simple("Pad.opset18.axes", np.int64([1, 0, 0, 2]), 0.7, np.int64([2, 3]), opset=18)
    simple("Pad.opset18.negative_axes", np.int64([1, 2]), None, np.int64([-1]), mode="edge",
           opset=18)
    simple("Pad.3d.reflect", np.int64([0, 0, 1, 0, 1, 0, 0, 0, 2, 0]), mode="reflect",
           x=(1, 1, 2, 3, 3))

    simple("Transpose")
    simple("Transpose.perm", perm=[0, 2, 3, 1])

    def then(op, *inputs, **k):
        """Then summed along the last axis: the flat y alone would not show the shape."""
        return lambda g, a: g("CumSum", g(op, a, *inputs, **k), np.int64(-1))

    case("Reshape.zero", then("Reshape", np.int64([0, 0, -1])))
    case("Reshape.minus_one", then("Reshape", np.int64([4, -1])))
    case("Reshape.allowzero", then("Reshape", np.int64([2, 12]), allowzero=1))
    case("Reshape.opset11", then("Reshape", np.int64([0, -1, 2])), opset=11)
    case("Flatten", then("Flatten"))
    case("Flatten.axis2", then("Flatten", axis=2))
    case("Flatten.negative", then("Flatten", axis=-1), opset=11)
    one = (1, 1, 3, 4)
    case("Squeeze.opset11", then("Squeeze", axes=[1]), x=one, opset=11)
    case("Squeeze.opset11.all", then("Squeeze"), x=one, opset=11)
    case("Squeeze.opset13", then("Squeeze", np.int64([0, -3])), x=one, opset=13)
    case("Squeeze.opset13.all", then("Squeeze"), x=one, opset=13)
    case("Squeeze.last", then("Squeeze", np.int64([-1])), x=(1, 3, 4, 1))
    case("Unsqueeze.opset11", then("Unsqueeze", axes=[0, 4]), opset=11)
    case("Unsqueeze.opset13", then("Unsqueeze", np.int64([-1, 1])), opset=13)
    case("Unsqueeze.scalar", lambda g, a: g(
        "Unsqueeze", g("ReduceMean", a, keepdims=0), np.int64([0, 1])))
    simple("Expand", np.int64([2, 3, 4]), x=(1, 1, 3, 4))
    simple("Expand.both", np.int64([2, 1, 3, 1]), x=(1, 2, 1, 4))
    simple("Expand.rank", np.int64([2, 1, 2, 3, 2]), x=(1, 2, 1, 2))
    simple("Tile", np.int64([1, 2, 1, 3]), x=(1, 1, 2, 3))
    simple("Tile.batch", np.int64([2, 1, 2, 1]), x=(1, 2, 2, 2))
    simple("DepthToSpace", blocksize=2, x=(1, 8, 2, 2))
    simple("DepthToSpace.crd", blocksize=2, mode="CRD", x=(1, 8, 2, 2))
    simple("SpaceToDepth", blocksize=2, x=(1, 2, 2, 6))
    simple("Trilu", upper=0)
    simple("Trilu.k", np.int64(1), upper=1)
    simple("Trilu.negative_k", np.int64(-1), upper=0)
    simple("CumSum", np.int64(2))
    simple("CumSum.exclusive", np.int64(3), exclusive=1)
    simple("CumSum.reverse", np.int64(1), reverse=1)


def arithmetic():
    positive = dict(span=(0.3, 2.2))
    narrow = (1, 2, 3, 1)
    for op in ("Add", "Sub", "Mul", "Div"):
        case(f"{op}.both", lambda g, a, op=op: g(op, a, g.positive(2, 1, 1, 3)), x=narrow)
        case(f"{op}.scalar", lambda g, a, op=op: g(op, 1.5, a), **positive)
    case("Add.opset11", lambda g, a: g("Add", a, g.normal(4)), opset=11)
    case("Mul.channels", lambda g, a: g("Mul", a, g.normal(2, 1, 1)))
    case("Mul.self", lambda g, a: g("Mul", a, a))
    case("Div.self", lambda g, a: g("Div", a, g("Exp", a)))
    case("Sub.left", lambda g, a: g("Sub", g.normal(3, 1), a))
    case("Pow.two", lambda g, a: g("Pow", a, 2.0))
    case("Pow.int", lambda g, a: g("Pow", a, np.int64(3)))
    case("Pow.half", lambda g, a: g("Pow", a, 0.5), **positive)
    case("Pow.tensor", lambda g, a: g("Pow", a, g.normal(2, 1, 4)), **positive)
    case("Pow.integers", lambda g, a: g("Pow", a, np.float32([1, 2, 3, 0])))
    case("Pow.exponent", lambda g, a: g("Pow", 1.7, a))
    case("Pow.both", lambda g, a: g("Pow", a, g("Sin", a)), **positive)
    for op in ("Exp", "Neg", "Abs", "Sin", "Cos"):
        small(op)
    for op in ("Sqrt", "Log", "Reciprocal"):
        small(op, **positive)
    for op in ("Floor", "Ceil", "Round", "Sign"):
        case(op, lambda g, a, op=op: g("Mul", g(op, a), a), span=(-2.6, 2.8))
    simple("Round.even", x=np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]).reshape(1, 1, 2, 3),
           grad=False)
    simple("Sign.zero", x=np.float32([-1, 0, 2]).reshape(1, 1, 1, 3), grad=False)
    for op in ("Min", "Max", "Mean", "Sum"):
        case(f"{op}.two", lambda g, a, op=op: g(op, a, g.normal(2, 1, 3)), x=narrow,
             step=1 if op == "Mean" else None)
        case(f"{op}.three", lambda g, a, op=op: g(
            op, a, g.normal(4), g("Slice", a, [-1], [-END], [2], [-1])), x=(1, 2, 2, 4))
    case("Sum.one", lambda g, a: g("Sum", a))
    case("Mod.fmod", lambda g, a: g("Mod", a, 0.7, fmod=1))
    case("Mod.fmod_tensor", lambda g, a: g("Mod", a, [0.7, -0.9, 1.1, 0.4], fmod=1))
    integers = lambda g, a: g("Cast", g("Mul", a, 5.0), to=INT64)
    for name, k in (("Mod.int", {}), ("Mod.int_fmod", {"fmod": 1}), ("Div.int", {})):
        case(name, lambda g, a, op=name[:3], k=k: g(op, integers(g, a), np.int64([3, -3, 4, 2]),
                                                    **k), grad=False, cast=True)

    two = lambda g, a: (g("Mul", a, a), g("Mul", a, g.normal(2, 1, 1)))
    for op in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual"):
        case(op, lambda g, a, op=op: g(op, a, g("Floor", a)), grad=False, cast=True,
             x=np.float32([-1, -0.5, 0, 0.5, 1, 1.5]).reshape(1, 1, 2, 3))
    for op in ("Greater", "LessOrEqual"):
        case(f"Where.{op}", lambda g, a, op=op: g("Where", g(op, a, [0.31]), *two(g, a)))
    case("Where.Equal", lambda g, a: g("Where", g("Equal", g("Floor", a), 0.0), *two(g, a)),
         span=(-1.3, 1.8))
    case("Equal.int", lambda g, a: g("Equal", g("Cast", a, to=INT64), np.int64([0, 1, -1, 0])),
         grad=False, cast=True)
    for op in ("And", "Or"):
        case(f"Where.{op}", lambda g, a, op=op: g("Where", g(
            op, g("Greater", a, -0.77), g("Less", a, [0.31, 0.8, 1.1, -0.2])), *two(g, a)))
    case("Where.Not", lambda g, a: g("Where", g("Not", g("Greater", a, 0.31)), *two(g, a)))
    case("Where.mask", lambda g, a: g("Where", np.bool_([[True], [False], [True]]), a, -3.0))
    case("Where.broadcast", lambda g, a: g(
        "Where", np.bool_([[True, False, True]]), a, g.normal(2, 1, 1, 1)), x=narrow)


def products():
    case("MatMul.2d", lambda g, a: g("MatMul", g.reshape(a, 4, 6), g.normal(6, 3)))
    case("MatMul.batched", lambda g, a: g("MatMul", a, g.normal(1, 2, 4, 2)))
    case("MatMul.weight", lambda g, a: g("MatMul", a, g.normal(4, 3)))
    case("MatMul.left", lambda g, a: g("MatMul", g.normal(2, 3), a))
    case("MatMul.broadcast", lambda g, a: g("MatMul", a, g.normal(2, 1, 4, 2)), x=(1, 2, 2, 4))
    case("MatMul.vector", lambda g, a: g("MatMul", a, g.normal(4)))
    case("MatMul.vector_left", lambda g, a: g("MatMul", g.normal(3), a))
    case("MatMul.vectors", lambda g, a: g("MatMul", g.reshape(a, -1), g.normal(24)))
    case("MatMul.self", lambda g, a: g("MatMul", a, g("Transpose", a, perm=[0, 1, 3, 2])))

    def gemm(*c, **k):
        """Of [4, 6] or [6, 4] with what makes the result [4, 3]."""
        def build(g, a):
            a = g.reshape(a, *((6, 4) if k.get("transA") else (4, 6)))
            b = g.normal(3, 6) if k.get("transB") else g.normal(6, 3)
            return g("Gemm", a, b, *(g.normal(*s) for s in c), **k)
        return build

    case("Gemm", gemm((3,)))
    case("Gemm.linear", gemm((3,), transB=1, alpha=1.0, beta=1.0), opset=11)
    case("Gemm.transposed", gemm((4, 3), transA=1, transB=1))
    case("Gemm.scaled", gemm((4, 1), transA=1, alpha=0.5, beta=-1.5))
    case("Gemm.scalar_c", gemm((), beta=0.5))
    case("Gemm.no_c", gemm(alpha=2.0))
    case("Gemm.c_of_x", lambda g, a: g(
        "Gemm", g.normal(4, 2), g.normal(2, 6), g.reshape(a, 4, 6), beta=0.5))

    case("Einsum.scores", lambda g, a: g("Einsum", a, g("Tanh", a), equation="bhid,bhjd->bhij"))
    simple("Einsum.weight", (3, 2), equation="bchw,dc->bdhw")
    simple("Einsum.transpose", equation="bchw->bhwc")
    case("Einsum.implicit", lambda g, a: g(
        "Einsum", g.reshape(a, 2, 3, 4), g.normal(2, 4, 3), equation="bij,bjk"))
    simple("Einsum.sum", equation="bchw->bc")
    simple("Einsum.values", (1, 2, 2, 3), equation="bhij, bhqi -> bqhj")


def reductions():
    positive = dict(span=(0.3, 2.2))
    names = ("Mean", "Sum", "Max", "Min", "Prod", "L1", "L2", "LogSumExp", "SumSquare", "LogSum")
    for name in names:
        op = f"Reduce{name}"
        k = positive if name == "LogSum" else {}
        new = 13 if name == "Sum" else 18
        small(f"{op}.opset11", axes=[2, -1], keepdims=1, opset=11, **k)
        small(f"{op}.opset{new}", np.int64([-1, 1]), keepdims=0, opset=new, **k)
        if name in ("Mean", "Max", "L2", "LogSumExp"):
            small(f"{op}.opset{new}.all", opset=new, **k)
    small("ReduceSum.opset11.all", keepdims=0, opset=11)
    small("ReduceMean.opset18.noop", opset=18, noop_with_empty_axes=1)
    small("ReduceSum.opset13.noop", np.int64([]), opset=13, noop_with_empty_axes=1)
    small("ReduceSum.opset13.noop_axes", np.int64([1]), opset=13, noop_with_empty_axes=1)
    small("ReduceSum.opset13.empty", np.int64([]), opset=13)
    small("ReduceMean.opset13", axes=[1], keepdims=0, opset=13)
    no = dict(grad=False, cast=True)
    small("ArgMax", **no)
    small("ArgMax.channels", axis=1, keepdims=0, **no)
    ties = np.float32([[1, 2, 2, 0], [3, 1, 3, 3]]).reshape(1, 1, 2, 4)
    simple("ArgMax.ties", axis=3, x=ties, **no)
    simple("ArgMax.select_last", axis=3, select_last_index=1, x=ties, **no)
    case("ArgMax.gather", lambda g, a: g("GatherElements", a, g("ArgMax", a, axis=2), axis=2))


def shapes():
    no = dict(grad=False, cast=True)
    simple("Shape", opset=13, **no)
    simple("Shape.start", start=1, opset=15, **no)
    simple("Shape.start_end", start=-3, end=-1, opset=15, **no)
    float_size = lambda g, a: g("Cast", g("Size", a), to=FLOAT)
    case("Size.mean", lambda g, a: g("Div", g("ReduceSum", a, keepdims=0), float_size(g, a)))
    last = lambda g, a: g("Gather", g("Shape", a), np.int64(3))
    case("ConstantOfShape", lambda g, a: g("Add", a, g(
        "ConstantOfShape", g("Shape", a), value=np.float32([0.7]))))
    case("ConstantOfShape.default", lambda g, a: g("Concat", a, g("ConstantOfShape", g("Shape", a)),
                                                   axis=1))
    case("ConstantOfShape.int", lambda g, a: g("Expand", a, g("Mul", g(
        "ConstantOfShape", np.int64([4]), value=np.int64([1])), np.int64([2, 1, 1, 1]))),
        x=(1, 2, 2, 3))
    case("Range", lambda g, a: g("Mul", a, g("Cast", g(
        "Range", np.int64(0), last(g, a), np.int64(1)), to=FLOAT)))
    case("Range.float", lambda g, a: g("Mul", a, g("Range", 1.0, 0.1, -0.25)))
    case("Range.step", lambda g, a: g("Gather", a, g("Range", np.int64(3), np.int64(-1),
                                                     np.int64(-2)), axis=3))
    case("Cast.int64", lambda g, a: g("Cast", g("Mul", a, 3.0), to=INT64), **no)
    case("Cast.bool", lambda g, a: g("Cast", a, to=BOOL), **no,
         x=np.float32([-1, 0, 0.25, 2]).reshape(1, 1, 2, 2))
    case("Cast.float", lambda g, a: g("Mul", g("Cast", a, to=FLOAT), a), opset=11)
    case("Cast.double", lambda g, a: g("Cast", g("Exp", g("Cast", a, to=DOUBLE)), to=FLOAT))
    case("Cast.mask", lambda g, a: g("Mul", g("Cast", g("Greater", a, 0.31), to=FLOAT), a))
    case("CastLike", lambda g, a: g("Mul", a, g("CastLike", np.int64([1, 2, 3, 4]), a)), opset=15)
    case("CastLike.bool", lambda g, a: g("Mul", a, g("CastLike", g("Less", a, 0.31), a)), opset=19)
    case("Constant.value", lambda g, a: g("Mul", a, g.const(g.normal(2, 1, 1))))
    case("Constant.value_float", lambda g, a: g("Mul", a, g("Constant", value_float=0.3)))
    case("Constant.value_floats", lambda g, a: g(
        "Mul", a, g("Constant", value_floats=[0.3, -0.6, 1.2, 0.5])))
    case("Constant.value_int", lambda g, a: g("Gather", a, g("Constant", value_int=1), axis=2))
    case("Constant.value_ints", lambda g, a: g(
        "Transpose", g("Reshape", a, g("Constant", value_ints=[4, -1]))))
    simple("Identity")
    simple("Dropout.opset11", ratio=0.3, opset=11)
    simple("Dropout.opset13", 0.3, opset=13)
    simple("Dropout.training_mode", 0.3, np.bool_(False))
    case("Dropout.mask", lambda g, a: g.flat(*g("Dropout", a, 0.5, outputs=2), cast=(1,)))


def composed():
    """Pieces of exported networks; opset 11 and 17 as PyTorch writes them."""
    def dims(g, a, i):
        return g("Gather", g("Shape", a), g.const(np.int64(i)), axis=0)

    def vector(g, v):
        return g("Unsqueeze", v, np.int64([0]))

    def view(g, a):
        n = vector(g, dims(g, a, 0))
        return g("Softmax", g("Reshape", a, g("Concat", n, np.int64([-1]), axis=0)), axis=-1)

    case("Composed.view", view)

    def view11(g, a):
        n = g("Unsqueeze", dims(g, a, 0), axes=[0])
        return g("Softmax", g("Reshape", a, g("Concat", n, np.int64([-1]), axis=0)), axis=1)

    case("Composed.view_opset11", view11, opset=11)

    def interpolate(g, a):
        small = g("AveragePool", a, kernel_shape=[2, 2], strides=[2, 2])
        ends = [np.int64([i]) for i in (0, 2, 0)]
        lead = g("Slice", g("Shape", small), *ends)
        size = g("Slice", g("Shape", a), *(np.int64([i]) for i in (2, 4, 0)))
        return g("Resize", small, None, None, g("Concat", lead, size, axis=0), mode="linear",
                 coordinate_transformation_mode="pytorch_half_pixel")

    case("Composed.interpolate", interpolate, x=(1, 1, 4, 5), step=1)

    def interpolate_scale(g, a):
        size = [vector(g, g("Cast", g("Floor", g("Mul", g("Cast", dims(g, a, i), to=FLOAT), 1.5)),
                            to=INT64)) for i in (2, 3)]
        lead = g("Slice", g("Shape", a), np.int64([0]), np.int64([2]), np.int64([0]))
        return g("Resize", a, None, None, g("Concat", lead, *size, axis=0), mode="nearest",
                 nearest_mode="floor", coordinate_transformation_mode="asymmetric")

    case("Composed.interpolate_scale", interpolate_scale, x=(1, 1, 3, 4), step=1)

    def expand(g, a):
        shape = np.int64([-1, 2, -1, 4])
        ones = g("ConstantOfShape", g("Shape", shape), value=np.int64([1]))
        minus = g("Mul", ones, g.const(np.int64(-1)))
        return g("Expand", a, g("Where", g("Equal", shape, minus), ones, shape))

    case("Composed.expand", expand, x=(1, 1, 3, 1))

    def attention(g, a):
        tokens = g("Transpose", g("Reshape", a, np.int64([0, 4, -1])), perm=[0, 2, 1])
        qkv = g("Add", g("MatMul", tokens, g.normal(4, 12)), g.normal(12))
        heads = g("Transpose", g("Reshape", qkv, np.int64([1, -1, 3, 2, 2])), perm=[2, 0, 3, 1, 4])
        q, k, v = (g("Gather", heads, np.int64(i), axis=0) for i in range(3))
        scores = g("MatMul", g("Mul", q, 0.7), g("Transpose", k, perm=[0, 1, 3, 2]))
        mixed = g("MatMul", g("Softmax", scores, axis=-1), v)
        merged = g("Reshape", g("Transpose", mixed, perm=[0, 2, 1, 3]), np.int64([1, -1, 4]))
        return g("Add", tokens, g("MatMul", merged, g.normal(4, 4)))

    case("Composed.attention", attention, x=(1, 4, 2, 3))

    def squeeze_excite(g, a):
        s = g("GlobalAveragePool", a)
        s = g("HardSwish", g("Conv", s, g.normal(3, 4, 1, 1), g.normal(3)))
        s = g("HardSigmoid", g("Conv", s, g.normal(4, 3, 1, 1), g.normal(4)), alpha=1 / 6, beta=0.5)
        return g("HardSwish", g("Mul", a, s))

    case("Composed.squeeze_excite", squeeze_excite, x=(1, 4, 2, 3))

    def gelu(g, a):
        return g("Mul", g("Mul", a, g("Add", g("Erf", g("Div", a, 2**0.5)), 1.0)), 0.5)

    case("Composed.gelu", gelu)

    def layer_norm(g, a):
        centred = g("Sub", a, g("ReduceMean", a, axes=[-1]))
        variance = g("ReduceMean", g("Pow", centred, 2.0), axes=[-1])
        scaled = g("Div", centred, g("Sqrt", g("Add", variance, 1e-5)))
        return g("Add", g("Mul", scaled, g.normal(4)), g.normal(4))

    case("Composed.layer_norm", layer_norm, opset=13)

    def group_norm(g, a):
        shape = g("Shape", a)
        groups = g("InstanceNormalization", g("Reshape", a, np.int64([0, 2, -1])), [1.0, 1.0],
                   [0.0, 0.0])
        return g("Add", g("Mul", g("Reshape", groups, shape), g.normal(4, 1, 1)), g.normal(4, 1, 1))

    case("Composed.group_norm", group_norm, x=(1, 4, 2, 3))

    def shuffle(g, a):
        parts = g("Transpose", g("Reshape", a, np.int64([1, 2, 2, 2, 3])), perm=[0, 2, 1, 3, 4])
        return g("Reshape", parts, np.int64([1, -1, 2, 3]))

    case("Composed.channel_shuffle", shuffle, x=(1, 4, 2, 3))

    def roll(g, a):
        cut = lambda lo, hi: g("Slice", a, np.int64([lo]), np.int64([hi]), np.int64([2]))
        rolled = g("Concat", cut(1, END), cut(0, 1), axis=2)
        windows = g("Reshape", rolled, np.int64([1, 1, 2, 2, 2, 3]))
        return g("Softmax", g("Transpose", windows, perm=[0, 2, 4, 3, 5, 1]), axis=4)

    case("Composed.windows", roll, x=(1, 1, 4, 6))

    def pad_as_torch(g, a):
        """F.pad: the pads reordered by ConstantOfShape, Concat, Reshape, Slice, Transpose."""
        pads = np.int64([1, 2, 0, 1])
        rest = g("ConstantOfShape", np.int64([4]), value=np.int64([0]))
        pairs = g("Reshape", g("Concat", pads, rest, axis=0), np.int64([-1, 2]))
        turned = g("Slice", pairs, *(np.int64([i]) for i in (-1, -END, 0, -1)))
        flat = g("Reshape", g("Transpose", turned, perm=[1, 0]), np.int64([-1]))
        return g("Pad", a, g("Cast", flat, to=INT64), 0.0)

    case("Composed.pad", pad_as_torch)

    def normalize(g, a):
        norm = g("Clip", g("ReduceL2", a, axes=[1], keepdims=1), 1e-12)
        return g("Div", a, g("Expand", norm, g("Shape", a)))

    case("Composed.normalize", normalize)

    def norm_relu(g, a):
        a = g("Conv", a, g.normal(3, 2, 3, 3), pads=[1] * 4)
        a = g("BatchNormalization", a, g.positive(3), g.normal(3), g.normal(3), g.positive(3))
        return g("MaxPool", g("Relu", a), kernel_shape=[2, 2], strides=[2, 2])

    case("Composed.norm_relu_pool", norm_relu, x=(1, 2, 4, 4))


# ------------------------------------------------------------------------------------------------


def model_of(name, build, x, opset, cast):
    g = Graph(name)
    g.nodes.append(helper.make_node("Identity", ["x"], ["a"]))
    out = build(g, "a")
    if cast:
        out = g("Cast", out, to=FLOAT)
    ones = [1] * (x.ndim - 1)
    g.initializers.append(helper.make_tensor("s", INT64, [x.ndim], ones + [-1]))
    g.nodes.append(helper.make_node("Reshape", [out, "s"], ["y"]))
    graph = helper.make_graph(
        g.nodes, "g", [helper.make_tensor_value_info("x", FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", FLOAT, ones + [None])], g.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                              ir_version=10 if opset > 18 else 8)
    model.producer_name = ""
    if name != "GroupNormalization.opset18":  # deprecated there, which is no reason not to run it
        onnx.checker.check_model(model)
    return model


def in_double(model):
    """The same model over float64; the scales of Resize stay what they must be."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph, opset = model.graph, model.opset_import[0].version
    keep = {i for n in graph.node if n.op_type in ("Resize", "Upsample") for i in n.input[1:]}
    widen = lambda t: numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name)
    for tensor in graph.initializer:
        if tensor.data_type == FLOAT and tensor.name not in keep:
            tensor.CopyFrom(widen(tensor))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t") and attribute.t.data_type == FLOAT:
                attribute.t.CopyFrom(widen(attribute.t))
            elif node.op_type == "Cast" and attribute.i == FLOAT:
                attribute.i = DOUBLE
            elif attribute.name in ("value_float", "value_floats"):
                value = helper.get_attribute_value(attribute)
                attribute.CopyFrom(helper.make_attribute(
                    "value", numpy_helper.from_array(np.float64(value))))
        if node.op_type == "GroupNormalization" and opset >= 21:
            node.attribute.append(helper.make_attribute("stash_type", DOUBLE))
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = DOUBLE
    return model


def runtime(model):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options,
                                   providers=["CPUExecutionProvider"])
    return lambda x: session.run(["y"], {"x": x})[0]


# The evaluator's own is of single precision.
op_erf.Erf._run = lambda self, x: (np.vectorize(math.erf, otypes=[x.dtype])(x),)


def reference(model):
    evaluator = ReferenceEvaluator(model)
    return lambda x: evaluator.run(["y"], {"x": x})[0]


def close(a, b, tolerance):
    return a.shape == b.shape and bool((abs(a - b) <= tolerance * (1 + abs(b))).all())


def differences(run, x, w, step):
    grad = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        low, high = x.copy(), x.copy()
        low[i] -= step
        high[i] += step
        rise = (np.float64(run(high)) - run(low)) * w
        grad[i] = rise.sum() / (np.float64(high[i]) - low[i])
    return grad


def gradient(name, model, x, y, w, step):
    """Richardson's extrapolation of two steps, which must agree: no kink lies between them."""
    notes = []
    for source, start in (("onnxruntime", runtime), ("reference", reference)):
        try:
            run = start(in_double(model))
            out = run(np.float64(x))
        except Exception as error:
            notes.append(f"{source}: {str(error).strip().splitlines()[0][:90]}")
            continue
        if out.dtype != np.float64 or not close(np.float64(y), out, 1e-5):
            notes.append(f"{source}: another forward")
            continue
        wide, near = (differences(run, np.float64(x), w, step) for step in (2e-4, 1e-4))
        if close(wide, near, 3e-5):
            return (4 * near - wide) / 3, source, notes
        notes.append(f"{source}: steps differ by {abs(wide - near).max():.1g}")
    if step:
        wide, near = (differences(runtime(model), x, w, np.float32(s)) for s in (step, step / 2))
        assert close(wide, near, 1e-5), name
        return wide, "single", notes
    raise AssertionError(f"{name}: {notes}")


def fixture(name, build, x, span, opset, grad, cast, step):
    random = np.random.default_rng(zlib.crc32(f"{name}/x".encode()))
    if not isinstance(x, np.ndarray):
        count, (low, high) = int(np.prod(x)), span
        spread = low + (high - low) * (random.permutation(count) + 0.5) / count
        x = spread.reshape(x).astype(np.float32)
    model = model_of(name, build, x, opset, cast)
    y = runtime(model)(x)
    assert y.dtype == np.float32 and np.isfinite(y).all() and y.size, name
    w = random.normal(size=y.shape).astype(np.float32)
    data = np.frombuffer(model.SerializeToString(deterministic=True), np.uint8)
    tensors = {"model": data, "x": x, "y": y}
    source, notes = None, []
    if grad:
        slope, source, notes = gradient(name, model, x, y, w, step)
        tensors["w"], tensors["grad"] = w, slope.astype(np.float32)
    return {f"{name}/{key}": value for key, value in tensors.items()}, source, notes


def main():
    for family in (convolutions, normalisations, activations, pools, resizes, movements,
                   arithmetic, products, reductions, shapes, composed):
        family()
    tensors = {}
    for name, settings in CASES.items():
        entries, source, notes = fixture(name, **settings)
        tensors |= entries
        if "-v" in sys.argv:
            print(name, source, *notes, sep=" | ")
    versions = {m.__name__: m.__version__ for m in (np, onnx, ort, safetensors)}
    opsets = {"otherwise": 17}
    opsets |= {name: c["opset"] for name, c in CASES.items() if c["opset"] != 17}
    # One key: safetensors writes several in an order of its own.
    about = {"about": json.dumps({"versions": versions, "opsets": opsets}, separators=(",", ":"))}
    data = save(tensors, metadata=about)
    (HERE / "operators.safetensors").write_bytes(data)
    operators = {name.split(".")[0] for name in CASES} - {"Composed"}
    print(len(CASES), "cases,", len(operators), "operators,", f"{len(data) / 1000:.0f} kB")


if __name__ == "__main__":
    main()
