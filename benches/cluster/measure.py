"""What a cluster on this machine takes for a folder of images, with so many executors of one core each.

    cargo build --release --manifest-path crates/segcam-cluster/Cargo.toml
    python3 benches/cluster/measure.py --input nuclei/ --executors 1 2

Prints seconds from the first to the last result, what the images took by themselves, and what is left: planning, tasks,
results. `simulate.py --check` takes these numbers. Only Python's standard library is needed.
"""

import argparse
import csv
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def seconds_of(table):
    """Seconds of each input: its rows share them."""
    with open(table, newline="", encoding="utf-8") as file:
        return {row["item"]: float(row["seconds"]) for row in csv.DictReader(file) if row["seconds"]}


def run(args, executors, per_task):
    port = free_port()
    one_core = {**os.environ, "RAYON_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    start = lambda *words: subprocess.Popen([args.program, *words], env=one_core, **quiet)
    running = [start("scheduler", "--listen", f"127.0.0.1:{port}")]
    try:
        running += [start("executor", "--scheduler", f"localhost:{port}") for _ in range(executors)]
        time.sleep(3)
        times = []
        # The first run loads the network in each executor.
        for _ in range(args.rounds + 1):
            with tempfile.TemporaryDirectory() as out:
                began = time.time()
                command = [args.program, "batch", "--quiet", "--cluster", f"df://localhost:{port}", "--per-task",
                           str(per_task), "--input", args.input, "--out", "OUT", "--csv", *args.options]
                # The same words, so that the executors have the network.
                link = Path(args.work) / "OUT"
                link.unlink(missing_ok=True)
                link.symlink_to(out)
                subprocess.run(command, cwd=args.work, env=one_core, check=False, **quiet)
                times.append((time.time() - began, seconds_of(Path(out) / "results.csv")))
        return times
    finally:
        for process in running:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--program", default=str(ROOT / "crates/segcam-cluster/target/release/segcam-cluster"))
    add("--input", required=True)
    add("--executors", type=int, nargs="+", default=[1, 2])
    add("--per-task", type=int, nargs="+", default=[4])
    add("--rounds", type=int, default=2)
    add("--keep", help="folder for the seconds of each fastest run: EXECUTORS.csv, for simulate.py --table")
    add("options", nargs="*", help="more options of segcam batch, after --")
    args = parser.parse_args()
    args.input, args.program = os.path.abspath(args.input), os.path.abspath(args.program)
    with tempfile.TemporaryDirectory() as args.work:
        print(f"{'executors':>9} {'per task':>8} {'inputs':>6} {'first run':>10} {'others':>18} {'images alone':>13} {'rest':>6}")
        for executors in args.executors:
            for per_task in args.per_task:
                first, *others = run(args, executors, per_task)
                wall, seconds = min(others, key=lambda run: run[0])
                alone = sum(seconds.values()) / executors
                if args.keep:
                    lines = ["item,seconds", *(f"{item},{second}" for item, second in seconds.items())]
                    (Path(args.keep) / f"{executors}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
                walls = ", ".join(f"{wall:.1f} s" for wall, _ in others)
                print(f"{executors:>9} {per_task:>8} {len(seconds):>6} {first[0]:>8.1f} s {walls:>18} {alone:>11.1f} s "
                      f"{wall - alone:>4.1f} s", flush=True)


if __name__ == "__main__":
    main()
