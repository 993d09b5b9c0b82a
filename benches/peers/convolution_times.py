"""segcam-conv beside PyTorch's convolutions (oneDNN), shape by shape: `peers.py --convolutions`.

Both run with the same number of threads, in turn; medians. PyTorch is timed with its default layout
and with channels last, tensors and weights laid out beforehand.
"""

import statistics
import time

import torch
import torch.nn.functional as F

from peers import Process

ROUNDS, CALLS = 5, 9  # as many calls as ours makes
# in, out, side, kernel, stride, dilation
PLAIN = [(3, 32, 256, 3, 1, 1), (32, 32, 256, 3, 1, 1), (64, 32, 256, 3, 1, 1), (64, 64, 128, 3, 1, 1),
         (128, 64, 128, 3, 1, 1), (256, 128, 64, 3, 1, 1), (512, 256, 32, 3, 1, 1),
         (512, 512, 16, 3, 1, 1), (64, 64, 512, 3, 1, 1), (64, 64, 128, 3, 1, 2),
         (64, 128, 128, 3, 2, 1), (32, 19, 256, 1, 1, 1)]
# in, out, side of transposed 2×2 convolutions with stride 2
UP = [(512, 256, 16), (256, 128, 32), (128, 64, 64), (64, 32, 128)]
CHANNELS = [(c, c, 64, 3, 1, 1) for c in (32, 64, 128, 256, 512)]
SIDES = [(64, 64, s, 3, 1, 1) for s in (16, 32, 64, 128, 256, 512)]


def plain(c_in, c_out, side, kernel, stride, dilation):
    padding = kernel // 2 * dilation
    case = dict(input=[1, c_in, side, side], weights=[c_out, c_in, kernel, kernel], stride=stride,
                padding=padding, dilation=dilation, transposed=False)
    x, w = torch.randn(case["input"]), torch.randn(case["weights"])
    return case, lambda x, w: F.conv2d(x, w, None, stride, padding, dilation), x, w


def up(c_in, c_out, side):
    case = dict(input=[1, c_in, side, side], weights=[c_in, c_out, 2, 2], stride=2, padding=0,
                dilation=1, transposed=True)
    x, w = torch.randn(case["input"]), torch.randn(case["weights"])
    return case, lambda x, w: F.conv_transpose2d(x, w, None, 2), x, w


def measure(ours, case, function, x, w):
    """(answer of ours with the median in it, PyTorch's median, with channels last), in ms"""
    last = [tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, w)]

    def timed(*tensors):
        start = time.perf_counter()
        function(*tensors)
        return (time.perf_counter() - start) * 1e3

    def alone(run):
        """PyTorch's threads spin for a while after their work: each tool begins after that."""
        time.sleep(0.25)
        return run()

    with torch.no_grad():
        answer = ours.ask(case)
        rounds = [(alone(lambda: ours.ask(case)["ms"]),
                   alone(lambda: statistics.median(timed(x, w) for _ in range(CALLS))),
                   alone(lambda: statistics.median(timed(*last) for _ in range(CALLS))))
                  for _ in range(ROUNDS)]
    mine, theirs, channels_last = map(statistics.median, zip(*rounds))
    return answer | {"ms": mine}, theirs, channels_last


def run(binary, path):
    ours = Process([binary, "convolutions"])
    print("| convolution | algorithm | ours | GFLOP/s | PyTorch | ratio | channels last | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    named = [(f"{k}×{k}, {i} → {o} @{s}²" + (f", stride {st}" if st > 1 else "")
              + (f", dilation {d}" if d > 1 else ""), plain(i, o, s, k, st, d))
             for i, o, s, k, st, d in PLAIN]
    named += [(f"transposed 2×2, {i} → {o} @{s}²", up(i, o, s)) for i, o, s in UP]
    for name, case in named:
        mine, theirs, last = measure(ours, *case)
        print(f"| {name} | {mine['algorithm']} | {mine['ms']:.2f} ms | "
              f"{mine['gflop'] / mine['ms'] * 1e3:.0f} | {theirs:.2f} ms | {mine['ms'] / theirs:.2f} | "
              f"{last:.2f} ms | {mine['ms'] / last:.2f} |", flush=True)
    if path:
        plot(ours, path)


def plot(ours, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, label, cases, at in ((axes[0], "channels (64²)", CHANNELS, 0),
                                   (axes[1], "image side (64 channels)", SIDES, 2)):
        found = [measure(ours, *plain(*case)) for case in cases]
        where = [case[at] for case in cases]
        speed = lambda ms: [mine["gflop"] / t * 1e3 for (mine, _, _), t in zip(found, ms)]  # noqa: E731
        axis.plot(where, speed([mine["ms"] for mine, _, _ in found]), marker="o", linewidth=2.5,
                  label="segcam-conv")
        axis.plot(where, speed([t for _, t, _ in found]), marker="o", linestyle="--", label="PyTorch")
        axis.plot(where, speed([t for _, _, t in found]), marker="o", linestyle=":",
                  label="PyTorch, channels last")
        axis.set(xlabel=label, ylabel="GFLOP/s of direct convolution", ylim=(0, None))
        axis.set_xscale("log", base=2)
        axis.set_xticks(where, [str(value) for value in where])
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle("3×3 convolution, two threads")
    figure.savefig(path, dpi=110)
