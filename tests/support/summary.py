#!/usr/bin/env python3
"""Counts what `meson test` ran, over several builds, and says why tests failed or were skipped.

    summary.py LABEL=BUILD_DIRECTORY...

Each build directory's meson-logs/testlog.json is read. A program that prints TAP counts as many cases as
it ran, any other as one. The last line is

    N passed, N failed[, N skipped]

and the exit status is 1 if anything failed. A build directory without a log counts as one failure, and
so does a program that broke off, leaked, or took too long without a failed case of its own.
"""
import json
import os
import re
import sys

PLAN = re.compile(r'1\.\.(\d+)')
# cmocka says "not ok 2 # SKIP name" of a test that skipped itself, others "ok 2 - name # SKIP reason"
CASE = re.compile(r'(not )?ok\b\s*\d*\s*-?\s*([^#]*)(?:#\s*(skip)\S*\s*(.*))?', re.IGNORECASE)
REASON = re.compile(r'#\s*SKIP\s+(.*)')
LOG_LINES = 200


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else 'no reason given'


def read_cases(stdout):
    """The cases that a program's TAP output reports: (planned, passed, failed, [(skipped, reason)]).

    `planned` is None for a program that announces none: whatever it prints is then no TAP.
    """
    planned, passed, failed, skipped = None, 0, 0, []
    reason = ''
    for line in stdout.splitlines():
        plan, case, why = PLAN.match(line), CASE.match(line), REASON.match(line)
        if plan:
            planned = (planned or 0) + int(plan.group(1))
        elif why:
            reason = why.group(1)
        elif case:
            if case.group(3):
                name, rest = case.group(2).strip(), case.group(4).strip()
                skipped.append((name or rest, reason or (rest if name else '') or 'no reason given'))
            elif case.group(1):
                failed += 1
            else:
                passed += 1
            reason = ''
    return planned, passed, failed, skipped


class Summary:
    def __init__(self):
        self.passed = self.failed = 0
        self.skips = []
        self.logs = []

    def fail(self, label, name, why, log):
        self.logs.append((f'{label}: {name}: {why}', log))

    def add(self, label, record):
        name, result = record['name'], record['result']
        stdout, stderr = record.get('stdout') or '', record.get('stderr') or ''
        planned, passed, failed, skipped = read_cases(stdout)
        whole = result in ('OK', 'SKIP', 'EXPECTEDFAIL')
        why = result

        if not planned:
            skip = result == 'SKIP' or (whole and planned == 0)
            passed, failed = int(whole and not skip), int(not whole)
            skipped = [('', last_line(stdout + stderr))] if skip else []
        elif passed + failed + len(skipped) != planned:
            ran = passed + failed + len(skipped)
            why = f'{result}, {ran} of {planned} cases ran'
            failed += 1  # the one in which it broke off
        if not whole:
            failed = max(failed, 1)

        self.passed += passed
        self.failed += failed
        for case, reason in skipped:
            self.skips.append(f'{label}: {name}{": " + case if case else ""}: {reason}')
        if failed:
            self.fail(label, name, why, stdout + stderr)

    def add_directory(self, label, directory):
        path = os.path.join(directory, 'meson-logs', 'testlog.json')
        try:
            with open(path, encoding='utf-8', errors='replace') as log:
                records = [json.loads(line) for line in log if line.strip()]
        except (OSError, ValueError) as error:
            self.failed += 1
            self.fail(label, 'the whole run', f'no results: {error}', '')
            return
        if not records:
            self.failed += 1
            self.fail(label, 'the whole run', 'no test ran', '')
        for record in records:
            self.add(label, record)

    def show(self):
        for skip in self.skips:
            print(f'skipped: {skip}')
        for title, log in self.logs:
            lines = log.splitlines()
            print(f'\n==== failed: {title}')
            if len(lines) > LOG_LINES:
                print(f'(the last {LOG_LINES} of {len(lines)} lines)')
            print('\n'.join(lines[-LOG_LINES:]))
        if self.logs:
            print('\nfailed:')
            for title, _ in self.logs:
                print(f'  {title}')
        line = f'{self.passed} passed, {self.failed} failed'
        if self.skips:
            line += f', {len(self.skips)} skipped'
        print(line)


def main(arguments):
    summary = Summary()
    for argument in arguments:
        label, _, directory = argument.partition('=')
        summary.add_directory(label, directory)
    summary.show()
    return 1 if summary.failed or not arguments else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
