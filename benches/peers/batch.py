"""`segcam batch` over a folder of images beside pytorch-grad-cam in a Python loop: the same network and weights,
images, class, pixels, layers and methods.

    cargo xtask bench-peers --batch [IMAGES]

Both are whole processes from start to end; in each round they run one after the other. The raw maps' extremes are
compared before times are.
"""

import csv
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import nets

SIDE, WIDTH, CLASSES = 128, 64, 4
LAYERS = ["mid", "dec1"]


def images(folder, count):
    """Smooth random pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = random.uniform(0, 255, (16, 16, 3)).astype("uint8")
        Image.fromarray(coarse).resize((SIDE, SIDE), Image.BICUBIC).save(folder / f"{number:04}.png")


def read(path):
    x = np.asarray(Image.open(path).convert("RGB"), dtype="float32") / 255
    return torch.from_numpy(x).permute(2, 0, 1)[None]


@torch.no_grad()
def predicted(model, x):
    return model(x).argmax(1)[0].numpy()


def peer(folder, weights, of_class):
    """What a user of pytorch-grad-cam writes. Prints input, layer, method, smallest and largest raw value."""
    from pytorch_grad_cam import GradCAM, HiResCAM
    from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
    from safetensors.torch import load_file
    model = nets.unet(WIDTH, CLASSES)
    model.load_state_dict(load_file(weights))
    out = csv.writer(sys.stdout)
    for path in sorted(folder.glob("*.png")):
        x = read(path)
        mask = (predicted(model, x) == of_class).astype("float32")
        if not mask.any():
            out.writerow([path.name, "", "", 0, 0])
            continue
        target = [SemanticSegmentationTarget(of_class, mask)]
        for name in LAYERS:
            for kind, method in [(GradCAM, "seg-grad-cam"), (HiResCAM, "seg-hires-grad-cam")]:
                with kind(model, [nets.layer(model, name)]) as cam:
                    cam(x, target)
                    a, g = (store[0] for store in (cam.activations_and_grads.activations,
                                                   cam.activations_and_grads.gradients))
                    raw = (a * (g.mean((2, 3), keepdim=True) if kind is GradCAM else g)).sum(1)
                    out.writerow([path.name, name, method, raw.min().item(), raw.max().item()])


def ours(program, folder, weights, of_class, out):
    command = [program, "batch", "--model", "vanilla-unet", "--weights", weights, "--input", folder,
               "--class", str(of_class), "--layer", *LAYERS, "--out", out, "--csv", "--quiet"]
    subprocess.run([str(part) for part in command], check=True)


def compare(table, printed):
    """Differences of extremes, relative to each map's largest absolute value: the middle and the largest one."""
    with open(table) as file:
        found = {(row["input"], row["layer"], row["method"]): row for row in csv.DictReader(file)}
    off = []
    for name, layer, method, low, high in csv.reader(printed.splitlines()):
        if not layer:
            continue
        row, scale = found[name, layer, method], max(abs(float(low)), abs(float(high)))
        off.append(max(abs(float(row["raw_min"]) - float(low)) / scale,
                       abs(float(row["raw_max"]) - float(high)) / scale))
    return statistics.median(off), max(off), len(off)


def main(program, folder, count, rounds):
    folder = Path(folder) / "batch"
    pictures, weights = folder / "images", folder / "weights.safetensors"
    images(pictures, count)
    model = nets.unet(WIDTH, CLASSES)
    save_file(model.state_dict(), weights)
    # Of random weights the class that the first image has most of.
    of_class = int(np.bincount(predicted(model, read(pictures / "0000.png")).ravel()).argmax())
    times = {"segcam batch": [], "pytorch-grad-cam": []}
    busy = []
    for number in range(rounds):
        out = folder / f"out{number}"
        subprocess.run(["rm", "-rf", out], check=True)
        start = time.perf_counter()
        ours(program, pictures, weights, of_class, out)
        times["segcam batch"].append(time.perf_counter() - start)
        start = time.perf_counter()
        command = [sys.executable, __file__, "--peer", pictures, weights, str(of_class)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        times["pytorch-grad-cam"].append(time.perf_counter() - start)
        middle, worst, maps = compare(out / "results.csv", printed)
        print(f"round {number + 1}: {maps} maps, extremes differ by {middle:.1e}, at most by {worst:.1e}")
        # Where two classes or a ReLU are equal to the last digit, a pixel of the set or a cell may flip.
        assert middle < 1e-4 and worst < 2e-2
        with open(out / "results.csv") as file:
            seconds = {row["input"]: float(row["seconds"]) for row in csv.DictReader(file)}
        busy.append(sum(seconds.values()) / times["segcam batch"][-1])
    middle = {name: statistics.median(values) for name, values in times.items()}
    ratio = middle["segcam batch"] / middle["pytorch-grad-cam"]
    print(f"| {count} images, U-Net {WIDTH}, {SIDE}², {len(LAYERS)} layers × 2 methods | flex "
          f"| {middle['segcam batch']:.1f} s | pytorch-grad-cam in a loop | {middle['pytorch-grad-cam']:.1f} s "
          f"| {ratio:.2f} | ≤ 0.30 |")
    print(f"of the whole process {statistics.median(busy):.2f} is explaining, back to back ({os.cpu_count()} cores)")


if __name__ == "__main__":
    if sys.argv[1] == "--peer":
        peer(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        program, folder, *rest = sys.argv[1:]
        count = int(rest[0]) if rest else 200
        main(program, folder, count, rounds=3)
