#!/usr/bin/env python3
"""What the proofs of the last `./dev check` tried: the lines in which they say so, from the logs of meson.

    tried.py BUILD_DIRECTORY...

The lines that begin with `tried:` are added up in a table, a row for each program; the others that count
something (mutants, chaos, the hostile programs, models) are printed as they are. docs/proof.md has its figures
from here.
"""
import json
import os
import re
import sys

TRIED = re.compile(r'#\s*tried: (program=\S+ .*)')
OTHERS = re.compile(r'(?:#\s*)?((?:mutants|chaos|image_fuzz|attacker|fetches|faults|model|threads|pauses): .*\d.*)')
COLUMNS = ('scenes', 'places', 'pairs', 'stopped', 'sigstop', 'killed', 'sigkill', 'schedules')


def lines_of(directory):
    path = os.path.join(directory, 'meson-logs', 'testlog.json')
    if not os.path.exists(path):
        sys.exit(f'tried.py: there is no {path}: no test ran there yet (./dev check runs all)')
    with open(path, encoding='utf-8', errors='replace') as file:
        for test in map(json.loads, file):
            for line in (test.get('stdout') or '').splitlines() + (test.get('stderr') or '').splitlines():
                yield test['name'].split(' / ')[-1], line


def main(directories):
    rows, others = {}, []
    for directory in directories:
        for test, line in lines_of(directory):
            tried, other = TRIED.match(line), OTHERS.match(line)
            if tried:
                fields = dict(field.split('=') for field in tried.group(1).split())
                row = rows.setdefault(test, dict.fromkeys(COLUMNS, 0))
                for column in COLUMNS:
                    row[column] += int(fields.get(column, 0))
            elif other:
                others.append(f'{test}: {other.group(1)}')
    print('| test | ' + ' | '.join(COLUMNS) + ' |')
    print('| --- |' + ' ---: |' * len(COLUMNS))
    for test, row in sorted(rows.items()):
        print(f'| `{test}` | ' + ' | '.join(f'{row[column]:,}' for column in COLUMNS) + ' |')
    print(f'| all | ' + ' | '.join(f'{sum(row[c] for row in rows.values()):,}' for c in COLUMNS) + ' |')
    print()
    print('\n'.join(others))


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
