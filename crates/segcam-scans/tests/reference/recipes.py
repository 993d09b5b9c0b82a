"""Scans prepared for networks with numpy, scipy and nibabel, step by step as nnU-Net and MONAI do it,
and plans as nnU-Net writes them. scans.py has them in what it writes."""

import json

import nibabel as nib
import numpy as np
import scipy.ndimage

rng = np.random.default_rng(20261127)


def ct(size, channels=1):
    """With zeros around and a hole of zeros."""
    array = np.zeros((channels, *size), np.float32)
    inner = tuple(slice(1, side - 1) for side in size)
    array[(slice(None), *inner)] = rng.normal(60, 120, size=(channels, *(side - 2 for side in size)))
    middle = tuple(side // 2 for side in size)
    array[(slice(None), *middle)] = 0
    array[0][middle[0] + 1, middle[1], middle[2]] = 0
    return array


def turn(array, affine, code):
    start, end = nib.io_orientation(affine), nib.orientations.axcodes2ornt(code)
    change = nib.orientations.ornt_transform(start, end)
    turned = np.stack([nib.orientations.apply_orientation(part, change) for part in array])
    return turned, affine @ nib.orientations.inv_ornt_aff(change, array.shape[1:])


def filled(array):
    return scipy.ndimage.binary_fill_holes((array != 0).any(axis=0))


def crop(array):
    places = np.argwhere(filled(array))
    low, high = places.min(axis=0), places.max(axis=0) + 1
    return array[(slice(None), *(slice(a, b) for a, b in zip(low, high)))]


def resample(array, old, new):
    size = [round(a / b * side) for a, b, side in zip(old, new, array.shape[1:])]
    zoom = [a / b for a, b in zip(size, array.shape[1:])]
    parts = [scipy.ndimage.zoom(part.astype(float), zoom, order=1, mode="nearest", grid_mode=True)
             for part in array]
    return np.stack(parts).astype(np.float32)


def z_score(part, mask=None):
    mask = np.ones(part.shape, bool) if mask is None else mask
    out = part.astype(float)
    out[mask] = (out[mask] - out[mask].mean()) / max(out[mask].std(), 1e-8)
    return out


def min_max(part, low, high):
    return (part.astype(float) - low) / (high - low)


def each(array, change):
    return np.stack([change(part) for part in array])


def case(card, array, affine, result):
    """Arrays have channels and i first, `result` channels and the network's sides."""
    return {
        "card": card,
        "size": array.shape[1:],
        "channels": len(array),
        "affine": affine[:3].tolist(),
        "values": np.stack([part.ravel(order="F") for part in array]).ravel().tolist(),
        "sides": result.shape,
        "input": result.astype(np.float32).ravel().tolist(),
    }


def percentiles_of(array):
    def change(part):
        low, high = np.percentile(part, [1, 99.5])
        part = np.clip(part, low, high)
        return min_max(part, part.min(), part.max())

    return each(array, change)


def cards(oblique):
    spacing = [0.9, 1.1, 2.5]
    one, two = ct((9, 8, 7)), ct((8, 7, 6), 2)
    xyz = lambda array: array
    zyx = lambda array: array.transpose(0, 3, 2, 1)
    ras, there = turn(one, oblique, "RAS")
    steps = np.linalg.norm(there[:3, :3], axis=0)
    window = min_max(np.clip(ras, -400, 240), -400, 240)
    yield case('orientation = "RAS"\nclip = [-400, 240]\nscale = "min-max"\naxes = "xyz"',
               one, oblique, xyz(window))
    yield case('orientation = "RAS"\nspacing = [1.5, 0.7, 1.2]\ncrop = "nonzero"\nscale = "z-score"',
               one, oblique, zyx(resample(each(crop(ras), z_score), steps, [1.5, 0.7, 1.2])))
    yield case('scale = "z-score-nonzero"', two, oblique,
               zyx(each(two, lambda part: z_score(part, part != 0))))
    inside = filled(two)
    yield case('crop = "nonzero"\nscale = "z-score-nonzero-filled"\nspacing = [0.45, 2.2, 2.5]', two,
               oblique, zyx(resample(crop(each(two, lambda part: z_score(part, inside))), spacing,
                                     [0.45, 2.2, 2.5])))
    yield case('percentiles = [1, 99.5]\nscale = "min-max"\naxes = "xyz"', two, oblique,
               xyz(percentiles_of(two)))
    lps = turn(two, oblique, "LPS")[0]
    mixed = np.stack([(np.clip(lps[0], -50, 90).astype(float) - 40.5) / 12.25, lps[1] / 255.0])
    yield case('orientation = "lps"\naxes = "yzx"\n'
               '[[channels]]\nclip = [-50, 90]\nscale = { mean = 40.5, std = 12.25 }\n'
               '[[channels]]\nscale = { by = 255 }', two, oblique, mixed.transpose(0, 2, 3, 1))


SEEN = [{"max": 900.0, "mean": 71.25, "median": 70.0, "min": -300.0, "percentile_00_5": -90.5,
         "percentile_99_5": 210.75, "std": 55.5},
        {"max": 9.0, "mean": 1.0, "median": 1.0, "min": 0.0, "percentile_00_5": 0.5,
         "percentile_99_5": 8.0, "std": 2.0}]


def configuration(spacing, patch_size, **more):
    return {"data_identifier": "nnUNetPlans", "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 2, "patch_size": patch_size, "spacing": spacing,
            "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
            "use_mask_for_norm": [False, True],
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0,
                                          "force_separate_z": None}, **more}


