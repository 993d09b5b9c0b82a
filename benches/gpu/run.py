"""What `cargo xtask gpu` packs, started on the machine with the card: `sh gpu/run.sh OUT_FOLDER`.

Needs a Python with the PyTorch that the programs were linked against, numpy and safetensors, and an
NVIDIA driver; no Rust, no network. Runs the backend suites on each device at once, then times
segcam beside PyTorch, one tool at a time. A step that fails or takes too long is reported, and the
others go on; the exit code is 1 if any failed. Everything is written to OUT_FOLDER:

    summary.md    the machine, each step's outcome, the table of times
    rows.json     the table's numbers
    *.log         what the suites and the timing said
"""

import argparse
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUITES = ["rules", "backends"]
# Most characters of one suite's log that are kept.
LOG = 2_000_000
NVIDIA = Path("/usr/local/nvidia")

# Where LibTorch and what it needs lie; what the programs print about the machine.
ABOUT = """
import glob, json, os, platform, torch
site = os.path.dirname(os.path.dirname(torch.__file__))
cuda = torch.cuda.is_available()
print(json.dumps({
    "libraries": [site + "/torch/lib"] + sorted(glob.glob(site + "/nvidia/*/lib")),
    "torch": torch.__version__, "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(),
    "card": torch.cuda.get_device_name(0) if cuda else None,
    "python": platform.python_version(), "machine": platform.platform(),
}))
"""


class Step:
    """A process with a log and a time limit."""

    def __init__(self, name, command, log, seconds, environment, folder):
        self.name, self.log, self.start = name, log, time.monotonic()
        self.end, self.took, self.outcome = self.start + seconds, None, None
        self.file = log.open("w")
        print(f"started: {name}", flush=True)
        try:
            self.process = subprocess.Popen(
                command, stdout=self.file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=environment, cwd=folder, start_new_session=True)
        except OSError as error:
            self.process = None
            self.finish(f"FAILED: {error}")

    def finish(self, outcome):
        self.outcome, self.took = outcome, time.monotonic() - self.start
        self.file.close()
        print(f"{self.name}: {outcome} after {self.took:.0f} s", flush=True)

    def wait(self):
        if self.process is None:
            return
        try:
            code = self.process.wait(max(0, self.end - time.monotonic()))
            self.finish("ok" if code == 0 else f"FAILED with {code}")
        except subprocess.TimeoutExpired:
            # Its workers, too: they share its session.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.finish("FAILED: out of time")

    def results(self):
        """The lines of the Rust test harness and of the suites that say what was found."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if line.startswith(("test result", "error:"))
                or line.endswith("FAILED")
                or re.search(r": \d\.\de-?\d+$", line)]


def shown(command):
    """What a command prints, or why it does not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    return (done.stdout if done.returncode == 0 else done.stdout + done.stderr).strip()


def environment_of(libraries):
    """Where the programs find LibTorch, the Vulkan loader and the card's driver for it."""
    found = dict(os.environ)
    paths = [*libraries, *filter(None, found.get("LD_LIBRARY_PATH", "").split(":"))]
    paths += [str(path) for path in (NVIDIA / "lib64", NVIDIA / "lib") if path.is_dir()]
    try:
        ctypes.CDLL("libvulkan.so.1")
    except OSError:
        paths.append(str(HERE / "lib"))
    found["LD_LIBRARY_PATH"] = ":".join(paths)
    driver = NVIDIA / "share/vulkan/icd.d/nvidia_icd.json"
    if driver.exists() and not {"VK_DRIVER_FILES", "VK_ICD_FILENAMES"} & found.keys():
        found["VK_DRIVER_FILES"] = str(driver)
    found.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    found["RUST_BACKTRACE"] = "1"
    found["PYTHONUNBUFFERED"] = "1"
    wheels = [str(wheel) for wheel in sorted((HERE / "wheels").glob("*.whl"))]
    found["PYTHONPATH"] = ":".join([*wheels, *filter(None, [found.get("PYTHONPATH")])])
    return found


def summary(out, about, steps, driver):
    """`summary.md`, written anew after each step."""
    text = ["# segcam on a GPU", "",
            f"card: {about.get('card')}; driver and memory: {driver}",
            f"torch {about.get('torch')}, CUDA {about.get('cuda')}, cuDNN {about.get('cudnn')}, "
            f"Python {about.get('python')}, {about.get('machine')}, {os.cpu_count()} cores", "",
            "| step | outcome | seconds |", "|---|---|---|"]
    text += [f"| {step.name} | {step.outcome} | {step.took:.0f} |" for step in steps if step.outcome]
    for step in steps:
        if step.outcome and step.results():
            text += ["", f"{step.name}:", *(f"    {line}" for line in step.results()[:40])]
    if (out / "table.md").exists():
        text += ["", (out / "table.md").read_text()]
    (out / "summary.md").write_text("\n".join(text) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--devices", default="cuda,wgpu,vulkan")
    parser.add_argument("--suites", type=int, default=150, help="seconds for the suites")
    parser.add_argument("--timing", type=int, default=210, help="seconds for the timing")
    parser.add_argument("--quick", action="store_true", help="tiny images, to try the program")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    driver = shown(query)
    print(driver, flush=True)
    answer = shown([sys.executable, "-c", ABOUT])
    try:
        about = json.loads(answer.splitlines()[-1])
    except (ValueError, IndexError):
        about = {"torch": "does not answer: " + answer}
    print(about, flush=True)

    work = Path(tempfile.mkdtemp(prefix="segcam-gpu-"))
    with tarfile.open(HERE / "programs.tar.xz") as programs:
        programs.extractall(work, filter="data")
    environment = environment_of(about.get("libraries", []))
    folders = {"vulkan": work / "vulkan"}
    folder = lambda device: folders.get(device, work / "torch")  # noqa: E731
    devices = [name for name in args.devices.split(",") if folder(name).is_dir()]
    print(f"devices: {' '.join(devices)}", flush=True)

    steps = []
    for device in devices:
        # Suites compare with float32; PyTorch's TF32 has three digits.
        chosen = environment | {"SEGCAM_TEST_DEVICE": device, "NVIDIA_TF32_OVERRIDE": "0",
                                "CUBECL_AUTOTUNE_LEVEL": "minimal"}
        for suite in SUITES:
            command = [str(folder(device) / suite), "--nocapture"]
            log = work / f"{device}-{suite}.log"
            steps.append(Step(f"{suite} on {device}", command, log, args.suites, chosen, work))
    for step in steps:
        step.wait()
        summary(out, about, steps, driver)
    for device in devices:
        logs = [work / f"{device}-{suite}.log" for suite in SUITES]
        (out / f"{device}.log").write_text(
            "\n".join(log.read_text(errors="replace")[-LOG:] for log in logs))

    command = [sys.executable, str(HERE / "benches/peers/gpu.py"), "--devices", ",".join(devices),
               "--torch-worker", str(work / "torch/peer-worker"),
               "--vulkan-worker", str(work / "vulkan/peer-worker"),
               "--folder", str(work / "peers"), "--json", str(out / "rows.json"),
               "--table", str(out / "table.md"), "--seconds", str(args.timing)]
    command += ["--quick"] if args.quick else []
    steps.append(Step("timing", command, out / "timing.log", args.timing + 60, environment,
                      work))
    steps[-1].wait()
    summary(out, about, steps, driver)
    print((out / "summary.md").read_text(), flush=True)
    shutil.rmtree(work, ignore_errors=True)
    raise SystemExit(0 if steps and all(step.outcome == "ok" for step in steps) else 1)


if __name__ == "__main__":
    main()
