"""What the tests of documents share: the blocks of a page, and what becomes of each kind.

In Markdown a fenced block says its kind behind the fence; in a page of the manual (scdoc) a comment
does, in the line before the fence, and without one it is a session.

    console          a session: after `$ ` what is typed (`> ` goes on), else what is then printed. It must
                     be printed exactly so, and every command must succeed; of one that is to fail the
                     status is shown (`; echo "status $?"`).
    sh               a script, run with set -eu. It prints nothing, or what the next block has:
    text output      what the block before it printed
    c file=PATH      is that file of the tree, letter by letter, and compiles
    c write=NAME     a whole program, which is put into the reader's directory under that name, and compiles
    c                with a main() it is compiled, linked and run, and prints nothing, or `text output`;
                     without one it is the inside of a function, and compiles
    synopsis         of section 3: declarations, which compile beside yoke.h
    ... no-test WHY  is not run, for the reason that stands there: any of these, or text

In what is printed these stand for something that is not known before (or for themselves, as in the
head of a table):

    PID UID N   a number        TIME   a number with a unit of time       SIZE   one with K, M or G, or none
    …           anything in a line; alone in its line: any lines

All blocks of a page are run in order in one place: a directory, a home, and a name directory of its own. Where
a page speaks of $SERVER, that is a nats-server of its own, as HOST:PORT.
"""
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

TIME_LIMIT = 3000  # seconds for a block: one builds

SOURCE = Path(os.environ["YOKE_SOURCE_DIR"])
BUILD = Path(os.environ["YOKE_BUILD_DIR"])
COMPILER = shlex.split(os.environ.get("CC", "cc"))
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-D_GNU_SOURCE"]

KINDS = {("console",), ("sh",), ("text", "output"), ("c",), ("synopsis",)}

JSON = "without" not in subprocess.run([os.environ["YOKE"], "ls", "--json"], text=True, stdin=subprocess.DEVNULL,
                                      capture_output=True).stderr

PLACEHOLDERS = {
    "PID": r"\d+",
    "UID": r"\d+",
    "N": r"\d[\d.]*",
    "TIME": r"\d[\d.]*(?:ns|us|µs|ms|s|m|h|d)",
    "SIZE": r"\d[\d.]*[KMGT]?",
    "…": r".*",
}


class Block:
    def __init__(self, line, info, text):
        self.line, self.text = line, text
        self.info, _, self.reason = info.partition("no-test")
        self.untested = "no-test" in info
        self.kind = tuple(self.info.split())


def blocks(path):
    """Each fenced block of a page."""
    lines = path.read_text().splitlines()
    manual = path.suffix == ".scd"
    start = info = None
    for number, line in enumerate(lines, 1):
        fence = re.match(r"```+(.*)$", line)
        if not fence:
            continue
        if start is not None:
            yield Block(start, info, "".join(f"{each}\n" for each in lines[start:number - 1]))
            start = None
            continue
        start, info = number, fence.group(1).strip()
        if manual:
            comment = lines[number - 2]
            info = comment[2:].strip() if comment.startswith("; ") else "console"


def pattern_of(printed):
    """A regular expression of what a page says is printed."""
    words = "|".join(rf"\b{word}\b" if word.isalpha() else word for word in PLACEHOLDERS)
    result = ""
    for line in printed.splitlines():
        if line.strip() == "…":
            result += r"(?:.*\n)*"
            continue
        parts = re.split(rf"({words})", line)
        for index, part in enumerate(parts):
            if index % 2:
                result += f"(?:{PLACEHOLDERS[part]}|{part})"
            elif len(parts) > 1:  # columns move with what stands in them
                result += r"\s+".join(map(re.escape, re.split(r"\s+", part)))
            else:
                result += re.escape(part)
        result += r"\n"
    return result


def is_printed(expected, printed):
    return re.fullmatch(pattern_of(expected), printed) is not None


def script_of(session):
    """The session as a script that prints it, with what the commands print."""
    commands = []
    for line in session.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif line.startswith("> ") and commands:
            commands[-1] += "\n" + line[2:]
    script = "status_=0\n"
    for command in commands:
        shown = "\n> ".join(("$ " + command).splitlines())
        script += f"printf '%s\\n' {shlex.quote(shown)}\n(exit $status_)\n{command}\n"
        script += 'status_=$?; test "$status_" -eq 0 || echo "[it ends with status $status_]"\n'
    return script


class Place:
    """Where a page's blocks are run; what one exports the next ones have."""

    grace = 20  # seconds that what a block has started may go on after it

    def __init__(self, directory, environment, work=None):
        self.directory = Path(directory)
        self.work = Path(work or directory)
        self.environment = environment
        self.output = ""  # of the last block, as far as it has not been compared
        self.exported = self.directory / ".exported"
        self.exported.write_text("\n")

    def run(self, script, trace):
        """Returns the exit status and all that was printed; what it prints on purpose is in self.output."""
        whole = f". '{self.exported}'\n{'set -eux' if trace else ''}\n{script}\n"
        whole += f"set +x; export -p > '{self.exported}'\n"
        with open(self.directory / ".printed", "w+") as out, open(self.directory / ".errors", "w+") as err:
            process = subprocess.Popen(["sh", "-c", whole], cwd=self.work, env=self.environment,
                                       stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=err if trace else subprocess.STDOUT, start_new_session=True)
            try:
                status = process.wait(TIME_LIMIT)
            except subprocess.TimeoutExpired:
                status = f"none within {TIME_LIMIT} s"
            left = end_group(process.pid, self.grace)
            process.wait()
            out.seek(0), err.seek(0)
            self.output = out.read()
            errors = err.read()
        if left:
            status, errors = "0, and processes are left", errors + self.output
        return status, errors


