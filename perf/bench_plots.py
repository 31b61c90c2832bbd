# SPDX-License-Identifier: Apache-2.0
"""Plots of measured rows (JSON lines of podlane-bench) by gnuplot, each as PNG and SVG."""

import os
import subprocess

# Told apart by people who see few colours, and in print.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
TITLES = {"l3": "L3", "vxlan-encap": "VXLAN encap", "vxlan-decap": "VXLAN decap", "ipip-encap": "IP-in-IP encap",
          "ipip-decap": "IP-in-IP decap"}
WORKS = list(TITLES)


def draw(out, name, size, script):
    """Run one gnuplot script for both formats. `script` must not set the terminal."""
    width, height = size
    for terminal, ending in ((f"pngcairo size {width},{height} font 'DejaVu Sans,11' background '#ffffff'", "png"),
                             (f"svg size {width},{height} dynamic font 'DejaVu Sans,12' background '#ffffff'", "svg")):
        path = os.path.join(out, f"{name}.{ending}")
        text = f"set terminal {terminal}\nset output '{path}'\n{COMMON}\n{script}\nunset output\n"
        subprocess.run(["gnuplot"], input=text, text=True, check=True)
    print(f"plot: {os.path.join(out, name)}.png, .svg")


COMMON = """set encoding utf8
set border 3 lc rgb '#555555'
set tics nomirror out
set grid ytics lc rgb '#dddddd' lt 1
set key samplen 2 spacing 1.2
set bmargin 4
""" + "\n".join(f"set style line {i + 1} lc rgb '{c}' lw 2 pt {p} ps 1.2"
                for i, (c, p) in enumerate(zip(COLOURS, (7, 5, 9, 13, 11, 15))))


def block(name, lines):
    return f"${name} << EOD\n" + "\n".join(lines) + "\nEOD\n"


def cycles(row):
    return row["cycles"]["median"]


