#!/usr/bin/env python3
"""The source tree keeps its rules (tests/layers.py says which), and the script sees each breach."""
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(os.environ["YOKE_SOURCE_DIR"])

specification = importlib.util.spec_from_file_location("rules", SOURCE / "tests" / "layers.py")
rules = importlib.util.module_from_spec(specification)
specification.loader.exec_module(rules)

# A tree that keeps them, with everything in it that looks like a breach and is none.
TREE = {
    "include/yoke.h": """\
#define YOKE_API __attribute__((visibility("default")))
YOKE_API int yoke_open(const char *name);
YOKE_API const char *
yoke_explain(void); /* not: YOKE_API int yoke_other(void); */
""",
    "src/yoke.map": "YOKE_0.1 {\nglobal:\n    yoke_open;\n    yoke_explain;\nlocal:\n    *;\n};\n",
    "src/base/atomic.h": "#define yk_load(p) __atomic_load_n(p, 5)\n",
    "src/base/sys.c": '#include "base/sys.h"\nint yk_sys_open(void) { return open("x", 0); }\n',
    "src/base/sys.h": "int yk_sys_open(void);\n",
    "src/memory/names.c": """\
#include "base/sys.h"
#include "names.h"
#include "yoke.h"
#include <string.h>
/* open() is called by sys.c alone, with __atomic_load_n before */
const char *text = "mmap(";
int reopen(void) { return yk_sys_open() + place->open(1) + place.close (2); }
""",
    "src/memory/names.h": "#include <base/atomic.h>\n",
    "src/ring/ring.h": """\
#include "base/atomic.h"
/*
 * field | written by | order
 * cell  | all        | SYNC port.publish
 */
/* SYNC port.publish release: the payload before the cell */
""",
    "src/ring/ring.c": "/* SYNC port.publish acquire; SYNC wait.receive */\n/* SYNC wait.receive */\n",
    "src/port.c": '#include "memory/names.h"\n#include "ring/ring.h"\n',
    "src/port.h": "",
    "src/inspect.h": '#include "base/sys.h"\n',
    "src/place/memory.c": '#include "../port.h"\n',
    "src/plugin.h": '#include "port.h"\n',
    "src/link.h": "",
    "src/nats/hub.h": "#include <nats/nats.h>\n#include <link.h>\n",
    "src/nats/hub.c": '#include "hub.h"\n#include "plugin.h"\n#include "yoke.h"\nint f(int d) { return close(d); }\n',
    "cli/main.c": '#include "inspect.h"\n#include "bench.h"\n#include <yoke.h>\n'
    'int x(void) { return open("x", 0); }\n',
    "bench/bench.h": '#include "yoke.h"\n',
    "examples/hello.c": "#include <yoke.h>\n",
}