def end_group(leader, grace):
    """Whether processes of the group are there, so long after its leader has ended; kills them."""
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline:
        try:
            os.killpg(leader, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.05)
    os.killpg(leader, signal.SIGKILL)
    return True


def compile_c(path, *options):
    result = subprocess.run([*COMPILER, *STRICT, "-I", SOURCE / "include", path, *options],
                            capture_output=True, text=True, timeout=TIME_LIMIT)
    return "" if result.returncode == 0 else f"does not compile:\n{result.stderr}"


FRAGMENT = """\
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>
int fragment(void);
int fragment(void)
{
#line 1
%s
return 0;
}
"""


class Page:
    """Runs the blocks of one page. `faults` and `not_run` are lists of sentences."""

    def __init__(self, path, place, lacks=""):
        """lacks: why none of its blocks can be run."""
        self.path, self.place, self.lacks = path, place, lacks
        self.name = os.path.relpath(path, SOURCE)
        self.faults, self.not_run = [], []
        self.ran = 0
        self.pending = None  # a block that printed something that no block has shown yet

    def fault(self, line, text):
        self.faults.append(f"{self.name}:{line}: {text}")

    def run(self):
        for block in blocks(self.path):
            if block.kind != ("text", "output"):
                self.nothing_pending()
            if "--json" in block.text and not JSON and not block.untested:
                block.untested, block.reason = True, "this yoke was built without JSON"
            if self.lacks and not block.untested:
                block.untested, block.reason = True, self.lacks
            if block.untested:
                self.skip(block)
            elif block.kind in KINDS or block.kind[:1] == ("c",) and len(block.kind) == 2:
                self.ran += 1
                getattr(self, "run_" + block.kind[0])(block)
            else:
                self.fault(block.line, f"an unknown kind of block: '{block.info}'")
        self.nothing_pending()
        return self

    def skip(self, block):
        if not block.reason.strip():
            self.fault(block.line, "no-test without a reason")
        for line in block.text.splitlines() if block.kind[:1] != ("text",) else ["(text)"]:
            self.not_run.append(f"{self.name}:{block.line}: {line}  --{block.reason}")

    def nothing_pending(self):
        if self.pending:
            self.fault(self.pending, f"prints what no block shows:\n{self.place.output}")
        self.pending = None

    def printed(self, block):
        self.pending = block.line if self.place.output else None

    def run_console(self, block):
        if not block.text.startswith("$ "):
            self.fault(block.line, "a session begins with '$ '")
            return
        status, _ = self.place.run(script_of(block.text), trace=False)
        failed = "[it ends with status" in self.place.output  # an … must not hide that
        if status != 0 or failed or not is_printed(block.text, self.place.output):
            self.fault(block.line, f"this was printed (status {status}):\n{self.place.output}")

    def run_sh(self, block):
        status, errors = self.place.run(block.text, trace=True)
        if status != 0:
            self.fault(block.line, f"ended with status {status}:\n{errors}")
        self.printed(block)

    def run_text(self, block):
        if not self.pending:
            self.fault(block.line, "the block before it printed nothing")
        elif not is_printed(block.text, self.place.output):
            self.fault(block.line, f"the block before it printed:\n{self.place.output}")
        self.pending = None

    def run_c(self, block):
        how, _, name = (block.kind[1:] or ("",))[0].partition("=")
        wrong = ""
        if how == "file":
            if (SOURCE / name).read_text() != block.text:
                wrong = f"is not the text of {name}"
            wrong = wrong or compile_c(SOURCE / name, "-fsyntax-only")
        elif how == "write":
            (self.place.work / name).write_text(block.text)
            wrong = compile_c(self.place.work / name, "-fsyntax-only")
        elif how:
            wrong = f"an unknown kind of block: '{block.info}'"
        elif re.search(r"\bmain\(", block.text):
            self.run_program(block)
        else:
            part = self.place.directory / ".fragment.c"
            part.write_text(FRAGMENT % block.text)
            wrong = compile_c(part, "-fsyntax-only", "-Wno-unused")
        if wrong:
            self.fault(block.line, wrong)

    def run_synopsis(self, block):
        part = self.place.directory / ".synopsis.c"
        part.write_text(block.text)
        wrong = compile_c(part, "-fsyntax-only")
        if wrong:
            self.fault(block.line, wrong)

    def run_program(self, block):
        source, program = self.place.directory / ".program.c", self.place.directory / ".program"
        source.write_text(block.text)
        wrong = compile_c(source, "-o", program, "-L", BUILD / "src", "-lyoke", "-lpthread")
        if wrong:
            self.fault(block.line, wrong)
            return
        self.run_sh(Block(block.line, "sh", shlex.quote(str(program))))
