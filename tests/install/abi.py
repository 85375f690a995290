#!/usr/bin/env python3
"""What a program that was linked with libyoke.so relies on is what abi/libyoke.abi says.

    abi.py            compares the library that was built with that file, by libabigail's abidiff
    abi.py --accept   writes the file anew, from the library: `./dev abi`

The file holds the functions, their symbol versions, and the types that yoke.h shows; what lies behind its
opaque handles is nobody's business. Any difference fails, an addition, too: so that whoever changes the interface
sees it, and the commit shows it. Without abidiff, or without debug information to read the types from, the test
is skipped.

Environment: YOKE_BUILD_DIR, YOKE_SOURCE_DIR.
"""
import os
import shutil
import subprocess
import sys
import tempfile

source = os.environ["YOKE_SOURCE_DIR"]
library = os.path.join(os.environ["YOKE_BUILD_DIR"], "src", "libyoke.so")
headers = os.path.join(source, "include")
kept = os.path.join(source, "abi", "libyoke.abi")
# Places in the source and what the C library's loader is called here are not the interface.
WITHOUT = ["--no-show-locs", "--no-corpus-path", "--no-comp-dir-path", "--no-architecture",
           "--no-elf-needed", "--exported-interfaces-only"]


def skip(why):
    print(why)
    sys.exit(77)


def run(*command):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=600)


def write(path):
    result = run("abidw", *WITHOUT, "--headers-dir", headers, "--drop-private-types",
                 "--out-file", path, library)
    if result.returncode != 0:
        sys.exit(f"abidw: {result.stdout}{result.stderr}")


def differences(before):
    """Empty if there are none."""
    with tempfile.TemporaryDirectory() as directory:
        now = os.path.join(directory, "libyoke.abi")
        write(now)
        # --no-default-suppression: nothing of the user's own decides what counts
        result = run("abidiff", "--no-default-suppression", before, now)
    return result.stdout + result.stderr if result.returncode != 0 else ""


def check(number, name, right, text=""):
    print(f"{'ok' if right else 'not ok'} {number} - {name}")
    for line in text.splitlines():
        print(f"# {line}")
    return right


def without_one_function():
    """The kept file, of an interface that had a function fewer: abidiff must see that."""
    with open(kept) as file:
        lines = file.readlines()
    symbol = [line for line in lines if "<elf-symbol name='yoke_open'" in line]
    return "".join(line for line in lines if line not in symbol), len(symbol) == 1


def with_a_smaller_structure():
    """The kept file, of an interface in which struct yoke_options was smaller."""
    with open(kept) as file:
        text = file.read()
    marker = "<class-decl name='yoke_options' size-in-bits='"
    before, found, after = text.partition(marker)
    size, _, rest = after.partition("'")
    return f"{before}{marker}{int(size or 0) - 64}'{rest}", bool(found)


def sees(number, name, change):
    text, changed = change()
    with tempfile.NamedTemporaryFile("w", suffix=".abi") as file:
        file.write(text)
        file.flush()
        return check(number, name, changed and differences(file.name) != "")


def main():
    if not shutil.which("abidiff") or not shutil.which("abidw"):
        skip("abidiff is not installed (Debian: abigail-tools)")
    if ".debug_info" not in run("readelf", "-SW", library).stdout:
        skip("the library has no debug information, from which the types are read")
    if "--accept" in sys.argv:
        write(kept)
        return 0
    found = differences(kept)
    right = [
        check(1, "the interface is that of abi/libyoke.abi", not found,
              found and f"{found}\nIf it is meant so: ./dev abi, and commit the file"),
        sees(2, "a function that is new would be seen", without_one_function),
        sees(3, "a structure that grew would be seen", with_a_smaller_structure),
    ]
    print(f"1..{len(right)}")
    return 0 if all(right) else 1


sys.exit(main())
