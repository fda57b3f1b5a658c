"""Bar charts as SVG: one group of bars for each number of connections, one bar for each side."""
import html
import math

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 56, 44
COLOURS = ("#0f62a8", "#7f8c8d", "#d38b2c", "#8e5ea2", "#3e9651")
TEXT = "font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\""


class Axis:
    """From values to heights: from zero, or logarithmic where the values lie far apart."""

    def __init__(self, values: list[float], logarithmic: bool):
        self.logarithmic = logarithmic
        if logarithmic:
            self.low = 10 ** math.floor(math.log10(min(values)))
            self.high = 10 ** math.ceil(math.log10(max(values) * 1.01))
            decades = round(math.log10(self.high / self.low))
            self.ticks = [self.low * 10 ** each for each in range(decades + 1)]
        else:
            step = 10 ** math.floor(math.log10(max(values)))
            step = next(step * part for part in (0.2, 0.5, 1, 2) if max(values) / (step * part) <= 6)
            count = math.ceil(max(values) / step)
            self.low, self.high = 0, step * count
            self.ticks = [step * each for each in range(count + 1)]

    def height(self, value: float) -> float:
        room = HEIGHT - TOP - BOTTOM
        if self.logarithmic:
            return room * math.log10(value / self.low) / math.log10(self.high / self.low)
        return room * value / self.high


def bars(title: str, groups: dict[str, dict[str, float]], logarithmic: bool = False) -> str:
    """`groups`: label of a group -> side -> value. A side may be missing from a group."""
    sides = list(dict.fromkeys(side for group in groups.values() for side in group))
    axis = Axis([value for group in groups.values() for value in group.values()], logarithmic)
    base = HEIGHT - BOTTOM
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             f'role="img" aria-label="{html.escape(title)}">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
             f'<text x="{LEFT}" y="20" {TEXT} font-weight="bold">{html.escape(title)}</text>']
    for tick in axis.ticks:
        y = base - axis.height(tick)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" {TEXT} text-anchor="end">{tick:,g}</text>')
    for index, side in enumerate(sides):
        x = LEFT + 110 * index
        parts.append(f'<rect x="{x}" y="32" width="12" height="12" fill="{COLOURS[index]}"/>')
        parts.append(f'<text x="{x + 17}" y="42" {TEXT}>{html.escape(side)}</text>')
    group_width = (WIDTH - LEFT - RIGHT) / len(groups)
    bar_width = group_width * 0.8 / len(sides)
    for number, (label, group) in enumerate(groups.items()):
        start = LEFT + group_width * (number + 0.1)
        for index, side in enumerate(sides):
            if side not in group:
                continue
            high = axis.height(group[side])
            x = start + bar_width * index
            parts.append(f'<rect x="{x:.1f}" y="{base - high:.1f}" width="{bar_width - 2:.1f}" '
                         f'height="{high:.1f}" fill="{COLOURS[index]}"/>')
            parts.append(f'<text x="{x + bar_width / 2 - 1:.1f}" y="{base - high - 3:.1f}" {TEXT} '
                         f'text-anchor="middle" style="font-size:10px">{_short(group[side])}</text>')
        parts.append(f'<text x="{start + group_width * 0.4:.1f}" y="{base + 18}" {TEXT} '
                     f'text-anchor="middle">{html.escape(label)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1e3:.0f}k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
