#!/usr/bin/env python3
"""Each function of yoke.h is in exactly one page of section 3, and the page says of it what the header says.

Its SYNOPSIS has the header's very prototypes, no more and no fewer than its NAME; its ERRORS has every
error that the header's comment on one of them has; it says what blocks, which threads may call and who
owns what; it has an example. man/meson.build installs the page under each function's name, too.

Environment: YOKE_SOURCE_DIR.
"""
import os
import re
import sys
from pathlib import Path

SOURCE = Path(os.environ["YOKE_SOURCE_DIR"])
SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "BLOCKING, THREADS AND OWNERSHIP", "ERRORS", "EXAMPLES",
            "SEE ALSO"]


def squeeze(text):
    return " ".join(text.split())


def declared(header):
    """{function: (its prototype, the errors in the comment before it)}; one comment may be about several."""
    found, comment = {}, ""
    for match in re.finditer(r"/\*(.*?)\*/|^YOKE_API (.*?;)$", header, re.MULTILINE | re.DOTALL):
        if match.group(1) is not None:
            comment = match.group(1)
            continue
        prototype = squeeze(match.group(2))
        name = re.search(r"(yoke_\w+)\(", prototype).group(1)
        found[name] = prototype, set(re.findall(r"-(E[A-Z]+)", comment))
    return found


class Page:
    def __init__(self, path):
        self.name = path.name.removesuffix(".scd")
        parts = re.split(r"^# (.*)\n", path.read_text(), flags=re.MULTILINE)
        self.sections = dict(zip(parts[1::2], parts[2::2]))
        self.headings = parts[1::2]
        names = self.sections.get("NAME", "").partition(" - ")[0]
        self.functions = [name.strip() for name in names.split(",")]
        synopsis = re.search(r"```\n(.*?)```", self.sections.get("SYNOPSIS", ""), re.DOTALL)
        self.synopsis = synopsis.group(1) if synopsis else ""
        self.errors = set(re.findall(r"-(E[A-Z]+)", self.sections.get("ERRORS", "")))

    def faults(self, functions):
        if self.headings != SECTIONS:
            yield f"its sections are {self.headings}, not {SECTIONS}"
        prototypes = [squeeze(each) for each in re.findall(r"^[a-z].*?;$", self.synopsis, re.MULTILINE | re.DOTALL)]
        known = [functions[name][0] for name in self.functions if name in functions]
        if not self.synopsis.startswith("#include <yoke.h>\n"):
            yield "its SYNOPSIS does not include yoke.h"
        for prototype in set(prototypes) ^ set(known):
            where = "the SYNOPSIS" if prototype in prototypes else "yoke.h"
            yield f"only in {where}: {prototype}"
        for name in self.functions:
            for error in sorted(functions.get(name, ("", set()))[1] - self.errors):
                yield f"{name}: no -{error} in ERRORS"
        if "```" not in self.sections.get("EXAMPLES", ""):
            yield "no example"


def other_names():
    """What man/meson.build installs each page as, too."""
    text = (SOURCE / "man" / "meson.build").read_text()
    table = re.search(r"^manual_names = \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL).group(1)
    return {page: set(re.findall(r"'(\w+)'", names))
            for page, names in re.findall(r"'(\w+\.3)': \[(.*?)\]", table, re.DOTALL)}


def main():
    functions = declared((SOURCE / "include" / "yoke.h").read_text())
    pages = [Page(path) for path in sorted((SOURCE / "man").glob("*.3.scd"))]
    faults = [f"{page.name}: {fault}" for page in pages for fault in page.faults(functions)]
    places = {}
    for page in pages:
        for name in page.functions:
            places.setdefault(name, []).append(page.name)
        if other_names().get(page.name, set()) != {name for name in page.functions if name + ".3" != page.name}:
            faults.append(f"{page.name}: man/meson.build has other names for it than its NAME")
    faults += [f"{name} is in {places.get(name, 'no page')}" for name in functions
               if len(places.get(name, [])) != 1]
    faults += [f"{name} is in {place} and not in yoke.h" for name, place in places.items() if name not in functions]
    if len(functions) < 50:
        faults.append(f"only {len(functions)} functions: has the form of yoke.h changed?")
    print(f"# {len(pages)} pages, {len(functions)} functions")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
