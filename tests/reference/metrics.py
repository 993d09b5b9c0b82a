"""Writes metrics.safetensors beside this file: what Quantus, captum, pytorch-grad-cam and scipy say
about heatmaps.

    python3 -m venv .venv && .venv/bin/pip install -r metrics-requirements.txt
    .venv/bin/python metrics.py

All tensors are float64. Inputs are exact in float32; expected values are in double precision.
"""

import os
from pathlib import Path
from unittest import mock

os.environ["TQDM_DISABLE"] = "1"

import numpy as np
import quantus
import torch
import torch.nn.functional as F
from captum.metrics import sensitivity_max
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from safetensors.torch import save_file
from scipy import stats

HERE = Path(__file__).parent
FRACTIONS = [0.1, 0.3, 0.5, 0.7, 0.9]


def exact(x):
    """Rounded to float32, held as float64."""
    return np.asarray(x, dtype=np.float32).astype(np.float64)


def rectangle(shape, rows, columns):
    mask = np.zeros(shape)
    mask[rows, columns] = 1
    return mask


def localisation(rng):
    regions = [
        rectangle((7, 9), slice(2, 5), slice(3, 8)),
        (rng.random((11, 8)) < 0.4).astype(float),
        rectangle((24, 13), slice(0, 20), slice(0, 11)),
        rectangle((15, 23), slice(14, 15), slice(22, 23)),
        (rng.random((17, 10)) < 0.9).astype(float),
        rectangle((9, 21), slice(3, 9), slice(5, 12)),
    ]
    tensors = {}
    for i, region in enumerate(regions):
        heat = exact(rng.random(region.shape) * (1 + (-0.3 if i % 2 else 0.5) * region))
        assert np.unique(heat).size == heat.size
        tensors |= {f"{i}.map": heat, f"{i}.region": region}
        for name, metric in (
            ("pointing", quantus.PointingGame),
            ("mass", quantus.RelevanceMassAccuracy),
            ("rank", quantus.RelevanceRankAccuracy),
        ):
            metric = metric(abs=False, normalise=False, disable_warnings=True)
            tensors[f"{i}.{name}"] = metric(
                model=torch.nn.Identity(), x_batch=heat[None, None], y_batch=np.array([0]),
                a_batch=heat[None, None], s_batch=region[None, None], channel_first=True)
    return tensors


def impute(image, keep):
    """The imputer casts its solution to torch.float and so takes float32 images only. That cast is
    the only single-precision step: torch.float is made double here."""
    with mock.patch("torch.float", torch.float64):
        imputer = NoisyLinearImputer(noise=0)
        return imputer(torch.from_numpy(image), torch.from_numpy(keep)).numpy()


def imputations(rng):
    border = np.ones((21, 17))
    border[:, :4] = 0
    keeps = [
        (rng.random((13, 11)) < 0.3).astype(float),
        (rng.random((21, 17)) < 0.8).astype(float),
        1 - rectangle((15, 17), slice(0, 7), slice(11, 17)),
        border,
    ]
    tensors = {}
    for i, (channels, keep) in enumerate(zip([1, 3, 3, 1], keeps)):
        image = exact(rng.standard_normal((channels, *keep.shape)))
        tensors |= {f"{i}.image": image, f"{i}.keep": keep, f"{i}.imputed": impute(image, keep)}
    return tensors


def correlations(rng):
    samples = []
    for n in (10, 25):
        a = exact(rng.standard_normal(n))
        samples.append((a, exact(0.6 * a + rng.standard_normal(n))))
    a = rng.integers(0, 5, 18).astype(float)
    samples.append((a, -a + rng.integers(0, 4, 18)))  # ties in both
    tensors = {}
    for i, (a, b) in enumerate(samples):
        tensors |= {f"spearman.{i}.a": a, f"spearman.{i}.b": b, f"pearson.{i}.a": a,
                    f"pearson.{i}.b": b, f"spearman.{i}.rho": stats.spearmanr(a, b).statistic,
                    f"pearson.{i}.r": stats.pearsonr(a, b).statistic}
    return tensors


def wilcoxon(rng):
    tensors = {}
    for i, n in enumerate((8, 20)):
        a = exact(rng.standard_normal(n))
        b = exact(a + 0.4 + rng.standard_normal(n))
        assert np.unique(np.abs(a - b)).size == n
        p = stats.wilcoxon(a, b, method="exact").pvalue
        tensors |= {f"{i}.a": a, f"{i}.b": b, f"{i}.p": p}
    # Halves, so that equal differences stay equal in floating point. None is zero.
    d = np.array([1, 1, -1, 2, 2, 2, -3, 4, 4, 5, -5, 6]) / 2
    a = rng.integers(0, 9, 12) / 2
    p = stats.wilcoxon(a, a - d, method="approx", correction=True).pvalue
    return tensors | {"2.a": a, "2.b": a - d, "2.p": p}


