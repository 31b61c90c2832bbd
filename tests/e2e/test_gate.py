# SPDX-License-Identifier: Apache-2.0
"""The regression gate can fail, and names the function when it does; and the bench's command line refuses nonsense."""

import json
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("PODLANE_BUILD", os.path.join(ROOT, "build"))
BENCH = os.path.join(BUILD, "perf", "podlane-bench")
SCENARIOS = os.path.join(ROOT, "perf", "scenarios", "targets.conf")


def gate(figures, *args):
    return subprocess.run([os.path.join(ROOT, "perf", "gate"), "--build", BUILD, "--figures", str(figures), *args],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)


def test_gate_fails_when_a_packet_costs_more(tmp_path):
    figures = tmp_path / "gate.json"
    shutil.copy(os.path.join(ROOT, "perf", "gate.json"), figures)
    # Of this build, whatever compiler made it.
    made = gate(figures, "--update", "ipv4-l3")
    if "nothing compared" in made.stdout:
        pytest.skip(made.stdout.splitlines()[0])
    assert made.returncode == 0, made.stdout
    data = json.loads(figures.read_text())
    true = data["scenarios"]["ipv4-l3"]["instructions"]
    functions = data["scenarios"]["ipv4-l3"]["functions"]
    assert true > 50 and max(functions.values()) <= true

    same = gate(figures, "ipv4-l3")
    assert same.returncode == 0 and same.stdout.splitlines()[-1] == "1 passed, 0 failed, 0 skipped", same.stdout

    # As if one function had taken a tenth of the path less before.
    name = max(functions, key=functions.get)
    data["scenarios"]["ipv4-l3"]["instructions"] = round(true * 0.9, 1)
    functions[name] = round(functions[name] - 0.1 * true, 1)
    figures.write_text(json.dumps(data))
    worse = gate(figures, "ipv4-l3")
    assert worse.returncode == 1 and worse.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 skipped", worse.stdout
    grew = worse.stdout.split("grew most:")[1].splitlines()[1]
    assert grew.strip().startswith(f"{name}:"), worse.stdout


def test_bench_refuses_nonsense():
    for args, because in (
            (["pipeline", "--scenario", "ipv4-l4"], 'there is no scenario "ipv4-l4"'),
            (["pipeline", "--scenario", "ipv4-l3", "--memory", "tepid"], "--memory is warm or cold"),
            (["pipeline", "--scenario", "ipv4-l3", "--size", "63"], "--size takes bytes from 64"),
            (["pipeline", "--scenario", "ipv4-l3", "--flows", "0"], "--flows takes a number from 1"),
            (["pipeline", "--scenario", "ipv4-l3", "--flows", "-1"], "--flows takes a number from 1"),
            (["pipeline", "--scenario", "ipv4-l3", "more"], '"more" is no option'),
            (["pipeline", "--file", "/nonexistent.conf"], "cannot be read"),
            (["pipeline", "--file", SCENARIOS, "--flows", "5"], "leave --flows out"),
            (["pipeline", "--file", SCENARIOS, "--isa", "portable"], "leave --isa out"),
            (["pipeline", "--scenario", "ipv4-l3", "--functions", "--no-instructions"], "leave --no-instructions out"),
            (["pipeline"], "usage:"),
            (["nonsense"], "usage:")):
        done = subprocess.run([BENCH, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2 and because in done.stderr, (args, done.returncode, done.stderr)


def test_bench_measures_and_says_what():
    """One short run: fields that others read; figures are not judged."""
    done = subprocess.run([BENCH, "pipeline", "--scenario", "ipv6-vxlan-decap", "--flows", "1", "--size", "imix", "--repeats", "2",
                           "--no-instructions", "--json"], stdout=subprocess.PIPE, text=True, check=True)
    row = json.loads(done.stdout)
    assert row["scenario"] == "ipv6-vxlan-decap" and row["flows"] == 1 and row["size"] == "imix" and row["memory"] == "warm"
    assert 0 < row["cycles"]["min"] <= row["cycles"]["median"] <= row["cycles"]["max"]
    assert row["instructions"] is None and "parse" in row["stages"]


def test_every_scenario_does_its_work():
    """The bench itself looks at each packet's bytes, port and counters (perf/verify.h) and ends with 1 when one is wrong. Each
    scenario, by each instruction set of this CPU, sizes and flows that fill no burst evenly; new flows beside flows and rules."""
    names = subprocess.run([BENCH, "pipeline", "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    assert len(names) == 12
    ran = set()
    for name in names:
        for isa in ("portable", "avx2", "avx512"):
            more = ["--flows", "20000", "--rules", "3", "--routes", "7"] if name.endswith("new-flow") else ["--flows", "777"]
            done = subprocess.run([BENCH, "pipeline", "--scenario", name, "--isa", isa, "--size", "imix", "--repeats", "1",
                                   "--no-instructions", "--json", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                  check=False)
            if done.returncode == 3:
                assert "does not have" in done.stderr
                continue
            assert done.returncode == 0, (name, isa, done.stderr)
            ran.add((name, json.loads(done.stdout)["isa"]))
    assert {(name, "portable") for name in names} <= ran


def test_functions_are_part_of_the_line():
    done = subprocess.run([BENCH, "pipeline", "--scenario", "ipv4-l3", "--flows", "9", "--repeats", "1", "--isa", "portable", "--functions",
                           "--json"], stdout=subprocess.PIPE, text=True, check=True)
    row, = [json.loads(line) for line in done.stdout.splitlines()]
    if row["counted_by"].startswith("not counted"):
        pytest.skip(row["counted_by"])
    assert abs(sum(row["functions"].values()) - row["functions"].get("one_burst", 0) - row["instructions"]) < 1 or row["counted_by"] == "counter"


def test_bench_tables():
    """Small tables, both threads: every look-up finds what it should; figures are not judged."""
    done = subprocess.run([BENCH, "tables", "--routes", "5000", "--entries", "16384", "--json"], stdout=subprocess.PIPE, text=True,
                          check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    fib = [r for r in rows if r["table"] == "fib"]
    flow = [r for r in rows if r["table"] == "flow"]
    threads = {1, 2} if len(os.sched_getaffinity(0)) > 1 else {1}
    assert {(r["family"], r["threads"]) for r in fib} == {(f, t) for f in (4, 6) for t in threads}
    assert {r["fill"] for r in flow} == {10, 25, 50, 75, 90, 95}
    assert all(r["routes"] == 5000 and r["bytes_per_route"] > 4 and r["update_us"]["median"] > 0 for r in fib)
    assert all(r["wrong"] == 0 and r["refused"] == 0 and r["insert_pair"]["median"] > 0 and r["expire"]["median"] > 0 for r in flow)
