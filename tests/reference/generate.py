"""Writes the fixtures beside this file: random U-Nets and what captum and pytorch-grad-cam say.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python generate.py

Raw signed maps: captum LayerGradCam and LayerGradientXActivation of the class's logits summed over
the pixel set. Final maps: pytorch-grad-cam GradCAM and HiResCAM with SemanticSegmentationTarget.
`*.methods.safetensors`, `*.seg-eigen.safetensors`: raw maps of the other methods, from
pytorch-grad-cam before its ReLU, in double precision. `finer.py` writes those of Finer-CAM.
"""

import copy
import functools
import math
import os
from pathlib import Path
from unittest import mock

os.environ["TQDM_DISABLE"] = "1"

import numpy as np
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from pytorch_grad_cam import (
    AblationCAM, EigenCAM, EigenGradCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM,
    SegEigenCAM, XGradCAM,
)
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from safetensors.torch import save_file
from torch import nn

from unet import UNet, randomize

HERE = Path(__file__).parent

CASES = {
    "three-classes": dict(seed=1, classes=3, channels=3, widths=[4, 6, 8], size=(2, 16, 24)),
    "binary": dict(seed=2, classes=1, channels=1, widths=[4, 6, 8], size=(1, 19, 14)),
    "nearest": dict(
        seed=3, classes=2, channels=1, widths=[3, 5, 7], size=(2, 13, 18),
        batch_norm=False, upsampling="nearest", skip_first=True, double_conv=False, head_relu=True,
    ),
    "deep": dict(seed=4, classes=4, channels=2, widths=[3, 4, 5, 6, 7], size=(1, 33, 21)),
}


def layers_of(model):
    layers = {f"enc{i + 1}": block for i, block in enumerate(model.encoder)}
    layers["mid"] = model.middle
    layers |= {f"dec{i + 1}": decoder.block for i, decoder in enumerate(model.decoder)}
    return layers


