#!/usr/bin/env python3
"""What README.md shows works, in a fresh clone, for a reader with an empty home and nothing of yoke's.

Its blocks, and those of the pages beside it, are run in order, exactly as they stand (documents.py
says which kinds there are): so it must first say how to get `yoke` into the PATH, and how to compile. What
docs/ and the manual show is run by blocks.py, with the `yoke` of this build.

Environment: YOKE_BUILD_DIR, YOKE_SOURCE_DIR; CC (cc).
"""
import os
import shutil
import sys

from documents import BUILD, SOURCE, Page, Place


def copy_tree(clone):
    """What a clone has, build directories excepted; the times of the files stay, so that a build
    which is there already has to do again only what is new."""
    def ignored(directory, names):
        if directory == str(SOURCE):
            yield from {".git", "build"} & set(names)
        for name in names:
            if os.path.exists(os.path.join(directory, name, "meson-private")):
                yield name
    for name in os.listdir(clone) if os.path.isdir(clone) else []:
        path = os.path.join(clone, name)
        if name != "build":
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    shutil.copytree(SOURCE, clone, symlinks=True, dirs_exist_ok=True,
                    ignore=lambda *arguments: set(ignored(*arguments)))


def make_place(directory):
    """A clone and a reader with an empty home, and nothing of yoke's in the environment.

    Both stay in the build directory, since the reader's `./dev install` compiles everything.
    """
    clone, home, guard = (directory / name for name in ("yoke", "home", "guard"))
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    guard.mkdir(exist_ok=True)
    copy_tree(clone)
    for name in "apt-get", "sudo":  # a test installs nothing on the machine that it runs on
        (guard / name).write_text("#!/bin/sh\nexit 1\n")
        (guard / name).chmod(0o755)
    without = ["CPATH", "LIBRARY_PATH", "LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "DESTDIR", "MAKEFLAGS"]
    environment = {name: value for name, value in os.environ.items()
                   if name not in without and (name == "YOKE_DIR" or "YOKE" not in name)}
    return Place(home, dict(environment, HOME=str(home), PATH=f"{guard}:{os.environ['PATH']}"), clone)


def main():
    place = make_place(BUILD / "reader")
    faults = []
    for name in "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md":
        page = Page(SOURCE / name, place).run()
        print(f"# {page.name}: {page.ran} blocks run")
        for line in page.not_run:
            print(f"# not run: {line}")
        faults += page.faults
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
