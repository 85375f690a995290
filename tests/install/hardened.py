#!/usr/bin/env python3
"""The tool and the library are built hardened: what meson.build asks the compiler for is there.

Read from what was built: the tool is position-independent; it, the library and the module of the place nats have
their relocations read-only from the start, no executable stack, no place that they would load libraries from,
canaries in the stack and checked calls of the C library. Where the processor can see that branches and returns go where they should
(x86-64: CET; 64-bit ARM: BTI), each object file says that it was compiled for that; whether
the linked file says so, too, depends on the C library's start files.

Environment: YOKE, YOKE_BUILD_DIR.
"""
import os
import re
import subprocess
import sys

tool = os.environ["YOKE"]
build = os.environ["YOKE_BUILD_DIR"]
library = os.path.join(build, "src", "libyoke.so")
module = os.path.join(build, "src", "nats", "nats.so")
number = 0
failed = False


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, check=True).stdout


def check(name, right, text=""):
    global number, failed
    number += 1
    failed = failed or not right
    print(f"{'ok' if right else 'not ok'} {number} - {name}")
    if not right:
        print("".join(f"# {line}\n" for line in str(text).splitlines()), end="")


def check_file(what, path):
    dynamic, segments = readelf("-d", path), readelf("-l", path)
    symbols = readelf("--dyn-syms", path)
    check(f"{what}: position-independent", "Elf file type is DYN" in segments, segments)
    check(f"{what}: its relocations are read-only", "GNU_RELRO" in segments, segments)
    check(f"{what}: all symbols are bound at the start", re.search(r"\bNOW\b", dynamic), dynamic)
    stack = re.search(r"GNU_STACK.*", segments)
    check(f"{what}: no executable stack", stack and " RW " in stack.group(), segments)
    both = re.findall(r"LOAD .* RWE ", segments)
    check(f"{what}: nothing both writable and executable", not both, both)
    paths = re.findall(r".*(?:RPATH|RUNPATH|TEXTREL).*", dynamic)
    check(f"{what}: no library path of its own, no text relocations", not paths, paths)
    check(f"{what}: stack protector", "__stack_chk_fail" in symbols, symbols)
    check(f"{what}: checked calls (_FORTIFY_SOURCE)", re.search(r"__\w+_chk\b", symbols), symbols)


# The property that each object file has, by the machine.
BRANCHES = {"X86-64": r"x86 feature: IBT, SHSTK", "AArch64": r"AArch64 feature: BTI, PAC"}


def check_branches():
    """Every member of the static library, of which the tool is linked: one that had it not would
    take it from the whole program."""
    machine = re.search(r"Machine: .*?(X86-64|AArch64)", readelf("-h", tool))
    if not machine:
        print(f"ok {number + 1} - protected branches # SKIP this processor has no such thing")
        return number + 1
    archive = os.path.join(build, "src", "libyoke.a")
    members = readelf("-n", archive).split("\nFile: ")
    without = [member.splitlines()[0] for member in members[1:]
               if not re.search(BRANCHES[machine.group(1)], member)]
    check(f"protected branches in each of {len(members) - 1} objects",
          len(members) > 20 and not without, "\n".join(without))
    return number


check_file("yoke", tool)
check("yoke: its address is random (PIE)", re.search(r"\bPIE\b", readelf("-d", tool)), readelf("-d", tool))
check_file("libyoke.so", library)
if os.path.exists(module):
    check_file("nats.so", module)
print(f"1..{check_branches()}")
sys.exit(1 if failed else 0)
