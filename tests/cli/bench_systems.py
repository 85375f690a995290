"""`yoke bench` against other systems: each moves its messages whole, or says why it does not.

What the tool was built with decides which are there: the kernel's own in any, all in build/bench.
"""

import glob
import json
import os
import signal
import time

import tool

KERNELS = ['pipe', 'unix-stream', 'unix-seqpacket', 'mq', 'sysv-msg']
LIBRARIES = ['zeromq', 'nng', 'boost-mq', 'ck-spsc', 'ck-mpmc', 'dpdk-ring', 'iceoryx2']
# Every loop checks the messages' ends, and the sample the bytes between: so odd sizes, too.
SIZES = [8, 67, 5000]


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
        return [int(child) for child in file.read().split()]


class Systems(tool.Case):
    found = None

    def rows(self):
        """One round of all, by system: measured once for all tests."""
        if not Systems.found:
            Systems.found = self.measure()
        return Systems.found

    def measure(self):
        names, sizes = ','.join(KERNELS + LIBRARIES), ','.join(map(str, SIZES))
        done = self.run_tool(
            *['bench', '--json', '--quick', '--case', 'latency,rate', '--rounds', '1'],
            *['--against', names, '--size', sizes],
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {
            name: [row for row in rows if row['system'] == name] for name in KERNELS + LIBRARIES
        }

    def check_skipped(self, name, reason):
        if name in KERNELS:
            self.assertRegex(reason, '^messages of|^this kernel')
        else:
            self.assertRegex(reason, '^this yoke was built without .*; `./dev bench` builds one')

    def test_messages_arrive_whole_in_every_case_and_mode(self):
        for name, rows in self.rows().items():
            with self.subTest(name):
                self.assertEqual({row['case'] for row in rows}, {'latency', 'rate'})
                self.assertEqual({row['size'] for row in rows}, set(SIZES))
                for row in rows:
                    if 'skipped' in row:
                        self.check_skipped(name, row['skipped'])
                    self.assertNotIn('failed', row)

    def kill_workers(self, child):
        """Of every sample that it takes, until its end."""
        while child.poll() is None:
            time.sleep(0.02)  # not to wait for anything: somewhere in the middle of a sample
            try:
                os.kill(children(child.pid)[-1], signal.SIGKILL)
            except (IndexError, ProcessLookupError):
                pass  # between two samples

    def check_nothing_left(self, pid):
        """What tests/support/isolate does not look at; it looks for the rest."""
        for path in '/tmp', '/dev/shm':
            self.assertEqual(glob.glob(f'{path}/yoke-bench-{pid}-*'), [])

    def test_killed_workers_fail_their_rows_and_leave_nothing(self):
        for name, rows in self.rows().items():
            if any('skipped' in row for row in rows if row['size'] == SIZES[0]):
                continue
            with self.subTest(name):
                child = self.start(
                    *['bench', '--json', '--case', 'latency,rate', '--rounds', '2'],
                    *['--against', name, '--size', '64'],
                )
                self.kill_workers(child)
                output, complaint = child.communicate(timeout=tool.DEADLINE)
                rows = [json.loads(line) for line in output.splitlines()]
                failed = {row['system'] for row in rows if 'failed' in row}
                self.assertIn(name, failed, complaint)
                self.assertEqual(child.returncode, 1, complaint)
                self.check_nothing_left(child.pid)


if __name__ == '__main__':
    tool.main()
