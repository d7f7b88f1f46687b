# SPDX-License-Identifier: BSD-3-Clause
"""A calibration plot as SVG, without a plotting library."""
SIZE, EDGE, COLOURS = 360, 46, ("#1f5fa8", "#c8501e", "#3c8c3c")


def point(x, y):
    return EDGE + x * SIZE, EDGE + (1 - y) * SIZE


def calibration(series):
    """series: {name: scoring.reliability()}. What was said on the x axis, what was so on the y axis."""
    full = SIZE + 2 * EDGE
    out = ["<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' font-size='12'>" % (
        full + 120, full), "<rect width='100%' height='100%' fill='white'/>"]
    for i in range(6):
        v = i / 5
        (x, y0), (_, y1) = point(v, 0), point(v, 1)
        out.append("<path d='M%.1f %.1fV%.1f' stroke='#ddd'/><text x='%.1f' y='%.1f' text-anchor='middle'>%.1f</text>" % (
            x, y0, y1, x, y0 + 16, v))
        (x0, y), (x1, _) = point(0, v), point(1, v)
        out.append("<path d='M%.1f %.1fH%.1f' stroke='#ddd'/><text x='%.1f' y='%.1f' text-anchor='end'>%.1f</text>" % (
            x0, y, x1, x0 - 6, y + 4, v))
    out.append("<path d='M%.1f %.1fL%.1f %.1f' stroke='#999' stroke-dasharray='4'/>" % (*point(0, 0), *point(1, 1)))
    for n, (name, c) in enumerate(series.items()):
        colour = COLOURS[n % len(COLOURS)]
        dots = [(*point(r["said"], r["was"]), r["n"]) for r in c["rows"]]
        if dots:
            out.append("<path d='M%s' fill='none' stroke='%s'/>" % ("L".join("%.1f %.1f" % d[:2] for d in dots), colour))
        out += ["<circle cx='%.1f' cy='%.1f' r='%.1f' fill='%s'><title>%d</title></circle>" % (
            x, y, 2 + min(6, count ** 0.33), colour, count) for x, y, count in dots]
        out.append("<text x='%d' y='%d' fill='%s'>%s</text>" % (full - 20, EDGE + 20 + 18 * n, colour, name))
    out.append("<text x='%d' y='%d' text-anchor='middle'>confidence</text>" % (full / 2, full - 6))
    out.append("<text transform='translate(12 %d) rotate(-90)' text-anchor='middle'>share that is right</text></svg>\n" % (full / 2))
    return "\n".join(out)
