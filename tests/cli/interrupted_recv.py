"""Whatever ends `yoke recv`, no message is lost: what did not get out goes back to the port."""

import fcntl
import json
import os
import signal
import struct
import subprocess
import termios

import tool

COUNT = 3000
LINES = [b'%06d %s' % (number, b'x' * 93) for number in range(COUNT)]


def bytes_in(pipe):
    return struct.unpack('i', fcntl.ioctl(pipe, termios.FIONREAD, b'\0' * 4))[0]


class Interrupted(tool.Case):
    def fill(self):
        address = self.port('--depth', '4096', '--max-message', '128')
        self.yoke('send', address, stdin=b'\n'.join(LINES))
        return address

    def blocked_receiver(self, address):
        """A receiver whose output pipe is full, in the middle of a batch."""
        child = self.start('recv', address, '--follow')
        sizes = [0]

        def is_stuck():
            facts = self.stat(address)
            sizes.append(bytes_in(child.stdout))
            return (
                facts['held'] > 0
                and facts['participants'][0]['state'] == 'S'
                and sizes[-1] == sizes[-2] > 16384
            )

        self.until('a receiver with a full pipe', is_stuck)
        return child

    def rest(self, address):
        done = self.run_tool('recv', address, '--follow', '--timeout', '0', '--json')
        self.assertEqual(done.returncode, 0 if done.stdout else 3, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check_nothing_lost(self, address, written):
        """`written` got out. All else must come now, and what comes twice must say so."""
        whole = written[: written.rfind(b'\n') + 1].split(b'\n')[:-1]
        self.assertEqual(whole, LINES[: len(whole)], 'what was written is not in order')
        rest = self.rest(address)
        again = {message['data'].encode() for message in rest} & set(whole)
        self.assertEqual(set(whole) | {message['data'].encode() for message in rest}, set(LINES))
        self.assertEqual(
            len({message['sequence'] for message in rest}), len(rest), 'delivered twice'
        )
        for message in rest:
            if message['data'].encode() in again:
                self.assertGreater(message['deliveries'], 1, message)
        facts = self.stat(address)
        self.assertEqual(
            (facts['waiting'], facts['held'], facts['parked'], facts['dropped']), (0, 0, 0, 0)
        )
        return len(whole), len(again), sum(message['deliveries'] > 1 for message in rest)

    def test_killed_while_its_output_is_blocked_nothing_is_lost(self):
        address = self.fill()
        child = self.blocked_receiver(address)
        child.kill()
        child.wait()
        written, twice, redelivered = self.check_nothing_lost(address, child.stdout.read())
        tool.diagnose(f'{written} written, {redelivered} redelivered, {twice} of them twice')
        self.assertGreater(redelivered, 0)

    def test_terminated_while_its_output_is_blocked_nothing_is_lost_or_doubled(self):
        address = self.fill()
        child = self.blocked_receiver(address)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(tool.DEADLINE), -signal.SIGTERM)
        _, twice, redelivered = self.check_nothing_lost(address, child.stdout.read())
        self.assertEqual(twice, 0)
        self.assertGreater(redelivered, 0)

    def test_a_closed_pipe_gives_back_what_was_not_written(self):
        address = self.fill()
        child = self.blocked_receiver(address)
        written = child.stdout.read(5 * len(LINES[0]))
        child.stdout.close()
        self.assertEqual(child.wait(tool.DEADLINE), 1)
        self.assertIn(b'Broken pipe', child.stderr.read())
        rest = self.rest(address)
        lost = COUNT - len({message['data'] for message in rest})
        # What the pipe had taken is gone with the pipe, but never more than it can hold.
        self.assertLessEqual(lost, (len(written) + 2 * 65536) // len(LINES[0]))
        self.assertGreater(sum(message['deliveries'] > 1 for message in rest), 0)

    def test_killed_again_and_again_every_message_comes_out_and_twice_only_if_it_says_so(self):
        count, kills = 20000, 12
        address = self.port('--depth', '32768', '--max-message', '128')
        self.yoke('send', address, stdin=b''.join(b'%d\n' % number for number in range(count)))
        deliveries = {}  # of each message that came out: its numbers of deliveries, in that order

        def take(lines):
            for message in map(json.loads, lines):
                deliveries.setdefault(message['data'], []).append(message['deliveries'])

        killed_at_work = 0
        for attempt in range(kills):
            out = self.path(f'out{attempt}')
            with open(out, 'wb') as file:
                child = self.start(
                    'recv', address, '--follow', '--json', '--timeout', '0', stdout=file
                )
            self.until(
                'some output', lambda: os.path.getsize(out) > 10000 or child.poll() is not None
            )
            child.kill()
            killed_at_work += child.wait() == -signal.SIGKILL
            text = self.read(f'out{attempt}')
            take(text[: text.rfind(b'\n') + 1].splitlines())
        for message in self.rest(address):
            deliveries.setdefault(message['data'], []).append(message['deliveries'])

        self.assertEqual(set(deliveries), {str(number) for number in range(count)})
        for data, numbers in deliveries.items():
            self.assertEqual(
                numbers,
                sorted(set(numbers)),
                f'message {data} was delivered twice and did not say so',
            )
        tool.diagnose(
            f'{killed_at_work} of {kills} killed at work, '
            f'{sum(len(numbers) > 1 for numbers in deliveries.values())} messages came out twice'
        )
        self.assertGreater(killed_at_work, 0)
        self.assertEqual(self.stat(address)['dropped'], 0)

    def test_waiting_it_notices_that_nobody_reads_any_more_and_takes_no_message_for_nothing(self):
        address = self.port('--policy', 'once')
        child = self.start('recv', address, '--follow')
        self.until_waiting(address, 'receive')
        child.stdout.close()
        self.assertEqual(child.wait(tool.DEADLINE), 1)
        self.assertIn(b'nobody reads', child.stderr.read())
        self.yoke('send', address, 'precious')
        child = self.start('recv', address, stdout=self.closed_pipe())
        self.assertEqual(child.wait(tool.DEADLINE), 1)
        self.assertEqual(self.json('recv', address, '--timeout', '0')['deliveries'], 1)

    def closed_pipe(self):
        """The writing end of a pipe whose other end is closed."""
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        return writing

    def test_returned_too_often_a_message_is_parked_and_can_be_received_there(self):
        address = self.port('--max-deliveries', '3')
        self.yoke('send', address, 'poison', 'good')
        with open('/dev/full', 'wb') as full:
            for _ in range(3):
                done = subprocess.run(
                    [tool.TOOL, 'recv', address], stdout=full, stderr=subprocess.PIPE
                )
                self.assertEqual(done.returncode, 1)
        self.assertEqual(self.yoke('recv', address, '--timeout', '0'), b'good\n')
        self.yoke('recv', address, '--timeout', '0', status=3)
        self.assertEqual(self.stat(address)['parked'], 1)
        got = self.json('recv', address, '--parked', '--timeout', '0')
        self.assertEqual(got['data'], 'poison')
        self.assertGreaterEqual(got['deliveries'], 3)


if __name__ == '__main__':
    tool.main()
