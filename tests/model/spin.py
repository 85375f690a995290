#!/usr/bin/env python3
"""Runs the models of this directory through spin, exhaustively, and their mutants, which must be found.

A configuration is a model with bounds. It passes when spin has searched all of it: no error, nothing cut off by the
depth or by memory. A mutant is a model with one deliberate fault: it passes when spin finds an error. What each
configuration is about is said in configurations.py; README.md has the table, which `--table` prints, and must say
the same.

usage: spin.py [--long | --mutants] [--only TEXT,...] [--jobs N] [--table] [--list] [--keep DIR] [--cc CC] [--source DIR]
               [--seed N] [--seconds N]

Without an option: the quick configurations, and some mutants: about a minute. --list: all that there are. --mutants:
all mutants. --long: the big configurations, which take minutes each and up to 4 GB. --seed and --seconds are there for
tests/support/seeded.sh: with less than ten minutes the big ones are left out, and so many mutants are tried, from the
seed on, as fit.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from configurations import FAST, LONG, MUTANTS, SOME

SAFETY = ["-DSAFETY", "-DCOLLAPSE"]
MEGABYTES = 4000
DEPTH = 1000000
MOST_SECONDS = 3000  # hangs
WHOLE_SECONDS = 600  # from here on all of what was asked for
MUTANT_SECONDS = 4  # with compiling

class Outcome:
    def __init__(self, passed, said, states=0, depth=0, seconds=0.0, megabytes=0.0):
        self.passed, self.said = passed, said
        self.states, self.depth, self.seconds, self.megabytes = states, depth, seconds, megabytes


# What spin writes is a function for each direction with a case for each statement of the model. An optimising
# compiler may spend minutes there, for nothing: what takes time is hashing and comparing states.
SLOW = {"pan.c": r"(?m)^(?=uchar\n(do_transit|do_reverse)\()", "pan.t": r"(?m)^(?=void\nsettable\(void\))"}


def make(arguments, directory, model, defines):
    """Writes and compiles the search. None, or what went wrong."""
    source = os.path.join(arguments.source, "tests", "model", model + ".pml")
    command = ["spin", "-a"] + ["-D" + one for one in defines] + [source]
    result = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0 or "Error" in result.stdout:
        return "spin says: " + result.stdout.strip()
    for name, pattern in SLOW.items():
        path = os.path.join(directory, name)
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(re.sub(pattern, '__attribute__((optimize("O0")))\n', text))
    command = arguments.cc.split() + ["-O1" if arguments.long else "-O0", "-w", "-o", "pan", "pan.c", "-DINLINE_REV", "-DVECTORSZ=4096",
                                      "-DMEMLIM=%d" % MEGABYTES] + SAFETY
    result = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if result.returncode == 0 else "the compiler says: " + result.stdout.strip()[:500]


def number(pattern, text):
    found = re.search(pattern, text)
    return float(found.group(1)) if found else 0.0


def search(arguments, model, defines):
    begun = time.monotonic()
    directory = tempfile.mkdtemp(prefix="spin-", dir=arguments.keep)
    try:
        problem = make(arguments, directory, model, defines)
        if problem:
            return Outcome(None, problem)
        try:
            result = subprocess.run(["./pan", "-m%d" % DEPTH], cwd=directory, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, errors="replace", timeout=MOST_SECONDS)
        except subprocess.TimeoutExpired:
            return Outcome(None, "it was still searching after %d s" % MOST_SECONDS)
        said = result.stdout
        with open(os.path.join(directory, "said"), "w") as file:
            file.write(said)
    finally:
        if not arguments.keep:
            shutil.rmtree(directory)
    seconds = time.monotonic() - begun
    errors = re.search(r"errors: (\d+)", said)
    facts = dict(states=int(number(r"([0-9.e+]+) states, stored", said)), seconds=seconds,
                 depth=int(number(r"depth reached (\d+)", said)),
                 megabytes=number(r"([0-9.]+)\s+total actual memory usage", said))
    if "max search depth too small" in said:
        return Outcome(None, "cut off by the depth of %d" % DEPTH, **facts)
    if errors and int(errors.group(1)) > 0:
        why = re.search(r"pan:\d+: (.*?)(?: \(at depth \d+\))?$", said, re.M)
        return Outcome(False, why.group(1) if why else "an error", **facts)
    if result.returncode != 0 or not errors or "Search not completed" in said or "out of memory" in said:
        return Outcome(None, "not searched to the end: " + said.strip()[-300:], **facts)
    return Outcome(True, "", **facts)


def comma(value):
    return "{:,}".format(value)


def describe(outcome):
    return "%s states, depth %d, %.0f MB, %.1f s" % (comma(outcome.states), outcome.depth, outcome.megabytes,
                                                     outcome.seconds)


def run(arguments, jobs):
    """Each job: (name, model, defines, about, is_mutant)."""
    failures = 0
    rows = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        searches = [pool.submit(search, arguments, job[1], job[2]) for job in jobs]
        for i, (job, one) in enumerate(zip(jobs, searches)):
            name, model, defines, about, mutant = job
            outcome = one.result()
            good = outcome.passed is False if mutant else outcome.passed is True
            failures += not good
            print("%sok %d - %s%s" % ("" if good else "not ", i + 1, "mutant found: " if mutant else "", name))
            print("# %s: %s" % (about, describe(outcome)))
            if outcome.passed is None or (mutant and good) or (not mutant and not good):
                print("#   " + outcome.said.replace("\n", "\n#   "))
            if mutant and outcome.passed is True:
                print("#   NOT FOUND: the model can not see this fault")
            sys.stdout.flush()
            rows.append((name, model, defines, about, outcome))
    print("1..%d" % len(jobs))
    if arguments.table:
        print_table(rows)
    return failures


def row_of(name, defines, about):
    """How the row of a configuration in README.md begins."""
    return "| `%s` | %s | %s |" % (name, about, " ".join(defines))


def print_table(rows):
    print("\n| configuration | about | bounds | states | depth | memory | seconds |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for name, model, defines, about, outcome in rows:
        print("%s %s | %d | %.0f MB | %.0f |" % (row_of(name, defines, about), comma(outcome.states), outcome.depth,
                                                 outcome.megabytes, outcome.seconds))


def rows_that_differ(source):
    """What README.md says other than what is searched: each configuration has its row there, and each row is one."""
    with open(os.path.join(source, "tests", "model", "README.md"), encoding="utf-8") as file:
        readme = file.read()
    wanted = [row_of(name, defines, about) for name, model, defines, about in FAST + LONG]
    there = re.findall(r"^\| `(?:port|link|lock|wakeup)-[^`]+` \|[^|]*\|[^|]*\|", readme, re.M)
    return sorted(set(wanted) ^ set(there))


def choose(arguments):
    """What is to be searched: (name, model, definitions, about, is it a mutant)."""
    if arguments.only or (arguments.list and not arguments.long and not arguments.mutants):
        jobs = [job + (False,) for job in FAST + LONG] + [job + (True,) for job in MUTANTS]
        return [job for job in jobs if any(text in job[0] for text in (arguments.only or "").split(","))]
    if arguments.mutants:
        return [job + (True,) for job in MUTANTS]
    if arguments.long:
        return [job + (False,) for job in LONG]
    return [job + (False,) for job in FAST] + [job + (True,) for job in MUTANTS if job[0] in SOME]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", default=os.environ.get("CC") or "cc")
    parser.add_argument("--source", default=os.environ.get("YOKE_SOURCE_DIR") or
                        os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--only", help="names that contain one of these, with commas")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", help="a directory in which the searches are left, with their trails")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    differ = rows_that_differ(arguments.source)
    if differ:
        print("tests/model/README.md and configurations.py do not say the same of:\n" + "\n".join(differ))
        return 1
    if shutil.which("spin") is None:
        print("spin is not installed (Debian: spin): the models were not searched")
        return 77
    if arguments.long and arguments.seconds < WHOLE_SECONDS:
        print("1..0 # SKIP %g s: the big searches are whole, and take minutes each, or they are nothing" %
              arguments.seconds)
        return 0
    chosen = choose(arguments)
    if arguments.mutants and arguments.seconds < WHOLE_SECONDS:
        random.Random(arguments.seed).shuffle(chosen)
        chosen = chosen[:max(1, int(arguments.seconds / MUTANT_SECONDS))]
    if not chosen:
        print("no configuration is called %s" % arguments.only)
        return 2
    if arguments.list:
        for name, model, defines, about, mutant in chosen:
            print("%-36s %-7s %s%s" % (name, "mutant" if mutant else model, about, " (" + " ".join(defines) + ")"))
        return 0
    return 1 if run(arguments, chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
