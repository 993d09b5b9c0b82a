"""Time and memory by network and resolution, beside pytorch-grad-cam: `peers.py --cost`.

One class × two methods at the bottleneck. Memory is the most during the timed runs, above the
process with its network loaded and without the input and pixel sets, which all tools hold alike.
"""

import os
import platform
import subprocess

import torch

from peers import GRAD, HIRES, OURS, Worker, check, medians, prepare

PEER = "pytorch-grad-cam"
ROUNDS = 5
JOB = dict(layers=["mid"], classes=[3], methods=[GRAD, HIRES])
# (network, model, sizes)
WORK = [
    ("U-Net 32, 5 levels", "unet:32", [(128, 128), (256, 256), (512, 512)]),
    ("U-Net 32, 3 levels", "unet3:32", [(128, 128), (256, 256), (512, 512)]),
    ("ESPNet q=8", "espnet:8", [(128, 128), (256, 256), (512, 512), (512, 1024)]),
]


def compiled_in(binary, device):
    asked = subprocess.run([binary, device, "", "", "1"], capture_output=True, text=True)
    return "is not in this build" not in asked.stderr


def measure(folder, binary, model, size, devices):
    """{tool: (median in ms, peak in MiB)}"""
    weights, inputs = prepare(folder, model, size, JOB)
    job = JOB | {"inputs": str(inputs), "size": size}
    workers = {tool: Worker(tool, model, weights, binary) for tool in ["captum", PEER, *devices]}
    held = inputs.stat().st_size / 2**20
    loaded = {tool: worker.memory("VmRSS") + held for tool, worker in workers.items()}
    check(folder, workers, model, weights, job)
    workers.pop("captum").close()
    for worker in workers.values():
        worker.reset_peak()
    ms = medians(workers, job, ROUNDS)
    found = {tool: (ms[tool], worker.memory("VmHWM") - loaded[tool])
             for tool, worker in workers.items()}
    for worker in workers.values():
        worker.close()
    return found


def run(folder, binary):
    devices = [device for device in OURS if compiled_in(binary, device)]
    rows = []
    for network, model, sizes in WORK:
        for h, w in sizes:
            size = f"{h}²" if h == w else f"{h}×{w}"
            print(f"{network}, {size}", flush=True)
            found = measure(folder, binary, model, (h, w), devices)
            their_ms, their_mib = found[PEER]
            for device in devices:
                ms, mib = found[device]
                rows.append(f"| {network} | {size} | {device} | {ms:.0f} | {their_ms:.0f} | "
                            f"{ms / their_ms:.2f} | {mib:.0f} | {their_mib:.0f} |")
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
          f"median of {ROUNDS}\n")
    print(f"| network | input | device | segcam ms | {PEER} ms | ratio | segcam MiB | {PEER} MiB |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    for device in OURS:
        if device not in devices:
            print(f"\nNo rows for {device}: the worker was built without it.")
