"""How far a command is: on a terminal, when it takes long; and Ctrl-C, which ends it cleanly."""

import os
import signal

import terminal
import tool


class Progress(tool.Case):
    def on_terminal(self, command, **more):
        """A shell command, in which $0 is the tool."""
        shown = terminal.Terminal(['sh', '-c', command, tool.TOOL], **more)
        self.addCleanup(shown.close)
        return shown

    def test_a_full_port_is_told_to_who_waits_for_room(self):
        address = self.port('--depth', '4')
        for command in (f'seq 9 | exec "$0" send {address}', f'exec "$0" send {address} 5 6 7'):
            shown = self.on_terminal(command)
            # 4 of the first, none of the second, which finds it full
            shown.until(r'^[04] sent  \S+/s  it is full: waiting for room$', tool.DEADLINE)
            shown.keys('\x03')
            self.assertIn(shown.wait(tool.DEADLINE), (-signal.SIGINT, 128 + signal.SIGINT))
            self.assertEqual(shown.screen.text().strip().replace('^C', ''), '')
            self.assertTrue(shown.modes_are_as_before())
        self.assertEqual(self.yoke('recv', address, '--count', '4'), b'1\n2\n3\n4\n')

    def test_it_goes_on_and_leaves_no_line_behind(self):
        address = self.port('--depth', '2')
        shown = self.on_terminal(f'seq 5 | exec "$0" send {address}')
        shown.until('waiting for room', tool.DEADLINE)
        self.assertEqual(self.yoke('recv', address, '--count', '5'), b'1\n2\n3\n4\n5\n')
        self.assertEqual(shown.wait(tool.DEADLINE), 0)
        self.assertEqual(shown.screen.text().strip(), '')

    def test_the_time_that_was_given_is_kept(self):
        address = self.port('--depth', '1')
        shown = self.on_terminal(f'exec "$0" send {address} 1 2 --timeout 1500ms', columns=120)
        self.assertEqual(shown.wait(tool.DEADLINE), 3)
        self.assertEqual(
            shown.screen.text().strip(),
            f'yoke: message 2: {address} was full for 1s; 1 sent before',
        )

    def test_what_is_typed_is_not_written_over(self):
        address = self.port()
        shown = self.on_terminal(f'exec "$0" send {address}')
        shown.keys('first\n')
        self.assertEqual(self.yoke('recv', address, '--timeout', '100s'), b'first\n')
        shown.keys('\x04')
        self.assertEqual(shown.wait(tool.DEADLINE), 0)
        self.assertEqual(shown.screen.text().strip(), 'first')

    def test_ctrl_c_ends_what_waits_and_leaves_nothing(self):
        address = self.port('--depth', '1')
        self.yoke('send', address, 'one')
        empty = self.port(name=self.base + '-empty')
        stream = self.forget(f'stream:{self.base}')
        self.yoke('stream', 'create', self.base)
        before = set(os.listdir(os.environ['YOKE_DIR']))
        for command, begun in (
            (f'recv {empty}', lambda: self.until_waiting(empty, 'receive')),
            (f'recv {empty} --follow', lambda: self.until_waiting(empty, 'receive')),
            (f'send {address} two', lambda: self.until_waiting(address, 'send')),
            (f'read {stream}', lambda: self.until_waiting(stream, 'receive')),
            (f'port create {self.base}-held --transient --hold', None),
            (f'wait --as {self.base}', None),
            (f'tap {empty} --follow', None),
            (f'stat {empty} --watch', None),
            ('ls --watch', None),
            ('top', None),
            ('top --once --interval 1h', None),
            ('bench --quick', None),
        ):
            with self.subTest(command=command):
                if command == 'top' and not terminal.has_screen(tool.TOOL):
                    continue
                shown = self.on_terminal(f'exec "$0" {command}')
                if begun:
                    begun()
                else:
                    # it has said something, or has come to where signals are caught
                    self.until('its handler', lambda: self.catches(shown))
                shown.keys('\x03')
                status = shown.wait(tool.DEADLINE)
                self.assertIn(status, (0, -signal.SIGINT))
                self.assertTrue(shown.modes_are_as_before())
                shown.close()
                self.until(
                    'nothing left',
                    lambda: {
                        one
                        for one in set(os.listdir(os.environ['YOKE_DIR'])) - before
                        if not one.startswith(('.lock-', '.intents-'))
                    }
                    == set(),
                )

    @staticmethod
    def catches(shown):
        """Does it catch SIGINT by now?"""
        shown.read(0)
        with open(f'/proc/{shown.child.pid}/status') as file:
            caught = next(line for line in file if line.startswith('SigCgt:'))
        with open(f'/proc/{shown.child.pid}/comm') as file:
            return file.read() != 'sh\n' and int(caught.split()[1], 16) >> signal.SIGINT - 1 & 1


if __name__ == '__main__':
    tool.main()
