"""The tables: times and ratios, and the bars that xtape sets itself."""
import dataclasses

TORCH = ("torch", "torch-omp")
HAND = ("hand", "hand-dnnl")
LIMIT = ("limit", "limit-dnnl")
WORTH_SHOWING = 64  # MiB: below it, code that is read in for the first time counts as much
PROGRAM, EAGER = "xtape-program", "xtape-eager"


@dataclasses.dataclass
class Bar:
    """Upper bounds: of program/libtorch, of program/reference and whose, of eager/libtorch."""
    workload: str
    torch: float | None = None
    reference: tuple = ()
    times: float | None = None
    eager: float | None = None


BARS = [
    Bar("W1/B1", 0.07, HAND, 1.2, 0.15),
    Bar("W1/B16", 0.32, HAND, 1.05, 0.45),
    Bar("W1/B64", 0.55, LIMIT, 1.05, 0.68),
    Bar("W1/B256", 0.82, LIMIT, 1.06, 0.90),
    Bar("W1/B1024", 0.82, LIMIT, 1.06, 0.90),
    Bar("W1b/B64", 0.82, LIMIT, 1.06, 0.90),
    Bar("W1b/B256", 0.82, LIMIT, 1.06, 0.90),
    Bar("W2", 1 / 300, HAND, 8, 1 / 15),
    Bar("W3", 1 / 12, HAND, 1.4, 1 / 8),
    Bar("W4/1e3", 1 / 30, HAND, 2, 1 / 8),
    Bar("W4/1e5", 1 / 7, HAND, 1.2, 0.5),
    Bar("W4/1e7", 1 / 30, HAND, 1.2, 0.5),
    Bar("W5", 0.80, LIMIT, 1.03, 0.85),
    Bar("W6", 1 / 400, (), None, 1 / 40),
    Bar("W9/B64", 0.48, LIMIT, 1.2, 0.7),
    Bar("W10/logsumexp", 0.14, HAND, 1.25, 0.3),
    Bar("W10/softmax", 0.35, HAND, 1.25, 0.6),
    *(Bar(f"W11/{f}/10000", None, HAND, times) for f, times in
      [("sum", 2), ("product", 3), ("logsumexp", 1.3), ("matrix", 1.5), ("normal", 2),
       ("regression", 1.8), ("volatility", 2.2)]),
]
# The reference of the workloads without a bar.
REFERENCE = {b.workload: b.reference for b in BARS}


def number(x):
    digits = 3 if x < 1 else 2 if x < 10 else 1 if x < 100 else 0
    return f"{x:,.{digits}f}"


def ratio_text(r):
    return f"{r:.4f}" if r < 0.01 else f"{r:.3f}" if r < 0.1 else f"{r:.2f}" if r < 10 else f"{r:.0f}"


def cell(results, w, t, subject):
    m = results.median(w, t, subject)
    if m is None:
        return "–"
    return f"{number(m)} ±{100 * results.spread(w, t, subject) / m:.0f} %"


def ratios(results, w, t):
    reference = REFERENCE.get(w) or HAND
    pairs = [(PROGRAM, TORCH), (PROGRAM, reference), (EAGER, TORCH)]
    values = [results.ratio(w, t, of, to) for of, to in pairs]
    return ["–" if r is None else ratio_text(r) for r in values]


def markdown(head, rows):
    return "\n".join("| " + " | ".join(row) + " |" for row in
                     [head, [":--"] + ["--:"] * (len(head) - 1)] + rows)


def table(results):
    """Per number of threads: microseconds with the spread between quartiles, and ratios."""
    subjects = results.subjects()
    parts = []
    for t in results.threads():
        head = ["workload, µs", *subjects, "program/libtorch", "program/reference",
                "eager/libtorch"]
        rows = [[w, *(cell(results, w, t, s) for s in subjects), *ratios(results, w, t)]
                for w in results.workloads()
                if any(results.median(w, t, s) is not None for s in subjects)]
        parts.append(f"{t} thread{'s' * (t > 1)}:\n\n" + markdown(head, rows))
    return "\n\n".join(parts + memory_table(results))


def memory_table(results):
    """Of what needs much of it: the peak of a step over the process before it."""
    t = results.threads()[0]
    subjects = [s for s in results.subjects() if s in (PROGRAM, EAGER, "torch", "hand")]
    rows = []
    for w in results.workloads():
        # The last round's: a check before it would have left its own memory on the heap.
        peaks = [results.memory.get((w, t, s), [0])[-1] for s in subjects]
        if max(peaks, default=0) >= WORTH_SHOWING:
            rows.append([w, *(number(p) if p > 0 else "–" for p in peaks)])
    if not rows:
        return []
    return ["Peak memory with the workload's data:\n\n" + markdown(["workload, MiB", *subjects], rows)]


def judged(value, bar, text=ratio_text):
    if bar is None:
        return "–"
    if value is None:
        return f"not measured (≤ {text(bar)})"
    return f"{text(value)} ≤ {text(bar)} pass" if value <= bar else f"{text(value)} > {text(bar)} MISS"


def per_step(results, w, t, subject, steps):
    """Nanoseconds."""
    m = results.median(w, t, subject)
    return None if m is None else 1000 * m / steps


def bar_row(results, b, t):
    reference = judged(results.ratio(b.workload, t, PROGRAM, b.reference), b.times)
    if b.times is not None:
        reference += f" ({results.best(b.workload, t, b.reference) or '/'.join(b.reference)})"
    return [b.workload, str(t), judged(results.ratio(b.workload, t, PROGRAM, TORCH), b.torch),
            reference, judged(results.ratio(b.workload, t, EAGER, TORCH), b.eager)]


def nanoseconds(x):
    return f"{x:.1f} ns" if x < 100 else f"{x:.0f} ns"


def single_bars(results, t):
    """What is not a ratio of two subjects."""
    has = results.workloads()
    rows = []
    if "W4/1e7" in has:
        r = results.ratio("W4/1e7", t, PROGRAM, ("torch-malloc",))
        rows.append(["W4/1e7, libtorch with recycled pages", str(t), judged(r, 1 / 5), "–", "–"])
    if "W6" in has:
        program, eager = (per_step(results, "W6", t, s, 1000) for s in (PROGRAM, EAGER))
        rows.append(["W6, a multiply-add", str(t), "–", judged(program, 60, nanoseconds),
                     judged(eager, 600, nanoseconds)])
    if "growth/1000000" in has:
        small, large = (per_step(results, f"growth/{n}", t, EAGER, n) for n in (1000, 1000000))
        growth = large / small if small and large else None
        rows.append(["a node of 1e6 against one of 1e3", str(t), "–", "–", judged(growth, 1.3)])
    if "compile/1000" in has:
        time = per_step(results, "compile/1000", t, PROGRAM, 1e6)
        rows.append(["compiling 1,000 operations", str(t), "–",
                     judged(time, 20, lambda x: f"{x:.2g} ms"), "–"])
    return rows


def bars(results):
    has = results.workloads()
    rows = []
    for t in results.threads():
        rows += [bar_row(results, b, t) for b in BARS if b.workload in has] + single_bars(results, t)
    cells = [c for row in rows for c in row[2:]]
    count = {word: sum(word in c for c in cells) for word in ("pass", "MISS", "not measured")}
    head = ["workload", "threads", "program/libtorch", "program/reference", "eager/libtorch"]
    return (markdown(head, rows) + f"\n\n{count['pass']} passed, {count['MISS']} missed, "
            f"{count['not measured']} not measured")
