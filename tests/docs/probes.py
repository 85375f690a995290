#!/usr/bin/env python3
"""The probes of docs/tracing.md are those of the library and the command, with as many arguments, and its
bpftrace example counts waits, where this machine lets bpftrace trace; else it is said that it was not run.

Skipped where the build has no probes, or readelf is not there.
"""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(os.environ['YOKE_SOURCE_DIR'])
LIBRARY = Path(os.environ['YOKE_BUILD_DIR']) / 'src' / 'libyoke.so.0'
TOOL = Path(os.environ['YOKE'])
PAGE = (SOURCE / 'docs' / 'tracing.md').read_text()
TIME_LIMIT = 120  # only against what hangs

failures = 0
number = 0


def check(name, fault):
    global failures, number
    number += 1
    print(f'{"not ok" if fault else "ok"} {number} - {name}')
    if fault:
        print('# ' + str(fault).replace('\n', '\n# '))
        failures += 1


def documented():
    rows = re.findall(r'^\| `(\w+)` \| ([\w, ]+) \|', PAGE, re.MULTILINE)
    return {name: len(arguments.split(', ')) for name, arguments in rows}


def explained():
    """The table in the header that spells them."""
    text = (SOURCE / 'src' / 'base' / 'trace.h').read_text()
    rows = re.findall(r'^ \* (\w+) +(\w+(?:, \w+)*) +\|', text, re.MULTILINE)
    return {name: len(arguments.split(', ')) for name, arguments in rows}


def built(path):
    """Each probe with the numbers of arguments that its places have."""
    text = subprocess.run(['readelf', '--wide', '--notes', path], capture_output=True, text=True, check=True).stdout
    found = {}
    for name, arguments in re.findall(r'Provider: yoke\s+Name: (\w+)\s.*?Arguments:([^\n]*)', text, re.DOTALL):
        found.setdefault(name, set()).add(len(arguments.split()))
    return found


def differences(path, wanted):
    found = built(path)
    faults = [f'{name} is not there' for name in sorted(wanted.keys() - found.keys())]
    faults += [f'{name} is not in docs/tracing.md' for name in sorted(found.keys() - wanted.keys())]
    faults += [f'{name} has {found[name]} arguments, and {wanted[name]} are documented'
               for name in sorted(found.keys() & wanted.keys()) if found[name] != {wanted[name]}]
    return '\n'.join(faults)


def can_trace():
    """None, or why not."""
    if not shutil.which('bpftrace'):
        return 'bpftrace is not there'
    program = f'usdt:{TOOL}:yoke:open {{ }} BEGIN {{ exit(); }}'
    done = subprocess.run(['bpftrace', '-e', program], capture_output=True, text=True, timeout=TIME_LIMIT)
    return None if done.returncode == 0 else ' '.join((done.stderr or done.stdout).split())[:200]


def run_example():
    """The page's own text, for the command: one that waits 10 ms for what never comes is seen."""
    block = re.search(r"bpftrace -e '\n(.*?)'\n```", PAGE, re.DOTALL).group(1)
    program = block.replace('/usr/local/lib/libyoke.so.0', str(TOOL))
    subprocess.run([TOOL, 'port', 'create', 'traced'], check=True)
    try:
        done = subprocess.run(['bpftrace', '-e', program, '-c', f'{TOOL} recv port:traced --timeout 10ms'],
                              capture_output=True, text=True, timeout=TIME_LIMIT)
    finally:
        subprocess.run([TOOL, 'rm', 'port:traced'], check=True)
    return None if '@wait_ns[traced]' in done.stdout else done.stdout + done.stderr


def main():
    if not shutil.which('readelf'):
        print('1..0 # SKIP readelf is not there')
        return 77
    if not built(LIBRARY):
        print('1..0 # SKIP this yoke was built without probes (systemtap-sdt-dev)')
        return 77
    wanted = documented()
    check('the page has a table of probes', None if len(wanted) > 10 else wanted)
    check('the table in src/base/trace.h is the same', None if explained() == wanted else explained())
    check("the library's probes are those of the page", differences(LIBRARY, wanted))
    check("the command's, too", differences(TOOL, wanted))
    why = can_trace()
    if why:
        print(f'# the example of bpftrace was not run: {why}')
        print(f'ok {number + 1} - the example of bpftrace # SKIP {why}')
        print(f'1..{number + 1}')
    else:
        check('the example of bpftrace', run_example())
        print(f'1..{number}')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