def ceiling(values, step=20):
    return (int(max(values) * 1.08) // step + 1) * step


def by_flows(out, rows, machine):
    """Lines: cycles by the number of flows, IPv4 and IPv6 side by side on one scale."""
    top = ceiling([cycles(r) for r in rows] + [1.7 * cycles(r) for r in rows if r["flows"] <= 1000])
    script = [f"set multiplot layout 1,2 title \"Packet path without I/O by the number of flows (64-byte frames, all hits)\\n"
              f"{{/*0.8 {machine}}}\"",
              "set logscale x 10", "set xrange [0.7:1500000]", f"set yrange [0:{top}]",
              "set xtics ('1' 1, '10' 10, '100' 100, '1 k' 1000, '10 k' 10000, '100 k' 100000, '1 M' 1000000)",
              "set xlabel 'flows'", "set ylabel 'TSC cycles a packet'"]
    for family in ("ipv4", "ipv6"):
        parts = []
        for i, work in enumerate(WORKS):
            points = sorted((r["flows"], cycles(r)) for r in rows if r["scenario"] == f"{family}-{work}")
            if not points:
                continue
            data = f"{family}_{work.replace('-', '_')}"
            script.append(block(data, [f"{x} {y}" for x, y in points]))
            parts.append(f"${data} using 1:2 with linespoints ls {i + 1} title '{TITLES[work]}'")
        # Few flows cost least: the corner above them is free.
        script += [f"set title '{'IPv4' if family == 'ipv4' else 'IPv6'}'", "set key top left Left reverse",
                   "plot " + ", ".join(parts)]
    draw(out, "cycles-by-flows", (1200, 520), "\n".join(script) + "\nunset multiplot")


def bars(out, name, title, size, groups, series, value, ylabel="TSC cycles a packet", marks=None):
    """Clustered bars. groups and series are (key, title); value(group, series) is a number or None; marks(group, series) a
    target drawn as a black line across the bar."""
    width = 0.8 / len(series)
    script, parts, lines_across, tops = [], [], [], []
    for i, (skey, stitle) in enumerate(series):
        lines, texts, targets = [], [], []
        for g, (gkey, _) in enumerate(groups):
            v = value(gkey, skey)
            if v is None:
                continue
            x = g - 0.4 + width * (i + 0.5)
            tops.append(v)
            lines.append(f"{x:.4f} {v:.2f} {width * 0.92:.4f}")
            texts.append(f"{x:.4f} 0 {v:.0f}")
            target = marks(gkey, skey) if marks else None
            if target is not None:
                targets.append(f"{x:.4f} {target:.2f} {width * 0.46:.4f}")
        if not lines:
            continue
        script.append(block(f"bars{i}", lines))
        parts.append(f"$bars{i} using 1:2:3 with boxes ls {i + 1} fs solid 0.85 border lc rgb '{COLOURS[i]}' title '{stitle}'")
        script.append(block(f"texts{i}", texts))
        parts.append(f"$texts{i} using 1:2:3 with labels offset 0,0.6 font ',8' textcolor rgb '#ffffff' notitle")
        if targets:
            script.append(block(f"marks{i}", targets))
            lines_across.append(f"$marks{i} using 1:2:3 with xerrorbars pt 0 lw 3 lc rgb '#000000' " +
                                ("notitle" if lines_across else "title 'target'"))
    parts += lines_across
    tics = ", ".join(f'"{t}" {g}' for g, (_, t) in enumerate(groups))
    script += [f"set title \"{title}\"", f"set ylabel '{ylabel}'", f"set yrange [0:{ceiling(tops)}]",
               f"set xrange [-0.6:{len(groups) - 0.4}]", f"set xtics ({tics}) scale 0", "set key outside bottom center horizontal",
               "set bmargin 6", "plot " + ", ".join(parts)]
    draw(out, name, size, "\n".join(script))


def by_isa(out, rows, machine, flows=100000):
    names = [n for n in ("portable", "avx2", "avx512") if any(r["isa"] == n for r in rows)]
    table = {(r["scenario"], r["isa"]): cycles(r) for r in rows if r["flows"] == flows}
    groups = [(f"{f}-{w}", f"{'IPv4' if f == 'ipv4' else 'IPv6'}\\n{TITLES[w].replace(' ', chr(92) + 'n')}")
              for f in ("ipv4", "ipv6") for w in WORKS if (f"{f}-{w}", names[0]) in table]
    titles = {"portable": "portable (x86-64-v2)", "avx2": "AVX2", "avx512": "AVX-512"}
    bars(out, "cycles-by-isa", f"Packet path by instruction set of the hit path ({flows:,} flows, 64-byte frames)\\n{{/*0.8 {machine}}}",
         (1200, 540), groups, [(n, titles[n]) for n in names], lambda g, s: table.get((g, s)))


def by_scenario(out, rows, machine):
    """Measured beside what is aimed at."""
    table = {(r["scenario"], r["flows"]): r for r in rows}
    counts = sorted({r["flows"] for r in rows if not r["scenario"].endswith("new-flow")})
    groups = [(f"{f}-{w}", f"{'IPv4' if f == 'ipv4' else 'IPv6'}\\n{TITLES[w].replace(' ', chr(92) + 'n')}")
              for f in ("ipv4", "ipv6") for w in WORKS if any((f"{f}-{w}", n) in table for n in counts)]
    titles = {1000: "1 k flows", 100000: "100 k flows", 1000000: "1 M flows"}
    bars(out, "cycles-by-scenario", f"Packet path against its targets (64-byte frames, all hits; IPv6: 1.3 times what IPv4 took)\\n{{/*0.8 {machine}}}", (1200, 540),
         groups, [(n, titles.get(n, f"{n:,} flows")) for n in counts],
         lambda g, s: cycles(table[g, s]) if (g, s) in table else None,
         marks=lambda g, s: table[g, s].get("target") if (g, s) in table else None)


def by_size(out, rows, machine):
    sizes = [64, 512, 1400, "imix"]
    table = {(r["scenario"], r["size"], r["memory"]): cycles(r) for r in rows}
    works = [w for w in ("l3", "vxlan-encap", "vxlan-decap") if (f"ipv4-{w}", 64, "warm") in table]
    groups = [((w, s), f"{s if s == 'imix' else f'{s} B'}") for w in works for s in sizes]
    groups = [(k, f"{t}\\n{TITLES[k[0]] if k[1] == 512 else ''}") for k, t in groups]
    bars(out, "cycles-by-size", f"Packet path by frame size (IPv4, 100 k flows)\\n{{/*0.8 {machine}}}", (1100, 520), groups,
         [("warm", "packet memory warm"), ("cold", "packet memory larger than the L2 cache")],
         lambda g, s: table.get((f"ipv4-{g[0]}", g[1], s)))


def fib(out, rows, machine):
    rows = [r for r in rows if r["table"] == "fib" and r["threads"] == 1]
    script, parts = [], []
    top = ceiling((r["dependent"]["median"] for r in rows), 50)
    for i, (family, kind, title) in enumerate(((4, "bulk", "IPv4, 128 at a time"), (6, "bulk", "IPv6, 128 at a time"),
                                               (4, "dependent", "IPv4, each waits for the last"),
                                               (6, "dependent", "IPv6, each waits for the last"))):
        points = sorted((r["routes"], r[kind]["median"]) for r in rows if r["family"] == family)
        script.append(block(f"fib{i}", [f"{x} {y}" for x, y in points]))
        parts.append(f"$fib{i} using 1:2 with linespoints ls {i + 1} title '{title}'")
    script += ["set logscale x 10", "set xrange [700:1500000]", f"set yrange [0:{top}]",
               "set xtics ('1 k' 1000, '10 k' 10000, '100 k' 100000, '1 M' 1000000)",
               "set xlabel 'routes (prefix lengths as in the Internet)'", "set ylabel 'TSC cycles a look-up'",
               f"set title \"FIB look-up, addresses under random routes\\n{{/*0.8 {machine}}}\"", "set key top left Left reverse",
               "plot " + ", ".join(parts)]
    draw(out, "fib", (820, 500), "\n".join(script))


def flow_table(out, rows, machine):
    """By fill: look-ups left, inserts right."""
    rows = [r for r in rows if r["table"] == "flow"]
    entries = rows[0]["entries"]
    script = [f"set multiplot layout 1,2 title \"Flow table for {entries:,} directions by fill\\n{{/*0.8 {machine}}}\"",
              "set xrange [5:100]", "set xlabel 'fill, % of the directions it is made for'", "set xtics (10, 25, 50, 75, 90)"]
    for panel, (kinds, ylabel) in enumerate(((("hit", "miss"), "TSC cycles a look-up, 128 at a time"),
                                             (("insert_pair",), "TSC cycles a pair inserted"))):
        parts, tops = [], []
        i = 0
        for kind in kinds:
            for family in (4, 6):
                for threads in ((1, 2) if panel else (1,)):
                    points = sorted((r["fill"], r[kind]["median"]) for r in rows if r["family"] == family and r["threads"] == threads)
                    if not points:
                        continue
                    i += 1
                    title = f"IPv{family}, {kind}" if not panel else f"IPv{family}, {threads} thread{'s' if threads > 1 else ''}"
                    script.append(block(f"flow{panel}{i}", [f"{x} {y}" for x, y in points]))
                    parts.append(f"$flow{panel}{i} using 1:2 with linespoints ls {i} title '{title}'")
                    tops += [y for _, y in points]
        script += [f"set ylabel '{ylabel}'", f"set yrange [0:{ceiling(tops, 200 if panel else 20)}]",
                   "set key top left Left reverse" if not panel else "set key bottom right Left reverse", "plot " + ", ".join(parts)]
    draw(out, "flow-table", (1200, 500), "\n".join(script) + "\nunset multiplot")