def sensitivity(rng):
    heat = exact(rng.random((9, 12)))
    changed = exact(heat + 0.2 * rng.standard_normal((6, 9, 12)))
    prepared = torch.from_numpy(np.concatenate([heat[None], changed]))

    # captum gives the unchanged input as a tuple and wants a tuple back.
    def explain(x):
        return tuple(map(explain, x)) if isinstance(x, tuple) else prepared[x[:, 0].long()]

    # The inputs are indices into the prepared maps: 0 becomes 1 to 6.
    worst = sensitivity_max(
        explain, torch.zeros(1, 1, dtype=torch.float64),
        perturb_func=lambda x: x + torch.arange(1, len(x) + 1, dtype=x.dtype)[:, None],
        n_perturb_samples=len(changed))
    return {"0.map": heat, "0.changed": changed, "0.max": worst.numpy()}


def road(rng):
    """ROAD over all pixels, and deletion and insertion outside the mask."""
    height, width = 13, 11
    net = {"w1": 0.4 * rng.standard_normal((4, 2, 3, 3)), "b1": 0.2 * rng.standard_normal(4),
           "w2": 0.6 * rng.standard_normal((3, 4, 3, 3)), "b2": 0.2 * rng.standard_normal(3)}
    net = {name: exact(value) for name, value in net.items()}
    weights = {name: torch.from_numpy(value) for name, value in net.items()}
    image = exact(rng.standard_normal((1, 2, height, width)))
    mask = rectangle((height, width), slice(3, 8), slice(2, 8))
    mask[7, 2:5] = 0
    heat = exact(rng.random((height, width)))
    assert np.unique(heat).size == heat.size
    class_ = 2

    def score(keep):
        x = torch.from_numpy(impute(image[0], keep) if keep.min() == 0 else image[0])[None]
        x = F.relu(F.conv2d(x, weights["w1"], weights["b1"], padding=1))
        x = F.conv2d(x, weights["w2"], weights["b2"], padding=1)
        return x.softmax(1)[0, class_].numpy()[mask == 1].mean()

    # Keep masks by exact rank: the percentiles of pytorch-grad-cam's road classes remove 15 and
    # 128 pixels of 143 where the fractions 0.1 and 0.9 round to 14 and 129. The imputer is theirs.
    def without(pixels):
        keep = np.ones(height * width)
        keep[pixels] = 0
        return keep.reshape(height, width)

    def counts(pixels):
        return [int(q * len(pixels) + 0.5) for q in FRACTIONS]

    order = np.argsort(-heat.ravel(), kind="stable")
    morf = np.array([score(without(order[:k])) for k in counts(order)])
    lerf = np.array([score(without(order[::-1][:k])) for k in counts(order)])
    tensors = {f"road.0.{name}": value for name, value in net.items()} | {
        "road.0.image": image, "road.0.mask": mask, "road.0.heat": heat, "road.0.class": class_,
        "road.0.clean": score(np.ones((height, width))), "road.0.morf": morf, "road.0.lerf": lerf,
        "road.0.score": np.mean((lerf - morf) / 2)}

    outside = order[mask.ravel()[order] == 0]
    return tensors | {
        "context.0.deletion": np.array([score(without(outside[:k])) for k in counts(outside)]),
        "context.0.insertion": np.array([score(without(outside[k:])) for k in counts(outside)])}


def main():
    def rng(seed):
        return np.random.default_rng(seed)

    groups = {"localisation": localisation(rng(1)), "impute": imputations(rng(2)),
              "wilcoxon": wilcoxon(rng(4)), "sensitivity": sensitivity(rng(5))}
    tensors = {f"{group}.{name}": value
               for group, values in groups.items() for name, value in values.items()}
    tensors |= correlations(rng(3)) | road(rng(6))
    tensors = {name: torch.from_numpy(np.atleast_1d(np.asarray(value, dtype=np.float64)).copy())
               for name, value in tensors.items()}
    assert all(value.isfinite().all() for value in tensors.values())
    save_file(tensors, HERE / "metrics.safetensors")


if __name__ == "__main__":
    main()
