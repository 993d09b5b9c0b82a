"""Writes segmentation networks as ONNX files, each with the maps that PyTorch computes for it.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python networks.py --committed             # the small ones, beside this file
    .venv/bin/python networks.py --out DIR [--only TEXT]  # all, or those with TEXT in the name

Weights are seeded and random: nothing is downloaded. For each network NAME.onnx and
NAME.safetensors: `input`, `logits` (scores of the classes, before any softmax or argmax) and, for
two layers and two classes, `LAYER/CLASS/mask` and the raw signed maps over that mask,
`LAYER/CLASS/seg-grad-cam` and `LAYER/CLASS/seg-hires-grad-cam`. All from PyTorch in float64. The
header names the layers' tensors in the ONNX file, found by running it in onnxruntime.
"""

import argparse
import collections
import contextlib
import copy
import dataclasses
import io
import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Callable

import monai.networks.nets as monai
import numpy as np
import onnx
import onnxruntime
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
import torchvision.models.segmentation as vision
from captum.attr import LayerGradCam, LayerGradientXActivation
from safetensors.torch import save as save_bytes
from torch import nn

HERE = Path(__file__).parent
CLASSES = 5
ROUNDING = 3e-5  # of float32 against float64, relative to the largest value
JUMP = 5e-4  # of a map when noise of 1e-6 is added to the input
ATTEMPTS = 12


# Networks of our own

def conv(c_in, c_out, kernel=3, stride=1, groups=1, dilation=1, act=nn.ReLU):
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(c_out), act())


def resize(x, like, mode="bilinear"):
    return F.interpolate(x, like.shape[2:], mode=mode, align_corners=False)


