"""segcam beside what people use with PyTorch: the same maps, on the same machine, in the same run.

    cargo xtask bench-peers [--quick] [--json FILE]
    cargo xtask bench-peers --convolutions [--plot FILE]    # single convolutions
    cargo xtask bench-peers --cost      # time and memory by network and resolution, nothing else

Each tool runs in a process of its own that is asked in turn, so that a slow minute of the machine
hits all of them. Times are medians of warm runs; maps are compared before they are timed.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import nets

CLASSES = 19
DISCS = 100
GRAD, HIRES = "seg-grad-cam", "seg-hires-grad-cam"
OURS = ["libtorch", "flex"]


# What each tool computes: (model, name, job) -> raw or final maps in the order class, layer, method.


def targets(masks, job):
    """The class and the pixels `[1, 1, H, W]` of each target: the class's mask, or one disc after
    the other."""
    for at, c in enumerate(job["classes"]):
        of = at if job.get("discs") else c
        yield c, masks[:, of:of + 1]


class Score(torch.nn.Module):
    """Logits times the pixels, summed: one number per class."""

    def __init__(self, model, pixels):
        super().__init__()
        self.model, self.pixels = model, pixels

    def forward(self, x):
        return (self.model(x) * self.pixels).flatten(2).sum(2)


def raw_map(method, a, g):
    return (a * (g.mean((2, 3), keepdim=True) if method == GRAD else g)).sum(1)


def captum(model, x, masks, job):
    from captum.attr import LayerGradCam, LayerGradientXActivation
    if "window" in job:
        yield from captum_by_windows(model, x, masks, job)
        return
    for c, pixels in targets(masks, job):
        score = Score(model, pixels)
        for name in job["layers"]:
            for method in job["methods"]:
                at = nets.layer(model, name)
                if method == GRAD:
                    yield LayerGradCam(score, at).attribute(x, target=c)[:, 0]
                else:
                    yield LayerGradientXActivation(score, at).attribute(x, target=c).sum(1)


def captum_by_windows(model, x, masks, job):
    """MONAI's inferer for the prediction, and captum on each window that holds pixels of the target, with
    their weights in the blended score."""
    from captum.attr import LayerGradCam, LayerGradientXActivation
    from monai.data.utils import compute_importance_map, dense_patch_slices
    from monai.inferers import sliding_window_inference
    size, overlap = job["window"], job["overlap"]
    with torch.no_grad():
        sliding_window_inference(x, size, 1, model, overlap=overlap, mode="gaussian")
    steps = [max(int(side * (1 - overlap)), 1) for side in size]
    places = dense_patch_slices(x.shape[2:], size, steps)
    weights = compute_importance_map(tuple(size), mode="gaussian")
    norm = torch.zeros(x.shape[2:])
    for place in places:
        norm[place] += weights
    for c, pixels in targets(masks, job):
        for name in job["layers"]:
            at = nets.layer(model, name)
            for method in job["methods"]:
                whole = torch.zeros(x.shape[2:])
                for place in places:
                    asked = pixels[(..., *place)] * weights / norm[place]
                    if not asked.any():
                        continue
                    score, window = Score(model, asked), x[(..., *place)]
                    if method == GRAD:
                        found = LayerGradCam(score, at).attribute(window, target=c)
                    else:
                        found = LayerGradientXActivation(score, at).attribute(window, target=c)
                        found = found.sum(1, keepdim=True)
                    whole[place] += torch.nn.functional.interpolate(
                        found, size=size, mode="bilinear").detach()[0, 0]
                yield whole


def pytorch_grad_cam(model, x, masks, job):
    from pytorch_grad_cam import GradCAM, HiResCAM
    from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
    for c, pixels in targets(masks, job):
        target = [SemanticSegmentationTarget(c, pixels[0, 0].numpy())]
        for name in job["layers"]:
            for method in job["methods"]:
                kind = GradCAM if method == GRAD else HiResCAM
                with kind(model, [nets.layer(model, name)]) as cam:
                    yield torch.from_numpy(cam(x, target))


def torch_cam(model, x, masks, job):
    from torchcam.methods import GradCAM
    assert job["methods"] == [GRAD]
    for c, pixels in targets(masks, job):
        for name in job["layers"]:
            with GradCAM(model, nets.layer(model, name)) as cam:
                scores = (model(x) * pixels).sum((2, 3))
                yield cam(c, scores, normalized=False)[0]


def paper(model, x, masks, job):
    """Rheude et al.: per method one forward pass, one backward pass through the whole network per
    class, and a second forward pass for the activations."""
    for c, pixels in targets(masks, job):
        for name in job["layers"]:
            for method in job["methods"]:
                kept, at = {}, nets.layer(model, name)
                hook = at.register_full_backward_hook(
                    lambda module, given, found: kept.update(g=found[0]))
                score = (model(x)[:, c] * pixels[:, 0]).sum()
                model.zero_grad()
                score.backward()
                hook.remove()
                hook = at.register_forward_hook(
                    lambda module, given, found: kept.update(a=found))
                model(x)
                hook.remove()
                yield raw_map(method, kept["a"].detach(), kept["g"])


def by_hand(model, x, masks, job):
    """The best that PyTorch allows: what precedes the layer without a graph, one graph for the
    rest, one `autograd.grad` per class, shared by the methods."""
    (name,) = job["layers"]
    tail = nets.Tail(model.requires_grad_(False), name)
    with torch.no_grad():
        a, skips = tail.head(x)
    a.requires_grad_()
    logits = tail.rest(a, skips)
    for c, pixels in targets(masks, job):
        score = (logits[:, c] * pixels[:, 0]).sum()
        (g,) = torch.autograd.grad(score, a, retain_graph=True)
        for method in job["methods"]:
            yield raw_map(method, a.detach(), g)


def forward(model, x, masks, job):
    """The network's output, nothing kept for gradients."""
    with torch.no_grad():
        yield model(x)


