#!/usr/bin/env python3
"""All C sources compile without a warning under gcc and clang, as C11 and as C23.

What was built says how each file is compiled (compile_commands.json); here each one is read again
by the other compilers and under the other standards, without code being made of it, with every
warning an error. The tests' own sources are read once, by the compiler that did not build them.
A compiler that is not there is left out, aloud.

Environment: YOKE_BUILD_DIR, YOKE_SOURCE_DIR.
"""
import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

build = os.environ["YOKE_BUILD_DIR"]
source = os.environ["YOKE_SOURCE_DIR"]
# Options of a build that a reader has no use for; those with a value, and those without.
WITH_VALUE, ALONE = {"-o", "-MF", "-MQ", "-MT"}, {"-c", "-MD", "-MMD", "-pipe"}
DIALECTS = ["gnu11", "gnu2x"]


def words_of(command):
    """The options of one compilation that say how the file is to be understood, and the file."""
    words = iter(shlex.split(command)[1:])
    for word in words:
        if word in WITH_VALUE:
            next(words)
        elif word not in ALONE and not word.startswith(("-std=", "-fsanitize", "-Werror", "-fdiagnostics-color", "-fcolor")):
            yield word


def compilations():
    """One for each C file of the tree: {its path in the tree: (directory, options and file)}."""
    with open(os.path.join(build, "compile_commands.json")) as file:
        entries = json.load(file)
    found = {}
    for entry in entries:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), source)
        if path.endswith(".c"):
            found.setdefault(path, (entry["directory"], list(words_of(entry["command"]))))
    return found


def read_again(compiler, dialect, compilation):
    directory, words = compilation
    result = subprocess.run([compiler, f"-std={dialect}", "-Werror", "-fsyntax-only", *words],
                            cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return "" if result.returncode == 0 else result.stderr or f"status {result.returncode}\n"


def is_clang(compiler):
    macros = subprocess.run([compiler, "-dM", "-E", "-x", "c", os.devnull], capture_output=True,
                            text=True, check=True).stdout
    return "__clang__" in macros


def main():
    files = compilations()
    with open(os.path.join(build, "compile_commands.json")) as file:
        built_by = shlex.split(json.load(file)[0]["command"])[0]
    number, failed = 0, 0
    for compiler in "gcc", "clang":
        if not shutil.which(compiler):
            number += 1
            print(f"ok {number} - {compiler} # SKIP {compiler} is not installed")
            continue
        built_so = is_clang(built_by) == (compiler == "clang")
        for dialect in DIALECTS:
            if built_so and dialect == DIALECTS[0]:
                continue # that is the build
            chosen = {path: how for path, how in files.items()
                      if not path.startswith("tests/") or (not built_so and dialect == DIALECTS[0])}
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                said = list(pool.map(lambda how: read_again(compiler, dialect, how), chosen.values()))
            number += 1
            wrong = sum(bool(each) for each in said)
            failed += wrong
            print(f"{'not ok' if wrong else 'ok'} {number} - {compiler} reads {len(chosen)} files as {dialect}")
            for line in "".join(said).splitlines():
                print(f"# {line}")
            if len(chosen) < 100:
                failed += 1
                print(f"# only {len(chosen)} files: has the form of compile_commands.json changed?")
    print(f"1..{number}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
