"""Writes `windows.safetensors`: maps of networks that run over sliding windows, by PyTorch's
autograd through the whole blended computation, in double precision.

    python -m venv .venv
    .venv/bin/pip install -r windows-requirements.txt
    .venv/bin/pip install --no-deps nnunetv2==2.8.1 acvl-utils==0.2.6
    .venv/bin/python windows.py

MONAI's cases run through its `sliding_window_inference`, one window at a time. nnU-Net's cases take
positions and weights from its own `compute_steps_for_sliding_window` and `compute_gaussian`, with the
arguments of its predictor (float16, greatest weight 10), and padding from `pad_nd_image`. Its predictor
also adds up in float16, on every device; here Σ g·y / Σ g is in double precision. These functions need
numpy, scipy and torch only, so that nnunetv2 and acvl_utils are installed without what they depend
on: nothing is stubbed. (nnunetv2 2.8.1 excludes torch 2.9, so pip would refuse the pair.)

The network, in two or three dimensions, with random weights:

    enc  = relu(conv3(x))                 channels of x → 4
    mid  = relu(conv3(maxpool2(enc)))     4 → 6
    dec  = relu(conv3([nearest2(mid), enc]))    6+4 → 5
    head = conv1(dec)                     5 → classes

and in `affine` without relu and with average instead of maximum pooling. A mirrored window has the mean
of the logits over all subsets of the mirrored axes, in nnU-Net's order: (), (0), (1), (0, 1). A *pass* is
one run of the network: a window and a subset. Of a pass, A is a layer's activation and g = ∂score/∂A.
`upsample` is (bi-, tri-)linear, align_corners=False, to the window's size; sums of maps lie on the padded
image, mirrored back, at the window's place, and are cropped to the image. For every {case}:

    weight.{layer}.weight, .bias   f32
    input       f32 [1, channels, …]
    window      i64 [d]
    overlap     f64 [1], or for nnU-Net's cases
    step        f64 [1]            both as a share of the window
    gaussian    u8  [1]            whether the weights are a Gaussian, of sigma window/8
    axes        i64 [axes]         mirrored axes, the first spatial axis being 0
    starts      i64 [windows, d]   in the padded image
    weights     f32 [window]       the importance map
    logits      f32 [1, classes, …]
    class       i64 [1]
    mask        u8  [1, 1, …]      where the class is the argmax
    score       f64 [1]            Σ mask · logits[class]
    hires.{layer}        f32 [1, 1, …]   Σ_passes upsample(Σ_k g_k A_k)
    total.hires.{layer}  f64 [1]         Σ_passes Σ_k Σ_cells g_k A_k
    grad.{layer}         f32 [1, 1, …]   Σ_passes upsample(Σ_k ḡ_k A_k), ḡ_k the mean of g over the
                                         cells of all passes, those without gradient too
    grad-each.{layer}    f32 [1, 1, …]   the same, ḡ_k being the mean over the pass's own cells
    bias        f64 [1]            `affine` only: the score with zeros as enc; total.hires.enc + bias = score

and tables, numbered from 0:

    positions.monai.{n}.image, .window, .overlap, .starts      i64 [d], i64 [d], f64 [1], i64 [windows, d]
    positions.nnunet.{n}.image, .window, .step, .starts
    gaussian.monai.{n}, gaussian.nnunet.{n}                    f32 [window]

The metadata `windows` lists the cases and counts the tables. Before anything is written, each case is held
against finite differences and against what piecewise linear networks obey: for enc, Σ g·A + Σ b·∂score/∂b
over the biases behind it = score, and for dec the same with the head's biases; and hires.dec, before
a convolution of one cell, is mask · (logits[class] − the head's bias) at every pixel.
"""

import itertools
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from monai.data.utils import compute_importance_map
from monai.inferers import sliding_window_inference
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
LAYERS = ["enc", "mid", "dec"]
SIGMA = 0.125

# A case is: scheme, image, window, overlap (nnU-Net: step), channels, classes, and what is unusual.
CASES = {
    "constant2": ("monai", [23, 30], [12, 16], 0.25, 1, 2, {}),
    "gaussian2": ("monai", [21, 17], [16, 8], 0.5, 2, 3, {"gaussian": True}),
    "smaller": ("monai", [10, 27], [16, 12], 0.625, 1, 3, {"gaussian": True}),
    "gaussian3": ("monai", [11, 13, 10], [8, 8, 6], 0.5, 2, 2, {"gaussian": True}),
    "constant3": ("monai", [9, 8, 7], [8, 8, 8], 0.0, 1, 3, {}),
    "mirrored": ("monai", [21, 18], [12, 16], 0.5, 2, 3, {"gaussian": True, "axes": [0, 1]}),
    "one": ("monai", [16, 12], [16, 12], 0.25, 1, 2, {}),
    "affine": ("monai", [19, 22], [12, 8], 0.5, 2, 3, {"gaussian": True, "affine": True}),
    "nnunet": ("nnunet", [25, 19], [16, 12], 0.5, 1, 3, {"gaussian": True}),
    "nnunet-smaller": ("nnunet", [9, 30], [16, 12], 0.5, 2, 2, {"gaussian": True}),
    "nnunet3-mirrored": ("nnunet", [7, 11, 9], [8, 8, 6], 0.5, 1, 2, {"gaussian": True, "axes": [0, 2]}),
}