def plans(folder):
    """As of two scanners, whose middle axis is the coarse one."""
    folder.mkdir()
    planned = {
        "dataset_name": "Dataset999_Synthetic", "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.1, 2.5, 0.9],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [1, 0, 2], "transpose_backward": [1, 0, 2],
        "configurations": {
            "2d": configuration([2.0, 0.6], [64, 96]),
            "3d_fullres": configuration([1.0, 2.0, 0.6], [32, 64, 96]),
            "3d_lowres": configuration([2.0, 4.0, 1.2], [32, 64, 96]),
            "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
            "3d_bs4": {"batch_size": 4, "inherits_from": "3d_fullres", "patch_size": [16, 32, 48]},
            "round": {"inherits_from": "about"}, "about": {"inherits_from": "round"},
            "still": configuration([1.0, 2.0, 0.6], [32, 64, 96],
                                   resampling_fn_data="no_resampling_data_or_seg_to_shape"),
            "scaled": configuration([1.0, 2.0, 0.6], [32, 64, 96], normalization_schemes=[
                "RescaleTo01Normalization", "NoNormalization"]),
        },
        "experiment_planner_used": "ExperimentPlanner", "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(n): seen for n, seen in enumerate(SEEN)},
    }
    dataset = {"channel_names": {"0": "CT", "1": "PET"}, "numTraining": 3, "file_ending": ".nii.gz",
               "labels": {"background": 0, "tumour": 2, "liver": 1, "ignore": 3}}
    for name, content in (("plans.json", planned), ("dataset.json", dataset)):
        (folder / name).write_text(json.dumps(content, indent=4) + "\n")


def nnunet(oblique):
    """nnU-Net's DefaultPreprocessor with those plans, but for the spline it resamples with."""
    array, spacing = ct((8, 9, 7), 2), np.array([0.9, 1.1, 2.5])
    for name, planned in (("3d_fullres", [1.0, 2.0, 0.6]), ("2d", [None, 2.0, 0.6]),
                          ("scaled", [1.0, 2.0, 0.6]), ("still", None)):
        order = [1, 0, 2]
        data = array.transpose(0, 3, 2, 1).transpose(0, *(axis + 1 for axis in order))
        old = spacing[::-1][order]
        data, mask = crop(data), filled(crop(data))
        if name == "scaled":
            parts = [min_max(data[0], data[0].min(), data[0].max()), data[1]]
        else:
            seen = SEEN[0]
            clipped = np.clip(data[0], seen["percentile_00_5"], seen["percentile_99_5"]).astype(float)
            parts = [(clipped - seen["mean"]) / seen["std"], z_score(data[1], mask)]
        data = np.stack(parts).astype(np.float32)
        if planned:
            new = [b if b else a for a, b in zip(old, planned)]
            data = resample(data, old, new)
        yield case(name, array, oblique, data)