def pixel_sets(logits, cls, generator):
    n, classes, h, w = logits.shape
    if classes == 1:
        p, predicted = logits.sigmoid(), logits > 0
    else:
        p, predicted = logits.softmax(1)[:, cls:cls + 1], logits.argmax(1, keepdim=True) == cls
    predicted = predicted.float()
    pixel = torch.zeros(n, 1, h, w)
    pixel[..., h // 2, w // 3] = 1
    box = torch.zeros(n, 1, h, w)
    box[..., 2:h - 3, 1:w // 2] = 1
    level = round(float(p.median()), 3)
    y, x = h // 2, w // 3
    corners = f"2,1,{h - 3},{w // 2}"
    return {
        "all": torch.ones(n, 1, h, w),
        "class": predicted,
        f"pixel:{y},{x}": pixel,
        f"box:{corners}": box,
        f"threshold:{level}": (p > level).float(),
        "mask": (torch.rand(n, 1, h, w, generator=generator) > 0.6).float(),
        f"class&box:{corners}": predicted * box,
        f"class-pixel:{y},{x}": predicted * (1 - pixel),
        f"class|pixel:{y},{x}": torch.maximum(predicted, pixel),
        "!class": 1 - predicted,
    }


class VaryingScoreCAM(ScoreCAM):
    """Without the channels that are constant, as in the authors' code: no weight, no softmax."""

    def get_cam_weights(self, image, layer, targets, activations, grads):
        weights = super().get_cam_weights(image, layer, targets, activations, grads)
        weights = weights * (activations.max((2, 3)) > activations.min((2, 3)))
        return weights / weights.sum(1, keepdims=True)


# By file.
METHODS = {
    "methods": {
        "grad-cam++": GradCAMPlusPlus, "xgrad-cam": XGradCAM, "layer-cam": LayerCAM,
        "eigen-cam": EigenCAM, "eigen-grad-cam": EigenGradCAM, "score-cam": VaryingScoreCAM,
        "ablation-cam": AblationCAM,
    },
    "seg-eigen": {"seg-eigen-cam": SegEigenCAM},
}
# Of the deepest bottleneck: it holds 1e-5 of the score, which is what single precision rounds off,
# and has two cells, which differ from their mean by the same, so that either may be turned up.
LEFT_OUT = [("deep", "mid", "ablation-cam"), ("deep", "mid", "seg-eigen-cam")]
# GradCAMPlusPlus adds 1e-6 to squared gradients, which are no larger: its score counts so often.
PLUS_PLUS_SCORE = 1000
# ScoreCAM upsamples with aligned corners, as nothing else here does.
HALF_PIXEL = functools.partial(nn.Upsample, mode="bilinear", align_corners=False)


def raw_map(cam, model, layer, image, targets):
    """The map before ReLU and scaling; pytorch-grad-cam's `with` would swallow an IndexError."""
    cam = cam(model, [layer])
    seen, get_cam_image = [], cam.get_cam_image
    cam.get_cam_image = lambda *args: seen.append(get_cam_image(*args)) or seen[0]
    # AblationCAM subtracts scores that differ little.
    double = mock.patch("pytorch_grad_cam.ablation_cam.np.float32", np.float64)
    with double, mock.patch("torch.nn.UpsamplingBilinear2d", HALF_PIXEL):
        cam(image, targets)
    cam.activations_and_grads.release()
    [raw] = seen
    assert raw.shape[0] == image.shape[0] and np.isfinite(raw).all()
    return torch.from_numpy(np.float32(raw))[:, None]


def other_methods(name, model, image, sets, file, methods):
    model, image = copy.deepcopy(model).double(), image.double()
    tensors, layers = {}, layers_of(model)
    for (cls, label), mask in sets.items():
        if (cls, label.split(":")[0]) not in ((0, "class"), (0, "box"), (1, "class")):
            continue
        for layer_name in ("mid", "dec2", "dec1"):
            for method, cam in methods.items():
                if (name, layer_name, method) in LEFT_OUT:
                    continue
                weights = mask * (PLUS_PLUS_SCORE if method == "grad-cam++" else 1)
                targets = [SemanticSegmentationTarget(cls, w.numpy()) for w in weights[:, 0]]
                raw = raw_map(cam, model, layers[layer_name], image, targets)
                if cam is SegEigenCAM:
                    up, down = raw.amax((2, 3)), -raw.amin((2, 3))
                    assert ((up - down).abs() > 1e-3 * up).all(), "either may be turned up"
                tensors[f"raw/{cls}/{label}/{layer_name}/{method}"] = raw
    save_file(tensors, HERE / f"{name}.{file}.safetensors")
    print(name, len(tensors), "maps of", *methods)


def case(name, seed, size, **config):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = UNet(**config).eval()
    randomize(model, generator)
    n, h, w = size
    image = torch.randn(n, config["channels"], h, w, generator=generator)
    # Every class predicted somewhere: scores of each class around the same median.
    scores = model(image).detach().transpose(0, 1).flatten(1)
    model.out.bias.data -= scores.median(1).values - (0.3 if config["classes"] > 1 else 0.0)
    logits = model(image).detach()
    save_file({k: v for k, v in model.state_dict().items() if "num_batches" not in k},
              HERE / f"{name}.weights.safetensors")

    if name == "binary":  # as training scripts save: below prefixes, beside other things
        wrapped = {f"module.{k}": v for k, v in model.state_dict().items()}
        torch.save({"epoch": 3, "state_dict": wrapped}, HERE / f"{name}.pth")

    tensors, sets = {"input": image, "logits": logits}, {}
    layers = layers_of(model)
    for cls in range(min(config["classes"], 2)):
        for label, mask in pixel_sets(logits, cls, generator).items():
            if not all(mask.flatten(1).sum(1) > 0):
                print(name, cls, label, "left out: empty in some image")
                continue
            sets[cls, label] = mask
            if label == "mask":
                tensors[f"mask.{cls}"] = mask
            wrap = lambda x: (model(x) * mask).sum((2, 3))
            some = ("mid", "dec1")
            for layer_name in ("enc1", "dec2") + some if label in ("all", "class") else some:
                layer = layers[layer_name]
                key = f"{cls}/{label}/{layer_name}"
                grad = LayerGradCam(wrap, layer).attribute(image, target=cls)
                hires = LayerGradientXActivation(wrap, layer).attribute(image, target=cls)
                tensors[f"raw/{key}/seg-grad-cam"] = grad.detach()
                tensors[f"raw/{key}/seg-hires-grad-cam"] = hires.sum(1, keepdim=True).detach()
                if label not in ("all", "class", "mask") or layer_name == "enc1":
                    continue
                targets = [SemanticSegmentationTarget(cls, m.numpy()) for m in mask[:, 0]]
                for method, cam in (("seg-grad-cam", GradCAM), ("seg-hires-grad-cam", HiResCAM)):
                    with cam(model, [layer]) as cam:
                        final = cam(image, targets)
                    tensors[f"final/{key}/{method}"] = torch.from_numpy(np.array(final))[:, None]
    save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / f"{name}.maps.safetensors")
    biggest = max(t.abs().max().item() for k, t in tensors.items() if k.startswith("raw"))
    print(name, len(tensors), "tensors, largest raw value", f"{biggest:.3g}")
    assert math.isfinite(biggest)
    for file, methods in METHODS.items():
        other_methods(name, model, image, sets, file, methods)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, settings in CASES.items():
        case(name, **settings)
