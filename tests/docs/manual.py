#!/usr/bin/env python3
"""The manual's pages and `yoke COMMAND --help` have the same commands, and each command the same options.

`yoke port create` is in man/yoke-port.1.scd. A page's SYNOPSIS has a line for each way to call its
command; an option stands at the beginning of a line under OPTIONS. man/yoke.1.scd has a row for each
page, with the very words of its NAME. Each page is listed in man/meson.build, what it refers to is
there, scdoc takes it (where it is), and no help is bigger than a screen.

Environment: YOKE (the tool), YOKE_SOURCE_DIR.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MAN = Path(os.environ["YOKE_SOURCE_DIR"]) / "man"
tool = os.environ["YOKE"]
faults = []


def help_of(*command):
    text = subprocess.run([tool, *command, "--help"], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=300, check=True).stdout
    lines = text.splitlines()
    if len(lines) > 24 or max(map(len, lines)) > 80:
        faults.append(f"yoke {' '.join(command)} --help is bigger than 24 lines of 80 columns")
    return text


def helped_commands():
    """Each command that can be run by itself: "send", "port create"."""
    for name in re.findall(r"^  ([a-z]+) +\S", help_of(), re.MULTILINE):
        if name != "yoke":  # the example
            grouped = re.findall(rf"'yoke ({name} [a-z]+) --help'", help_of(name))
            yield from grouped or [name]


def helped_options(command):
    """What begins the lines of its table: "-0, --null  NUL bytes separate ..."."""
    lines = re.findall(r"^  (-.*?)(?:  |$)", help_of(*command.split()), re.MULTILINE)
    found = {option for line in lines for option in re.findall(r"(?<!\S)--?[a-z0-9-]+", line)}
    return found - {"--help"}


class Page:
    def __init__(self, path):
        self.name = path.name.removesuffix(".scd")
        self.text = path.read_text()
        parts = re.split(r"^# (.*)\n", self.text, flags=re.MULTILINE)
        self.sections = dict(zip(parts[1::2], parts[2::2]))
        self.brief = self.sections.get("NAME", "").strip().partition(" - ")[2]

    def commands(self):
        """The words after "yoke" that each line of the synopsis has in bold."""
        return set(re.findall(r"^\*yoke ([a-z ]+)\*", self.sections.get("SYNOPSIS", ""), re.MULTILINE))

    def options(self):
        lines = re.findall(r"^\t*(\*-.*)", self.sections.get("OPTIONS", ""), re.MULTILINE)
        return {option for line in lines for option in re.findall(r"\*(--?[a-z0-9-]+)\*", line)}


def compare(what, first, where_first, second, where_second):
    faults.extend(f"{what} {one}: in {where_first} only" for one in sorted(first - second))
    faults.extend(f"{what} {one}: in {where_second} only" for one in sorted(second - first))


def check_commands(pages):
    """Returns how many commands and options there are."""
    helped = {command: helped_options(command) for command in helped_commands()}
    written = {}
    for page in pages.values():
        for command in page.commands() if page.name.startswith("yoke-") else []:
            if page.name != f"yoke-{command.split()[0]}.1":
                faults.append(f"command {command} is in {page.name}")
            written[command] = page.options()
    compare("command", set(helped), "yoke --help", set(written), "the pages")
    for command in sorted(set(helped) & set(written)):
        compare(command, helped[command], f"yoke {command} --help", written[command], "its page")
    return len(helped), sum(map(len, helped.values()))


def check_overview(pages):
    """The table of yoke.1 and the pages' own names and lines."""
    rows = re.findall(r"^\|. \*(yoke-[a-z]+)\*\(1\)\n:. (.*)$", pages["yoke.1"].text, re.MULTILINE)
    own = {(name[:-2], page.brief) for name, page in pages.items() if re.fullmatch(r"yoke-[a-z]+\.1", name)}
    compare("line", set(rows), "yoke.1", own, "the pages")


def check_references(pages):
    """A page of section 3 is found by the name of each of its functions, too."""
    there = set(pages)
    for page in pages.values():
        if page.name.endswith(".3"):
            there |= {f"{name}.3" for name in re.findall(r"\w+", page.sections["NAME"].partition(" - ")[0])}
    for page in pages.values():
        for name, section in re.findall(r"\*(yoke[a-z_-]*)\*\((\d)\)", page.text):
            if f"{name}.{section}" not in there:
                faults.append(f"{page.name} refers to {name}({section}), which is not there")


def check_build(pages):
    listed = set(re.findall(r"'(yoke[^']*)\.scd'", (MAN / "meson.build").read_text()))
    compare("page", listed, "meson.build", set(pages), "man")
    for page in pages.values() if shutil.which("scdoc") else []:
        result = subprocess.run("scdoc", input=page.text, text=True, capture_output=True, timeout=300)
        if result.returncode != 0:
            faults.append(f"{page.name}: scdoc: {result.stderr}")


def main():
    pages = {page.name: page for page in map(Page, MAN.glob("*.scd"))}
    commands, options = check_commands(pages)
    check_overview(pages)
    check_references(pages)
    check_build(pages)
    print(f"# {len(pages)} pages, {commands} commands with {options} options")
    if not shutil.which("scdoc"):
        print("# scdoc is not there: the pages were not tried with it")
    if commands < 5:
        faults.append("few commands: has the form of yoke --help changed?")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
