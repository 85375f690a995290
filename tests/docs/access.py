#!/usr/bin/env python3
"""docs/access.md has the table that tests/process/access_test.c tries, and names tests that there are.

Environment: YOKE_BUILD_DIR, YOKE_SOURCE_DIR.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ["YOKE_SOURCE_DIR"])
PROGRAM = Path(os.environ["YOKE_BUILD_DIR"]) / "tests" / "process-access_test"


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(text):
    """Each table of the page, as rows of cells, without the line under the head."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [cells(line) for line in block.splitlines()]
        yield [rows[0], *rows[2:]]


def differences(tried, documented):
    for one, other in zip(tried, documented):
        for column, (is_so, said) in enumerate(zip(one, other)):
            if is_so != said:
                yield f"{one[0]}, {tried[0][column]}: '{is_so}' is tried, '{said}' documented"
    if len(tried) != len(documented):
        yield f"{len(tried)} rows are tried, {len(documented)} documented"


def main():
    if not PROGRAM.exists():
        print("the test program was not built: no cmocka")
        return 77
    page = (SOURCE / "docs" / "access.md").read_text()
    output = subprocess.run([PROGRAM, "--table"], stdin=subprocess.DEVNULL, text=True,
                            capture_output=True, timeout=300, check=True).stdout
    tried = next(tables(output))
    documented = [table for table in tables(page) if table[0] == tried[0]]
    wrong = list(differences(tried, documented[0])) if documented else ["the table is not there"]

    tests = "".join(path.read_text() for path in (SOURCE / "tests").rglob("*_test.c"))
    there = set(re.findall(r"^static void\s+(\w+)\(\s*void \*\*state\)$|^ +X\((\w+), ", tests, re.MULTILINE))
    there = {name for pair in there for name in pair if name}
    named = set(re.findall(r"`(\w+(?:_\w+){3,})`", page))
    wrong += [f"there is no test {name}" for name in sorted(named - there)]
    if len(named) < 10:
        wrong.append(f"only {len(named)} tests are named")
    print("\n".join(wrong) or f"{len(tried) - 1} rows, {len(named)} tests")
    return 1 if wrong else 0


sys.exit(main())
