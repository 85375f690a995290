#!/usr/bin/env python3
"""What the documents show works.

Every fenced block of README.md and docs/*.md that is marked `sh` is run, in order, in one empty
directory with a name directory of its own and `yoke` in the PATH; every one marked `c file=PATH`
must be that file of the tree, letter by letter, lies in that directory under its name, and must
compile. A block marked `text output` must be what the block before it printed. `sh no-test` is only
listed. Links to files of the tree must lead somewhere. The FAQ's headings that quote a message must
be messages that the sources really have.

Environment: YOKE (the tool), YOKE_BUILD_DIR, YOKE_SOURCE_DIR; CC (cc).
"""
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

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


class Place:
    """The empty directory in which a document's commands run."""

    def __init__(self, directory):
        self.directory = directory
        self.output = ""
        tools = os.path.join(directory, ".bin")
        os.mkdir(tools)
        os.symlink(os.environ["YOKE"], os.path.join(tools, "yoke"))
        names = os.path.join(directory, ".names")
        os.mkdir(names, 0o700)
        libraries = os.path.join(build, "src")
        self.environment = dict(
            os.environ,
            PATH=f"{tools}:{os.environ['PATH']}",
            YOKE_DIR=names,
            CPATH=os.path.join(source, "include"),
            LIBRARY_PATH=libraries,
            LD_LIBRARY_PATH=libraries,
            CC=compiler,
        )

    def run(self, command):
        result = subprocess.run(command, cwd=self.directory, env=self.environment, timeout=60,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.output = result.stdout
        return result

    def run_shell(self, script):
        # -e -x: the first command that fails ends it, and is the last one shown
        return self.run(["sh", "-euxc", script])

    def add_file(self, path):
        name = os.path.basename(path)
        shutil.copyfile(os.path.join(source, path), os.path.join(self.directory, name))
        strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"]
        return self.run([*shlex.split(compiler), *strict, "-D_GNU_SOURCE", "-fsyntax-only", name])


def check_c(document, line, info, content, place):
    path = info.partition("file=")[2]
    if not path:
        fault(document, line, "a C block without file=PATH: no test would compile it")
        return
    with open(os.path.join(source, path)) as file:
        if file.read() != content:
            fault(document, line, f"is not the text of {path}")
    result = place.add_file(path)
    if result.returncode != 0:
        fault(document, line, f"does not compile:\n{result.stderr}")


def check_shell(document, line, content, place):
    try:
        result = place.run_shell(content)
    except subprocess.TimeoutExpired:
        fault(document, line, "did not end within 60 s")
        return
    if result.returncode != 0:
        fault(document, line, f"ended with status {result.returncode}:\n{result.stderr}")


def check_blocks(document, text):
    ran = 0
    with tempfile.TemporaryDirectory() as directory:
        place = Place(directory)
        for line, info, content in blocks(text):
            words = info.split()
            if words[:1] == ["c"]:
                check_c(document, line, info, content, place)
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
    for document in documents():
        with open(os.path.join(source, document)) as file:
            text = file.read()
        print(f"# {document}: {check_blocks(document, text)} blocks run")
        check_links(document, text)
        if document == "docs/faq.md":
            print(f"# {document}: {check_faq(document, text)} messages looked up")
    for each in faults:
        print(each)
    sys.exit(1 if faults else 0)


main()
