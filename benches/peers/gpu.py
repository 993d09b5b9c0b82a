"""segcam beside PyTorch on a GPU: 19 classes × 2 methods, what `benches/gpu/run.py` times.

    gpu.py --torch-worker PROGRAM --vulkan-worker PROGRAM --folder FOLDER --json FILE --table FILE

A tool that fails is named in the table, and the others go on. Maps are compared with the first of
PyTorch's that works, in float32. TF32, which PyTorch takes for convolutions on its own and LibTorch
with it, is measured apart.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import torch

from peers import EVERY, GRAD, HIRES, PEERS, Worker, differences, layer_shapes, prepare

# (name, model, size, layer)
WORK = [
    ("U-Net 32, 256², mid", "unet:32", (256, 256), "mid"),
    ("U-Net 32, 1024², mid", "unet:32", (1024, 1024), "mid"),
    ("ESPNet q=8, 1024², dec1", "espnet:8", (1024, 1024), "dec1"),
]
# The smallest board with pixels of every class.
QUICK = [("U-Net 32, 160², mid", "unet:32", (160, 160), "mid"),
         ("ESPNet q=8, 160², dec1", "espnet:8", (160, 160), "dec1")]
FLOAT32 = {"NVIDIA_TF32_OVERRIDE": "0"}
ROUNDS = 7
PEER_TOOLS = ["captum", "paper", "PyTorch by hand"]
# Seconds that one answer may take, the first with its compiling of kernels included.
LIMIT = 60
# Seconds after `--seconds` at which tools that still run are ended.
GRACE = 30


class Tool:
    """One column of the comparison."""

    def __init__(self, tool, program, device, tf32, folder, end):
        self.name = tool if tool in PEERS else f"segcam, {tool}"
        self.tool, self.program, self.device, self.tf32 = tool, program, device, tf32
        self.end = end  # when every answer must be there
        self.maps = folder / f"{tool}-{tf32}.f32".replace(" ", "-")
        self.times, self.errors, self.failure, self.worker, self.first = [], [], None, None, None

    def attempt(self, step):
        """`step()`, unless the tool failed before; whether it failed now is kept."""
        if self.failure is not None:
            return
        try:
            step()
        except (SystemExit, OSError, ValueError) as error:
            self.failure = str(error) or type(error).__name__
            print(f"  {self.name}: FAILED: {self.failure}", flush=True)

    def start(self, model, weights):
        environment = os.environ | ({} if self.tf32 else FLOAT32)
        self.worker = Worker(self.tool, model, weights, self.program, self.device, environment,
                             self.limit())

    def limit(self):
        return max(1, min(LIMIT, self.end - time.monotonic()))

    def run(self, job):
        self.worker.limit = self.limit()
        self.times.append(self.worker.run(job))

    def stop(self):
        if self.worker is not None:
            self.worker.process.kill()
            self.worker.process.wait()


def gpu_state():
    """Memory and load of the card as its driver says them; empty without one."""
    query = ["nvidia-smi", "--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def measure(work, tools, folder, rounds, deadline):
    """One row for each tool."""
    name, model, size, layer = work
    weights, inputs = prepare(folder, model, size)
    job = dict(inputs=str(inputs), size=size, layers=[layer], classes=EVERY, methods=[GRAD, HIRES])
    shapes = layer_shapes(model, weights, inputs, [layer])
    reference = None
    for tool in tools:
        tool.attempt(lambda: tool.start(model, weights))
        tool.attempt(lambda: tool.run(job | {"out": str(tool.maps)}))
        if tool.failure is None:
            reference = reference or tool
            tool.attempt(lambda: setattr(tool, "errors", differences(
                tool.tool, tool.maps, reference.maps, job, shapes)))
        if tool.failure is None:
            tool.first = tool.times[0]
            print(f"  {tool.name}: first run {tool.first:.0f} ms, within {max(tool.errors):.1e} of "
                  f"{reference.name}; {gpu_state()}", flush=True)
            # Tuned kernels are settled after the second run.
            tool.attempt(lambda: tool.run(job))
        tool.times.clear()
    for done in range(rounds):
        # Always one round: a tool without a time says nothing.
        if done > 0 and time.monotonic() > deadline:
            print(f"  only {done} rounds: no time left", flush=True)
            break
        for tool in tools:
            tool.attempt(lambda: tool.run(job))
    for tool in tools:
        tool.stop()
    return [row(name, tool, reference) for tool in tools]


def row(work, tool, reference):
    ms = statistics.median(tool.times) if tool.times and tool.failure is None else None
    first = None if tool.first is None else round(tool.first, 2)
    return {"work": work, "tool": tool.name, "tf32": tool.tf32, "ms": ms and round(ms, 2),
            "rounds": len(tool.times), "first_ms": first,
            "differences": tool.errors, "reference": reference and reference.name,
            "failure": tool.failure}


def table(rows):
    """The rows as markdown; ratios are over the peer's time in the same arithmetic."""
    lines = ["| work, 19 classes × 2 methods | tool | arithmetic | first run | median | over captum "
             "| over PyTorch by hand | largest difference | median of the maps' |",
             "|---|---|---|---|---|---|---|---|---|"]
    for one in rows:
        start = f"| {one['work']} | {one['tool']} | {'TF32' if one['tf32'] else 'float32'} |"
        if one["ms"] is None:
            lines.append(f"{start} failed | – | – | – | – | – |")
            continue
        over = [ratio(one, rows, peer) for peer in ("captum", "PyTorch by hand")]
        lines.append(f"{start} {one['first_ms']:.0f} ms | {one['ms']:.1f} ms | {over[0]} | {over[1]} "
                     f"| {max(one['differences']):.1e} "
                     f"| {statistics.median(one['differences']):.1e} |")
    return "\n".join(lines) + "\n"


def ratio(one, rows, peer):
    found = [other["ms"] for other in rows if other["tool"] == peer and other["ms"]
             and (other["work"], other["tf32"]) == (one["work"], one["tf32"])]
    return f"{one['ms'] / found[0]:.2f}" if found else "–"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--torch-worker", required=True)
    parser.add_argument("--vulkan-worker")
    parser.add_argument("--devices", required=True, help="comma-separated names of segcam's devices")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=240, help="after which no round begins")
    parser.add_argument("--quick", action="store_true", help="160², to try the program")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"torch {torch.__version__} on {device}", flush=True)
    devices = args.devices.split(",")
    ours = [name + chunk for name in devices for chunk in ("", "+chunk4")]
    # TF32 is LibTorch's and PyTorch's alone.
    asked = [(tool, False) for tool in [*PEER_TOOLS, *ours]]
    if device == "cuda":
        asked += [(tool, True) for tool in [*PEER_TOOLS, *ours] if tool in PEERS or "cuda" in tool]
    rows, work = [], QUICK if args.quick else WORK
    end = time.monotonic() + args.seconds
    for at, one in enumerate(work):
        print(one[0], flush=True)
        program = lambda tool: args.vulkan_worker if "vulkan" in tool else args.torch_worker  # noqa: E731
        tools = [Tool(tool, program(tool), device, tf32, args.folder, end + GRACE)
                 for tool, tf32 in asked]
        left = end - time.monotonic()
        rounds = 2 if args.quick else ROUNDS
        rows += measure(
            one, tools, args.folder, rounds, time.monotonic() + left / (len(work) - at))
        # After each: whoever ends this program early still has what was measured.
        args.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        args.table.write_text(table(rows))
    print("\n" + table(rows), flush=True)
    raise SystemExit(1 if any(one["failure"] for one in rows) else 0)


if __name__ == "__main__":
    main()
