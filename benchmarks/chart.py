"""An SVG of the ratios to libtorch: a row for each workload, a dot for each subject."""
import html
import math

import bars

# (what, subjects of which the fastest counts, colour, radius)
MARKS = [("limit", bars.LIMIT, "#9aa0a6", 4), ("hand-written", bars.HAND, "#e8710a", 5),
         ("xtape eager", (bars.EAGER,), "#7baaf7", 6), ("xtape program", (bars.PROGRAM,), "#174ea6", 6)]
ROW, TOP, LABEL, PANEL, GAP = 22, 100, 165, 420, 60


def shown(results):
    """Of W11 the largest size; nothing without libtorch."""
    def wanted(w):
        family, *rest = w.split("/")
        return family != "W11" or rest[-1] == "10000"

    return [w for w in results.workloads() if wanted(w)
            and any(results.best(w, t, bars.TORCH) for t in results.threads())]


def points(results, w, t):
    found = []
    for name, subjects, colour, radius in MARKS:
        best = results.best(w, t, subjects)
        r = results.ratio(w, t, best, bars.TORCH) if best else None
        if r:
            found.append((name, r, colour, radius))
    return found


def text(x, y, content, size=12, anchor="start", weight="normal", fill="#202124"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}" fill="{fill}">{html.escape(content)}</text>')


def label(power):
    return "libtorch" if power == 0 else f"{10**power}×" if power > 0 else f"1/{10**-power}"


def panel(results, rows, t, left, low, high):
    """Axis, grid and dots of one number of threads."""
    def x(r):
        return left + PANEL * (math.log10(r) - low) / (high - low)

    bottom = TOP + ROW * len(rows)
    out = [text(left, TOP - 28, f"{t} thread{'s' * (t > 1)}", 13, weight="bold")]
    for power in range(low, high + 1):
        colour = "#5f6368" if power == 0 else "#dadce0"
        out.append(f'<line x1="{x(10**power):.1f}" x2="{x(10**power):.1f}" y1="{TOP - 6}" '
                   f'y2="{bottom}" stroke="{colour}"/>')
        out.append(text(x(10**power), TOP - 10, label(power), 11, "middle", fill="#5f6368"))
    for i, w in enumerate(rows):
        y = TOP + ROW * (i + 0.5)
        dots = points(results, w, t)
        if len(dots) > 1:
            ends = [x(r) for _, r, _, _ in dots]
            out.append(f'<line x1="{min(ends):.1f}" x2="{max(ends):.1f}" y1="{y}" y2="{y}" '
                       'stroke="#dadce0" stroke-width="2"/>')
        for name, r, colour, radius in dots:
            out.append(f'<circle cx="{x(r):.1f}" cy="{y}" r="{radius}" fill="{colour}">'
                       f"<title>{html.escape(f'{w}, {name}: {bars.ratio_text(r)}')}</title></circle>")
    return out


def legend(left):
    out = []
    for name, _, colour, radius in reversed(MARKS):
        out.append(f'<circle cx="{left}" cy="36" r="{radius}" fill="{colour}"/>')
        out.append(text(left + 10, 40, name))
        left += 30 + 7 * len(name)
    return out


def svg(results, caption):
    rows, threads = shown(results), results.threads()
    ratios = [r for w in rows for t in threads for _, r, _, _ in points(results, w, t)] + [1.0]
    low, high = math.floor(math.log10(min(ratios))), math.ceil(math.log10(max(ratios)) + 1e-9)
    width = LABEL + len(threads) * (PANEL + GAP)
    height = TOP + ROW * len(rows) + 34
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
           f'height="{height}" font-family="system-ui, sans-serif">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           text(14, 22, "Time of a step over libtorch's (further left is faster)", 15, weight="bold")]
    out += legend(LABEL)
    for i, w in enumerate(rows):
        y = TOP + ROW * i
        if i % 2 == 0:
            out.append(f'<rect x="8" y="{y}" width="{width - 16}" height="{ROW}" fill="#f8f9fa"/>')
        out.append(text(14, y + ROW / 2 + 4, w))
    for i, t in enumerate(threads):
        out += panel(results, rows, t, LABEL + i * (PANEL + GAP), low, high)
    out.append(text(14, height - 12, caption, 11, fill="#5f6368"))
    return "\n".join(out + ["</svg>"]) + "\n"
