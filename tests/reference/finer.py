"""Writes `*.finer.safetensors`: raw maps of Finer-CAM (Zhang et al., CVPR 2025, arXiv 2501.11309)
of the networks and inputs that `generate.py` has written, in double precision.

    .venv/bin/python finer.py

For image i, class c and a pixel set with weights w:

    z^d = Σ_p w_p · y^d_p / Σ_p w_p                   the mean logit of class d over the set
    R   = the n classes d ≠ c with the least |z^d − z^c|, all others if there are fewer
    s   = Σ_p w_p · (y^c_p − γ/|R| · Σ_{d∈R} y^d_p)

and the map is any method's map of the score s. The references are an image's own, chosen once from
the clean pass and then held: no gradient goes through the choice. Three references and γ = 0.6 are
the defaults of torch-cam and what the authors' generate_cams.py calls `aggregate`. A single pixel
makes this the formula of a classifier's logits, all pixels that of a classifier which averages
them, times their number.

torch-cam's FinerCAM computes exactly this from the logits summed over the set, (N, classes).
pytorch-grad-cam's FinerCAM weights the references by their softmax probabilities, through which its
gradient goes: no linear function of the logits, and of the authors' targets not the default, which
is the plain mean. With one reference the weight cancels out, and the two agree, which is checked
below. Its target indexes the last dimension, the columns of a segmentation, so it too gets one
number per class, the mean over the set.

A file holds, for {asked} = {number of references wanted}:{γ},

    mask/{class}/{set}                              u8  [N, 1, H, W]
    references/{class}/{set}/{asked}                i64 [N, number there are], the closest first
    raw/{class}/{set}/{asked}/{layer}/{method}      f32 [N, 1, h, w], before ReLU

and the metadata `score`, what the maps are of. grad-cam and layer-cam are torch-cam's, hires-cam is
pytorch-grad-cam's.
"""

import torch
from pytorch_grad_cam import FinerCAM as OtherFinerCAM
from pytorch_grad_cam import GradCAM as OtherGradCAM
from pytorch_grad_cam import HiResCAM
from safetensors.torch import load_file, save_file
from torch import nn
from torchcam.methods import FinerCAM, GradCAM, LayerCAM

from generate import CASES, HERE, UNet, layers_of, pixel_sets

# What the networks are asked for: (number of references, γ); the first is the default.
ASKED = {"three-classes": [(3, 0.6), (1, 1.0)], "deep": [(3, 0.6), (2, 0.3), (1, 1.0)]}


class Means(nn.Module):
    """The mean logits over a pixel set: a classifier."""

    def __init__(self, model, mask):
        super().__init__()
        self.model, self.mask = model, mask

    def forward(self, x):
        return (self.model(x) * self.mask).sum((2, 3)) / self.mask.sum((2, 3))


def references(means, cls, count):
    """By the definition above, in order of closeness; with how clear the choice is."""
    rows, clear = [], []
    for image in means.tolist():
        others = sorted((abs(z - image[cls]), d) for d, z in enumerate(image) if d != cls)
        rows.append([d for _, d in others[:count]])
        clear += [b - a for (a, _), (b, _) in zip(others[count - 1:], others[count:count + 1])]
    assert all(gap > 1e-4 for gap in clear), "a choice for the last digit"
    return torch.tensor(rows)


def by_torch_cam(method, model, layer, image, mask, cls, rows, count, gamma):
    with FinerCAM(model, layer, base_method=method, gamma=gamma, num_references=count) as cam:
        cam.base_cam._relu = False
        scores = (model(image) * mask).sum((2, 3))
        classes = [cls] * len(image)
        chosen = cam._reference_indices(None, scores, classes, torch.tensor(classes)[:, None])
        assert chosen.equal(rows), (chosen, rows)
        [raw] = cam(cls, scores, normalized=False)
    return raw[:, None]


def by_pytorch_grad_cam(method, model, layer, image, mask, cls, gamma):
    """With one reference; the sum instead of the mean over the set."""
    cam = OtherFinerCAM(Means(model, mask), [layer], base_method=method)
    seen, get_cam_image = [], cam.base_cam.get_cam_image
    cam.base_cam.get_cam_image = lambda *args: seen.append(get_cam_image(*args)) or seen[0]
    cam(image, alpha=gamma, comparison_categories=[1], target_idx=cls)
    cam.base_cam.activations_and_grads.release()
    return torch.from_numpy(seen[0])[:, None] * mask.sum((2, 3))[..., None, None]


def case(name):
    settings = {k: v for k, v in CASES[name].items() if k not in ("seed", "size")}
    model = UNet(**settings).eval()
    model.load_state_dict(load_file(HERE / f"{name}.weights.safetensors"), strict=False)
    maps = load_file(HERE / f"{name}.maps.safetensors")
    model, image, layers = model.double(), maps["input"].double(), layers_of(model)
    tensors = {}
    for cls in (0, 1):
        for label, mask in pixel_sets(maps["logits"], cls, torch.Generator()).items():
            kind = label.split(":")[0]
            if kind not in ("all", "class", "pixel") or not all(mask.flatten(1).sum(1) > 0):
                continue
            mask = mask.double()
            tensors[f"mask/{cls}/{label}"] = mask.to(torch.uint8)
            means = Means(model, mask)(image).detach()
            for count, gamma in ASKED[name]:
                rows = references(means, cls, count)
                at = f"{cls}/{label}/{count}:{gamma}"
                tensors[f"references/{at}"] = rows
                for layer_name in ("mid", "dec1"):
                    layer = layers[layer_name]
                    maps_of = {}
                    for method, cam in (("grad-cam", GradCAM), ("layer-cam", LayerCAM)):
                        maps_of[method] = by_torch_cam(
                            cam, model, layer, image, mask, cls, rows, count, gamma)
                    if rows.shape[1] == 1:
                        one = (model, layer, image, mask, cls, gamma)
                        maps_of["hires-cam"] = by_pytorch_grad_cam(HiResCAM, *one)
                        other = by_pytorch_grad_cam(OtherGradCAM, *one)
                        error = (other - maps_of["grad-cam"]).abs().max() / other.abs().max()
                        assert error < 1e-5, f"the peers differ by {error}"
                    for method, raw in maps_of.items():
                        assert raw.isfinite().all()
                        if raw.any():  # one pixel may have negative gradients only
                            key = f"raw/{at}/{layer_name}/{method}"
                            tensors[key] = raw.detach().float().contiguous()
    different = sum(len(rows.unique(dim=0)) > 1 for k, rows in tensors.items() if "references" in k)
    score = {"score": "sum_p mask_p * (y[class]_p - gamma * mean_{d in references} y[d]_p)"}
    save_file(tensors, HERE / f"{name}.finer.safetensors", score)
    raw = sum(k.startswith("raw") for k in tensors)
    print(name, raw, "maps of Finer-CAM,", different, "times with other references for each image")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in ASKED:
        case(name)
