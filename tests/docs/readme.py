#!/usr/bin/env python3
"""What the documents show works.

Every fenced block of README.md and docs/*.md that is marked `sh` is run, in order, exactly as it
stands, as a reader would: in a fresh clone, who has an empty home and nothing of yoke's yet. So
the README must first say how to get `yoke` into the PATH, and how to compile. Every block marked
`c file=PATH` must be that file of the tree, letter by letter, and must compile. A block marked `text output` must be what the block before it printed. `sh no-test` is only
listed. Links to files of the tree must lead somewhere. The FAQ's headings that quote a message must
be messages that the sources really have.

Environment: YOKE_BUILD_DIR, YOKE_SOURCE_DIR; CC (cc).
"""
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys

TIME_LIMIT = 3000  # seconds for a block: one builds

source = os.environ["YOKE_SOURCE_DIR"]
build = os.environ["YOKE_BUILD_DIR"]
compiler = os.environ.get("CC", "cc")
faults = []


def fault(document, line, text):
    faults.append(f"{document}:{line}: {text}")


def documents():
    names = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]
    found = glob.glob(f"{source}/docs/**/*.md", recursive=True)
    return names + sorted(os.path.relpath(path, source) for path in found)


def blocks(text):
    """Yields (line, info string, content) of each fenced block."""
    inside = None
    for number, line in enumerate(text.splitlines(), 1):
        if inside is None and line.startswith("```") and line.strip("`"):
            inside, first, content = line[3:].strip(), number, []
        elif inside is None and line.startswith("```"):
            inside, first, content = "", number, []
        elif inside is not None and line.startswith("```"):
            yield first, inside, "".join(f"{each}\n" for each in content)
            inside = None
        elif inside is not None:
            content.append(line)


def copy_tree(clone):
    """What a clone has, build directories excepted; the times of the files stay, so that a build
    which is there already has to do again only what is new."""
    def ignored(directory, names):
        if directory == source:
            yield from {".git", "build"} & set(names)
        for name in names:
            if os.path.exists(os.path.join(directory, name, "meson-private")):
                yield name
    for name in os.listdir(clone) if os.path.isdir(clone) else []:
        path = os.path.join(clone, name)
        if name != "build":
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    shutil.copytree(source, clone, symlinks=True, dirs_exist_ok=True,
                    ignore=lambda *arguments: set(ignored(*arguments)))


class Place:
    """A clone and a reader with an empty home, and nothing of yoke's in the environment.

    Both stay in the build directory, since the reader's `./dev install` compiles everything; what
    one block exports the next ones have.
    """

    def __init__(self, directory):
        self.output = ""
        self.clone = os.path.join(directory, "yoke")
        self.exported = os.path.join(directory, "exported")
        home = os.path.join(directory, "home")
        guard = os.path.join(directory, "guard")
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home)
        os.makedirs(guard, exist_ok=True)
        copy_tree(self.clone)
        for name in "apt-get", "sudo":  # a test installs nothing on the machine that it runs on
            path = os.path.join(guard, name)
            with open(path, "w") as file:
                file.write("#!/bin/sh\nexit 1\n")
            os.chmod(path, 0o755)
        without = ["CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "DESTDIR",
                   "MAKEFLAGS"]
        environment = {name: value for name, value in os.environ.items()
                       if name not in without and (name == "YOKE_DIR" or "YOKE" not in name)}
        self.environment = dict(environment, HOME=home, PATH=f"{guard}:{os.environ['PATH']}")
        with open(self.exported, "w") as file:
            file.write("\n")

    def run_shell(self, script):
        # -e -x: the first command that fails ends it, and is the last one shown
        whole = f". '{self.exported}'; set -eux\n{script}\nset +x; export -p > '{self.exported}'"
        result = subprocess.run(["sh", "-c", whole], cwd=self.clone, env=self.environment,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=TIME_LIMIT)
        self.output = result.stdout
        return result


def compile_strictly(path):
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-D_GNU_SOURCE"]
    return subprocess.run([*shlex.split(compiler), *strict, "-I", os.path.join(source, "include"),
                           "-fsyntax-only", os.path.join(source, path)], capture_output=True,
                          text=True, timeout=TIME_LIMIT)


def check_c(document, line, info, content):
    path = info.partition("file=")[2]
    if not path:
        fault(document, line, "a C block without file=PATH: no test would compile it")
        return
    with open(os.path.join(source, path)) as file:
        if file.read() != content:
            fault(document, line, f"is not the text of {path}")
    result = compile_strictly(path)
    if result.returncode != 0:
        fault(document, line, f"does not compile:\n{result.stderr}")


def check_shell(document, line, content, place):
    try:
        result = place.run_shell(content)
    except subprocess.TimeoutExpired:
        fault(document, line, f"did not end within {TIME_LIMIT} s")
        return
    if result.returncode != 0:
        fault(document, line, f"ended with status {result.returncode}:\n{result.stderr}")


def check_blocks(document, text, place):
    ran = 0
    for line, info, content in blocks(text):
        words = info.split()
        if words[:1] == ["c"]:
            check_c(document, line, info, content)
            ran += 1
        elif words == ["sh"]:
            check_shell(document, line, content, place)
            ran += 1
        elif words == ["text", "output"]:
            if place.output != content:
                fault(document, line, f"the block before it printed:\n{place.output}")
        elif words == ["sh", "no-test"]:
            for command in content.splitlines():
                print(f"# {document}:{line}: not run: {command}")
        elif words not in (["text"], []):
            fault(document, line, f"an unknown kind of block: {info}")
    return ran


def check_links(document, text):
    for match in re.finditer(r"\]\(([^)#\s]+)(#[^)]*)?\)", text):
        target = match.group(1)
        line = text.count("\n", 0, match.start()) + 1
        if re.match(r"[a-z]+:", target):
            continue
        if not os.path.exists(os.path.join(source, os.path.dirname(document), target)):
            fault(document, line, f"the link to {target} leads nowhere")


def literals():
    """All string literals of the C sources, those side by side joined as the compiler does."""
    found = []
    string = r'"(?:[^"\\\n]|\\.)*"'
    for directory in ("src", "cli", "examples"):
        for path in glob.glob(f"{source}/{directory}/**/*.[ch]", recursive=True):
            with open(path) as file:
                text = file.read()
            for match in re.finditer(rf"{string}(?:\s*(?:PRI[a-z]+\d*\s*)?{string})*", text):
                joined = "".join(part[1:-1] for part in re.findall(string, match.group()))
                found.append(joined.replace('\\"', '"'))
    return found


def check_faq(document, text):
    """A heading's quoted message, cut at each … (a value), must occur so in one literal."""
    known = literals()
    quoted = 0
    for number, line in enumerate(text.splitlines(), 1):
        for message in re.findall(r"`([^`]+)`", line) if line.startswith("#") else []:
            parts = [re.escape(part) for part in message.split("…")]
            pattern = re.compile(".*".join(parts), re.DOTALL)
            quoted += 1
            if not any(pattern.search(literal) for literal in known):
                fault(document, number, f"no source has the message: {message}")
    return quoted


def main():
    place = Place(os.path.join(build, "reader"))
    for document in documents():
        with open(os.path.join(source, document)) as file:
            text = file.read()
        print(f"# {document}: {check_blocks(document, text, place)} blocks run")
        check_links(document, text)
        if document == "docs/faq.md":
            print(f"# {document}: {check_faq(document, text)} messages looked up")
    for each in faults:
        print(each)
    sys.exit(1 if faults else 0)


main()