# image, window, overlap
MONAI_POSITIONS = [
    ([30], [10], 0.25), ([31], [10], 0.5), ([17], [20], 0.5), ([25], [20], 0.9), ([13], [10], 0.9),
    ([29], [10], 0.8), ([24], [7], 0.3), ([23, 30], [12, 16], 0.25), ([16, 20], [16, 8], 0.5),
    ([33, 9], [9, 9], 0.625), ([11, 13, 10], [8, 8, 6], 0.5), ([9, 8, 7], [8, 8, 8], 0.0),
    ([15, 16, 21], [5, 16, 7], 0.1),
]
# image, tile, step
NNUNET_POSITIONS = [
    ([110], [64], 0.5), ([25], [16], 0.5), ([19], [12], 0.5), ([40], [16], 1.0), ([41], [16], 0.25),
    ([27], [9], 0.5), ([16], [16], 0.5), ([25, 19], [16, 12], 0.5), ([16, 30], [16, 12], 0.25),
    ([33, 18], [11, 9], 1.0), ([11, 13, 10], [8, 8, 6], 0.5), ([9, 8, 15], [8, 8, 8], 0.25),
]
GAUSSIANS = [[7], [16, 9], [8, 10, 12]]


class Net(nn.Module):
    def __init__(self, dims, channels, classes, affine):
        super().__init__()
        conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        maximum, average = {2: (F.max_pool2d, F.avg_pool2d), 3: (F.max_pool3d, F.avg_pool3d)}[dims]
        self.enc = conv(channels, 4, 3, padding=1)
        self.mid = conv(4, 6, 3, padding=1)
        self.dec = conv(10, 5, 3, padding=1)
        self.head = conv(5, classes, 1)
        self.pool = average if affine else maximum
        self.act = (lambda x: x) if affine else F.relu

    def forward(self, x, see):
        enc = see("enc", self.act(self.enc(x)))
        mid = see("mid", self.act(self.mid(self.pool(enc, 2))))
        up = F.interpolate(mid, scale_factor=2, mode="nearest")
        return self.head(see("dec", self.act(self.dec(torch.cat([up, enc], 1)))))


def subsets(axes):
    """The axes of tensors that each pass of a window mirrors, as nnU-Net's predictor goes through them."""
    some = [some for n in range(len(axes) + 1) for some in itertools.combinations(axes, n)]
    return [tuple(2 + axis for axis in axes) for axes in some]


def mirrored(net, axes, see):
    def predict(window):
        logits = [torch.flip(net(torch.flip(window, some), see), some) for some in subsets(axes)]
        return sum(logits) / len(logits)
    return predict


def at(start, window):
    return (..., *(slice(s, s + n) for s, n in zip(start, window)))


def monai(x, window, overlap, gaussian, predict):
    """The blended logits and the windows' starts."""
    starts = []

    def recorded(patch, coordinates):
        starts.append([side.start for side in coordinates[0][2:]])
        return predict(patch)

    mode = "gaussian" if gaussian else "constant"
    logits = sliding_window_inference(x, window, 1, recorded, overlap, mode, SIGMA, with_coord=True)
    return logits, starts


def nnunet_weights(window):
    cpu = torch.device("cpu")
    gaussian = compute_gaussian(tuple(window), sigma_scale=1.0 / 8, value_scaling_factor=10, device=cpu)
    assert gaussian.dtype == torch.float16
    return gaussian


def nnunet(x, window, step, gaussian, predict):
    """The blended logits and the windows' starts."""
    assert gaussian
    padded, crop = pad_nd_image(x, window, "constant", {"value": 0}, True)
    starts = list(itertools.product(*compute_steps_for_sliding_window(padded.shape[2:], window, step)))
    weights = nnunet_weights(window).to(x.dtype)
    above = below = 0
    for start in starts:
        pads = [n for s, w, side in zip(start, window, padded.shape[2:]) for n in (side - s - w, s)][::-1]
        above = above + F.pad(weights * predict(padded[at(start, window)]), pads)
        below = below + F.pad(weights, pads)
    return (above / below)[(..., *crop[2:])], starts


