#!/usr/bin/env python3
"""Deliberate faults in the port's ring: can the checkers of this directory see at all?

Each mutant replaces a few words of src/ring/port_ring.c in a copy (the text to be replaced must occur exactly once,
so a mutant that no longer applies is an error), which is compiled and given to the checkers, the
quickest first. The table says who caught it. A mutant that nobody catches is a gap: a start state, an operation or a
question is missing.

Trying all of them takes minutes: --seconds says how long to go on, --seed (else $YOKE_SEED) with which to begin. Whoever
is under way when the time is over does not count, except the first. That each of them applies is always looked at.

usage: mutants.py [--cc CC] [--source DIR] [--only NAME,...] [--jobs N] [--seed N] [--seconds N] [--long]
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time

MOST_SECONDS = 600  # a mutant may go on for ever

MUTANTS = [
    # name, what is wrong, [(old, new), ...]
    ("release-cell-first", "the cell is freed before its block", [(
        """    yk_store_release(&yk_ring_block(ring, held->block)->word, 0);
    return move_held(ring, held, 1, 0, YK_CELL_EMPTY);
}

/* Does the block's word say""",
        """    int moved = move_held(ring, held, 1, 0, YK_CELL_EMPTY);
    yk_store_release(&yk_ring_block(ring, held->block)->word, 0);
    return moved;
}

/* Does the block's word say""")]),
    ("stamp-early", "USED(p) is stored before the cell of p was read EMPTY", [(
        """        uint64_t lap = position_lap(ring, position);
        uint64_t cell = yk_load_acquire(at); /* SYNC port.release acquire */""",
        """        uint64_t lap = position_lap(ring, position);
        yk_store_relaxed(word, make_word(position, number));
        stamped = true;
        uint64_t cell = yk_load_acquire(at); /* SYNC port.release acquire */""")]),
    ("stamp-after", "USED(p) is stored after the commit", [
        ("            yk_store_relaxed(word, make_word(position, number));\n            stamped = true;\n", ""),
        ("                *hint = position + 1;\n                *ret_sequence",
         "                yk_store_relaxed(word, make_word(position, number));\n"
         "                *hint = position + 1;\n                *ret_sequence")]),
    ("stamp-stays", "a commit that failed leaves its block USED", [
        ("    if (stamped)\n        yk_store_release(word, 0);", "    (void)stamped;")]),
    ("commit-store", "the commit is a plain store", [
        ("if (yk_likely(yk_cas_seq(at, &cell, make_cell(lap, 0, block, YK_CELL_FULL)))) {",
         "if (yk_store_release(at, make_cell(lap, 0, block, YK_CELL_FULL)), true) {")]),
    ("commit-on-skipped", "a cell that was skipped for this lap is filled all the same", [
        ("        if (yk_likely(is_lap_and_state(cell, lap, YK_CELL_EMPTY))) {",
         "        if (distance <= 1 && state == YK_CELL_EMPTY) {")]),
    ("hint-too-far", "the hint of a commit goes one too far", [
        ("                *hint = position + 1;\n                *ret_sequence",
         "                *hint = position + 2;\n                *ret_sequence")]),
    ("no-mark", "a held cell stops the tail", [
        ("        if (!looked && !room_behind(ring, shm, position))\n            break;", "        break;")]),
    ("skip-without-mark", "a held cell is passed without raising its lap", [
        ("        if (yk_cas_seq(at, &cell, with_lap(cell, lap))) {\n            position++;", "        {\n            position++;")]),
    ("mark-store", "the lap is raised by a plain store", [
        ("        if (yk_cas_seq(at, &cell, with_lap(cell, lap))) {\n            position++;",
         "        yk_store_release(at, with_lap(cell, lap));\n        {\n            position++;")]),
    ("mark-without-look", "held cells are marked on though no room comes behind them", [
        ("        if (!looked && !room_behind(ring, shm, position))\n            break;", "")]),
    ("window-dropped", "the depth is not looked at", [
        ("    return is_lap_and_state(cell, position_lap(ring, oldest), YK_CELL_FULL);",
         "    (void)cell;\n    return false;")]),
    ("window-not-when-marking", "positions that are marked on are not counted", [
        ("        looked = true;\n        if (window_is_full(ring, shm, position))\n            break;",
         "        looked = true;"),
        ("        if (window_is_full(ring, shm, position))\n            return false;\n        if (distance != LAP_MASK)\n"
         "            return true;",
         "        if (distance != LAP_MASK)\n"
         "            return cell_state(cell) != YK_CELL_EMPTY || !window_is_full(ring, shm, position);")]),
    ("window-one-more", "one more than the depth", [
        ("uint64_t oldest = position - ring->geometry.depth;",
         "uint64_t oldest = position - ring->geometry.depth - 1;")]),
    ("window-one-less", "one less than the depth", [
        ("uint64_t oldest = position - ring->geometry.depth;",
         "uint64_t oldest = position - ring->geometry.depth + 1;")]),
    ("window-remembers-too-much", "one position more than was looked at is taken for open", [
        ("    *open = position + seen;", "    *open = position + seen + 1;")]),
    ("window-head-too-far", "the head is taken for one position further than it is", [
        ("ring->geometry.depth - waiting : 1;", "ring->geometry.depth - waiting + 1 : 1;")]),
    ("window-before-its-time", "positions that the tail has not passed yet are taken for open", [
        ("seen < WINDOW_LOOKS && seen < ring->geometry.depth &&", "seen < WINDOW_LOOKS &&")]),
    ("window-unmasked", "the laps are compared beyond their bits", [
        ("return is_lap_and_state(cell, position_lap(ring, oldest), YK_CELL_FULL);",
         "return cell_state(cell) == YK_CELL_FULL && cell_lap(cell) == oldest >> ring->geometry.cells_log2;")]),
    ("jump-too-far", "an EMPTY cell of a later lap is trusted as much as a FULL one", [
        ("distance, state == YK_CELL_EMPTY ? 2 : 1);", "distance, 1);")]),
    ("take-store", "a FULL cell is taken by a plain store", [
        ("        if (result == 0 || !yk_cas_seq(at, &full.cell, mine))\n            continue;\n        *hint",
         "        if (result == 0)\n            continue;\n        yk_store_release(at, mine);\n        *hint")]),
    ("again-store", "an AGAIN cell is taken by a plain store", [
        ("        if (result == 0 || !yk_cas_seq(at, &best.cell, mine))\n            continue;\n        struct",
         "        if (result == 0)\n            continue;\n        yk_store_release(at, mine);\n        struct")]),
    ("size-of-another", "EMSGSIZE is said without looking at the cell again", [
        ("    return yk_load_acquire(at) == cell ? -EMSGSIZE : 0;", "    return -EMSGSIZE;")]),
    ("move-store", "release and return write the cell by a plain store", [
        ("if (yk_cas_seq(at, &cell, make_cell(cell_lap(cell) + lap_step, 0, block, state)))",
         "if (yk_store_release(at, make_cell(cell_lap(cell) + lap_step, 0, block, state)), true)")]),
    ("move-once", "release and return do not try again when the lap was raised", [
        ("attempt < OWNER_TRIES; attempt++", "attempt < 1; attempt++")]),
    ("move-old-lap", "release and return forget that the lap was raised", [
        ("make_cell(cell_lap(cell) + lap_step, 0, block, state)",
         "make_cell(cell_lap(held->cell) + lap_step, 0, block, state)")]),
    ("release-same-lap", "a released cell is offered for the lap that is over", [
        ("    return move_held(ring, held, 1, 0, YK_CELL_EMPTY);\n}\n\n/* Does the block's",
         "    return move_held(ring, held, 0, 0, YK_CELL_EMPTY);\n}\n\n/* Does the block's")]),
    ("not-raised", "`raised` does not grow", [("    yk_add_seq(&yk_ring_shm(ring, held->ring)->raised, 1); ", "    ")]),
    ("raised-after", "`raised` grows after the cell is AGAIN", [
        ("    yk_add_seq(&yk_ring_shm(ring, held->ring)->raised, 1); ", "    "),
        ("    return move_held(ring, held, 0, held->block, YK_CELL_AGAIN); ",
         "    int moved = move_held(ring, held, 0, held->block, YK_CELL_AGAIN);\n"
         "    yk_add_seq(&yk_ring_shm(ring, held->ring)->raised, 1);\n    return moved; ")]),
    ("settled-blindly", "`settled` is set though somebody is giving back", [
        ("if (state == YK_CELL_AGAIN && !best.doubt)", "if (state == YK_CELL_AGAIN)")]),
    ("settled-to-now", "`settled` is set to what `raised` is after the scan", [
        ("yk_store_relaxed(&shm->settled, raised);",
         "yk_store_relaxed(&shm->settled, yk_load_acquire(&shm->raised) + 0 * raised);")]),
    ("not-returning", "`returning` is not set", [
        ("    yk_store32_release(&yk_ring_block(ring, held->block)->returning, YK_RETURNING);", "    ")]),
    ("returning-stays", "`returning` is not cleared by the next holder", [
        ("        yk_store32_release(&block->returning, YK_NOT_RETURNING);", "        ")]),
    ("returning-cleared-first", "`returning` is cleared before the cell is taken", [
        ("        if (result == 0 || !yk_cas_seq(at, &best.cell, mine))\n            continue;\n        struct",
         "        yk_store32_release(&yk_ring_block(ring, cell_block(mine))->returning, YK_NOT_RETURNING);\n"
         "        if (result == 0 || !yk_cas_seq(at, &best.cell, mine))\n            continue;\n        struct"),
        ("        yk_store32_release(&block->returning, YK_NOT_RETURNING); ", "        ")]),
    ("not-counted", "deliveries are not counted", [
        ("yk_load32_relaxed(&block->deliveries) + 1);\n            yk_add", "yk_load32_relaxed(&block->deliveries));\n            yk_add")]),
    ("newest-first", "the newest of those to be delivered again comes first", [
        ("if (!best.found || position < best.position) {", "if (!best.found || position > best.position) {")]),
    ("never-parked", "max_deliveries is not looked at", [
        ("if (held->deliveries >= ring->geometry.max_deliveries)",
         "if (held->deliveries >= ring->geometry.max_deliveries && ring->geometry.rings == 0)")]),
    ("parked-too-late", "one delivery too many", [
        ("if (held->deliveries >= ring->geometry.max_deliveries)",
         "if (held->deliveries > ring->geometry.max_deliveries)")]),
    ("parked-without-cap", "max_parked is not looked at", [
        ("if (count_parked(ring, held->ring, held->index) >= ring->geometry.max_parked)",
         "if (count_parked(ring, held->ring, held->index) >= ring->geometry.max_parked + 100)")]),
    ("parking-unmarked", "one who is about to park does not say so", [
        ("    yk_store32_release(&yk_ring_block(ring, held->block)->returning, YK_PARKING);", "    ")]),
    ("parking-not-counted", "those who are about to park are not counted", [
        ("->returning) == YK_PARKING)", "->returning) == YK_PARKING + 7)")]),
    ("parking-counts-released", "what was dropped already is counted as about to be parked", [
        ("is_named_by(ring, yk_load_acquire(&yk_ring_block(ring, block)->word), number, walk.index);", "1;")]),
    ("parked-next-lap", "a parked cell goes to the next lap", [
        ("return move_held(ring, held, 0, held->block, YK_CELL_PARKED);",
         "return move_held(ring, held, 1, held->block, YK_CELL_PARKED);")]),
    ("parked-store", "a message is parked by a plain store", [
        ("return move_held(ring, held, 0, held->block, YK_CELL_PARKED);",
         "return yk_store_release(&yk_ring_shm(ring, held->ring)->cells[held->index],\n"
         "            make_cell(cell_lap(held->cell), 0, held->block, YK_CELL_PARKED)), 1;")]),
    ("dropped-leaks", "a dropped message keeps its block", [
        ("    return yk_ring_release(ring, held);\n}\n\nstatic int park",
         "    return move_held(ring, held, 1, 0, YK_CELL_EMPTY);\n}\n\nstatic int park")]),
    ("once-again", "policy once delivers again", [
        ("    if (ring->geometry.once)\n", "    if (ring->geometry.once && ring->geometry.rings == 0)\n")]),
    ("walk-ends-early", "a walk ends at any EMPTY cell of the first lap", [
        ("return walk->cell != 0 || !walk->first_lap;",
         "return cell_state(walk->cell) != YK_CELL_EMPTY || !walk->first_lap;")]),
    ("walk-knows-no-laps", "a walk takes a cell of lap 2^25 for one that was never used", [
        ("return walk->cell != 0 || !walk->first_lap;", "return walk->cell != 0;")]),
    ("recover-all-held", "what the dead had released already is delivered again", [
        ("    if (is_named_by(ring, word, number, index)) {", "    if (word != UINT64_MAX) {")]),
    ("recover-any-word", "USED of whatever cell counts as not released", [
        ("    if (is_named_by(ring, word, number, index)) {", "    if ((word & 1) != 0) {")]),
    ("recover-any-ring", "the ring of the word is not looked at", [
        ("return (word & 1) != 0 && (word >> 1 & 31) == number &&", "return (word & 1) != 0 &&")]),
    ("recover-from-the-living", "recovery takes from everybody", [
        ("if (cell_state(walk.cell) == YK_CELL_HELD && cell_owner(walk.cell) == dead)",
         "if (cell_state(walk.cell) == YK_CELL_HELD)")]),
    ("recover-nothing-held", "recovery leaves held cells", [
        ("if (cell_state(walk.cell) == YK_CELL_HELD && cell_owner(walk.cell) == dead)",
         "if (cell_state(walk.cell) == YK_CELL_HELD && cell_owner(walk.cell) == dead + 1000)")]),
    ("recover-pool-not-swept", "stamped blocks of the dead are leaked", [
        ("        if ((word & 1) != 0 && !is_committed(ring, block, word))", "        if (word == 1)")]),
    ("recover-pool-all", "every block of the dead is freed", [
        ("        if ((word & 1) != 0 && !is_committed(ring, block, word))", "        if ((word & 1) != 0)")]),
    ("recover-frees-held", "only FULL cells count as committed", [
        ("return cell_state(cell) != YK_CELL_EMPTY && cell_block(cell) == block;",
         "return cell_state(cell) == YK_CELL_FULL && cell_block(cell) == block;")]),
    ("recover-any-cell", "committed is what any cell names", [
        ("    return cell_state(cell) != YK_CELL_EMPTY && cell_block(cell) == block;",
         "    for (uint32_t i = 0; i < cells_of(ring); i++) {\n"
         "        cell = yk_load_acquire(&yk_ring_shm(ring, number)->cells[i]);\n"
         "        if (cell_state(cell) != YK_CELL_EMPTY && cell_block(cell) == block)\n"
         "            return true;\n"
         "    }\n"
         "    return false;")]),
    ("look-misses-again", "a look does not see what is to be delivered again", [
        ("    return yk_load_seq(&shm->raised) != yk_load_relaxed(&shm->settled) || find_full",
         "    return find_full")]),
    ("room-misses-held", "room is said to end at a held cell", [
        ("        if (cell_state(cell) == YK_CELL_FULL || cell_state(cell) == YK_CELL_EMPTY)\n            return false;",
         "        return false;")]),
]

# What a mutant must come through to survive, the quickest first.
CHECKS = [
    ["schedules", "--share", "0.05"],
    ["schedules", "--setup", "parking", "--start", "parked-full-and-worn-out"],
    ["schedules", "--length", "2", "--setup", "one-block", "--start", "small"],
    ["schedules", "--share", "0.5", "--seed", "2"],
    ["schedules", "--length", "2", "--share", "0.1", "--seconds", "120"],
    ["sweep", "--share", "0.3"],
]
LONG_CHECKS = [
    ["schedules", "--length", "2", "--seconds", "900"],
    ["schedules", "--processes", "3", "--states", "300000", "--seconds", "900"],
    ["sweep", "--mode", "resume", "--share", "0.3"],
    ["sweep", "--mode", "pair", "--seconds", "900"],
]

WORLD = ["tools", "shuffle", "world", "starts", "operations", "model", "coroutine"]


class Ring:
    """Whose mutants: the files (below src), what tries them, and what that is made of."""

    def __init__(self, files, mutants, checks, long_checks, parts, remade=()):
        self.files, self.mutants = files, mutants
        self.checks, self.long_checks = checks, long_checks
        self.parts = parts  # of each checker: the files of this directory
        self.remade = remade  # those of them that contain code of the ring's header

    @staticmethod
    def defines(program):
        return ["-DYK_CHECK"] if "schedules" in program else []


PORT = Ring(["ring/port_ring.c"], MUTANTS, CHECKS, LONG_CHECKS,
            {"schedules": WORLD + ["walk", "schedules"], "sweep": WORLD + ["stepper", "sweep"]})


def apply(sources, replacements):
    """Where the text has a space, the source may have any white space: lines may be broken otherwise."""
    sources = dict(sources)
    for old, new in replacements:
        pattern = r"\s+".join(re.escape(word) for word in old.split())
        found = 0
        for name, source in sources.items():
            sources[name], count = re.subn(pattern, lambda _: new.strip(), source)
            found += count
        if found != 1:
            raise ValueError("occurs %d times: %s" % (found, old.strip().splitlines()[0]))
    return sources


def compile_c(arguments, defines, rest, before=()):
    """-O1: the sweep looks at what ships; here quick compiling counts."""
    subprocess.run(arguments.cc.split() + ["-std=gnu11", "-D_GNU_SOURCE=", "-O1", "-w"] + defines +
                   ["-I" + directory for directory in before] +
                   ["-I" + os.path.join(arguments.source, "src")] + rest, check=True)


def part_object(arguments, program, part):
    return os.path.join(arguments.work, "%s-%s.o" % (program, part))


def part_source(arguments, part):
    return os.path.join(arguments.source, "tests", "crash", part + ".c")


def build_checker(ring, arguments, directory, program):
    path = os.path.join(directory, program)
    if not os.path.exists(path):
        mutated = [os.path.join(directory, name) for name in ring.files if name.endswith(".c")]
        compile_c(arguments, ring.defines(program), ["-o", path] + mutated + [
            part_source(arguments, part) if part in ring.remade else part_object(arguments, program, part)
            for part in ring.parts[program]], [directory])
    return path


class OutOfTime(Exception):
    pass


def run_checker(command, deadline):
    """None: it found nothing; else what it said."""
    left = deadline - time.monotonic()
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace", timeout=max(0, min(left, MOST_SECONDS)))
    except subprocess.TimeoutExpired:
        if left < MOST_SECONDS:
            raise OutOfTime from None
        return "never ended"
    if result.returncode in (0, 77):
        return None
    said = [line[6:] for line in result.stdout.splitlines() if line.startswith("FAULT")]
    return (said or ["ended with %d" % result.returncode])[0]


def try_mutant(ring, mutant, arguments, sources, deadline):
    """Who caught it (None: nobody), what he said, seconds. OutOfTime: not known."""
    name, _, replacements = mutant
    begun = time.monotonic()
    try:
        mutated = apply(sources, replacements)
    except ValueError as problem:
        return "DOES NOT APPLY", str(problem), 0.0
    if time.monotonic() > deadline:
        raise OutOfTime
    directory = os.path.join(arguments.work, name)
    for file, source in mutated.items():
        os.makedirs(os.path.dirname(os.path.join(directory, file)), exist_ok=True)
        with open(os.path.join(directory, file), "w") as out:
            out.write(source)
    for command in ring.checks + (ring.long_checks if arguments.long else []):
        said = run_checker([build_checker(ring, arguments, directory, command[0])] + command[1:], deadline)
        if said is not None:
            return " ".join(command), said, time.monotonic() - begun
    return None, "", time.monotonic() - begun


def run(ring, arguments):
    sources = {}
    for program, parts in ring.parts.items():
        for part in parts:
            if part not in ring.remade:
                compile_c(arguments, ring.defines(program),
                          ["-c", "-o", part_object(arguments, program, part), part_source(arguments, part)])
    for name in ring.files:
        with open(os.path.join(arguments.source, "src", name)) as file:
            sources[name] = file.read()
    only = arguments.only and arguments.only.split(",")
    chosen = [mutant for mutant in ring.mutants if not only or mutant[0] in only]
    if not chosen:
        print("mutants: none is called %s" % arguments.only)
        return 2
    begin = arguments.seed % len(chosen)
    chosen = chosen[begin:] + chosen[:begin]
    deadlines = [float("inf")] + [arguments.deadline] * (len(chosen) - 1)  # never none at all
    tried = survived = broken = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        tries = [pool.submit(try_mutant, ring, mutant, arguments, sources, deadline)
                 for mutant, deadline in zip(chosen, deadlines)]
        for mutant, one in zip(chosen, tries):
            try:
                caught, said, seconds = one.result()
            except OutOfTime:
                continue
            tried += 1
            survived += caught is None
            broken += caught == "DOES NOT APPLY"
            print("%-26s %-24s %5.1f s  %s" % (mutant[0], caught or "SURVIVED", seconds, said), flush=True)
    print("mutants: tried %d of %d from %s on (seed %d), caught %d, survived %d, not applicable %d" %
          (tried, len(chosen), chosen[0][0], arguments.seed, tried - survived - broken, survived, broken))
    return 1 if survived or broken else 0


def main(ring):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", default=os.environ.get("CC") or "cc")
    parser.add_argument("--source", default=os.environ.get("YOKE_SOURCE_DIR", "."))
    parser.add_argument("--only", help="names of mutants, with commas")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--long", action="store_true", help="who survives the usual checks gets longer ones")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("YOKE_SEED") or 1))
    parser.add_argument("--seconds", type=float, default=float("inf"))
    arguments = parser.parse_args()
    arguments.deadline = time.monotonic() + arguments.seconds
    with tempfile.TemporaryDirectory(prefix="mutants-") as arguments.work:
        return run(ring, arguments)


if __name__ == "__main__":
    sys.exit(main(PORT))