PEERS = {
    "PyTorch, no grad": forward,
    "pytorch-grad-cam": pytorch_grad_cam,
    "captum": captum,
    "torch-cam": torch_cam,
    "paper": paper,
    "PyTorch by hand": by_hand,
}


def network(model):
    kind, size = model.split(":")
    return getattr(nets, kind)(int(size), CLASSES)


def serve(peer, model, weights, device):
    """The other side of `Worker`."""
    net = network(model)
    net.load_state_dict(load_file(weights))
    net.to(device)
    print("ready", flush=True)
    inputs = {}
    for line in sys.stdin:
        job = json.loads(line)
        if job["inputs"] not in inputs:
            # Copies: the tensors of `load_file` are a mapped file, resident as far as it was read.
            loaded = load_file(job["inputs"])
            inputs[job["inputs"]] = {k: v.clone().to(device) for k, v in loaded.items()}
        both = inputs[job["inputs"]]
        start = time.perf_counter()
        maps = PEERS[peer](net, both["input"], both["masks"], job)
        maps = [m.detach().cpu().numpy().copy() for m in maps]
        milliseconds = (time.perf_counter() - start) * 1e3
        if job.get("out"):
            np.concatenate([m.ravel() for m in maps]).astype("<f4").tofile(job["out"])
        print(json.dumps({"ms": milliseconds}), flush=True)


