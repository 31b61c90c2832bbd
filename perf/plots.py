# SPDX-License-Identifier: Apache-2.0
"""Plots of perf/compare by gnuplot: throughput by frame size and device, latency percentiles by device. PNG and SVG each."""

import os
import subprocess

import figures

COLOURS = {"podlane": "#1b6ca8", "testpmd": "#9a9a9a", "ovs": "#d9822b", "kernel": "#5a9e4b"}
TERMINALS = {"png": "pngcairo size 1000,520 font 'sans,11'", "svg": "svg size 1000,520 font 'sans,12' background 'white'"}


def gnuplot(base, script):
    for ext, terminal in TERMINALS.items():
        done = subprocess.run(["gnuplot"], input=f"set terminal {terminal}\nset output '{base}.{ext}'\n{script}\n", text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"gnuplot: {done.stdout}")


def block(name, rows):
    return f"${name} << EOD\n" + "\n".join(rows) + "\nEOD\n"


def throughput(args, base, title, group, state):
    sizes = [s for s in args.sizes if any(r["size"] == s for r in group.records)]
    duts = [d.name for d in args.duts if any(group.mpps(d.name, s, state) is not None for s in sizes)]
    rows = []
    for size in sizes:
        cells = [group.mpps(d, size, state) for d in duts]
        rows.append(f'"{figures.heading(size)}" ' + " ".join("?" if c is None else f"{c:.4f}" for c in cells))
    series = ", ".join(f"$data using {i + 2}:xtic(1) title '{d}' lc rgb '{COLOURS[d]}'" for i, d in enumerate(duts))
    gnuplot(base, block("data", rows) + f"""set title "{title}"
set style data histogram; set style histogram clustered gap 1; set style fill solid 0.9 border -1
set ylabel 'Mpps'; set xlabel 'frame size'; set yrange [0:*]; set grid ytics; set key outside right top; set datafile missing '?'
plot {series}""")


def latency(args, base, title, group, state):
    """Percentiles at half of each device's throughput."""
    rows, duts = [], []
    for dut in (d.name for d in args.duts):
        at = [r["latency"].get("50") for r in group.of(dut, args.sizes[0], state)]
        at = [x for x in at if x and "p50" in x]
        if at:
            duts.append(dut)
            rows.append([figures.statistics.median(x[q] for x in at) for q in figures.LATENCY])
    if not duts:
        return
    data = [f'"{q}" ' + " ".join(f"{r[i]:.3f}" for r in rows) for i, q in enumerate(figures.LATENCY)]
    series = ", ".join(f"$data using 0:{i + 2}:xtic(1) title '{d}' with linespoints lw 2 pt 7 lc rgb '{COLOURS[d]}'"
                       for i, d in enumerate(duts))
    gnuplot(base, block("data", data) + f"""set title "{title}"
set ylabel 'microseconds (log)'; set xlabel 'percentile'; set logscale y; set grid; set key outside right top; set xrange [-0.3:3.3]
plot {series}""")


def draw(args, records):
    """For each group the state most of its runs were in."""
    for kind, job, flows, group in figures.groups(args, records):
        state = group.states()[0]
        where = f"{job.name} over {kind}, {flows:,} flows"
        name = f"{job.name}-{kind}-{flows}"
        throughput(args, os.path.join(args.out, f"throughput-{name}"), f"Throughput, {where} ({state})", group, state)
        latency(args, os.path.join(args.out, f"latency-{name}"),
                f"Latency at half of the throughput, {figures.heading(args.sizes[0])}, {where} ({state})", group, state)
