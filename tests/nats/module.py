#!/usr/bin/env python3
"""The place nats is a module that nobody depends on who does not use it.

Neither the library nor the tool is linked with the NATS client; a program has the module in its memory only when
it has named such a place; a module that is missing, or of another version, is told of in one sentence.

Environment: YOKE, YOKE_BUILD_DIR, YOKE_PLUGINS, YOKE_OTHER_PLUGINS.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "cli"))
import tool

TOOL = os.environ["YOKE"]
LIBRARY = os.path.join(os.environ["YOKE_BUILD_DIR"], "src", "libyoke.so")
MODULE = os.path.join(os.environ["YOKE_PLUGINS"], "nats.so")
NOWHERE = "nats://127.0.0.1:1"  # where nobody listens
ENOTSUP, EHOSTUNREACH = 95, 113

# A program of its own, since what is loaded stays: it says what it has in memory at each of its steps.
PROGRAM = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.yoke_close.argtypes = [ctypes.c_void_p]
def step(name):
    files = {line.split()[-1].rsplit('/', 1)[-1] for line in open('/proc/self/maps') if '/' in line}
    print(name, *sorted(file for file in files if 'nats' in file or 'jansson' in file), sep=' ')
def open_port(where):
    endpoint = ctypes.c_void_p()
    result = library.yoke_open(ctypes.byref(endpoint), where, 1, None)
    if result == 0:
        library.yoke_close(endpoint)
    return result
step('start')
for where in b'port:x', b'port:x@kernel', b'port:x@nats', b'port:x@nothing', b'port:x@nats:/x':
    open_port(where)
    step('others')
print('result', open_port(b'port:x@' + sys.argv[2].encode()))
step('used')
"""


def needed(path):
    text = subprocess.run(["readelf", "-W", "-d", path], stdin=subprocess.DEVNULL, text=True, capture_output=True,
                          check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", text)


class Module(unittest.TestCase):
    def complaint(self, directory, **more):
        """What the tool says when it is to find modules there."""
        done = subprocess.run([TOOL, "recv", f"port:x@{NOWHERE}", "--timeout", "0"], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, env=os.environ | {"YOKE_PLUGINS": directory} | more)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_library_and_tool_are_not_linked_with_the_client(self):
        for path in LIBRARY, TOOL:
            libraries = needed(path)
            self.assertTrue(any(name.startswith("libc.so") for name in libraries), libraries)
            self.assertFalse([name for name in libraries if "nats" in name], path)

    def test_module_alone_is_linked_with_it(self):
        libraries = needed(MODULE)
        self.assertTrue(any(name.startswith("libnats.so") for name in libraries), libraries)
        self.assertFalse([name for name in libraries if "yoke" in name])

    def test_module_exports_one_function(self):
        text = subprocess.run(["nm", "-D", "--defined-only", MODULE], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, check=True).stdout
        self.assertEqual([line.split()[-1] for line in text.splitlines()], ["yoke_place"])

    def test_program_loads_it_only_when_it_names_such_a_place(self):
        done = subprocess.run([sys.executable, "-c", PROGRAM, LIBRARY, NOWHERE], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[:-2], ["start"] + ["others"] * 5)
        self.assertEqual(lines[-2], f"result {-EHOSTUNREACH}")
        self.assertIn(" nats.so", lines[-1])
        self.assertIn(" libnats.so", lines[-1])

    def test_module_of_another_version_is_refused(self):
        said = self.complaint(os.environ["YOKE_OTHER_PLUGINS"])
        self.assertIn("nats.so is not of this yoke", said)
        self.assertIn("the two are installed together", said)

    def test_module_that_is_missing_is_named_with_its_package(self):
        with tempfile.TemporaryDirectory() as directory:
            said = self.complaint(directory)
        self.assertIn("the package yoke-nats", said)
        self.assertIn(directory, said)

    def test_module_whose_libraries_are_missing_is_refused_as_well(self):
        with tempfile.TemporaryDirectory() as directory:
            path = shutil.copy(MODULE, directory)
            name = next(name for name in needed(path) if name.startswith("libnats.so")).encode()
            with open(path, "r+b") as file:
                text = file.read()
                file.seek(text.index(name))
                file.write(b"libgone.so".ljust(len(name), b"x"))
            said = self.complaint(directory)
        self.assertIn("the package yoke-nats", said)
        self.assertIn("libgone.so", said)

    def test_doctor_knows_what_to_do_about_a_missing_module(self):
        with tempfile.TemporaryDirectory() as directory:
            done = subprocess.run([TOOL, "doctor", "--place", NOWHERE], stdin=subprocess.DEVNULL, text=True,
                                  capture_output=True, env=os.environ | {"YOKE_PLUGINS": directory})
        self.assertIn("install the package yoke-nats", done.stdout)

    def test_file_to_log_in_with_that_is_missing_is_named(self):
        for name in ("NATS_CREDS", "NATS_NKEY", "NATS_CA"):
            said = self.complaint(os.environ["YOKE_PLUGINS"], **{name: "/not/there"})
            self.assertIn(f"the file that {name} names, /not/there, can not be read", said)

    def test_file_that_is_no_module_is_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            shutil.copy(LIBRARY, os.path.join(directory, "nats.so"))
            said = self.complaint(directory)
        self.assertIn("nats.so is not of this yoke", said)


if __name__ == "__main__":
    if not os.path.exists(MODULE):
        print("this yoke was built without the place nats")
        sys.exit(77)
    tool.main(json_needed=False)
