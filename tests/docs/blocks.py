#!/usr/bin/env python3
"""Every block of docs/ and of the manual is run, and prints what it is said to print.

documents.py says which kinds of blocks there are; one of another kind is a fault, and so is one that
is set apart by four spaces, which says no kind. What is not run is listed, with the reason. Each page has an empty directory, home
and name directory, and must leave no object there. `yoke` is the one of this build, and pkg-config
knows its library.

Beside that: links to files of the tree lead somewhere, and to a heading that is there; a command that
stands in a sentence has options that there are; the FAQ's headings that quote a message quote one that the sources
have.

    blocks.py [PAGE...]     only these, such as docs/guide.md

Environment: YOKE_BUILD_DIR, YOKE_SOURCE_DIR, YOKE; CC (cc).
"""
import contextlib
import functools
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from documents import BUILD, SOURCE, Page, Place, is_printed

sys.path.insert(0, str(SOURCE / "tests" / "nats"))
import servers  # noqa: E402

TOOL = Path(os.environ["YOKE"])


def pages():
    top = [SOURCE / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    return top, sorted((SOURCE / "docs").rglob("*.md")), sorted((SOURCE / "man").glob("*.scd"))


def environment(home):
    kept = {name: value for name, value in os.environ.items() if "YOKE" not in name}
    paths = {"PATH": f"{TOOL.parent}:{os.environ['PATH']}", "LD_LIBRARY_PATH": f"{BUILD}/src",
             "PKG_CONFIG_PATH": f"{BUILD}/meson-uninstalled"}
    return dict(kept, **paths, HOME=str(home), YOKE_DIR=str(home / "names"), LC_ALL="C.UTF-8")


@contextlib.contextmanager
def server_for(path):
    """What a page needs that speaks of $SERVER: (more of the environment, what it lacks)."""
    plugins = BUILD / "src" / "nats"
    if "$SERVER" not in path.read_text():
        yield {}, ""
    elif not servers.find() or not (plugins / "nats.so").exists():
        yield {}, "nats-server is not installed, or this yoke was built without the place nats"
    else:
        with servers.scratch() as directory, servers.Server(directory) as server:
            yield {"SERVER": server.url.removeprefix("nats://"), "YOKE_PLUGINS": str(plugins)}, ""


def run_page(path, grace=Place.grace):
    with tempfile.TemporaryDirectory() as directory, server_for(path) as (more, lacks):
        home = Path(directory)
        (home / "names").mkdir(0o700)
        (home / "work").mkdir()
        place = Place(home, environment(home) | more, home / "work")
        place.grace = grace
        page = Page(path, place, lacks).run()
        left = subprocess.run([TOOL, "ls"], env=environment(home), text=True, capture_output=True)
        if len(left.stdout.splitlines()) > 1 or left.returncode != 0:
            page.fault(1, f"leaves objects behind:\n{left.stdout}{left.stderr}")
            addresses = [line.split()[0] for line in left.stdout.splitlines()[1:]]
            subprocess.run([TOOL, "rm", *addresses], env=environment(home))
        subprocess.run([TOOL, "gc"], env=environment(home), stdout=subprocess.DEVNULL)
        return page


# ---- links, and what stands in sentences ------------------------------------------------------------

def without_blocks(text):
    """Its fenced blocks become empty lines."""
    return re.sub(r"^```.*?^```+$", lambda match: "\n" * match.group().count("\n"), text,
                  flags=re.MULTILINE | re.DOTALL)


@functools.cache
def anchors(path):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(path, text):
    for match in re.finditer(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
        target, anchor = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if re.match(r"[a-z]+:", target):
            continue
        there = path.parent / target if target else path
        if not there.exists():
            yield line, f"the link to {target} leads nowhere"
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            yield line, f"there is no heading #{anchor} in {there.name}"


def check_indented(text):
    """Four spaces after an empty line, and not in a list, are a block that says no kind."""
    in_list = False
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r" *([-*]|\d+\.) ", line):
            in_list = True
        elif line and not line.startswith(" "):
            in_list = False
        if line.startswith("    ") and not before.strip() and not in_list:
            yield number, "a block without a kind: fence it"
        before = line if not line.startswith("    ") else "x"


@functools.cache
def help_of(*command):
    result = subprocess.run([TOOL, *command, "--help"], stdin=subprocess.DEVNULL, text=True,
                            capture_output=True, timeout=300)
    return result.stdout if result.returncode == 0 else None


def commands_in(text, manual):
    """(line, command) of each that stands in a sentence: `yoke recv --parked`, *yoke rm*."""
    quoted = r"\*(yoke [^*]+)\*" if manual else r"`(yoke\s[^`]+)`"
    for match in re.finditer(quoted, text):
        yield text.count("\n", 0, match.start()) + 1, " ".join(match.group(1).split())


def check_commands(text, manual):
    for line, command in commands_in(text, manual):
        words = [word.rstrip(",.;") for word in command.split()[1:]]
        names = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
        if not names:
            continue
        usage = help_of(*names) or help_of(names[0])
        if usage is None:
            yield line, f"there is no command '{command}'"
            continue
        for option in re.findall(r"(?<!\S)--[a-z-]+", command):
            if option != "--help" and not re.search(rf"{option}\b", usage):
                yield line, f"'{command}': there is no {option}"


def literals():
    """All string literals of the C sources, those side by side joined as the compiler does."""
    found = []
    string = r'"(?:[^"\\\n]|\\.)*"'
    for directory in ("src", "cli", "examples"):
        for path in (SOURCE / directory).rglob("*.[ch]"):
            for match in re.finditer(rf"{string}(?:\s*(?:PRI[a-z]+\d*\s*)?{string})*", path.read_text()):
                joined = "".join(part[1:-1] for part in re.findall(string, match.group()))
                found.append(joined.replace('\\"', '"'))
    return found


def check_messages(text):
    """A heading's quoted message, cut at each … (a value), must occur so in one literal; one in
    quotation marks is the kernel's, or another program's."""
    known = literals()
    for number, line in enumerate(text.splitlines(), 1):
        for message in re.findall(r"`([^`]+)`", line) if line.startswith("#") else []:
            parts = [re.escape(part) for part in message.split("…")]
            pattern = re.compile(".*".join(parts), re.DOTALL)
            if not any(pattern.search(literal) for literal in known):
                yield number, f"no source has the message: {message}"


def check_text(path):
    text = without_blocks(path.read_text())
    manual = path.suffix == ".scd"
    found = list(check_commands(text, manual))
    if not manual:
        found += [*check_links(path, text), *check_indented(text)]
    if path.name == "faq.md":
        found += check_messages(text)
    return [f"{os.path.relpath(path, SOURCE)}:{line}: {what}" for line, what in found]


# ---- the test itself ------------------------------------------------------------------------------

# A page with every fault, and the line in which each is.
FAULTY = """\
```console
$ echo one
two
```
```console
$ false
```
```sh
echo nobody shows this
```
```
no kind
```
```c
int x = "text";
```
```sh no-test
no reason
```
```sh
false
```
```console
$ sleep 1000 &
```
```console
$ echo one; false
…
```
"""
FAULTS = {1: "printed", 5: "it ends with status 1", 8: "no block shows", 11: "unknown kind",
          14: "does not compile", 17: "without a reason", 20: "status 1", 23: "processes are left", 26: "status 1"}


def test_itself():
    """The test sees what is wrong, and nothing else."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "faulty.md"
        path.write_text(FAULTY)
        said = {int(fault.split(":")[1]): fault for fault in run_page(path, 0.5).faults}
        path.write_text("    yoke nonsense\n\n`yoke recv --nonsense` and [x](nowhere.md)\n")
        said_of_text = check_text(path)
    wrong = [f"unseen: line {line}, {what}" for line, what in FAULTS.items() if what not in said.get(line, "")]
    wrong += [f"seen where nothing is: {fault}" for line, fault in said.items() if line not in FAULTS]
    if len(said_of_text) != 3:
        wrong.append(f"of three faults in sentences: {said_of_text}")
    if not is_printed("a  PID …\n…\nend\n", "a 12 x y\n1\n2\nend\n") or is_printed("PID\n", "x\n"):
        wrong.append("placeholders do not work")
    return wrong


def main():
    faults = test_itself()
    top, docs, manual = pages()
    chosen = [SOURCE / name for name in sys.argv[1:]]
    for path in chosen or docs + manual:
        page = run_page(path)
        print(f"# {page.name}: {page.ran} blocks run", flush=True)
        for line in page.not_run:
            print(f"# not run: {line}")
        faults += page.faults
    for path in chosen or top + docs + manual:
        faults += check_text(path)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
