"""Runs the executables, round after round, and keeps the times."""
import dataclasses
import glob
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

# Where Debian puts the OpenMP flavour of OpenBLAS, beside the default one.
OPENMP_BLAS = glob.glob("/usr/lib/*/openblas-openmp")
# A C library that keeps pages it got, where libtorch asks for fresh ones at every large tensor.
RECYCLE = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40),
           "MALLOC_TOP_PAD_": str(2**26)}
NETWORKS = ("W1", "W1b", "W2", "W3", "W5")


@dataclasses.dataclass
class Subject:
    """An executable in an environment, and the families it is asked for (None: all it has)."""
    name: str
    executable: str
    environment: dict = dataclasses.field(default_factory=dict)
    families: tuple | None = None
    from_threads: int = 1
    path: pathlib.Path | None = None
    has: tuple = ()

    def takes(self, workload, threads):
        family = workload.split("/")[0]
        # Tapes of a million nodes are a question to the tape, not to the others.
        mine = family != "growth" or self.name == "xtape-eager"
        return (mine and workload in self.has and threads >= self.from_threads
                and (self.families is None or family in self.families))


ALL = [
    Subject("xtape-program", "xtape-program"),
    Subject("xtape-eager", "xtape-eager"),
    Subject("torch", "torch"),
    # One thread is one thread, whatever would have started the others.
    Subject("torch-omp", "torch", {"LD_LIBRARY_PATH": "".join(OPENMP_BLAS[:1])},
            NETWORKS + ("W9",), from_threads=2),
    Subject("torch-malloc", "torch", RECYCLE, ("W4", "W5")),
    Subject("torch-lean", "torch", {"XTAPE_BENCH_LEAN": "1"}, NETWORKS),
    Subject("hand", "hand"),
    Subject("hand-dnnl", "hand-dnnl", families=("W1", "W1b", "W5")),
    # Products of 2×2 limit nothing.
    Subject("limit", "limit", families=("W1", "W1b", "W3", "W4", "W5", "W9", "W10")),
    Subject("limit-dnnl", "limit-dnnl", families=("W1", "W1b", "W3", "W5", "W9")),
]


class Results:
    """Times in microseconds by (workload, threads, subject), in the order of the rounds."""

    def __init__(self):
        self.times = {}
        self.memory = {}
        self.failures = []

    def add(self, key, time, memory):
        self.times.setdefault(key, []).append(time)
        self.memory.setdefault(key, []).append(memory)

    def drop(self, key, why):
        self.failures.append(f"{key[2]} at {key[0]}, {key[1]} threads: {why}")
        self.times.pop(key, None)

    def median(self, workload, threads, subject):
        times = self.times.get((workload, threads, subject))
        return statistics.median(times) if times else None

    def spread(self, workload, threads, subject):
        """Between the quartiles."""
        times = self.times[workload, threads, subject]
        if len(times) < 2:
            return 0.0
        low, _, high = statistics.quantiles(times, n=4, method="inclusive")
        return high - low

    def best(self, workload, threads, subjects):
        """The fastest of the subjects, or None."""
        found = [s for s in subjects if self.median(workload, threads, s) is not None]
        return min(found, key=lambda s: self.median(workload, threads, s), default=None)

    def ratio(self, workload, threads, of, to):
        """Median of the ratios within a round; `to` lists subjects, the fastest counts."""
        to = self.best(workload, threads, to)
        a = self.times.get((workload, threads, of))
        b = self.times.get((workload, threads, to))
        return statistics.median(x / y for x, y in zip(a, b)) if a and b else None

    def workloads(self):
        return list(dict.fromkeys(w for w, _, _ in self.times))

    def threads(self):
        return sorted({t for _, t, _ in self.times})

    def subjects(self):
        used = {s for _, _, s in self.times}
        return [s.name for s in ALL if s.name in used]

    def rounds(self):
        return max(map(len, self.times.values()), default=0)

    def summary(self):
        return [{"workload": w, "threads": t, "subject": s, "median_us": self.median(w, t, s),
                 "spread_us": self.spread(w, t, s), "rounds": len(times)}
                for (w, t, s), times in self.times.items()]


def subjects(folder):
    """Those whose executables are there."""
    found, lists = [], {}
    for s in ALL:
        path = folder / f"bench_{s.executable}"
        if not path.exists() or (s.name == "torch-omp" and not OPENMP_BLAS):
            continue
        if path not in lists:
            names = command(path, ["--benchmark_list_tests"], {}, 1).stdout.split()
            lists[path] = tuple(name.removesuffix("/real_time") for name in names)
        found.append(dataclasses.replace(s, path=path, has=lists[path]))
    return found


def workloads(subjects_):
    names = dict.fromkeys(w for s in subjects_ for w in s.has if s.takes(w, s.from_threads))

    def family(name):
        head = name.split("/")[0]
        return (not head.startswith("W"), int("".join(filter(str.isdigit, head)) or 0), head)

    return sorted(names, key=family)  # stable: as the executables list them


def command(path, options, environment, threads):
    n = str(threads)
    env = dict(os.environ, OMP_NUM_THREADS=n, OPENBLAS_NUM_THREADS=n, XTAPE_NUM_THREADS=n,
               **environment)
    return subprocess.run([str(path), *options], env=env, capture_output=True, text=True)


def measure(subject, workload, threads, min_time, is_checked):
    """Microseconds of one step, by the clock on the wall, and MiB; or why not."""
    options = [f"--benchmark_filter=^{workload}/real_time$", f"--benchmark_min_time={min_time}",
               "--benchmark_format=json"]
    environment = dict(subject.environment, **({"XTAPE_BENCH_CHECKED": "1"} if is_checked else {}))
    done = command(subject.path, options, environment, threads)
    if done.returncode != 0:
        return (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    result, = json.loads(done.stdout)["benchmarks"]
    assert result["time_unit"] == "us", result
    return result["real_time"], result["MiB"]


def progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:60}\r", end="", file=sys.stderr, flush=True)


def collect(subjects_, workloads_, args):
    """Every subject once in each round, checked in the first. Ctrl-C: what there is until then."""
    results = Results()
    order = random.Random(args.seed)
    keys = [(w, t) for w in workloads_ for t in args.threads]
    try:
        for i in range(args.rounds):
            for j, (w, t) in enumerate(keys):
                where = f"round {i + 1}/{args.rounds}, {j + 1}/{len(keys)}: {w}"
                turn(results, [s for s in subjects_ if s.takes(w, t)], w, t, i, where, args, order)
    except KeyboardInterrupt:
        results.failures.append("interrupted: not all rounds are there")
    progress("")
    return results


def turn(results, subjects_, w, t, i, where, args, order):
    """Every subject once at one workload, in random order."""
    for s in order.sample(subjects_, len(subjects_)):
        key = (w, t, s.name)
        if i > 0 and key not in results.times:
            continue  # it failed before
        progress(f"{where} {s.name}, {t} thr")
        got = measure(s, w, t, args.min_time, i > 0)
        if isinstance(got, str):
            results.drop(key, got)
        else:
            results.add(key, *got)
