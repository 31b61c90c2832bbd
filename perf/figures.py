# SPDX-License-Identifier: Apache-2.0
"""From what the generator says to tables: records of single runs, medians, ratios, and which runs may be compared.

On virtual machines the two CPUs are now two threads of one core (the round trip of a cache line takes about 50 cycles), now
neighbours (200 to 650), now far apart (about 1000), and everything that they hand to each other is faster or slower with it. A run's state
is that round trip before and after it, `mixed` when the two differ by more than half. Medians and ratios are of runs in one state only.
"""

import statistics

STATES = {"shared": "both CPUs are threads of one core", "near": "two cores with a short way", "far": "two cores with a long way",
          "mixed": "the state changed during the run", "unknown": "the round trip could not be measured"}
COMPARABLE = ("shared", "near", "far")
CHANGED = 1.5
LATENCY = ("p50", "p90", "p99", "p99.9")
PERCENTS = (10, 50, 90)


def state_of(cycles):
    if not cycles:
        return "unknown"
    return "shared" if cycles < 120 else "near" if cycles < 800 else "far"


def state(before, after):
    if not before or not after:
        return "unknown"
    # Compared with each other and not with a border between states: round trips on both sides of one may be alike.
    if max(before, after) > CHANGED * min(before, after):
        return "mixed"
    return state_of((before * after) ** 0.5)


def records(lines, loss):
    """One run of `podlane-bench wire --json` as a record a frame size."""
    out = {}
    for line in lines:
        r = out.setdefault(line["size"], {"size": line["size"], "latency": {}, "other": 0, "refused": 0,
                                         "preemptions": line.get("preemptions", 0)})
        r["other"] += line.get("other", 0)
        if line["kind"] == "trial" and line["requested_pps"] is None:
            r |= {"max_offered_mpps": line["offered_pps"] / 1e6, "max_mpps": line["mpps"], "max_loss": line["loss"]}
            r["refused"] = line["refused"] / max(1, line["tx"])
        elif line["kind"] == "throughput":
            r |= {"mpps": line["mpps"] if line["found"] else 0.0, "loss": line["loss"], "requested": line["requested_pps"]}
        elif line["kind"] == "latency":
            r["latency"][str(line["percent"])] = {**line["latency_us"], "loss": line["loss"]}
        elif line["kind"] == "cacheline":
            r["cacheline"] = [line["cacheline_tsc_before"], line["cacheline_tsc_after"]]
            r["state"] = state(*r["cacheline"])
    for r in out.values():
        # All it can send came back, and no ring was full when it wanted to send: the device could have done more.
        r["generator_limited"] = r.get("requested") is None and r.get("max_loss", 1) <= loss and r["refused"] < 0.01
    return list(out.values())


def brief(r):
    limit = " (limit of the generator)" if r["generator_limited"] else ""
    return (f"{r['flows']} flows, {r['size']}: {r.get('mpps', 0):.3f} Mpps{limit}"
            f", cache line {r['cacheline'][0]} and {r['cacheline'][1]} cycles ({r['state']}), {r['preemptions']:.0f} preemptions a second")


def median(records_, value):
    values = [v for v in map(value, records_) if v is not None]
    return statistics.median(values) if values else None


class Group:
    """Records of one job, kind of port and number of flows, by device, size and state."""

    def __init__(self, records_):
        self.records = records_

    def of(self, dut, size, state_):
        return [r for r in self.records if (r["dut"], r["size"], r["state"]) == (dut, size, state_)]

    def states(self):
        """Comparable ones before others, then the one with most devices, then with most runs."""
        runs = {}
        for r in self.records:
            runs.setdefault(r["state"], []).append(r["dut"])
        return sorted(runs, key=lambda s: (s not in COMPARABLE, -len(set(runs[s])), -len(runs[s])))

    def mpps(self, dut, size, state_):
        return median(self.of(dut, size, state_), lambda r: r.get("mpps"))


def groups(args, records_):
    for kind in args.ports:
        for job in args.jobs:
            for flows in args.flows:
                chosen = [r for r in records_ if (r["ports"], r["job"], r["flows"]) == (kind, job.name, flows)]
                if chosen:
                    yield kind, job, flows, Group(chosen)


def heading(size):
    return "IMIX" if size == "imix" else f"{size} B"


def ratio(a, b):
    return f"{a / b:.2f} x" if a and b else "-"


def spread(values):
    return f"{min(values):.2f} to {max(values):.2f}" if len(values) > 1 else "one run"


def throughput_table(args, group, state_):
    sizes = [s for s in args.sizes if any(r["size"] == s for r in group.records)]
    present = [d.name for d in args.duts if any(group.of(d.name, s, state_) for s in sizes)]
    print("| device | " + " | ".join(heading(s) for s in sizes) + " |\n|---|" + "---:|" * len(sizes))
    for dut in present:
        cells = []
        for size in sizes:
            runs = group.of(dut, size, state_)
            if not runs:
                cells.append("other state")
                continue
            least = ">= " if sum(r["generator_limited"] for r in runs) * 2 > len(runs) else ""
            cells.append(f"{least}{group.mpps(dut, size, state_):.2f} ({spread([r['mpps'] for r in runs])})")
        print(f"| {dut} | " + " | ".join(cells) + " |")
    for dut in present:
        if dut != "podlane" and "podlane" in present and state_ in COMPARABLE:
            cells = [ratio(group.mpps("podlane", s, state_), group.mpps(dut, s, state_)) for s in sizes]
            print(f"| *podlane / {dut}* | " + " | ".join(cells) + " |")
    print()


def latency_table(args, group, state_):
    size = args.sizes[0]
    rows = []
    for dut in args.duts:
        runs = group.of(dut.name, size, state_)
        for percent in PERCENTS:
            at = [r["latency"].get(str(percent)) for r in runs]
            at = [x for x in at if x and "p50" in x]
            if at:
                rows.append(f"| {dut.name} | {percent} % | " +
                            " | ".join(f"{statistics.median(x[q] for x in at):.1f}" for q in LATENCY) + " |")
    if rows:
        print(f"Latency, microseconds, {heading(size)}, at a share of the device's own throughput:\n")
        print("| device | load | " + " | ".join(LATENCY) + " |\n|---|---:|" + "---:|" * len(LATENCY))
        print("\n".join(rows) + "\n")


def tables(args, records_, failures):
    for kind, job, flows, group in groups(args, records_):
        for state_ in group.states():
            count = sum(r["state"] == state_ for r in group.records)
            trips = [c for r in group.records if r["state"] == state_ for c in r["cacheline"] if c]
            print(f"### {job.name} over {kind}, {flows:,} flows, Mpps: median (smallest to largest)\n")
            print(f"{count} of {len(group.records)} runs; cache line round trip {min(trips, default=0)} to {max(trips, default=0)} "
                  f"TSC cycles ({state_}: {STATES[state_]})." + (" Not comparable with each other." if state_ not in COMPARABLE else "") + "\n")
            throughput_table(args, group, state_)
            if not args.no_latency and state_ == group.states()[0]:
                latency_table(args, group, state_)
    if any(r["generator_limited"] for r in records_):
        print("\">=\": the generator was the limit in most of these runs: nothing was lost and no ring was full.\n")
    for f in failures:
        print(f"Failed: {f['dut']}, {f['job']} over {f['ports']}, round {f['turn'] + 1}: {f['error'].splitlines()[0]}\n")
