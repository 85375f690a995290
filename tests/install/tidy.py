#!/usr/bin/env python3
"""clang-tidy finds nothing in the library, the tool, the benchmark and the examples.

What it looks for, and what it need not, with the reasons, is in .clang-tidy; how each file is compiled, in
the build's compile_commands.json.

Environment: YOKE_BUILD_DIR, YOKE_SOURCE_DIR.
"""
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import compilers

DIRECTORIES = ("src/", "cli/", "bench/", "examples/")


def look(path):
    """What it says of one file; it is told to forget what clang does not know of gcc's options."""
    directory, words = compilers.compilations()[path]
    result = subprocess.run(["clang-tidy", "--quiet", "--warnings-as-errors=*", words[-1], "--",
                             *words[:-1], "-std=gnu11", "-Wno-unknown-warning-option"],
                            cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stdout or result.stderr


def main():
    if not shutil.which("clang-tidy"):
        print("clang-tidy is not installed")
        return 77
    files = [path for path in compilers.compilations() if path.startswith(DIRECTORIES)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = [each for each in pool.map(look, files) if each]
    print("".join(said) or f"{len(files)} files are clean")
    return 1 if said or len(files) < 100 else 0


sys.exit(main())
