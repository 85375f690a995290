"""Streams from the command line: bytes in and out, in both places, their end, and what is shown meanwhile."""

import json
import os
import signal
import subprocess

import terminal
import tool

CAPACITY = 8192


class Streams(tool.Case):
    def setUp(self):
        super().setUp()
        self.address = self.forget('stream:' + self.base)
        self.kernel = self.forget(f'stream:{self.base}@kernel')

    def create(self, *options):
        self.yoke('stream', 'create', self.base, *options)

    def write(self, data, address=None, **more):
        return self.yoke('write', address or self.address, stdin=data, **more)

    def start_with(self, command, address, *options, stdin=subprocess.DEVNULL, stdout=None):
        return self.start(command, address, *options, stdin=stdin, stdout=stdout)

    def copy(self, address, size):
        """Through the stream from file to file; the reader first or the writer."""
        source = self.path('source', os.urandom(size))
        for first in ('read', 'write'):
            with open(source, 'rb') as data, open(self.path('copy'), 'wb') as copy:
                files = {'read': {'stdout': copy}, 'write': {'stdin': data}}
                both = [
                    self.start_with(command, address, **files[command])
                    for command in (first, 'write' if first == 'read' else 'read')
                ]
                for one in both:
                    self.assertEqual(one.wait(4 * tool.DEADLINE), 0, one.stderr.read())
            done = subprocess.run(['cmp', source, self.path('copy')], capture_output=True)
            self.assertEqual(done.returncode, 0, done)

    def test_files_of_any_size_are_copied_exactly(self):
        self.create('--capacity', str(CAPACITY))
        for size in (0, 1, CAPACITY - 1, CAPACITY, CAPACITY + 1, 3 * CAPACITY + 17):
            with self.subTest(size=size):
                self.copy(self.address, size)

    def test_a_big_file_is_copied_exactly(self):
        self.copy(self.address, 64 << 20)

    def test_the_kernel_place_does_the_same(self):
        self.create('--place', 'kernel', '--capacity', '64K')
        for size in (0, 1, 65535, 65536, 65537, 5 << 20):
            with self.subTest(size=size):
                self.copy(self.kernel, size)

    def test_what_fits_waits_for_a_reader_that_comes_later(self):
        self.write(b'first ')
        self.write(b'second')
        facts = self.stat(self.address)
        self.assertEqual(facts['capacity'], 1 << 20)
        self.assertEqual((facts['waiting'], facts['written'], facts['read']), (12, 12, 0))
        self.assertEqual(self.yoke('read', self.address), b'first second')
        facts = self.stat(self.address)
        self.assertEqual((facts['waiting'], facts['written'], facts['read']), (0, 12, 12))
        self.assertEqual((facts['readers'], facts['writers']), (0, 0))

    def test_pipes_at_both_sides(self):
        data = os.urandom(300000)
        reader = self.start('read', self.address)
        writer = self.start('write', self.address)
        for at in range(0, len(data), 50000):
            writer.stdin.write(data[at : at + 50000])
            writer.stdin.flush()
            self.assertEqual(reader.stdout.read(50000), data[at : at + 50000])
        writer.stdin.close()
        self.assertEqual(reader.stdout.read(), b'')
        self.assertEqual((writer.wait(tool.DEADLINE), reader.wait(tool.DEADLINE)), (0, 0))

    def test_time_without_a_byte_is_exit_status_3(self):
        for place in (self.address, self.kernel):
            self.yoke('read', place, '--timeout', '0', status=3)
            self.yoke('read', place, '--timeout', '20ms', status=3)
        self.yoke('rm', self.address)
        self.create('--capacity', '4K')
        self.yoke('write', self.address, '--timeout', '20ms', stdin=b'x' * 10000, status=3)
        self.assertIn('4096 bytes before', self.complaint)
        self.yoke('write', self.address, '--timeout', '0', stdin=b'x', status=3)

    def test_death_of_the_last_writer_is_told_after_what_it_wrote(self):
        for place, status in ((self.address, 4), (self.kernel, 0)):  # a pipe does not tell
            writer = self.start('write', place)
            reader = self.start('read', place)
            writer.stdin.write(b'last words')
            writer.stdin.flush()
            self.assertEqual(reader.stdout.read(10), b'last words')
            os.kill(writer.pid, signal.SIGKILL)
            self.assertEqual(reader.stdout.read(), b'')
            self.assertEqual(reader.wait(tool.DEADLINE), status)

    def test_a_reader_that_left_ends_the_writer(self):
        for place, killed, status in (
            (self.address, True, 4),
            (self.address, False, 1),
            (self.kernel, True, 1),
        ):
            with self.subTest(place=place, killed=killed):
                reader = self.start('read', place)
                writer = self.start('write', place, stdin=open('/dev/zero', 'rb'))
                self.assertEqual(reader.stdout.read(4), b'\0' * 4)
                if killed:
                    reader.kill()
                else:
                    reader.stdout.close()
                self.assertEqual(writer.wait(tool.DEADLINE), status)
                reader.wait(tool.DEADLINE)
                self.run_tool('rm', place)

    def test_summary_as_json(self):
        done = self.write(b'12345', status=0)
        self.assertEqual(done, b'')
        written = json.loads(self.yoke('write', self.address, '--json', stdin=b'678'))
        self.assertEqual(written['written'], 3)
        done = self.run_tool('read', self.address, '--json')
        self.assertEqual(done.stdout, b'12345678')
        self.assertEqual(json.loads(done.stderr)['read'], 8)

    def test_progress_of_what_takes_long_is_shown_on_a_terminal_alone(self):
        source = self.path('source', os.urandom(3 << 20))
        self.create('--capacity', '64K')
        for options in ((), ('--quiet',)):
            command = f'exec "$0" write {self.address} {" ".join(options)} < {source}'
            shown = terminal.Terminal(['sh', '-c', command, tool.TOOL])
            self.addCleanup(shown.close)
            if options:
                self.until_waiting(self.address, 'send')
            else:  # nobody reads, so it takes as long as it takes to be shown
                shown.until(r'^64K  \S+/s  2%, \S+ left$', tool.DEADLINE)
            reader = self.start('read', self.address, stdout=subprocess.DEVNULL)
            self.assertEqual(shown.wait(tool.DEADLINE), 0)
            self.assertEqual(reader.wait(tool.DEADLINE), 0)
            self.assertEqual(reader.stderr.read(), b'')
            if options:
                self.assertEqual(shown.raw, b'')
            else:
                self.assertRegex(shown.screen.text(), r'\A3\.0M  \S+/s  100%, \S+ left')

    def test_streams_are_listed_and_shown(self):
        self.create('--capacity', '10000', '--mode', '0640')
        self.create('--place', 'kernel')
        self.write(b'x' * 100)
        listed = {one['address']: one for one in self.json('ls', f'stream:{self.base}*')}
        self.assertEqual(set(listed), {self.address, self.kernel})
        self.assertEqual(listed[self.address]['capacity'], 16384)
        self.assertEqual(listed[self.address]['mode'], '0640')
        self.assertEqual(listed[self.kernel]['capacity'], 65536)
        self.assertEqual(listed[self.kernel]['place'], 'kernel')
        self.assertTrue(listed[self.kernel]['kept'])
        table = self.yoke('ls', 'stream:').decode()
        self.assertRegex(table, rf'{self.address} +16K +100 +0 ')
        self.assertRegex(table, rf'{self.kernel} +64K +- +0 ')
        writer = self.start('write', self.address)
        one = self.until(
            'a writer', lambda: self.stat(self.address)['participants']
        )[0]
        self.assertEqual(one['end'], 'writing')
        self.assertEqual(one['pid'], writer.pid)
        self.assertFalse(one['inside'])
        shown = self.yoke('stat', self.address).decode()
        self.assertIn('capacity      16K\n', shown)
        self.assertIn('ends          1 writer, 0 readers\n', shown)
        self.assertIn('users         none\n', self.yoke('stat', self.kernel).decode())

    def test_creating_again_notes_what_differs_and_disturbs_nobody(self):
        self.create('--capacity', '4K')
        writer = self.start('write', self.address)
        writer.stdin.write(b'abc')
        writer.stdin.flush()
        self.until('bytes', lambda: self.stat(self.address)['waiting'] == 3)
        self.create('--capacity', '1M')
        self.assertIn('keeps its capacity of 4096', self.complaint)
        self.yoke('stream', 'create', self.base, '--exclusive', status=1)
        writer.stdin.write(b'def')
        writer.stdin.close()
        self.assertEqual(writer.wait(tool.DEADLINE), 0)
        self.assertEqual(self.yoke('read', self.address), b'abcdef')

    def test_a_transient_stream_waits_for_its_reader_and_then_goes(self):
        for place in (self.address, self.kernel):
            writer = self.start('write', place, '--transient')
            writer.stdin.write(b'abc')
            writer.stdin.close()
            self.until('its name', lambda: self.json('ls', place))
            self.assertEqual(self.yoke('read', place), b'abc')
            self.assertEqual(writer.wait(tool.DEADLINE), 0)
            self.assertEqual(self.json('ls', place), [])

    def test_what_the_killed_left_is_cleared(self):
        reader = self.start('read', self.kernel, '--transient')
        self.until('its name', lambda: self.json('ls', self.kernel))
        reader.kill()
        reader.wait()
        items = self.json('gc', '--dry-run')
        self.assertIn(self.kernel, json.dumps(items))
        self.assertIn(self.kernel, self.yoke('gc').decode())
        self.yoke('stat', self.kernel, status=1)
        directory = os.environ['YOKE_DIR']
        self.assertEqual([one for one in os.listdir(directory) if 'fifo' in one], [])

    def test_wrong_usage(self):
        for arguments in (
            ('write',),
            ('write', 'port:jobs'),
            ('write', self.address, 'more'),
            ('read', self.address, '--capacity', '0'),
            ('stream', 'create', self.address),
            ('stream', 'create', self.base + '@kernel'),
            ('stream', 'create', self.base, '--transient'),
            ('send', self.address, 'message'),
            ('recv', self.address),
        ):
            with self.subTest(arguments=arguments):
                self.yoke(*arguments, status=2)
        self.yoke('stream', 'create', self.base, '--place', 'moon', status=1)


if __name__ == '__main__':
    tool.main()