class Process:
    """A program that says that it is ready, and then answers each line of JSON with one; it is ended
    if an answer takes longer than `limit` seconds."""

    def __init__(self, command, environment=None, limit=None):
        self.limit = limit
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.expect("ready")

    def expect(self, start):
        late = threading.Timer(self.limit or threading.TIMEOUT_MAX, self.process.kill)
        late.daemon = True
        late.start()
        line = self.process.stdout.readline()
        late.cancel()
        if not line.startswith(start):
            raise SystemExit(f"{self.process.args}: {line!r}")
        return line

    def ask(self, job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return json.loads(self.expect("{"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Worker(Process):
    """A tool in a process of its own, with its network loaded. `device` is a peer's."""

    def __init__(self, tool, model, weights, binary, device="cpu", environment=None, limit=None):
        if tool in PEERS:
            command = [sys.executable, __file__, "--serve", tool, model, str(weights), device]
        else:
            command = [binary, tool, model, str(weights), str(CLASSES)]
        super().__init__(command, environment, limit)

    def run(self, job):
        return self.ask(job)["ms"]

    def memory(self, key):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) / 1024
        raise SystemExit(f"no {key}")

    def reset_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def peak(self, job):
        """Most memory of one run above that of the loaded process, in MiB."""
        before = self.memory("VmRSS")
        self.reset_peak()
        self.run(job)
        return self.memory("VmHWM") - before


def board(*sides):
    """Every class has pixels, whatever the network says: a board of squares with a side of 32, and in
    volumes of cubes with one of 16."""
    h, w = sides[-2:]
    if len(sides) == 3:
        squares = sum(step * (torch.arange(side).reshape([-1 if at == axis else 1 for at in range(3)]) // 16)
                      for axis, (step, side) in enumerate(zip((11, 7, 1), sides))) % CLASSES
    else:
        squares = (torch.arange(h)[:, None] // 32 * 7 + torch.arange(w)[None] // 32) % CLASSES
    return torch.stack([(squares == c).float() for c in range(CLASSES)])[None]


def discs(h, w):
    """As nuclei lie: `DISCS` discs with radii of 3 to 6 pixels at random places."""
    generator = torch.Generator().manual_seed(1)
    y, x, r = torch.rand(3, DISCS, 1, 1, generator=generator)
    y, x = torch.arange(h)[:, None] - y * h, torch.arange(w)[None] - x * w
    return (y**2 + x**2 <= (3 + 3 * r)**2).float()[None]


def prepare(folder, model, size, job):
    """Weights and inputs, the same for all."""
    weights = folder / f"{model.replace(':', '-')}.safetensors"
    if not weights.exists():
        state = {k: v.clone() for k, v in network(model).state_dict().items()
                 if not k.endswith("num_batches_tracked")}
        save_file(state, weights)
    kind, masks = ("discs", discs) if job.get("discs") else ("input", board)
    inputs = folder / f"{kind}-{'x'.join(map(str, size))}.safetensors"
    if not inputs.exists():
        # With other seeds a ReLU here and there is at zero to the last digit, and maps of two correct
        # programs differ in single cells; with this one none is.
        generator = torch.Generator().manual_seed(5)
        image = torch.randn(1, 3 if len(size) == 2 else 1, *size, generator=generator)
        save_file({"input": image, "masks": masks(*size)}, inputs)
    return weights, inputs


def compare(tool, maps, reference, job, shapes):
    """Largest difference to captum's maps. Other maps than captum's end the run."""
    errors = differences(tool, maps, reference, job, shapes)
    if not max(errors) < (1e-3 if "window" in job else 1e-4):
        raise SystemExit(f"{tool} has other maps than captum: {errors}")
    return max(errors)


def differences(tool, maps, reference, job, shapes):
    """Each map's largest difference to captum's, relative to its largest value; final maps are
    compared as final maps. Of maps by windows, the sum of differences relative to that of values."""
    given, wanted = np.fromfile(maps, "<f4"), np.fromfile(reference, "<f4")
    errors, taken = [], 0
    for _ in job["classes"]:
        for name in job["layers"]:
            for _ in job["methods"]:
                cells = int(np.prod(shapes[name]))
                raw, wanted = wanted[:cells], wanted[cells:]
                raw = final(tool, raw.reshape(1, *shapes[name]), job["size"])
                mine = given[taken:taken + raw.size]
                taken += raw.size
                scale = max(np.abs(raw).max(), 1e-12)  # a final map may be empty
                apart = np.abs(mine - raw)
                # In so many windows some ReLU is at zero to the last digit, and opens a few cells.
                error = apart.sum() / np.abs(raw).sum() if "window" in job else apart.max() / scale
                errors.append(float(error))
    if taken != given.size or not np.isfinite(given).all():
        raise SystemExit(f"{tool} has {given.size} values and not {taken}, or some are not finite")
    return errors


def final(tool, raw, size):
    """What a tool makes of a raw map."""
    if tool == "torch-cam":
        raw = np.maximum(raw, 0)
    if tool == "pytorch-grad-cam":
        from pytorch_grad_cam.utils.image import scale_cam_image
        raw = scale_cam_image(np.maximum(raw, 0), size[::-1])
        raw = scale_cam_image(np.maximum(raw, 0))
    return raw.ravel()


def layer_shapes(model, weights, inputs, names):
    net = network(model)
    net.load_state_dict(load_file(weights))
    shapes = {}
    for name in names:
        nets.layer(net, name).register_forward_hook(
            lambda m, given, found, name=name: shapes.update({name: found.shape[2:]}))
    with torch.no_grad():
        net(load_file(inputs)["input"])
    return shapes


def check(folder, workers, model, weights, job):
    """Runs the job once with each tool. Other maps than captum's end the run."""
    if not job["methods"]:
        for worker in workers.values():
            worker.run(job)
        return
    if "window" in job:
        shapes = {name: job["size"] for name in job["layers"]}
    else:
        shapes = layer_shapes(model, weights, job["inputs"], job["layers"])
    for tool in sorted(workers, key=lambda tool: tool != "captum"):
        out = folder / f"maps-{tool.replace(' ', '-')}.f32"
        workers[tool].run(job | {"out": str(out)})
        if tool != "captum":
            error = compare(tool, out, folder / "maps-captum.f32", job, shapes)
            print(f"  {tool}: the same maps within {error:.1e}", flush=True)


def medians(workers, job, rounds):
    """Medians of the tools' times in milliseconds, asked in turn."""
    times = {tool: [] for tool in workers}
    for _ in range(rounds):
        for tool, worker in workers.items():
            time.sleep(0.2)
            times[tool].append(worker.run(job))
    return {tool: statistics.median(ms) for tool, ms in times.items()}


def measure(folder, binary, model, size, job, tools, rounds):
    weights, inputs = prepare(folder, model, size, job)
    job = job | {"inputs": str(inputs), "size": size}
    workers = {tool: Worker(tool, model, weights, binary) for tool in tools}
    check(folder, workers, model, weights, job)
    found = medians(workers, job, rounds)
    for worker in workers.values():
        worker.close()
    return found


EVERY = list(range(CLASSES))
# Nothing is asked: the price of the forward pass.
NOTHING = dict(layers=["mid"], classes=[], methods=[])
# (name, model, size, job, {peer: targets on libtorch and flex})
WORK = [
    ("U-Net 32, 256², forward", "unet:32", (256, 256), NOTHING,
     {"PyTorch, no grad": (None, 0.80)}),
    ("U-Net 32, 256², one map at mid", "unet:32", (256, 256),
     dict(layers=["mid"], classes=[3], methods=[HIRES]),
     {"pytorch-grad-cam": (0.60, 0.50), "captum": (1.0, 0.85), "paper": (None, None),
      "PyTorch by hand": (None, None)}),
    ("U-Net 32, 256², one map at dec1", "unet:32", (256, 256),
     dict(layers=["dec1"], classes=[3], methods=[HIRES]),
     {"pytorch-grad-cam": (0.40, None), "captum": (None, 1.0)}),
    ("U-Net 32, 256², 19 classes × 2 methods at mid", "unet:32", (256, 256),
     dict(layers=["mid"], classes=EVERY, methods=[GRAD, HIRES]),
     {"pytorch-grad-cam": (0.16, None), "captum": (0.30, 0.15), "paper": (None, None),
      "PyTorch by hand": (0.95, 0.70)}),
    ("U-Net 32, 256², 19 classes × Seg-Grad at mid", "unet:32", (256, 256),
     dict(layers=["mid"], classes=EVERY, methods=[GRAD]),
     {"captum": (None, None), "torch-cam": (None, None)}),
    ("U-Net 32, 256², 1 class × 2 methods × 4 layers", "unet:32", (256, 256),
     dict(layers=["mid", "dec3", "dec2", "dec1"], classes=[3], methods=[GRAD, HIRES]),
     {"pytorch-grad-cam": (None, None), "captum": (0.20, 0.15)}),
    ("U-Net 32, 256², 100 nuclei, one map each at mid and dec1", "unet:32", (256, 256),
     dict(layers=["mid", "dec1"], classes=[3] * DISCS, methods=[HIRES], discs=True),
     {"captum": (None, 0.05)}),
    ("ESPNet q=8, 512×1024, 19 classes × 2 methods at dec1", "espnet:8", (512, 1024),
     dict(layers=["dec1"], classes=EVERY, methods=[GRAD, HIRES]),
     {"captum": (0.30, 0.06), "PyTorch by hand": (None, None)}),
    ("MeshNet 16, 64³, one map at conv4", "meshnet:16", (64, 64, 64),
     dict(layers=["conv4"], classes=[3], methods=[HIRES]),
     {"captum": (None, 1.0)}),
    ("U-Net 32, 1024² by windows of 256², 4 classes × 2 methods at mid", "unet:32", (1024, 1024),
     dict(layers=["mid"], classes=[2, 3, 5, 7], methods=[GRAD, HIRES], window=[256, 256], overlap=0.5),
     {"captum": (None, 0.5)}),
]
MEMORY = ("U-Net 32, 512×1024, 19 classes at mid, peak memory", "unet:32", (512, 1024),
          dict(layers=["mid"], classes=EVERY, methods=[HIRES]),
          {"pytorch-grad-cam": (0.5, 0.30)})


def rows_of(work, found, unit):
    name, _, _, _, targets = work
    for peer, (on_libtorch, on_flex) in targets.items():
        for device, target in (("libtorch", on_libtorch), ("flex", on_flex)):
            yield {"work": name, "device": device, "ours_" + unit: round(found[device], 1),
                   "peer": peer, "peer_" + unit: round(found[peer], 1),
                   "ratio": round(found[device] / found[peer], 3), "target": target}


def table(rows):
    print("\n| work | device | ours | peer | theirs | ratio | target |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        unit = "ms" if "ours_ms" in row else "MiB"
        target = f"≤ {row['target']:.2f}" if row["target"] else "–"
        print(f"| {row['work']} | {row['device']} | {row['ours_' + unit]:.0f} {unit} | "
              f"{row['peer']} | {row['peer_' + unit]:.0f} {unit} | {row['ratio']:.2f} | {target} |")


def plot(curves, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, (label, points) in zip(axes, curves.items()):
        for tool in next(iter(points.values())):
            ours = tool in OURS
            axis.plot(list(points), [ms[tool] / 1e3 for ms in points.values()],
                      marker="o", linewidth=2.5 if ours else 1.2, linestyle="-" if ours else "--",
                      label=f"segcam, {tool}" if ours else tool)
        axis.set(xlabel=label, ylabel="seconds", ylim=(0, None))
        axis.set_xticks(list(points))
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle("U-Net 32, Seg-HiRes-Grad-CAM at the bottleneck")
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", nargs=4, metavar=("PEER", "MODEL", "WEIGHTS", "DEVICE"))
    parser.add_argument("--worker", help="the program peer-worker")
    parser.add_argument("--folder", type=Path, help="where weights and inputs may lie")
    parser.add_argument("--quick", action="store_true", help="three rounds, no plot")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--only", help="only work whose name holds this")
    parser.add_argument("--convolutions", action="store_true",
                        help="only single convolutions beside PyTorch's")
    parser.add_argument("--cost", action="store_true",
                        help="only the table of time and memory by network and resolution")
    args = parser.parse_args()
    if args.serve:
        return serve(*args.serve)
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.convolutions:
        import convolution_times
        return convolution_times.run(args.worker, args.plot)
    if args.cost:
        import cost
        return cost.run(args.folder, args.worker)
    rounds = 3 if args.quick else 7
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
          f"median of {rounds}")
    rows = []
    for work in WORK:
        name, model, size, job, targets = work
        if args.only and args.only not in name:
            continue
        print(name, flush=True)
        reference = ["captum"] if job["methods"] else []
        tools = list(dict.fromkeys([*targets, *reference, *OURS]))
        found = measure(args.folder, args.worker, model, size, job, tools, rounds)
        rows += rows_of(work, found, "ms")
    name, model, size, job, targets = MEMORY
    if not args.only or args.only in name:
        print(name, flush=True)
        weights, inputs = prepare(args.folder, model, size, job)
        found = {}
        for tool in [*targets, *OURS]:
            worker = Worker(tool, model, weights, args.worker)
            found[tool] = worker.peak(job | {"inputs": str(inputs), "size": size})
            worker.close()
        rows += rows_of(MEMORY, found, "MiB")
    table(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    if args.plot and not args.quick:
        tools = ["pytorch-grad-cam", "captum", "PyTorch by hand", *OURS]
        job = dict(layers=["mid"], methods=[HIRES])
        curve = lambda size, classes: measure(  # noqa: E731
            args.folder, args.worker, "unet:32", size, job | {"classes": classes}, tools, 3)
        # At a side of 384 a ReLU is open in PyTorch that is closed in double precision (and here).
        sides = (128, 256, 320, 448, 512)
        plot({"targets (256²)": {k: curve((256, 256), EVERY[:k]) for k in (1, 4, 8, 19)},
              "image side (4 targets)": {s: curve((s, s), EVERY[:4]) for s in sides}},
             args.plot)


if __name__ == "__main__":
    main()
