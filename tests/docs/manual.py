#!/usr/bin/env python3
"""man/yoke.1 and `yoke COMMAND --help` have the same commands, and each command the same options.

In the manual an option stands in an `.It` line of its command's section (`.Ss`); where a section is
about several commands, in the item of one of them, or behind "Both take:" or "All take:".

Environment: YOKE (the tool), YOKE_SOURCE_DIR.
"""
import os
import re
import subprocess
import sys

source = os.environ["YOKE_SOURCE_DIR"]
tool = os.environ["YOKE"]


def help_of(*command):
    return subprocess.run([tool, *command, "--help"], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=300, check=True).stdout


def helped_commands():
    """Each command that can be run by itself: "send", "port create"."""
    for name in re.findall(r"^  ([a-z]+) +\S", help_of(), re.MULTILINE):
        if name != "yoke":  # the example
            grouped = re.findall(rf"'yoke ({name} [a-z]+) --help'", help_of(name))
            yield from grouped or [name]


def helped_options(command):
    """What begins the lines of its table: "-0, --null  NUL bytes separate ..."."""
    lines = re.findall(r"^  (-.*?)(?:  |$)", help_of(*command.split()), re.MULTILINE)
    return {option for line in lines for option in re.findall(r"(?<!\S)--?[a-z0-9-]+", line)}


def manual():
    """Returns {command: its options} and the commands of the synopsis."""
    options, synopsis = {}, set()
    section, about = [], []
    with open(os.path.join(source, "man", "yoke.1")) as file:
        lines = file.read().splitlines()
    heading = None
    for line in lines:
        if line.startswith(".Sh "):
            heading, section, about = line[4:], [], []
        elif line.startswith(".Ss ") and heading == "COMMANDS":
            section = about = line[4:].split(", ")
            options.update((command, set()) for command in section)
        elif line.startswith(".Cm ") and heading == "SYNOPSIS":
            synopsis.add(line[4:])
        elif re.match("(Both|All) take:", line):
            about = section
        elif line.startswith(".It Nm Cm "):
            named = [command for command in section if line[10:].startswith(command + " ")]
            about = named or about
        elif line.startswith(".It ") and about:
            found = re.findall(r"\bFl (Fl )?([a-z0-9-]+)", line)
            for command in about:
                options[command] |= {("--" if double else "-") + name for double, name in found}
    return options, synopsis


def main():
    faults = []
    written, synopsis = manual()
    helped = {command: helped_options(command) - {"--help"} for command in helped_commands()}

    def compare(what, first, where_first, second, where_second):
        faults.extend(f"{what} {one}: in {where_first} only" for one in sorted(first - second))
        faults.extend(f"{what} {one}: in {where_second} only" for one in sorted(second - first))

    compare("command", set(helped), "yoke --help", set(written), "the manual's COMMANDS")
    compare("command", set(helped), "yoke --help", synopsis, "the manual's SYNOPSIS")
    for command in sorted(set(helped) & set(written)):
        compare(command, helped[command], f"yoke {command} --help", written[command], "the manual")
    print(f"# {len(helped)} commands with {sum(map(len, helped.values()))} options")
    if len(helped) < 5:
        faults.append("few commands: has the form of yoke --help changed?")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
