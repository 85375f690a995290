#!/usr/bin/env python3
"""`yoke bench --place` measures both contestants, leaves nothing at the servers, and refuses what it can not do.

    bench.py (beside a server: with_server.py)

That its figures are those of a quiet machine nobody asks here. Environment: YOKE, YOKE_PLUGINS, YOKE_NATS_URL.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'cli')]
import client  # noqa: E402
import tool  # noqa: E402

URL = os.environ['YOKE_NATS_URL']
CASES = {'round', 'ask', 'many', 'one'}


def bench(*arguments, place=URL, **more):
    return subprocess.run([tool.TOOL, 'bench', '--place', place, *arguments], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=4 * tool.DEADLINE, **more)


def streams():
    where = urllib.parse.urlsplit(URL)
    with client.Client((where.hostname, where.port)) as connection:
        return connection.api('STREAM.NAMES').get('streams') or []


class Bench(unittest.TestCase):
    def complaint(self, *arguments, place=URL, status=2):
        done = bench(*arguments, place=place)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, '')
        return done.stderr

    def test_both_contestants_do_all_jobs_and_leave_nothing(self):
        done = bench('--quick', '--rounds', '2', '--json')
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual({(row['case'], row['size']) for row in rows}, {(case, size) for case in CASES for size in (64, 1024)})
        for row in rows:
            self.assertEqual(row['rounds'], 2)
            self.assertGreater(row['nats_client'], 0)
            self.assertEqual('yoke' in row, row['case'] != 'ask')
            if 'yoke' in row:
                self.assertGreater(row['yoke'], 0)
                self.assertGreater(row['ratio'], 0)
        self.assertEqual([name for name in streams() if 'bench' in name], [])

    def test_table_names_what_was_measured(self):
        done = bench('--quick', '--rounds', '1', '--case', 'latency', '--size', '100')
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertRegex(lines[0], 'CASE +SIZE +YOKE +NATS CLIENT +RATIO')
        self.assertRegex(lines[1], r'round trip +100 +\S+ +\S+ +[0-9.]+ +- +1')
        self.assertRegex(lines[2], r'round trip, nothing kept +100 +- +\S+ +- +- +1')

    def test_without_the_client_yoke_alone_is_measured(self):
        with tempfile.TemporaryDirectory() as directory:
            os.symlink(os.path.join(os.environ['YOKE_PLUGINS'], 'nats.so'), os.path.join(directory, 'nats.so'))
            done = bench('--quick', '--rounds', '1', '--case', 'latency', '--size', '64',
                         env=os.environ | {'YOKE_PLUGINS': directory})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r'nats client was not measured .*/nats-direct: No such file')
        self.assertRegex(done.stdout, r'round trip +64 +\S+ +- +- +-')

    def test_server_that_is_not_there_is_one_sentence(self):
        said = self.complaint('--quick', place='nats://127.0.0.1:1', status=1)
        self.assertEqual(said.count('\n'), 1, said)
        self.assertIn('no server of the place answers', said)

    def test_password_is_never_told(self):
        said = self.complaint('--quick', place='nats://user:verysecret@127.0.0.1:1', status=1)
        self.assertNotIn('verysecret', said)

    def test_what_does_not_go_together_is_refused(self):
        self.assertIn('nats://HOST:PORT', self.complaint(place='kernel'))
        self.assertIn('--against', self.complaint('--against', 'pipe'))
        self.assertIn('latency and rate', self.complaint('--case', 'grow'))
        self.assertIn('524288', self.complaint('--size', '1M'))


if __name__ == '__main__':
    if not os.path.exists(os.path.join(os.environ['YOKE_PLUGINS'], 'nats.so')):
        print('this yoke was built without the place nats')
        sys.exit(77)
    tool.main()