# What is added to which file, what is then said (and nothing else), and what that is.
BREACHES = [
    ("src/base/sys.h", '#include "memory/names.h"', "base includes src/memory/names.h",
     "an include upwards"),
    ("src/memory/names.c", '#include "ring/ring.h"', "memory includes src/ring/ring.h",
     "an include upwards from memory"),
    ("src/ring/ring.c", '# include  "../memory/names.h"', "ring includes src/memory",
     "the ring may not see memory"),
    ("src/ring/ring.c", "#include <yoke.h>", "ring includes include/yoke.h",
     "the ring may not see the public header"),
    ("src/port.c", '#include "nowhere.h"', "which is not in the tree", "an include of nothing"),
    ("cli/main.c", '#include "memory/names.h"', "cli includes src/memory/names.h",
     "the tool looks inside"),
    ("cli/main.c", '#include "port.h"', "cli includes src/port.h",
     "the tool looks inside the top layer"),
    ("src/nats/hub.c", '#include "port.h"', "nats includes src/port.h of the layer top",
     "the module looks inside the library"),
    ("src/nats/hub.c", '#include "base/sys.h"', "nats includes src/base/sys.h",
     "the module uses the library's wrappers"),
    ("src/nats/hub.c", "int g(int *p) { return __atomic_load_n(p, 0); }", "spells __atomic_load_n",
     "an atomic in the module"),
    ("src/place/memory.c", '#include "nats/hub.h"', r"place includes src/nats/hub.h", "a place sees the module"),
    ("src/port.c", "#include <nats/nats.h>", "includes nats/nats.h, and is not to depend on NATS",
     "the library sees the NATS client"),
    ("examples/hello.c", '#include "inspect.h"', "examples includes src/inspect.h",
     "an example looks inside"),
    ("src/port.c",
     "int f(int *p) { return __atomic_load_n(p, 0); }", r"port.c:3: spells __atomic_load_n", "an atomic elsewhere"),
    ("cli/main.c", "#include <stdatomic.h>", "spells stdatomic.h", "stdatomic in the tool"),
    ("src/port.c", "_Atomic int x;", "spells _Atomic", "an atomic type"),
    ("src/port.c", 'int f(void) { return open("x", 0); }', "port.c:3: calls open outside",
     "a system call elsewhere"),
    ("src/ring/ring.h", "int f(void) { return syscall (1); }", "calls syscall",
     "a raw system call"),
    ("src/memory/names.c", "int f(void) { return mq_send(1, 2); }", "calls mq_send",
     "a message queue"),
    ("src/port.c", "/* SYNC slot.claim release */", "slot.claim has a release side and no acquire",
     "a release without its acquire"),
    ("src/port.c", "/* SYNC slot.claim acquire */", "slot.claim has a acquire side and no release",
     "an acquire without its release"),
    ("src/port.c", "/* SYNC wait.room */", "SYNC wait.room occurs only here",
     "a fence that faces none"),
    ("src/port.c", "/* SYNC */", "SYNC without a name", "a point without a name"),
    ("src/ring/ring.h", "/* x\n * y | all | SYNC port.gone */", "the table names SYNC port.gone",
     "a table of something gone"),
    ("src/yoke.map", "{ yoke_left; }", "lists yoke_left",
     "a name in the map that the header lacks"),
    ("include/yoke.h", "YOKE_API int yoke_new(void);", "does not list yoke_new",
     "a name in the header that the map lacks"),
    ("src/new/x.c", "", "no layer", "a layer that nobody named"),
]



number = failures = 0


def run(root):
    """As a program: its exit status, and what it says."""
    done = subprocess.run([sys.executable, SOURCE / "tests" / "layers.py", root], text=True,
                          capture_output=True)
    return done.returncode, (done.stdout + done.stderr).splitlines()


def check(root):
    return [f"{name}:{line}: {what}" for name, line, what in rules.Tree(root.resolve()).check()]


def result(well, name, said):
    global number, failures
    number += 1
    failures += not well
    print(f"{'ok' if well else 'not ok'} {number} - {name}", flush=True)
    if not well:
        print("".join(f"# {line}\n" for line in said), end="")


def write(root, name, text):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def main():
    status, said = run(SOURCE)
    result(status == 0, "this tree keeps the rules", said)
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory) / "tree"
        for name, text in TREE.items():
            write(tree, name, text)
        said = check(tree)
        result(not said, "a tree that keeps the rules passes", said)
        for name, more, expected, what in BREACHES:
            write(tree, name, TREE.get(name, "") + more + "\n")
            said = check(tree)
            result(len(said) == 1 and re.search(expected, said[0]), what, said)
            write(tree, name, TREE.get(name, ""))
            if name not in TREE:
                shutil.rmtree((tree / name).parent)
        empty = Path(directory) / "empty"
        empty.mkdir()
        status, said = run(empty)
        result(status == 1 and said, "an empty tree does not pass", said)
    print(f"1..{number}")
    sys.exit(1 if failures else 0)


main()
