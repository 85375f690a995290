#!/usr/bin/env python3
"""Deliberate faults in the library: does chaos find them? Or another program that tries all of it?

usage: mutants.py [--source DIR] [--work DIR] [--program chaos-chaos|crash-pairs|crash-lifecycle] [--only NAME,...]
                  [--seconds N] [--seed N]

By hand: each takes a build and up to a minute. DIR is copied to the work directory, built there with meson, and changed back
after each; without --work it is a temporary one. A mutant is found when the program fails, or hangs and is ended.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

MUTANTS = [
    # name, what is wrong, file, old, new
    ("lose-held", "a message that the dead had in hand is released, not given back", "src/ring/port_ring.c",
     "        yk_ring_return(ring, &held);\n        return 1;", "        yk_ring_release(ring, &held);\n        return 1;"),
    ("skip-recovery", "no cell of the dead is looked at", "src/ring/port_ring.c",
     "cell_state(walk.cell) == YK_CELL_HELD && cell_owner(walk.cell) == dead)",
     "cell_state(walk.cell) == YK_CELL_HELD && cell_owner(walk.cell) == dead && false)"),
    ("unmarked", "a message that is delivered again is not counted", "src/ring/port_ring.c",
     "yk_load32_relaxed(&block->deliveries) + 1);\n            yk_add_seq",
     "yk_load32_relaxed(&block->deliveries));\n            yk_add_seq"),
    ("leak-cell", "the cell of a message that the dead released half-way stays", "src/ring/port_ring.c",
     "        return 1;\n    }\n    move_held(ring, &held, 1, 0, YK_CELL_EMPTY);\n    return 0;",
     "        return 1;\n    }\n    return 0;"),
    ("leak-block", "a dead sender's half-sent block stays used", "src/ring/port_ring.c",
     "if ((word & 1) != 0 && !is_committed(ring, block, word))", "if (false && !is_committed(ring, block, word))"),
    ("copy-late", "a message is released before it is copied", "src/port.c",
     "    copy(buffer, yk_ring_payload(&port->ring, held.block), held.size);\n    *ret_size = held.size;\n"
     "    note_block(port, held.block);\n    result = yk_ring_release(&port->ring, &held);",
     "    *ret_size = held.size;\n    note_block(port, held.block);\n    result = yk_ring_release(&port->ring, &held);\n"
     "    copy(buffer, yk_ring_payload(&port->ring, held.block), held.size);"),
    ("arm-no-look", "who arms a descriptor does not look once more", "src/wait.c", None, None),
    ("no-ring", "descriptors are not rung for a message", "src/wait.c",
     "    if (descriptors)\n        yk_ring_descriptors(waiting);", "    (void)descriptors;"),
    ("bell-first", "a doorbell is made under its own name", "src/doorbell.c",
     "    yk_bell_path(fresh, other);", "    memcpy(fresh, path, sizeof fresh);"),
    ("lock-untold", "who takes a dead one's lock is not told", "src/lock.c",
     "return dead ? TAKEN_FROM_DEAD : TAKEN_FREE;", "return TAKEN_FREE;"),
    ("lock-living", "a lock is taken from whoever has it", "src/lock.c",
     "bool dead = word != 0 && thorough && yk_holder_is_dead(region, word & ~YK_HOLDER_THREADS);",
     "bool dead = word != 0 && thorough;"),
    ("units-lost", "units of the dead do not come back", "src/semaphore.c",
     "if (yk_holder_is_dead(region, holder) && take_unit", "if (false && yk_holder_is_dead(region, holder) && take_unit"),
    ("stream-no-end", "a dead writer counts as there", "src/stream.c",
     "        yk_bytes_go(&stream->shm->ends[i], slot, YK_BYTES_DIED);", "        (void)i;"),
    ("stream-inside", "who died inside a stream is not expelled", "src/stream.c",
     "    yk_bytes_recover(&stream->ring, slot);\n", ""),
    ("link-lose", "what a dead peer had in hand counts as received", "src/ring/spsc.c",
     "ring->geometry.once ? YK_SPSC_DONE : YK_SPSC_AGAIN | one_more(receipt)", "YK_SPSC_DONE"),
    ("link-unmarked", "what a dead peer had in hand comes again unmarked", "src/ring/spsc.c",
     "YK_SPSC_AGAIN | one_more(receipt));\n        given_back++", "YK_SPSC_AGAIN | receipt);\n        given_back++"),
    ("link-no-death", "a dead peer counts as there", "src/link.c",
     "        yk_store32_release(&side->state, state | YK_SIDE_DIED);", "        (void)side;"),
    ("leak-bell", "a closed endpoint's doorbell keeps its descriptor", "src/notice.c",
     "        yk_doorbell_remove(directory, bell->nonce);\n    yk_sys_close(bell->fd);",
     "        yk_doorbell_remove(directory, bell->nonce);"),
    ("leak-heap", "a closed endpoint's descriptor keeps its memory", "src/notice.c",
     "    close_all(descriptor);\n    free(descriptor);", "    close_all(descriptor);"),
    ("leak-name", "what a dead process began to create is not undone", "src/memory/recovery.c",
     "        yk_recover_intent(walk->directory, walk->intents, entry);", "        (void)entry;"),
    ("half-gone", "a kernel stream that somebody died removing is left as long as it is in use", "src/fifo.c",
     "        if (is_half_gone(directory, fd, plan->name))\n", "        if (false && is_half_gone(directory, fd, plan->name))\n"),
    ("leak-end", "a kernel link's second FIFO stays", "src/memory/recovery.c",
     "    for (int side = 0; ends && side < 2; side++)", "    for (int side = 0; ends && side < 1; side++)"),
]


def mutated(source, mutant):
    """Its file, the text of that, and the text with the fault."""
    name, _, file, old, new = mutant
    path = source / file
    text = path.read_text()
    if name == "arm-no-look":
        old = re.search(r"    result = attempt\(context, &reason\);\n", text[text.index("arm_descriptor("):]).group(0)
        at = text.index(old, text.index("static ssize_t arm_descriptor("))
        changed = text[:at] + text[at + len(old):]
    else:
        if text.count(old) != 1:
            sys.exit(f"{name}: its text is in {file} {text.count(old)} times")
        changed = text.replace(old, new)
    return path, text, changed


def run(work, program, seconds, seed):
    build = work / "build"
    done = subprocess.run(["ninja", "-C", build, f"tests/{program}", "tests/isolate"], capture_output=True, text=True)
    if done.returncode:
        return "does not build", done.stdout[-600:]
    command = [build / "tests/isolate", build / "tests" / program, "--seed", str(seed), "--seconds", str(seconds)]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    first = [line for line in (done.stderr + done.stdout).splitlines() if "fault" in line or "wrong" in line]
    return ("found" if done.returncode else "NOT FOUND",
            f"{time.monotonic() - begun:.0f} s: {first[0] if first else done.stderr[:200]}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--program", default="chaos-chaos")
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.work:
        return try_all(options)
    with tempfile.TemporaryDirectory(prefix="yoke-chaos-mutants-") as work:
        options.work = pathlib.Path(work)
        return try_all(options)


def try_all(options):
    source = options.work / "source"
    if not source.exists():
        shutil.copytree(options.source, source, ignore=shutil.ignore_patterns("build", ".git"))
        subprocess.run(["meson", "setup", "-Dbuildtype=debugoptimized", "-Dtests=enabled", options.work / "build", source],
                       check=True, stdout=subprocess.DEVNULL)
    missed = 0
    for mutant in MUTANTS:
        if options.only and mutant[0] not in options.only.split(","):
            continue
        path, text, changed = mutated(source, mutant)
        path.write_text(changed)
        try:
            result, how = run(options.work, options.program, options.seconds, options.seed)
        finally:
            path.write_text(text)
        missed += result != "found"
        print(f"{result}: {mutant[0]} ({mutant[1]}) {how}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
