"""What a run over many inputs takes on n machines: a simulation with measured times.

    python3 benches/cluster/simulate.py --table results.parquet --check 2:41.3
    python3 benches/cluster/simulate.py --seconds 26.8 --megabytes 58 --inputs 100000 --machines 1 16 64 256 1024

Machines ask for a task when they have none, as Ballista's executors do. A task reads its inputs through one store that
all machines share, and computes them one after the other; times are drawn from those of a table of `segcam batch`, or
from a mean with a spread. Some machines are slow, some die, and what they had begun is done again.

`--check N:SECONDS` says how far the simulation is from a run that was measured. Only Python's standard library is
needed; a table needs pyarrow, or may be the `results.csv` of `--csv`.
"""

import argparse
import csv
import heapq
import math
import random
import statistics


def measured(path):
    """Seconds of each input in a table: its rows share them."""
    if path.endswith(".csv"):
        with open(path, newline="", encoding="utf-8") as file:
            rows = [(row["item"], row["seconds"]) for row in csv.DictReader(file)]
    else:
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path, columns=["item", "seconds"])
        rows = list(zip(*(column.to_pylist() for column in table.columns)))
    seconds = {item: float(second) for item, second in rows if second not in (None, "")}
    if not seconds:
        raise SystemExit(f"{path} has no seconds")
    return list(seconds.values())


def times(args, rng):
    """A function that draws the seconds of one input."""
    if args.table:
        seconds = measured(args.table)
        return lambda: rng.choice(seconds)
    spread = math.sqrt(math.log(1 + args.spread**2))
    centre = math.log(args.seconds) - spread**2 / 2
    return lambda: rng.lognormvariate(centre, spread)


class Store:
    """Gives bytes to all who ask, one after the other, at its own rate; nobody takes more than a machine's link."""

    def __init__(self, args):
        self.rate, self.link, self.free, self.busy = args.store, args.link, 0.0, 0.0

    def read(self, now, megabytes):
        """When the last byte is there."""
        takes = megabytes / self.rate
        self.free = max(self.free, now) + takes
        self.busy += takes
        return max(self.free, now + megabytes / self.link)


def simulate(args, machines, seed=0):
    """Seconds from start to end, and what was busy for how long."""
    rng = random.Random(seed)
    draw, store = times(args, rng), Store(args)
    tasks = [min(args.per_task, args.inputs - at) for at in range(0, args.inputs, args.per_task)]
    waiting = list(reversed(tasks))
    slow = [args.slow if rng.random() < args.stragglers else 1.0 for _ in range(machines)]
    dies = [rng.expovariate(args.deaths / 86400) if args.deaths else math.inf for _ in range(machines)]
    # What a machine has: inputs of its task, and how many of them are computed.
    begun = [None] * machines
    events = [(args.start_up, machine, "free") for machine in range(machines)]
    heapq.heapify(events)
    idle, done, end, again, busy = [], 0, 0.0, 0, 0.0
    while events:
        now, machine, what = heapq.heappop(events)
        if what == "lost":
            # Another one takes its place, and its task goes to whoever asks.
            again += begun[machine][1]
            waiting.append(begun[machine][0])
            begun[machine] = None
            dies[machine] = now + args.start_up + rng.expovariate(args.deaths / 86400)
            heapq.heappush(events, (now + args.start_up, machine, "free"))
            if idle:
                heapq.heappush(events, (now, idle.pop(), "free"))
            continue
        if what == "input":
            begun[machine][1] += 1
        if begun[machine] and begun[machine][0] == begun[machine][1]:
            done, end = done + begun[machine][0], now
            begun[machine] = None
        if begun[machine] is None:
            if not waiting:
                idle.append(machine)
                continue
            begun[machine] = [waiting.pop(), 0]
            now += args.per_task_seconds
        takes = draw() * slow[machine]
        there = store.read(now, args.megabytes) + takes
        if there > dies[machine]:
            heapq.heappush(events, (max(now, dies[machine]) + args.lost_after, machine, "lost"))
        else:
            busy += takes
            heapq.heappush(events, (there, machine, "input"))
    assert done == args.inputs, (done, args.inputs)
    return {"seconds": end, "busy": busy / (machines * end), "store": store.busy / end, "again": again}


def shown(seconds):
    for unit, size in [("d", 86400), ("h", 3600), ("min", 60)]:
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    add = parser.add_argument
    add("--table", help="results.parquet or results.csv of a run: its seconds are drawn")
    add("--seconds", type=float, default=1.0, help="mean of an input, without a table")
    add("--spread", type=float, default=0.3, help="standard deviation as a part of the mean")
    add("--megabytes", type=float, default=0.0, help="read for an input")
    add("--inputs", type=int, help="how many; with a table as many as it has")
    add("--machines", type=int, nargs="+", default=[1, 2])
    add("--per-task", type=int, default=4)
    add("--per-task-seconds", type=float, default=0.05, help="what a task takes beside its inputs")
    add("--start-up", type=float, default=2.0, help="until a machine has its network")
    add("--store", type=float, default=1000.0, help="MB/s of the store for all")
    add("--link", type=float, default=1000.0, help="MB/s of a machine")
    add("--stragglers", type=float, default=0.0, help="part of the machines that is slow")
    add("--slow", type=float, default=4.0, help="how much slower")
    add("--deaths", type=float, default=0.0, help="of a machine in a day")
    add("--lost-after", type=float, default=60.0, help="seconds until a death is known")
    add("--rounds", type=int, default=5, help="simulations, of which the median is shown")
    add("--check", nargs="*", default=[], metavar="N:SECONDS", help="runs that were measured")
    args = parser.parse_args()
    if args.inputs is None:
        args.inputs = len(measured(args.table)) if args.table else 1000

    def median(machines):
        runs = [simulate(args, machines, seed) for seed in range(args.rounds)]
        return {key: statistics.median(run[key] for run in runs) for key in runs[0]}

    if args.check:
        for text in args.check:
            machines, seconds = text.split(":")
            found = median(int(machines))["seconds"]
            print(f"{machines} machines: measured {float(seconds):.1f} s, simulated {found:.1f} s "
                  f"({found / float(seconds) - 1:+.0%})")
        return
    print(f"{args.inputs} inputs; tasks of {args.per_task}")
    print(f"{'machines':>8} {'time':>10} {'speed-up':>9} {'busy':>6} {'store':>6} {'again':>6}")
    one = None
    for machines in args.machines:
        found = median(machines)
        one = one or found["seconds"] * machines * found["busy"]
        print(f"{machines:>8} {shown(found['seconds']):>10} {one / found['seconds']:>9.1f} {found['busy']:>6.0%} "
              f"{found['store']:>6.0%} {found['again']:>6.0f}")


if __name__ == "__main__":
    main()
