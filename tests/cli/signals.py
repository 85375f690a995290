"""Signals from the command line: yoke signal and yoke wait --as."""

import json
import os
import signal

import tool


class Signals(tool.Case):
    def setUp(self):
        super().setUp()
        self.peer = f'peer:{self.base}'

    def start_wait(self, *arguments):
        """A receiver that takes signals by the time that this returns."""
        child = self.start('wait', '--as', self.base, '--json', *arguments)
        address = self.peer + ('@kernel' if '--kernel' in arguments else '')
        self.yoke('signal', address, '0', '--timeout', '120s')
        self.assertEqual(json.loads(child.stdout.readline())['number'], 0)
        return child

    def next(self, child):
        return json.loads(child.stdout.readline())

    def signal(self, *arguments, **more):
        return self.yoke('signal', *arguments, **more)

    def test_number_value_and_sender_arrive_in_order(self):
        for place in ('', '@kernel'):
            with self.subTest(place):
                child = self.start_wait('--follow', *(['--kernel'] if place else []))
                sender = 'alice-' + self.base
                self.signal('--as', sender, self.peer + place, '7', '--value', '42')
                self.signal(self.peer + place, '8', '--value', str(2**64 - 1))
                first, second = self.next(child), self.next(child)
                self.assertEqual((first['number'], first['value']), (7, 42))
                self.assertEqual(first['sender'], sender)
                self.assertEqual((second['number'], second['sender']), (8, ''))
                self.assertEqual(second['value'], str(2**64 - 1))
                self.assertLess(first['sequence'], second['sequence'])
                for one in (first, second):
                    self.assertEqual(one['uid'], os.getuid())
                    # who sent the first has ended, so its name can not be proven any more
                    wanted = ('proven', 'named') if place else ('stated',)
                    self.assertIn(one['origin'], wanted)
                self.end(child)

    def test_for_people(self):
        child = self.start('wait', '--as', self.base, '--timeout', '120s')
        self.signal(self.peer, '7', '--value', '42', '--timeout', '120s')
        self.assertRegex(
            child.stdout.read().decode(),
            r'\Anumber=7 value=42 sequence=\d+ sender= pid=\d+ uid=\d+ origin=stated\n\Z',
        )
        self.assertEqual(child.wait(tool.DEADLINE), 0)

    def test_unix_signals_of_both_kinds(self):
        child = self.start_wait('--follow', '--catch', 'TERM,SIGUSR1,RTMIN+2')
        self.signal(self.peer, '--unix', 'TERM')
        one = self.next(child)
        self.assertEqual((one['unix'], one['number'], one['merged']), ('TERM', 15, True))
        self.assertEqual(one['origin'], 'proven')
        self.signal(self.peer, '--unix', 'RTMIN+2', '--value', '99')
        one = self.next(child)
        self.assertEqual((one['unix'], one['value'], one['merged']), ('RTMIN+2', 99, False))
        self.assertEqual(one['origin'], 'stated')
        os.kill(child.pid, signal.SIGUSR1)  # whoever sends it
        self.assertEqual(self.next(child)['pid'], os.getpid())

    def test_caught_signal_is_received_from_the_moment_when_the_peer_is_seen(self):
        for _ in range(10):
            child = self.start('wait', '--as', self.base, '--catch', 'USR1', '--json')
            self.yoke('wait', '--for', self.peer, '--timeout', str(tool.DEADLINE))
            with open(f'/proc/{child.pid}/status') as file:
                blocked = next(int(line.split()[1], 16) for line in file if line.startswith('SigBlk'))
            self.assertTrue(blocked >> (signal.SIGUSR1 - 1) & 1)
            os.kill(child.pid, signal.SIGUSR1)
            self.assertEqual(self.next(child)['unix'], 'USR1')
            self.assertEqual(child.wait(tool.DEADLINE), 0)

    def test_unix_signal_reaches_who_does_not_catch_it(self):
        child = self.start_wait('--follow')
        self.signal(self.peer, '--unix', '15')
        self.assertEqual(child.wait(tool.DEADLINE), -signal.SIGTERM)
        self.signal(self.peer, '--unix', '15', status=1)
        self.assertIn('nobody', self.complaint)

    def test_nobody_there_and_none_taken(self):
        self.signal(self.peer, '1', status=1)
        self.assertIn(self.peer, self.complaint)
        self.signal(self.peer, '1', '--timeout', '50ms', status=3)
        link = self.forget(f'link:{self.base}/nobody-{self.base}')
        child = self.start('recv', '--as', self.base, f'link:nobody-{self.base}')
        self.yoke('wait', '--for', self.peer, '--timeout', '120s')
        self.signal(self.peer, '1', status=1)
        self.assertIn('takes no signals', self.complaint)
        self.signal(self.peer + '@kernel', '1', status=1)
        self.end(child)
        self.assertTrue(link)

    def test_full_queue_is_exit_status_3_and_says_so(self):
        child = self.start_wait('--follow', '--kernel')
        os.kill(child.pid, signal.SIGSTOP)
        for _ in range(100000):
            done = self.run_tool('signal', self.peer + '@kernel', '1')
            if done.returncode != 0:
                break
        self.assertEqual(done.returncode, 3)
        self.assertIn(b'max_dgram_qlen', done.stderr)
        os.kill(child.pid, signal.SIGCONT)

    def test_count_follow_and_time(self):
        self.yoke('wait', '--as', self.base, '--timeout', '0', status=3)
        self.yoke('wait', '--as', self.base, '--timeout', '20ms', '--follow', status=3)
        child = self.start_wait('--count', '3', '--timeout', '120s')
        self.signal(self.peer, '1')
        self.signal(self.peer, '2')
        self.assertEqual([self.next(child)['number'] for _ in range(2)], [1, 2])
        self.assertEqual(child.wait(tool.DEADLINE), 0)

    def test_killed_receiver_leaves_nothing_to_the_next(self):
        child = self.start_wait('--follow')
        os.kill(child.pid, signal.SIGSTOP)
        for number in range(5):
            self.signal(self.peer, str(number + 1))
        self.end(child)
        self.yoke('wait', '--as', self.base, '--timeout', '0', status=3)

    def test_shown_as_what_it_is(self):
        child = self.start_wait('--follow')
        address = f'signals:{self.base}'
        self.assertIn(address, [one['address'] for one in self.json('ls')])
        facts = self.stat(address)
        self.assertEqual((facts['kind'], facts['sent'], facts['waiting']), ('signals', 1, 0))
        self.assertEqual(facts['participants'][0]['pid'], child.pid)
        self.yoke('rm', address, status=1)
        self.yoke('send', address, 'x', status=2)
        self.end(child)
        self.yoke('wait', '--as', self.base, '--timeout', '0', status=3)
        self.assertNotIn(address, [one['address'] for one in self.json('ls')])

    def inbox_of(self, peer):
        """What `yoke peers` says of its signals; None: it takes none."""
        return next(one for one in self.json('peers') if one['name'] == peer).get('signals')

    def test_peers_show_who_takes_signals_and_how_many_wait(self):
        other = 'other-' + self.base
        self.forget(f'link:{other}/nobody-{self.base}')
        self.start('recv', '--as', other, f'link:nobody-{self.base}')
        self.yoke('wait', '--for', f'peer:{other}', '--timeout', '120s')
        child = self.start_wait('--follow')
        os.kill(child.pid, signal.SIGSTOP)
        for number in range(3):
            self.signal(self.peer, str(number))
        address = f'signals:{self.base}'
        self.assertEqual(
            self.inbox_of(self.base),
            {'address': address, 'place': 'memory', 'depth': 1024, 'waiting': 3},
        )
        self.assertIsNone(self.inbox_of(other))
        self.assertEqual(self.stat(self.peer)['signals'], self.inbox_of(self.base))
        self.assertNotIn('signals', self.stat(f'peer:{other}'))
        text = self.yoke('peers').decode()
        self.assertRegex(text, rf'(?m)^{self.base} .* memory +3$')
        self.assertRegex(text, rf'(?m)^{other} .* - +-$')
        self.assertIn(f'{address}, 3 of 1024 waiting', self.yoke('stat', self.peer).decode())
        self.assertIn('none taken', self.yoke('stat', f'peer:{other}').decode())

    def test_inbox_in_the_kernel_is_shown(self):
        child = self.start_wait('--follow', '--kernel')
        address = f'signals:{self.base}@kernel'
        inbox = self.inbox_of(self.base)
        self.assertEqual((inbox['address'], inbox['place']), (address, 'kernel'))
        self.assertGreater(inbox['depth'], 0)
        self.assertNotIn('waiting', inbox)
        self.assertRegex(self.yoke('peers').decode(), rf'(?m)^{self.base} .* kernel +\?$')
        self.assertIn(address, [one['address'] for one in self.json('ls', 'signals:')])
        facts = self.stat(address)
        self.assertEqual((facts['kind'], facts['place']), ('signals', 'kernel'))
        self.assertEqual([one['pid'] for one in facts['participants']], [child.pid])
        self.assertNotIn('waiting', facts)
        self.assertNotIn('waiting', self.yoke('stat', address).decode())
        self.yoke('rm', address, status=1)
        self.yoke('send', address, 'x', status=2)
        self.yoke('stat', f'signals:{self.base}', status=1)
        self.signal(self.peer, '1', status=1)
        self.assertIn(f'{self.peer}@kernel', self.complaint)
        self.end(child)
        self.yoke('stat', address, status=1)
        self.assertNotIn(address, [one['address'] for one in self.json('ls')])

    def test_wrong_usage_is_refused(self):
        for arguments in (
            ['signal'],
            ['signal', self.peer],
            ['signal', self.peer, 'x'],
            ['signal', self.peer, str(2**32)],
            ['signal', 'port:x', '1'],
            ['signal', self.peer, '1', '--unix', 'TERM'],
            ['signal', self.peer, '--unix', 'NONE'],
            ['signal', self.peer, '--unix', 'RTMIN+99'],
            ['signal', self.peer, '--unix', 'RTMAX+1'],
            ['signal', self.peer, '--unix', 'TERM', '--value', '1'],
            ['signal', self.peer, '--unix', 'TERM', '--as', 'x'],
            ['wait', '--as', self.base, '--for', self.peer],
            ['wait', '--as', self.base, '--gone'],
            ['wait', '--as', self.peer, '--timeout', '0'],
            ['signal', '--as', self.peer, self.peer, '1'],
            ['wait', '--for', self.peer, '--json'],
            ['wait', '--as', self.base, '--count', '1', '--follow'],
            ['wait', '--as', self.base, '--catch', 'KILL'],
            ['wait', '--as', self.base, '--catch', 'TERM,'],
        ):
            with self.subTest(arguments):
                self.yoke(*arguments, status=2)


if __name__ == '__main__':
    tool.main()
