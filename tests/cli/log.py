#!/usr/bin/env python3
"""$YOKE_LOG: silent unless asked, and then a line for each decision of a slow path, whole lines only."""

import os
import re
import signal

import tool


class Log(tool.Case):
    def lines(self, value, *arguments, status=0, **more):
        """What the library writes beside the tool's own complaints."""
        environment = dict(os.environ, YOKE_LOG=value)
        done = self.run_tool(*arguments, env=environment, **more)
        self.assertEqual(done.returncode, status, done.stderr.decode())
        return done.stderr.decode().splitlines()

    def die_with_a_message(self, address):
        """A receiver that is killed while it has one borrowed; its pid."""
        self.yoke('send', address, 'precious')
        child = self.start('recv', address, '--exec', 'sleep 1000 & echo $!; wait')
        sleeper = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        os.kill(sleeper, signal.SIGKILL)
        return child.pid


class Silence(Log):
    def test_nothing_is_written_unless_asked_for(self):
        address = self.port()
        self.die_with_a_message(address)
        for value in ('', 'off'):
            self.assertEqual(self.lines(value, 'stat', address), [])
        environment = {name: value for name, value in os.environ.items() if name != 'YOKE_LOG'}
        done = self.run_tool('recv', address, env=environment)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b'precious\n', b''))

    def test_another_value_is_refused_in_one_line_and_nothing_else_is_written(self):
        address = self.port()
        lines = self.lines('verbose\n', 'send', address, 'text')
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], r"^yoke\[\d+\]: YOKE_LOG is 'verbose\?', which is neither debug nor off")


class Debug(Log):
    def test_every_line_begins_with_the_process(self):
        for line in self.lines('debug', 'port', 'create', self.base):
            self.assertRegex(line, r'^yoke\[\d+\]: ')
        self.forget(f'port:{self.base}')

    def test_creating_opening_closing_and_removing_are_told(self):
        name = re.escape(f'port:{self.base}')
        made = self.lines('debug', 'port', 'create', self.base)
        self.forget(f'port:{self.base}')
        used = self.lines('debug', 'send', f'port:{self.base}', 'secret')
        gone = self.lines('debug', 'rm', f'port:{self.base}')
        self.assertRegex('\n'.join(made), rf'(?m)^yoke\[\d+\]: {name}: created, kept, \d+ bytes, participant')
        self.assertRegex('\n'.join(used), rf'(?m)^yoke\[\d+\]: {name}: opened, kept, \d+ bytes, participant')
        self.assertRegex('\n'.join(used), rf'(?m)^yoke\[\d+\]: {name}: closed, ')
        self.assertRegex('\n'.join(gone), rf'(?m)^yoke\[\d+\]: {name}: removed$')

    def test_no_message_and_no_address_of_memory_is_written(self):
        address = self.port()
        text = '\n'.join(self.lines('debug', 'send', address, 'secret') + self.lines('debug', 'recv', address))
        self.assertNotIn('secret', text)
        self.assertNotIn('0x', text)

    def test_the_recovery_of_a_killed_receiver_says_whose_and_what_was_given_back(self):
        address = self.port()
        dead = self.die_with_a_message(address)
        lines = self.lines('debug', 'recv', address)
        said = [line for line in lines if f'process {dead}, is dead: recovered, 1 messages given back' in line]
        self.assertEqual(len(said), 1, lines)
        self.assertIn(f'{address}: participant ', said[0])

    def test_a_weaker_way_taken_is_told(self):
        # the link itself, in no process: only its opening is wanted
        environment = dict(os.environ, YOKE_LOG='debug', YOKE_MEMBARRIER='off')
        done = self.run_tool('send', '--as', 'alice', 'link:bob', 'hi', env=environment)
        self.forget('link:alice/bob')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('membarrier() is not to be had here, or YOKE_MEMBARRIER is off', done.stderr.decode())

    def test_a_standard_error_that_can_not_be_written_changes_nothing(self):
        address = self.port()
        with open('/dev/full', 'wb') as full:
            done = self.started(full, 'send', address, 'text')
            self.assertEqual(done, 0)
        self.assertEqual(self.yoke('recv', address), b'text\n')

    def test_nobody_waits_for_who_reads_standard_error(self):
        address = self.port()
        self.die_with_a_message(address)  # recovered under locks, with a line
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        os.set_blocking(writing, False)
        for size in (4096, 1):
            try:
                while True:
                    os.write(writing, b'x' * size)
            except BlockingIOError:
                pass
        os.set_blocking(writing, True)
        self.assertEqual(self.started(writing, 'recv', address), 0)

    def started(self, stderr, *arguments):
        child = self.start(*arguments, env=dict(os.environ, YOKE_LOG='debug'), stderr=stderr)
        return child.wait(tool.DEADLINE)


if __name__ == '__main__':
    tool.main()