class Case:
    def __init__(self, seed, scheme, image, window, overlap, channels, classes, unusual):
        self.scheme, self.image, self.window, self.overlap = scheme, image, window, overlap
        self.gaussian, self.axes = unusual.get("gaussian", False), unusual.get("axes", [])
        self.affine = unusual.get("affine", False)
        torch.manual_seed(seed)
        self.input = torch.randn(1, channels, *image).double()
        self.net = Net(len(image), channels, classes, self.affine).double()
        with torch.no_grad():
            for name, parameter in self.net.named_parameters():
                parameter.copy_(torch.randn(parameter.shape) * (0.2 if name.endswith("bias") else 0.35))
        self.padded = [max(pair) for pair in zip(image, window)]
        before = [(to - side) // 2 for to, side in zip(self.padded, image)]
        self.crop = at(before, image)
        with torch.no_grad():  # so that no class is everywhere
            mean = self.run()[0].flatten(2).mean(2).flatten()
            self.net.head.bias.copy_((self.net.head.bias - mean).float())
        self.target, self.mask = None, None

    def run(self, edit=lambda name, at, x: x):
        """The blended logits, the starts, and each layer's activation of every pass, after `edit`."""
        seen = {name: [] for name in LAYERS}

        def see(name, x):
            x = edit(name, len(seen[name]), x)
            seen[name].append(x)
            return x

        blend = {"monai": monai, "nnunet": nnunet}[self.scheme]
        predict = mirrored(self.net, self.axes, see)
        logits, starts = blend(self.input, self.window, self.overlap, self.gaussian, predict)
        return logits, starts, seen

    def ask(self, logits):
        """Takes the class whose share of the image is the closest to a half."""
        best = logits.argmax(1, keepdim=True)
        shares = [(best == c).double().mean().item() for c in range(logits.shape[1])]
        self.target = min(range(len(shares)), key=lambda c: abs(shares[c] - 0.5))
        self.mask = best == self.target
        assert 0.1 < shares[self.target] < 0.9, shares
        top = logits.topk(2, dim=1).values
        assert (top[:, 0] - top[:, 1]).min() > 1e-4, "an argmax that single precision may change"

    def score(self, logits):
        return (logits[:, self.target] * self.mask[:, 0]).sum()

    def importance(self):
        if self.scheme == "nnunet":
            return nnunet_weights(self.window).float()
        return compute_importance_map(tuple(self.window), "gaussian" if self.gaussian else "constant", SIGMA)

    def place(self, maps, starts):
        """The sum of all passes' maps, on the image."""
        mode = {2: "bilinear", 3: "trilinear"}[len(self.window)]
        flips = subsets(self.axes)
        canvas = torch.zeros(1, 1, *self.padded, dtype=torch.double)
        for i, (start, some) in enumerate(itertools.product(starts, flips)):
            up = F.interpolate(maps[i], self.window, mode=mode, align_corners=False)
            canvas[at(start, self.window)] += torch.flip(up, some)
        assert len(maps) == len(starts) * len(flips)
        return canvas[self.crop]

    def compute(self):
        logits, starts, seen = self.run()
        self.ask(logits)
        score = self.score(logits)
        passes = len(seen["enc"])
        biases = [getattr(self.net, name).bias for name in ("mid", "dec", "head")]
        grads = torch.autograd.grad(score, [x for name in LAYERS for x in seen[name]] + biases)
        behind = [(b * g).sum().item() for b, g in zip(biases, grads[-3:])]
        out = {
            "input": self.input.float(), "window": torch.tensor(self.window),
            "step" if self.scheme == "nnunet" else "overlap": number(self.overlap),
            "gaussian": torch.tensor([self.gaussian], dtype=torch.uint8),
            "axes": torch.tensor(self.axes, dtype=torch.int64), "starts": torch.tensor(starts),
            "weights": self.importance(), "logits": logits.float(), "class": torch.tensor([self.target]),
            "mask": self.mask.to(torch.uint8), "score": number(score.item()),
        }
        out |= {f"weight.{name}": x.float() for name, x in self.net.state_dict().items()}
        with torch.no_grad():
            for l, name in enumerate(LAYERS):
                acts, g = seen[name], grads[l * passes:(l + 1) * passes]
                hires = [(g * a).sum(1, keepdim=True) for g, a in zip(g, acts)]
                spatial = tuple(range(2, g[0].ndim))
                each = [x.mean(spatial, keepdim=True) for x in g]
                over_all = sum(each) / passes
                out[f"hires.{name}"] = self.place(hires, starts)
                out[f"total.hires.{name}"] = number(sum(x.sum().item() for x in hires))
                out[f"grad.{name}"] = self.place([(over_all * a).sum(1, keepdim=True) for a in acts], starts)
                out[f"grad-each.{name}"] = self.place(
                    [(m * a).sum(1, keepdim=True) for m, a in zip(each, acts)], starts)
                self.check_gradient(name, acts, g)
            if self.affine:
                out["bias"] = number(self.without_enc())
        self.check_shares(out, behind)
        own = self.mask * (logits[:, [self.target]] - self.net.head.bias[self.target])
        assert (out["hires.dec"] - own).abs().max() < 1e-9, "evidence at dec is what the head makes of it"
        return single(out)

    def without_enc(self):
        return self.score(self.run(lambda name, at, x: x * 0 if name == "enc" else x)[0]).item()

    def check_gradient(self, layer, acts, g):
        """A central difference over all passes at once. Its direction depends on values only, and is zero at
        zero: what is tied in a pool (zeros, and what lies in the padding) stays tied, as a maximum has no
        derivative there. Maps have: ties share their channel, and lie together in the padding or are zero."""
        each_channel = (-1, *[1] * len(self.window))
        way, eps = [torch.sin(30 * torch.randn(a.shape[1]).view(each_channel) * a) for a in acts], 1e-7
        ends = [self.score(self.run(lambda name, at, x: x + s * eps * way[at] if name == layer else x)[0])
                for s in (1, -1)]
        found, wanted = (ends[0] - ends[1]) / (2 * eps), sum((a * b).sum() for a, b in zip(way, g))
        scale = sum((x ** 2).sum() for x in g).sqrt()
        assert (found - wanted).abs() < 1e-5 * scale, (layer, found, wanted)

    def check_shares(self, out, behind):
        score = out["score"].item()
        for layer, rest in (("enc", sum(behind)), ("dec", behind[2])):
            assert abs(out[f"total.hires.{layer}"].item() + rest - score) < 1e-9 * max(1, abs(score)), layer
        if self.affine:
            assert abs(out["bias"].item() - sum(behind)) < 1e-9 * max(1, abs(score))


def number(x):
    return torch.tensor([x], dtype=torch.double)


def single(out):
    """Maps in single precision; numbers as they are."""
    return {key: x.float() if x.dtype == torch.double and x.ndim > 1 else x for key, x in out.items()}


def tables():
    out = {}
    for n, (image, window, overlap) in enumerate(MONAI_POSITIONS):
        _, starts = monai(torch.zeros(1, 1, *image), window, overlap, False, lambda patch: patch)
        row = {"image": image, "window": window, "starts": starts}
        out |= {f"positions.monai.{n}.{key}": torch.tensor(value) for key, value in row.items()}
        out[f"positions.monai.{n}.overlap"] = number(overlap)
    for n, (image, window, step) in enumerate(NNUNET_POSITIONS):
        starts = list(itertools.product(*compute_steps_for_sliding_window(image, window, step)))
        row = {"image": image, "window": window, "starts": starts}
        out |= {f"positions.nnunet.{n}.{key}": torch.tensor(value) for key, value in row.items()}
        out[f"positions.nnunet.{n}.step"] = number(step)
    for n, window in enumerate(GAUSSIANS):
        out[f"gaussian.monai.{n}"] = compute_importance_map(tuple(window), "gaussian", SIGMA)
        out[f"gaussian.nnunet.{n}"] = nnunet_weights(window).float()
    return out


def main():
    tensors = tables()
    for seed, (name, case) in enumerate(CASES.items(), 20):
        case = Case(seed, *case)
        out = case.compute()
        tensors |= {f"{name}.{key}": x.detach().contiguous() for key, x in out.items()}
        totals = ", ".join(f"{layer} {out[f'total.hires.{layer}'].item():.4f}" for layer in LAYERS)
        print(f"{name}: {len(out['starts'])} windows, {len(subsets(case.axes))} passes each, "
              f"class {case.target} on {case.mask.double().mean():.0%}, score {out['score'].item():.4f}, "
              f"totals {totals}")
    positions = {"monai": len(MONAI_POSITIONS), "nnunet": len(NNUNET_POSITIONS)}
    known = {"cases": list(CASES), "positions": positions, "gaussians": len(GAUSSIANS)}
    save_file(tensors, HERE / "windows.safetensors", {"windows": json.dumps(known)})
    print(f"{len(tensors)} tensors, torch {torch.__version__}")


if __name__ == "__main__":
    main()
