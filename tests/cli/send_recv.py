"""Messages in, messages out."""

import base64
import json
import os
import random
import signal
import subprocess

import tool


class Messages(tool.Case):
    def test_arguments_are_messages(self):
        address = self.port()
        self.assertEqual(
            self.yoke('send', address, 'one message', '', 'ümlaut', '--', '-5', '--json'), b''
        )
        self.assertEqual(
            self.yoke('recv', address, '--count', '5'),
            'one message\n\nümlaut\n-5\n--json\n'.encode(),
        )

    def test_by_default_one_is_received(self):
        address = self.port()
        self.yoke('send', address, 'a', 'b')
        self.assertEqual(self.yoke('recv', address), b'a\n')
        self.assertEqual(self.stat(address)['waiting'], 1)

    def test_lines_are_messages_the_last_with_or_without_newline(self):
        address = self.port()
        for text in (b'a\n\nb\n', b'a\n\nb'):
            self.assertEqual(self.json('send', address, stdin=text), {'sent': 3})
            self.assertEqual(self.yoke('recv', address, '--count', '3'), b'a\n\nb\n')
        self.assertEqual(self.json('send', address, stdin=b''), {'sent': 0})
        self.assertEqual(self.json('send', address, stdin=b'\n'), {'sent': 1})

    def test_nul_separated_messages_may_hold_newlines(self):
        address = self.port()
        self.yoke('send', address, '--null', stdin=b'two\nlines\0second\0')
        self.assertEqual(self.yoke('recv', address, '-0', '--count', '2'), b'two\nlines\0second\0')

    def test_lines_as_long_as_the_port_allows(self):
        address = self.port('--max-message', '3M', '--depth', '4')
        lines = [
            os.urandom(size // 2).hex().encode() for size in (3 << 20, 0, (3 << 20) - 2, 600000)
        ]
        self.yoke('send', address, stdin=b'\n'.join(lines))
        self.assertEqual(self.yoke('recv', address, '--count', '4').split(b'\n')[:-1], lines)

    def test_a_line_does_not_wait_for_the_next(self):
        address = self.port()
        sender = self.start('send', address)
        receiver = self.start('recv', address, '--follow')
        for line in (b'first\n', b'second\n'):
            sender.stdin.write(line)
            sender.stdin.flush()
            self.assertEqual(receiver.stdout.readline(), line)

    def test_the_highest_priority_comes_first(self):
        address = self.port('--priorities', '3')
        for priority in ('0', '2', '1'):
            self.yoke('send', address, '--priority', priority, f'{priority}a', f'{priority}b')
        self.assertEqual(
            self.yoke('recv', address, '--count', '6').split(),
            [b'2a', b'2b', b'1a', b'1b', b'0a', b'0b'],
        )
        done = self.run_tool('send', address, '--priority', '3', 'x')
        self.assertIn(done.returncode, (1, 2))
        self.assertIn(b'3', done.stderr)

    def test_details_travel_along(self):
        address = self.port('--priorities', '2')
        sender = self.start('send', address, '--tag', '42', '--priority', '1', 'hello')
        sender.wait(tool.DEADLINE)
        got = self.json('recv', address)
        self.assertEqual(
            {key: got[key] for key in ('data', 'size', 'priority', 'deliveries', 'tag', 'sender')},
            {
                'data': 'hello',
                'size': 5,
                'priority': 1,
                'deliveries': 1,
                'tag': 42,
                'sender': sender.pid,
            },
        )
        self.yoke('send', address, '--tag', str(2**64 - 1), 'x')
        self.assertEqual(self.json('recv', address)['tag'], str(2**64 - 1))
        self.yoke('send', address, 'a\tb')
        details, text = self.yoke('recv', address, '--details').decode().split('\t', 1)
        self.assertEqual(text, 'a\tb\n')
        self.assertRegex(
            details, r'\Asequence=\d+ priority=0 deliveries=1 tag=0 sender=\d+ size=3\Z'
        )

    def test_json_carries_any_bytes(self):
        address = self.port('--depth', '64')
        texts = [
            '',
            'plain',
            'quote " and \\',
            'newline \n tab \t bell \a',
            'nul \0 inside',
            'ümlaut €, 🐂',
        ]
        binary = [
            b'\xff',
            b'\xc3',
            b'half \xe2\x82',
            b'\x80\x00' * 100,
            bytes(range(256)),
            b'ab\xfe',
            b'abc\xfe',
        ]
        for data in [text.encode() for text in texts] + binary:
            self.yoke('send', address, '--file', self.path('f', data))
        received = self.yoke('recv', address, '--json', '--count', str(len(texts) + len(binary)))
        lines = [json.loads(line) for line in received.splitlines()]
        self.assertEqual([line['data'] for line in lines[: len(texts)]], texts)
        self.assertEqual(
            [base64.b64decode(line['data_base64']) for line in lines[len(texts) :]], binary
        )
        self.assertEqual(
            [line['size'] for line in lines[len(texts) :]], [len(data) for data in binary]
        )
        self.assertFalse(any('data' in line for line in lines[len(texts) :]))

    def test_create_makes_a_kept_port(self):
        address = self.forget(f'port:{self.base}')
        self.yoke('send', address, 'x', status=1)
        self.yoke('send', address, '--create', 'x')
        self.assertTrue(self.stat(address)['kept'])
        self.yoke('send', address, '--create', 'y')
        self.assertEqual(self.yoke('recv', address, '--count', '2'), b'x\ny\n')


class Files(tool.Case):
    def test_any_bytes_come_out_as_they_went_in(self):
        address = self.port('--max-message', '1M', '--depth', '16')
        pieces = [
            b'',
            b'\n',
            bytes(range(256)),
            os.urandom(1 << 20),
            os.urandom(65536),
            random.randbytes(12345),
        ]
        names = [self.path(f'in{i}', piece) for i, piece in enumerate(pieces)]
        arguments = [word for name in names for word in ('--file', name)]
        self.assertEqual(self.json('send', address, *arguments), {'sent': len(pieces)})
        self.yoke('recv', address, '--count', str(len(pieces)), '--file', self.path('out'))
        self.assertEqual([self.read(f'out.{i + 1}') for i in range(len(pieces))], pieces)

    def test_one_message_goes_to_the_very_file_and_replaces_what_was_there(self):
        address = self.port()
        out = self.path('out', b'something longer than the message')
        self.yoke('send', address, 'short')
        self.assertEqual(self.yoke('recv', address, '--file', out), b'')
        self.assertEqual(self.read('out'), b'short')

    def test_the_file_stays_as_it_was_when_nothing_came(self):
        address = self.port()
        out = self.path('out', b'old')
        self.yoke('recv', address, '--file', out, '--timeout', '0', status=3)
        self.assertEqual(self.read('out'), b'old')
        self.yoke('recv', address, '--file', self.path('new'), '--timeout', '0', status=3)
        self.assertFalse(os.path.exists(self.path('new')))

    def test_a_file_that_can_not_be_written_costs_no_message(self):
        address = self.port('--policy', 'once')
        self.yoke('send', address, 'precious')
        self.yoke('recv', address, '--file', self.path('no/such/directory'), status=1)
        self.assertIn('no/such/directory', self.complaint)
        self.assertEqual(self.json('recv', address)['deliveries'], 1)

    def test_standard_input_as_one_message(self):
        address = self.port()
        self.yoke('send', address, '--file', '-', stdin=b'a\nb\n\0')
        self.assertEqual(self.yoke('recv', address), b'a\nb\n\0\n')

    def test_a_full_disk_gives_the_messages_back(self):
        address = self.port()
        self.yoke('send', address, 'precious')
        self.yoke('recv', address, '--file', '/dev/full', status=1)
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([tool.TOOL, 'recv', address], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b'No space left', done.stderr)
        got = self.json('recv', address)
        self.assertEqual((got['data'], got['deliveries']), ('precious', 3))


class Time(tool.Case):
    def test_empty_is_status_3(self):
        address = self.port()
        self.yoke('recv', address, '--timeout', '0', status=3)
        self.assertIn('empty', self.complaint)
        self.yoke('recv', address, '--timeout', '20ms', status=3)
        self.assertIn('20ms', self.complaint)

    def test_full_is_status_3_and_what_was_sent_stays(self):
        address = self.port('--depth', '4')
        depth = self.stat(address)['depth']
        for wait, word in (('0', 'full'), ('20ms', '20ms')):
            self.yoke('send', address, '--timeout', wait, stdin=b'x\n' * 100, status=3)
            self.assertIn(f'line {depth + 1}', self.complaint)
            self.assertIn(word, self.complaint)
            done = self.run_tool('send', address, '--timeout', wait, '--json', 'y')
            self.assertEqual((done.returncode, json.loads(done.stdout)), (3, {'sent': 0}))
            self.assertEqual(self.yoke('recv', address, '--count', str(depth)), b'x\n' * depth)

    def test_a_sender_waits_for_room(self):
        address = self.port('--depth', '4')
        sender = self.start('send', address)
        sender.stdin.write(b''.join(b'%d\n' % i for i in range(1000)))
        sender.stdin.close()
        self.until('a full port', lambda: self.stat(address)['waiting'] >= 4)
        self.assertEqual(
            self.yoke('recv', address, '--count', '1000').split(), [b'%d' % i for i in range(1000)]
        )
        self.assertEqual(sender.wait(tool.DEADLINE), 0)

    def test_count_not_reached_is_status_3_though_some_came(self):
        address = self.port()
        self.yoke('send', address, 'a', 'b')
        self.assertEqual(
            self.yoke('recv', address, '--count', '3', '--timeout', '20ms', status=3), b'a\nb\n'
        )
        self.assertIn('2 received', self.complaint)

    def test_follow_is_status_3_only_if_nothing_came_at_all(self):
        address = self.port()
        self.yoke('recv', address, '--follow', '--timeout', '20ms', status=3)
        self.yoke('send', address, 'a', 'b')
        self.assertEqual(self.yoke('recv', address, '--follow', '--timeout', '20ms'), b'a\nb\n')


class Signals(tool.Case):
    def test_a_waiting_receiver_ends_by_the_signal_that_came(self):
        address = self.port()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            child = self.start('recv', address, '--follow')
            self.until_waiting(address, 'receive')
            child.send_signal(number)
            self.assertEqual(child.wait(tool.DEADLINE), -number)
            self.assertEqual(child.stderr.read(), b'')
            self.assertEqual(self.stat(address)['participants_used'], 0)

    def test_a_sender_that_waits_for_room_ends_and_what_it_sent_stays(self):
        address = self.port('--depth', '4')
        child = self.start('send', address)
        child.stdin.write(b'x\n' * 100)
        child.stdin.flush()
        self.until_waiting(address, 'send')
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(tool.DEADLINE), -signal.SIGTERM)
        facts = self.stat(address)
        self.assertEqual((facts['participants_used'], facts['waiting']), (0, facts['depth']))

    def test_a_sender_that_waits_for_input_ends(self):
        address = self.port()
        child = self.start('send', address, '--json')
        child.stdin.write(b'only\n')
        child.stdin.flush()
        self.until('the message', lambda: self.stat(address)['waiting'] == 1)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(tool.DEADLINE), -signal.SIGINT)
        self.assertEqual(json.loads(child.stdout.read()), {'sent': 1})

    def test_ignored_signals_stay_ignored(self):
        address = self.port()
        child = self.start(
            'recv', address, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
        )
        self.until_waiting(address, 'receive')
        child.send_signal(signal.SIGHUP)
        self.yoke('send', address, 'after all')
        self.assertEqual(child.communicate(timeout=tool.DEADLINE)[0], b'after all\n')