class UNet(nn.Module):
    def __init__(self, widths=(8, 12, 16), transposed=True, classes=CLASSES):
        super().__init__()
        w = list(widths)
        double = lambda i, o: nn.Sequential(conv(i, o), conv(o, o))
        self.encoder = nn.ModuleList(double(i, o) for i, o in zip([3] + w[:-2], w[:-1]))
        self.middle = double(w[-2], w[-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(o, o, 2, 2) if transposed else nn.Upsample(scale_factor=2)
            for o in w[1:])
        self.decoder = nn.ModuleList(double(i + o, i) for i, o in zip(w[:-1], w[1:]))
        self.head = nn.Conv2d(w[0], classes, 1)

    def forward(self, x):
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.middle(x)
        for up, block, skip in reversed(list(zip(self.up, self.decoder, skips))):
            x = block(torch.cat([skip, up(x)], 1))
        return self.head(x)


class Squeeze(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c // 2, 1), nn.ReLU(),
            nn.Conv2d(c // 2, c, 1), nn.Hardsigmoid())

    def forward(self, x):
        return x * self.gate(x)


class Residual(nn.Module):
    """Batch norm first, which no exporter can fold into a convolution."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.norm = nn.BatchNorm2d(c_in)
        self.body = nn.Sequential(
            conv(c_in, 2 * c_in, 1, act=nn.Hardswish),
            conv(2 * c_in, 2 * c_in, stride=stride, groups=2 * c_in, act=nn.Hardswish),
            Squeeze(2 * c_in), conv(2 * c_in, c_out, 1, act=nn.Identity))
        self.short = nn.Conv2d(c_in, c_out, 1, stride)

    def forward(self, x):
        x = F.relu6(self.norm(x))
        return self.body(x) + self.short(x)


class DeepLab(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv(3, 8, stride=2, act=nn.Hardswish)
        self.stage1, self.stage2 = Residual(8, 12, 2), Residual(12, 16, 2)
        self.aspp = nn.ModuleList(
            [conv(16, 8, 1)] + [conv(16, 8, dilation=rate) for rate in (2, 3)])
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(16, 8, 1))
        self.project, self.decode = conv(32, 16, 1), conv(28, 16)
        self.head = nn.Conv2d(16, CLASSES, 1)

    def forward(self, image):
        low = self.stage1(self.stem(image))
        deep = self.stage2(low)
        branches = [branch(deep) for branch in self.aspp] + [resize(self.pool(deep), deep)]
        x = self.project(torch.cat(branches, 1))
        return resize(self.head(self.decode(torch.cat([resize(x, low), low], 1))), image)


class Attention(nn.Module):
    """Segformer's: keys and values of a reduced map."""

    def __init__(self, c, heads, reduction):
        super().__init__()
        self.heads, self.q, self.kv = heads, nn.Linear(c, c), nn.Linear(c, 2 * c)
        self.reduce, self.norm = nn.Conv2d(c, c, reduction, reduction), nn.LayerNorm(c)
        self.out = nn.Linear(c, c)

    def forward(self, x, h, w):
        n, tokens, c = x.shape
        split = lambda t: t.reshape(n, -1, self.heads, c // self.heads).transpose(1, 2)
        small = self.reduce(x.transpose(1, 2).reshape(n, c, h, w)).flatten(2).transpose(1, 2)
        q, (k, v) = split(self.q(x)), map(split, self.kv(self.norm(small)).chunk(2, -1))
        weights = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, tokens, c))


class Stage(nn.Module):
    def __init__(self, c_in, c, kernel, stride, heads, reduction):
        super().__init__()
        self.embed = nn.Conv2d(c_in, c, kernel, stride, kernel // 2)
        self.norms = nn.ModuleList(nn.LayerNorm(c) for _ in range(4))
        self.attention = Attention(c, heads, reduction)
        self.wide, self.narrow = nn.Linear(c, 2 * c), nn.Linear(2 * c, c)
        self.mix = nn.Conv2d(2 * c, 2 * c, 3, padding=1, groups=2 * c)

    def forward(self, x):
        x = self.embed(x)
        n, c, h, w = x.shape
        x = self.norms[0](x.flatten(2).transpose(1, 2))
        x = x + self.attention(self.norms[1](x), h, w)
        y = self.wide(self.norms[2](x)).transpose(1, 2).reshape(n, 2 * c, h, w)
        x = x + self.narrow(F.gelu(self.mix(y).flatten(2).transpose(1, 2)))
        return self.norms[3](x).reshape(n, h, w, c).permute(0, 3, 1, 2)


class Segformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.stage1, self.stage2 = Stage(3, 16, 7, 4, 2, 4), Stage(16, 24, 3, 2, 4, 2)
        self.linear1, self.linear2 = nn.Linear(16, 16), nn.Linear(24, 16)
        self.fuse, self.head = conv(32, 16, 1), nn.Conv2d(16, CLASSES, 1)

    def forward(self, image):
        low = self.stage1(image)
        deep = self.stage2(low)
        flat = lambda linear, x: linear(x.flatten(2).transpose(1, 2)).transpose(1, 2)
        low_map = flat(self.linear1, low).unflatten(2, low.shape[2:])
        deep_map = flat(self.linear2, deep).unflatten(2, deep.shape[2:])
        x = self.fuse(torch.cat([resize(deep_map, low), low_map], 1))
        return resize(self.head(x), image)


class Conv3d(nn.Module):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__()
        self.conv = nn.Conv3d(c_in, c_out, 3, stride, 1)
        self.norm, self.act = nn.InstanceNorm3d(c_out, affine=True), nn.PReLU(c_out)

    def forward(self, x):
        y = self.norm(self.conv(x))
        return self.act(y + x if y.shape == x.shape else y)


class VNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.down1, self.down2 = Conv3d(1, 6), Conv3d(6, 8, 2), Conv3d(8, 12, 2)
        self.middle = Conv3d(12, 12)
        self.up = nn.ConvTranspose3d(12, 8, 2, 2)
        self.decode1, self.decode2 = Conv3d(16, 8), Conv3d(14, 6)
        self.head = nn.Conv3d(6, 3, 1)

    def forward(self, x):
        x = self.first(x)
        y = self.down1(x)
        z = self.decode1(torch.cat([self.up(self.middle(self.down2(y))), y], 1))
        z = F.interpolate(z, scale_factor=2, mode="trilinear", align_corners=False)
        return self.head(self.decode2(torch.cat([z, x], 1)))


class Odds(nn.Module):
    """Operators that the others lack."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 16, 3, 2), nn.GroupNorm(4, 16), nn.SiLU(),
            nn.AvgPool2d(3, 2, 1), nn.Conv2d(16, 32, 3, padding=1), nn.GLU(1), nn.ELU())
        self.middle = nn.Sequential(
            nn.Conv2d(16, 32, (1, 5), padding=(0, 2)), nn.LeakyReLU(0.1),
            nn.Conv2d(32, 32, (5, 1), padding=(2, 0), groups=4), nn.Mish())
        self.up = nn.Sequential(
            nn.Conv2d(32, 64, 1), nn.PixelShuffle(2), nn.Softplus(), nn.ZeroPad2d((1, 0, 2, 1)),
            nn.ConvTranspose2d(16, 12, 4, 2, 1, bias=False), nn.Tanh())
        self.head = nn.Conv2d(12, CLASSES, 1)

    def forward(self, image):
        x = self.middle(self.stem(image))
        x = self.up(x.unflatten(1, (4, 8)).transpose(1, 2).flatten(1, 2))  # channels shuffled
        x = self.head(x)[:, :, 4:-2, 2:]
        return F.interpolate(x, image.shape[2:], mode="bilinear", align_corners=True)


class Ends(nn.Module):
    """A network whose file ends in a decision."""

    def __init__(self, model, end):
        super().__init__()
        self.model, self.end = model, end

    def forward(self, x):
        return self.end(self.model(x))


def argmax(x):
    return x.argmax(1)


# What is written

@dataclasses.dataclass
class Network:
    """Layers and scores: the input or the output ("in", "out") of a submodule."""

    build: Callable
    size: tuple = (1, 3, 64, 96)
    opset: int = 17
    dynamo: bool = False
    dynamic: bool = False  # exported with other sizes than the input's
    bottleneck: tuple = ("out", "middle")
    last: tuple = ("in", "head")
    scores: tuple = ("out", "")
    ends_in: str = "none"
    committed: bool = False
    captum: bool = False


def split(options):
    """Those of `Network`, and the others."""
    known = {field.name for field in dataclasses.fields(Network)}
    ours = {key: value for key, value in options.items() if key in known}
    return ours, {key: value for key, value in options.items() if key not in known}


def of_smp(family, encoder, **options):
    ours, theirs = split(options)
    theirs = {"encoder_weights": None, "classes": CLASSES} | theirs
    places = {"bottleneck": ("out", "encoder"), "last": ("in", "segmentation_head")}
    return Network(lambda: family(encoder, **theirs), **(places | ours))


def of_vision(build, last, size=(1, 3, 96, 128), **ours):
    network = lambda: Ends(
        build(weights=None, weights_backbone=None, num_classes=CLASSES), lambda x: x["out"])
    return Network(network, size, bottleneck=("out", "model.backbone"),
                   last=("in", f"model.classifier.{last}"), **ours)


def of_monai(family, bottleneck, last, size=(1, 1, 48, 48, 48), **options):
    ours, theirs = split(options)
    return Network(lambda: family(**theirs), size, bottleneck=bottleneck, last=last, **ours)


FLAT = (1, 3, 64, 96)
ENDED = dict(bottleneck=("out", "model.middle"), last=("in", "model.head"), scores=("out", "model"))
PLANES = dict(spatial_dims=2, in_channels=3, out_channels=CLASSES, size=FLAT)
SOLID = dict(spatial_dims=3, in_channels=1, out_channels=3)
UNET = dict(channels=(8, 16, 32, 64), strides=(2, 2, 2), num_res_units=2)
MONAI_UNET = (monai.UNet, ("out", "model.1.submodule.1.submodule.1.submodule"),
              ("out", "model.2.0"))
BASIC = (monai.BasicUNet, ("out", "down_4"), ("in", "final_conv"))
FEATURES = dict(features=(8, 8, 16, 32, 64, 8))
ATTENTION = (monai.AttentionUnet, ("out", "model.1.submodule.1.submodule.1.submodule"),
             ("in", "model.2"))
GATES = dict(channels=(8, 16, 32, 64), strides=(2, 2, 2))
RESIDUAL = (monai.SegResNet, ("out", "down_layers.3"), ("in", "conv_final.2"))
TINY = dict(committed=True, size=(1, 3, 32, 48))

NETWORKS = {
    "tiny-unet-11": Network(UNet, opset=11, captum=True, **TINY),
    "tiny-unet-dynamo": Network(
        lambda: UNet(transposed=False), opset=18, dynamo=True, **TINY),
    "tiny-deeplab": Network(
        DeepLab, bottleneck=("out", "stage2"), **TINY),
    "tiny-segformer": Network(
        Segformer, bottleneck=("out", "stage2"), **TINY),
    "tiny-vnet": Network(VNet, (1, 1, 12, 16, 16), committed=True),
    "tiny-argmax": Network(
        lambda: Ends(UNet(transposed=False), argmax), opset=13, ends_in="ArgMax", **ENDED, **TINY),
    "tiny-dynamic": Network(
        DeepLab, (2, 3, 32, 40), opset=16, dynamic=True, bottleneck=("out", "stage2"),
        committed=True),
    "unet": Network(lambda: UNet((16, 32, 64, 128)), captum=True),
    "unet-argmax": Network(
        lambda: Ends(UNet((16, 32, 64)), argmax), ends_in="ArgMax", **ENDED),
    "odds": Network(Odds),
    "smp-unet-resnet18": of_smp(smp.Unet, "resnet18"),
    "smp-unet-mobilenet_v2": of_smp(smp.Unet, "mobilenet_v2", opset=13),
    "smp-deeplabv3plus-resnet34": of_smp(smp.DeepLabV3Plus, "resnet34", size=(1, 3, 96, 128)),
    "smp-fpn-resnet18": of_smp(smp.FPN, "resnet18", opset=11),
    "smp-segformer-mit_b0": of_smp(smp.Segformer, "mit_b0"),
    "smp-linknet-resnet18": of_smp(smp.Linknet, "resnet18", opset=16),
    "smp-unet-resnet18-dynamo": of_smp(smp.Unet, "resnet18", dynamo=True, opset=18),
    "smp-unet-efficientnet-b0": of_smp(smp.Unet, "efficientnet-b0"),
    "smp-unet-vgg11_bn": of_smp(smp.Unet, "vgg11_bn"),
    "smp-unet-mit_b0": of_smp(smp.Unet, "mit_b0"),
    "smp-unet-resnet34-scse": of_smp(smp.Unet, "resnet34", decoder_attention_type="scse"),
    "smp-unet-resnet18-softmax": of_smp(
        smp.Unet, "resnet18", activation="softmax2d", scores=("in", "segmentation_head.2"),
        ends_in="Softmax", opset=13),
    "smp-unet-resnet18-sigmoid": of_smp(
        smp.Unet, "resnet18", activation="sigmoid", classes=1, opset=16,
        scores=("in", "segmentation_head.2"), ends_in="Sigmoid"),
    "smp-unet-resnet18-dynamic": of_smp(smp.Unet, "resnet18", dynamic=True),
    "monai-unet-2d": of_monai(*MONAI_UNET, **UNET, **PLANES),
    "monai-unet-3d": of_monai(*MONAI_UNET, **UNET, **SOLID),
    "monai-unet-3d-dynamo": of_monai(*MONAI_UNET, **UNET, **SOLID, dynamo=True, opset=18),
    "monai-basicunet-2d": of_monai(*BASIC, **FEATURES, **PLANES),
    "monai-basicunet-3d": of_monai(*BASIC, **FEATURES, **SOLID, opset=11),
    "monai-attentionunet-2d": of_monai(*ATTENTION, **GATES, **PLANES),
    "monai-attentionunet-2d-dynamo": of_monai(
        *ATTENTION, **GATES, **PLANES, dynamo=True, opset=18),
    "monai-attentionunet-3d": of_monai(*ATTENTION, **GATES, **SOLID, opset=16),
    # Two channels a group: with one, gradients average to zero, and float32 to noise.
    "monai-segresnet-2d": of_monai(*RESIDUAL, init_filters=16, **PLANES),
    "monai-segresnet-3d": of_monai(
        *RESIDUAL, init_filters=16, **SOLID, size=(1, 1, 32, 32, 32), opset=13),
    "smp-unetplusplus-resnet18": of_smp(smp.UnetPlusPlus, "resnet18"),
    "smp-manet-resnet18": of_smp(smp.MAnet, "resnet18"),
    "smp-linknet-mobilenet_v2": of_smp(smp.Linknet, "mobilenet_v2"),
    "smp-linknet-mobilenet_v2-dynamo": of_smp(
        smp.Linknet, "mobilenet_v2", dynamo=True, opset=20),
    "smp-fpn-mit_b0": of_smp(smp.FPN, "mit_b0"),
    "smp-fpn-resnet18-dynamo": of_smp(smp.FPN, "resnet18", dynamo=True, dynamic=True, opset=18),
    # Adaptive pooling to 6 x 6: TorchScript's exporter wants a multiple of it.
    "smp-pspnet-resnet18": of_smp(smp.PSPNet, "resnet18", size=(1, 3, 96, 144)),
    "smp-pan-resnet18": of_smp(smp.PAN, "resnet18", size=(1, 3, 128, 128)),
    "smp-deeplabv3-resnet18": of_smp(smp.DeepLabV3, "resnet18"),
    "smp-deeplabv3plus-resnet34-dynamo": of_smp(
        smp.DeepLabV3Plus, "resnet34", size=(1, 3, 96, 128), dynamo=True, opset=18),
    "smp-deeplabv3plus-mobilenet_v2": of_smp(smp.DeepLabV3Plus, "mobilenet_v2", dynamic=True),
    # Its decoder reads the encoder through layer normalisation: G * A is zero before it.
    "smp-upernet-resnet18": of_smp(
        smp.UPerNet, "resnet18", size=(1, 3, 192, 192), bottleneck=("in", "decoder.psp")),
    "smp-upernet-mit_b0": of_smp(
        smp.UPerNet, "mit_b0", size=(1, 3, 192, 192), bottleneck=("in", "decoder.psp")),
    # The exporter removes the transposes before and after the encoder's output.
    "smp-segformer-mit_b0-dynamo": of_smp(
        smp.Segformer, "mit_b0", dynamo=True, opset=18,
        bottleneck=("out", "decoder.mlp_stage.0")),
    "smp-segformer-mit_b0-dynamic": of_smp(smp.Segformer, "mit_b0", dynamic=True),
    "smp-segformer-mit_b1": of_smp(smp.Segformer, "mit_b1", opset=16),
    "smp-dpt-vit_tiny": of_smp(smp.DPT, "tu-vit_tiny_patch16_224", img_size=(64, 96)),
    "vision-lraspp-mobilenet_v3": of_vision(
        vision.lraspp_mobilenet_v3_large, "high_classifier"),
    "vision-lraspp-mobilenet_v3-dynamo": of_vision(
        vision.lraspp_mobilenet_v3_large, "high_classifier", dynamo=True, opset=18),
    "vision-deeplabv3-mobilenet_v3": of_vision(
        vision.deeplabv3_mobilenet_v3_large, "4", opset=13),
    "vision-fcn-resnet50": of_vision(vision.fcn_resnet50, "4", size=FLAT, opset=11),
    "vision-deeplabv3-resnet50": of_vision(vision.deeplabv3_resnet50, "4", size=FLAT),
    "monai-unetr-3d": of_monai(
        monai.UNETR, ("in", "decoder5"), ("in", "out"), in_channels=1, out_channels=3,
        img_size=(48, 48, 48), feature_size=8, hidden_size=96, mlp_dim=192, num_heads=6),
    "monai-swinunetr-3d": of_monai(
        monai.SwinUNETR, ("in", "decoder5"), ("in", "out"), in_channels=1, out_channels=3,
        feature_size=12, size=(1, 1, 64, 64, 64)),
}


# Weights and inputs

def smooth(size, generator):
    coarse = torch.randn(*size[:2], *(-(-n // 8) for n in size[2:]), generator=generator)
    mode = "bilinear" if len(size) == 4 else "trilinear"
    fine = torch.randn(size, generator=generator)
    return F.interpolate(coarse, size[2:], mode=mode, align_corners=False) * 1.5 + 0.3 * fine


def randomize(model, image, generator):
    """Affine parameters of its own for each normalisation. Statistics of batch normalisation from
    its input, wide: fifty layers that each blow up what little varies blow up rounding too."""
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    hooks = []
    uniform = lambda like: 0.5 + torch.rand(like.shape, generator=generator)
    normal = lambda like: 0.1 * torch.randn(like.shape, generator=generator)

    def statistics(module, inputs):
        [x] = inputs
        x = x.detach().transpose(0, 1).flatten(1)
        square = (x * x).mean(1)
        var = square + 2 * square.mean()
        module.running_mean = normal(module.running_mean) * var.sqrt()
        module.running_var = var * uniform(module.running_var)

    for module in model.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
        if isinstance(module, norms) and module.weight is not None:
            module.weight.data = uniform(module.weight)
            module.bias.data = normal(module.bias)
        if getattr(module, "running_mean", None) is not None:
            hooks.append(module.register_forward_pre_hook(statistics))
    with torch.no_grad():
        model(image)
    for hook in hooks:
        hook.remove()


def centre(model, logits):
    """No class wins everywhere: each one's scores around zero."""
    classes = logits.shape[1]
    heads = [m for m in model.modules() if getattr(m, "bias", None) is not None
             and isinstance(m.bias, nn.Parameter) and m.bias.shape == (classes,)]
    heads[-1].bias.data -= logits.transpose(0, 1).flatten(1).mean(1)


# Maps

def deepest(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return deepest(value[0] if isinstance(value[0], (list, tuple)) else value[-1])
    return value


def forward(model, image, places):
    """The model's output, and the tensors at the places."""
    seen, hooks = {}, []

    def keep(key, value):
        tensor = deepest(value)
        seen[key] = tensor, tensor._version

    for key, (side, path) in places.items():
        module = model.get_submodule(path)
        if side == "in":
            hook = module.register_forward_pre_hook(lambda _, i, k=key: keep(k, i[:1]))
        else:
            hook = module.register_forward_hook(lambda _, i, o, k=key: keep(k, o))
        hooks.append(hook)
    output = model(image)
    for hook in hooks:
        hook.remove()
    for key, (tensor, version) in seen.items():
        assert tensor._version == version, f"{key} is overwritten in place"
    return output, {key: tensor for key, (tensor, _) in seen.items()}


def maps(logits, layers, masks):
    """Raw signed maps by layer and class; none that is zero but for rounding, as those of a tensor
    that only a layer normalisation reads."""
    found = {}
    for cls, mask in masks.items():
        score = (logits[:, cls:cls + 1] * mask).sum()
        gradients = torch.autograd.grad(score, list(layers.values()), retain_graph=True)
        for (layer, a), g in zip(layers.items(), gradients):
            mean = g.mean(tuple(range(2, g.dim())), keepdim=True)
            for method, weight in (("seg-grad-cam", mean), ("seg-hires-grad-cam", g)):
                values = (weight * a).sum(1, keepdim=True).detach()
                assert values.isfinite().all() and values.std() > 0.01 * values.abs().max()
                assert values.abs().max() > 1e-3 * (g * a).abs().sum(1).max(), f"{layer}: {method}"
                found[f"{layer}/{cls}/{method}"] = values
    return found


def masks_of(logits):
    """The two classes predicted most and their pixels; the upper half for one predicted nowhere."""
    if logits.shape[1] == 1:
        predicted = (logits > 0).to(logits)
    else:
        winner = logits.argmax(1, keepdim=True)
        predicted = torch.cat([(winner == c).to(logits) for c in range(logits.shape[1])], 1)
    areas = predicted.transpose(0, 1).flatten(1).sum(1)
    masks = {}
    for cls in areas.argsort(descending=True, stable=True)[:2].tolist():
        masks[cls] = predicted[:, cls:cls + 1]
        if not areas[cls]:
            masks[cls] = torch.zeros_like(masks[cls])
            masks[cls][:, :, :logits.shape[2] // 2] = 1
    return masks, areas


def error(value, truth):
    """The largest difference, relative to the largest value."""
    return float((value.double() - truth.double()).abs().max() / truth.abs().max())


def check_captum(model, network, image, masks, found):
    for layer, (side, path) in (("bottleneck", network.bottleneck), ("last", network.last)):
        inner, attribute = model.get_submodule(path), dict(attribute_to_layer_input=side == "in")
        for cls, mask in masks.items():
            wrap = lambda x: (model(x) * mask).sum((2, 3))
            grad = LayerGradCam(wrap, inner).attribute(image, target=cls, **attribute)
            hires = LayerGradientXActivation(wrap, inner).attribute(image, target=cls, **attribute)
            hires = (hires[0] if isinstance(hires, tuple) else hires).sum(1, keepdim=True)
            grad = grad[0] if isinstance(grad, tuple) else grad
            assert error(grad, found[f"{layer}/{cls}/seg-grad-cam"]) < 1e-12
            assert error(hires, found[f"{layer}/{cls}/seg-hires-grad-cam"]) < 1e-12


# The ONNX file

def export(model, network, image, path):
    example, axes = image, None
    if network.dynamic:
        example = torch.cat([image, image[:1]]).transpose(2, 3).contiguous()
        axes = {0: "batch", 2: "height", 3: "width"}
    options = dict(opset_version=network.opset, dynamo=network.dynamo,
                   input_names=["input"], output_names=["output"])
    if network.dynamo:
        options |= dict(external_data=False, verbose=False)
        if axes:
            options["dynamic_shapes"] = ({axis: torch.export.Dim.DYNAMIC for axis in axes},)
    elif axes:
        options["dynamic_axes"] = {"input": axes, "output": axes}
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(model, (example,), str(path), **options)
    file = onnx.load(path)
    for node in file.graph.node:  # where this machine keeps its Python
        kept = [entry for entry in node.metadata_props if "stack_trace" not in entry.key]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(file, path)
    onnx.checker.check_model(file)
    assert not file.functions
    return file


def session(file, **options):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = 2, 3
    for key, value in options.items():
        setattr(settings, key, value)
    return onnxruntime.InferenceSession(
        file.SerializeToString(), settings, providers=["CPUExecutionProvider"])


def everything(file, image):
    """Every tensor of the graph by name, in order, and whether an Identity wrote it."""
    file = copy.deepcopy(file)
    identity = {name: node.op_type == "Identity" for node in file.graph.node
                for name in node.output if name}
    known = {output.name for output in file.graph.output}
    file.graph.output.extend(onnx.ValueInfoProto(name=name) for name in identity
                             if name not in known)
    none = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    running = session(file, graph_optimization_level=none)
    names = [output.name for output in running.get_outputs()]
    values = dict(zip(names, running.run(None, {"input": image.numpy()})))
    return {name: (values[name], is_identity) for name, is_identity in identity.items()}


def name_of(tensors, truth):
    truth = truth.detach().numpy()
    scale = np.abs(truth).max()
    equal = [(is_identity, name) for name, (value, is_identity) in tensors.items()
             if isinstance(value, np.ndarray) and value.shape == truth.shape
             and value.dtype == np.float32 and np.abs(value - truth).max() <= 1e-3 * scale]
    assert equal, f"no tensor of the file equals the layer's {truth.shape}"
    return min(equal, key=lambda found: found[0])[1]


@dataclasses.dataclass
class Example:
    """A network with random weights, an input, and what PyTorch computes in float64."""

    model: nn.Module
    exact: nn.Module
    image: torch.Tensor
    outcome: torch.Tensor
    logits: torch.Tensor
    layers: dict
    masks: dict
    maps: dict
    predicted: int
    float32_error: float
    jump: float


def example(network, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = network.build().eval()
    image = smooth(network.size, generator)
    randomize(model, image, generator)
    places = {"bottleneck": network.bottleneck, "last": network.last, "scores": network.scores}
    with torch.no_grad():
        centre(model, forward(model, image, places)[1]["scores"])
    exact = copy.deepcopy(model).double()
    outcome, layers = forward(exact, image.double(), places)
    logits = layers.pop("scores")
    assert all(a.dim() == image.dim() and a.dtype == torch.float64 for a in layers.values())
    spread = logits.detach().flatten(2).std(2).min() / logits.abs().max()
    assert spread > 1e-2, "the scores are constant"
    masks, areas = masks_of(logits.detach())
    found = maps(logits, layers, masks)
    float32_error = 0
    for mkldnn in (True, False):  # two ways to round
        with torch.backends.mkldnn.flags(enabled=mkldnn):
            single = forward(model, image, places)[1]
            single_logits = single.pop("scores")
            single_maps = maps(single_logits, single, {c: m.float() for c, m in masks.items()})
        float32_error = max([float32_error, error(single_logits.detach(), logits.detach())]
                            + [error(single_maps[key], found[key]) for key in found])
    jump = 0
    for _ in range(3):  # where a tie decides, even double precision jumps
        noise = 1e-6 * torch.randn(image.shape, generator=generator, dtype=torch.float64)
        near = forward(exact, image.double() + noise, places)[1]
        near_maps = maps(near.pop("scores"), near, masks)
        jump = max([jump] + [error(near_maps[key], found[key]) for key in found])
    return Example(model, exact, image, outcome.detach(), logits.detach(), layers, masks, found,
                   int((areas > 0).sum()), float32_error, jump)


def save(arrays, path, metadata):
    """safetensors, whose metadata come in another order each time: sorted."""
    data = save_bytes(arrays, metadata)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode().ljust(size)
    assert len(text) == size
    path.write_bytes(data[:8] + text + data[8 + size:])


def write(name, network, folder):
    started = time.time()
    # Another seed where a ReLU or a maximum is so near a tie that rounding decides it.
    usable = None
    for attempt in range(ATTEMPTS):
        it = example(network, seed=sum(map(ord, name)) + 1000 * attempt)
        if it.float32_error < ROUNDING:
            usable = usable or it
            if it.jump < JUMP:
                break
    else:
        assert usable, f"float32 differs from float64 by {it.float32_error:.1e}"
        it = usable
    model, image, logits, layers = it.model, it.image, it.logits, it.layers
    if network.captum:
        check_captum(it.exact, network, image.double(), it.masks, it.maps)

    path = folder / f"{name}.onnx"
    file = export(model, network, image, path)
    tensors = everything(file, image)
    scores = name_of(tensors, logits)
    if file.graph.output[0].name in tensors and network.ends_in == "none":
        scores = file.graph.output[0].name
    names = {layer: name_of(tensors, a) for layer, a in layers.items()}
    ort = error(torch.from_numpy(tensors[scores][0]), logits)
    assert ort < 1e-4, f"onnxruntime's scores differ by {ort:.1e}"
    [output] = session(file).run(None, {"input": image.numpy()})
    if network.ends_in == "ArgMax":
        assert (output == it.outcome.numpy()).mean() > 0.999
    else:
        assert error(torch.from_numpy(output), it.outcome) < 1e-4
    assert network.ends_in in ("none", file.graph.node[-1].op_type), file.graph.node[-1].op_type

    operators = collections.Counter(node.op_type for node in file.graph.node)
    parameters = sum(p.numel() for p in model.parameters())
    exporter = "dynamo" if network.dynamo else "torchscript"
    arrays = {"input": image, "logits": logits} | it.maps
    arrays |= {f"{layer}/{cls}/mask": mask for layer in layers for cls, mask in it.masks.items()}
    metadata = {
        "layers": json.dumps(names), "output": scores, "classes": str(logits.shape[1]),
        "operators": json.dumps(dict(operators.most_common())), "exporter": exporter,
        "opset": str(next(o.version for o in file.opset_import if o.domain in ("", "ai.onnx"))),
        "ends_in": network.ends_in, "parameters": str(parameters),
        "float32_error": f"{it.float32_error:.3g}", "dynamic": str(network.dynamic).lower(),
    }
    arrays = {key: value.float().contiguous().clone() for key, value in arrays.items()}
    save(arrays, folder / f"{name}.safetensors", metadata)
    size = sum((folder / f"{name}{end}").stat().st_size for end in (".onnx", ".safetensors"))
    print(f"{name:34} {len(operators):3} ops {len(file.graph.node):4} nodes  opset "
          f"{metadata['opset']} {exporter:11} {parameters / 1e6:7.3f} M  ORT {ort:.0e}  float32 "
          f"{it.float32_error:.0e}  {it.predicted}/{logits.shape[1]} predicted  "
          f"{size / 1e3:8.0f} kB  {time.time() - started:4.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--committed", action="store_true")
    options = parser.parse_args()
    if not options.committed and options.out is None:
        parser.error("--out DIR, or --committed")
    folder = options.out or HERE
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    failed = []
    for name, network in NETWORKS.items():
        if options.only not in name or options.committed and not network.committed:
            continue
        try:
            write(name, network, folder)
        except Exception as reason:
            failed.append(name)
            for end in (".onnx", ".safetensors"):
                (folder / f"{name}{end}").unlink(missing_ok=True)
                print(f"{name:34} FAILED: {type(reason).__name__}: {str(reason)[:300]}", flush=True)
    if failed:
        sys.exit("failed: " + ", ".join(failed))


if __name__ == "__main__":
    main()