class Exec(tool.Case):
    def work(self, address, command, *options, **more):
        return self.yoke('recv', address, '--exec', command, '--timeout', '0', *options, **more)

    def test_each_message_is_the_input_of_a_command_of_its_own(self):
        address = self.port()
        self.yoke('send', address, 'a', '', 'c d')
        self.assertEqual(self.work(address, 'echo "<$(cat)>"'), b'<a>\n<>\n<c d>\n')
        self.assertEqual(self.stat(address)['waiting'], 0)

    def test_its_details_are_in_the_environment(self):
        address = self.port('--priorities', '3')
        self.yoke('send', address, '--priority', '2', '--tag', '18446744073709551615', 'text')
        said = self.work(
            address,
            'echo $YOKE_ADDRESS $YOKE_SIZE $YOKE_PRIORITY $YOKE_DELIVERIES $YOKE_TAG; '
            'echo $YOKE_SEQUENCE $YOKE_SENDER',
        )
        first, second = said.decode().splitlines()
        self.assertEqual(first, f'{address} 4 2 1 18446744073709551615')
        self.assertRegex(second, r'\A\d+ \d+\Z')

    def test_a_message_of_any_bytes_and_size_arrives_whole(self):
        address = self.port('--max-message', '3M', '--depth', '2')
        data = os.urandom(3 << 20)
        self.yoke('send', address, '--file', self.path('in', data))
        self.work(address, f'cat > {self.path("out")}')
        self.assertEqual(self.read('out'), data)

    def test_what_a_command_failed_on_comes_again_with_its_number_of_deliveries(self):
        address = self.port()
        self.yoke('send', address, 'hard', 'easy')
        try_it = 'x=$(cat); echo $x $YOKE_DELIVERIES; [ $x = easy ] || [ $YOKE_DELIVERIES = 3 ]'
        said = self.work(address, try_it, status=1)
        self.assertEqual(
            sorted(said.decode().splitlines()), ['easy 1', 'hard 1', 'hard 2', 'hard 3']
        )
        self.assertIn('failed with status 1 (delivery 2)', self.complaint)
        self.assertEqual(self.stat(address)['waiting'], 0)

    def test_a_message_whose_command_always_fails_is_parked_and_says_why(self):
        address = self.port('--max-deliveries', '2')
        self.yoke('send', address, 'poison')
        self.work(address, 'kill -9 $$', status=1)
        self.assertIn('killed by SIGKILL (delivery 2)', self.complaint)
        self.assertEqual(self.stat(address)['parked'], 1)

    def test_count_says_how_many_are_to_succeed(self):
        address = self.port()
        self.yoke('send', address, '1', '2', '3')
        self.assertEqual(self.work(address, 'cat', '--count', '2'), b'12')
        self.assertEqual(self.stat(address)['waiting'], 1)

    def test_as_many_run_at_once_as_there_are_jobs(self):
        address = self.port()
        self.yoke('send', address, '1', '2', '3', '4')
        # each goes on only when all four are there
        meet = (
            f'cd {self.scratch}; touch here.$YOKE_SEQUENCE; '
            'until [ $(ls here.* | wc -l) = 4 ]; do sleep 0.01; done'
        )
        self.work(address, meet, '--jobs', '4')
        self.assertEqual(self.stat(address)['waiting'], 0)

    def test_its_message_stays_borrowed_while_a_command_runs(self):
        address = self.port()
        gate = self.path('gate')
        os.mkfifo(gate)
        worker = self.start('recv', address, '--exec', f'echo started; cat {gate}')
        self.yoke('send', address, 'x')
        self.assertEqual(worker.stdout.readline(), b'started\n')
        self.assertEqual(self.stat(address)['held'], 1)
        worker.send_signal(signal.SIGTERM)  # takes no more, and waits for what runs
        with open(gate, 'w'):
            pass
        self.assertEqual(worker.wait(), -signal.SIGTERM)
        facts = self.stat(address)
        self.assertEqual((facts['held'], facts['waiting']), (0, 0))

    def test_a_killed_worker_loses_nothing_and_its_command_ends(self):
        address = self.port()
        gate = self.path('gate')
        os.mkfifo(gate)
        worker = self.start('recv', address, '--exec', f'exec cat {gate} -')
        self.yoke('send', address, 'precious')
        self.until('a borrowed message', lambda: self.stat(address)['held'] == 1)
        worker.kill()
        worker.wait()
        # the pipe ends when the command is gone, too
        self.assertEqual(worker.stdout.read(), b'')
        self.assertEqual(self.yoke('recv', address), b'precious\n')

    def test_a_link_has_workers_too(self):
        self.forget('link:a/b')
        self.yoke('send', '--as', 'a', 'link:b', 'x', 'y')
        self.assertEqual(self.work('link:a', 'cat', '--as', 'b', '--count', '2'), b'xy')

    def test_what_can_not_be_is_refused(self):
        address = self.port()
        self.yoke('recv', address, '--jobs', '2', status=2)
        self.yoke('recv', address, '--exec', 'cat', '--json', status=2)
        self.yoke('recv', address, '--exec', 'cat', '--follow', '--count', '1', status=2)
        self.yoke('port', 'create', 'q', '--place', 'kernel', '--depth', '2')
        self.forget('port:q@kernel')
        self.yoke('recv', 'port:q@kernel', '--exec', 'cat', status=1)
        self.assertIn('given back', self.complaint)


if __name__ == '__main__':
    tool.main()
