"""Links from the command line: sending and receiving as a peer, who is there, waiting for peers."""

import os
import signal

import tool


class Links(tool.Case):
    def setUp(self):
        super().setUp()
        self.alice, self.bob = 'alice-' + self.base, 'bob-' + self.base
        self.both = f'link:{self.alice}/{self.bob}'
        self.forget(self.both)

    def send(self, *arguments, **more):
        return self.yoke('send', '--as', self.alice, f'link:{self.bob}', *arguments, **more)

    def recv(self, *arguments, **more):
        return self.yoke('recv', '--as', self.bob, f'link:{self.alice}', *arguments, **more)

    def start_recv(self, *arguments):
        return self.start('recv', '--as', self.bob, f'link:{self.alice}', *arguments)

    def test_what_was_sent_before_the_other_came_waits_for_it(self):
        self.send('one', 'two')
        self.assertEqual(self.recv('--count', '2'), b'one\ntwo\n')
        self.recv('--timeout', '0', status=3)

    def test_it_goes_both_ways_and_has_one_object(self):
        self.send('there')
        self.yoke('send', '--as', self.bob, f'link:{self.alice}', 'back')
        self.assertEqual(self.recv(), b'there\n')
        self.assertEqual(self.yoke('recv', '--as', self.alice, f'link:{self.bob}'), b'back\n')
        self.assertEqual([one['address'] for one in self.json('ls', 'link:')], [self.both])

    def test_details_tell_the_tag_and_the_sequence(self):
        self.send('--tag', '18446744073709551615', 'a', 'b')
        lines = [self.json('recv', '--as', self.bob, f'link:{self.alice}') for _ in range(2)]
        self.assertEqual([line['sequence'] for line in lines], [0, 1])
        self.assertEqual([str(line['tag']) for line in lines], ['18446744073709551615'] * 2)

    def test_files_of_any_bytes_pass_where_the_link_was_made_for_their_size(self):
        data = os.urandom(300000)
        source = self.path('source', data)
        self.send('--max-message', '1M', '--file', source)
        self.recv('--file', self.path('copy'))
        self.assertEqual(self.read('copy'), data)

    def test_a_message_too_big_is_refused(self):
        self.send('x' * 4097, status=1)
        self.assertIn('4096', self.complaint)

    def test_who_asks_for_more_than_a_link_has_is_told_and_it_keeps_its_size(self):
        self.send('--max-message', '1000', 'x' * 1000)
        self.assertEqual(self.complaint, '')
        said = r'\Ayoke: note: link:\S+ was there already .* 1000 \(2048 asked for\)\n'
        self.send('--max-message', '2K', 'x')
        self.assertRegex(self.complaint, said + r'\Z')
        self.send('--max-message', '2K', 'x' * 1001, status=1)
        self.assertRegex(self.complaint, said)
        self.recv('--max-message', '2K', '--count', '2')
        self.assertRegex(self.complaint, said + r'\Z')
        self.send('--max-message', '10', 'x')  # less is there, too
        self.assertEqual(self.complaint, '')

    def test_receiver_waits_for_one_who_closed_and_comes_back(self):
        self.send('first')
        receiver = self.start_recv('--count', '2')
        self.assertEqual(receiver.stdout.read(6), b'first\n')
        self.send('second')
        self.assertEqual(receiver.stdout.read(7), b'second\n')
        self.assertEqual(receiver.wait(tool.DEADLINE), 0)

    def test_death_of_the_other_end_is_exit_status_4(self):
        sender = self.start('send', '--as', self.alice, f'link:{self.bob}')
        sender.stdin.write(b'last words\n')
        sender.stdin.flush()
        receiver = self.start_recv('--follow')
        self.assertEqual(receiver.stdout.read(11), b'last words\n')
        os.kill(sender.pid, signal.SIGKILL)
        self.assertEqual(receiver.wait(tool.DEADLINE), 4)

    def test_a_killed_receiver_loses_nothing(self):
        # more than its pipe holds, so that it is killed while it writes
        self.send(*[f'{i:04}' * 1000 for i in range(200)])
        receiver = self.start_recv('--follow')
        receiver.stdout.read(4001)
        os.kill(receiver.pid, signal.SIGKILL)
        got = receiver.stdout.read().count(b'\n') + 1
        rest = [int(line[:4]) for line in self.recv('--count', str(200 - got)).split()]
        self.assertLessEqual(rest[0], got)
        self.assertEqual(rest, list(range(rest[0], rest[0] + 200 - got)))

    def test_a_living_peer_keeps_its_name(self):
        receiver = self.start_recv()
        self.yoke('wait', '--for', f'peer:{self.bob}', '--timeout', '120s')
        self.recv('--timeout', '0', status=1)
        self.assertIn(str(receiver.pid), self.complaint)

    def test_as_goes_with_links_only_and_links_only_with_as(self):
        self.yoke('recv', f'link:{self.alice}', status=2)
        self.assertIn('--as', self.complaint)
        self.yoke('recv', '--as', self.bob, 'port:jobs', status=2)
        self.yoke('recv', '--as', self.bob, f'link:{self.bob}', status=2)
        self.yoke('stat', f'link:{self.bob}', status=2)

    def test_what_is_wrong_with_as_is_said_of_as(self):
        for bad in ('', 'a b', '.a', 'a/b', 'a@b', 'peer:a', 'x' * 113):
            for command in ('send', 'recv', 'stat', 'rm'):
                with self.subTest(command=command, bad=bad):
                    self.yoke(command, '--as', bad, f'link:{self.bob}', status=2)
                    self.assertRegex(self.complaint, rf'\Ayoke: {command}: --as: ')
        for command in ('send', 'recv'):
            self.yoke(command, '--as', self.alice, self.both, status=2)
            self.assertIn('--as', self.complaint)
            self.assertNotIn('yoke_options', self.complaint)
        self.assertEqual(self.json('ls'), [])

    def test_both_ways_are_shown_each_with_what_is_on_it(self):
        self.send('--max-message', '500', 'one', 'two', 'x' * 400)
        self.recv()
        self.yoke('send', '--as', self.bob, f'link:{self.alice}', 'back')
        facts = self.json('stat', self.both)
        expected = (
            (self.alice, self.bob, 2, 403, 3, 1),
            (self.bob, self.alice, 1, 4, 1, 0),
        )
        for way, (start, end, waiting, size, sent, received) in zip(facts['ways'], expected):
            self.assertEqual(
                way,
                {
                    'from': start, 'to': end, 'depth': 256, 'waiting': waiting, 'held': 0,
                    'bytes': size, 'sent': sent, 'received': received,
                },
            )
        rows = self.yoke('stat', self.both).decode().splitlines()[-3:]
        self.assertEqual(rows[0].split()[:6], ['FROM', 'TO', 'DEPTH', 'WAITING', 'HELD', 'SIZE'])
        self.assertEqual(rows[1].split()[:6], [self.alice, self.bob, '256', '2', '0', '403'])
        self.assertEqual(rows[2].split()[:6], [self.bob, self.alice, '256', '1', '0', '4'])

    def test_shown_and_removed_by_either_form_of_address(self):
        self.send('x')
        for address in (
            [self.both],
            [f'link:{self.bob}/{self.alice}'],
            ['--as', self.bob, f'link:{self.alice}'],
        ):
            facts = self.json('stat', *address)
            self.assertEqual((facts['address'], facts['waiting']), (self.both, 1))
        self.assertIn(b'1 waiting', self.yoke('stat', self.both))
        self.yoke('rm', '--as', self.alice, f'link:{self.bob}')
        self.assertEqual(self.json('ls', 'link:'), [])


class Peers(tool.Case):
    def join(self):
        """A process that is the peer of this test until it is killed."""
        self.forget(f'link:{self.base}/nobody-{self.base}')
        child = self.start('recv', '--as', self.base, f'link:nobody-{self.base}')
        self.yoke('wait', '--for', f'peer:{self.base}', '--timeout', '120s')
        return child

    def test_a_peer_is_listed_while_it_lives(self):
        child = self.join()
        peer = next(one for one in self.json('peers') if one['name'] == self.base)
        self.assertEqual((peer['pid'], peer['uid']), (child.pid, os.getuid()))
        self.assertIn(self.base.encode(), self.yoke('peers'))
        self.assertEqual(self.json('stat', f'peer:{self.base}')['pid'], child.pid)
        self.assertRegex(self.yoke('stat', f'peer:{self.base}').decode(), rf'process +{child.pid} ')
        self.end(child)
        self.assertNotIn(self.base, [one['name'] for one in self.json('peers')])

    def test_waiting_for_it_to_come_and_to_go(self):
        address = f'peer:{self.base}'
        self.yoke('wait', '--for', address, '--timeout', '0', status=3)
        self.yoke('wait', '--for', address, '--gone', '--timeout', '0')
        child = self.join()
        self.yoke('wait', '--for', address, '--gone', '--timeout', '50ms', status=3)
        waiter = self.start('wait', '--for', address, '--gone')
        self.end(child)
        self.assertEqual(waiter.wait(tool.DEADLINE), 0)

    def test_wrong_usage_is_refused(self):
        self.yoke('wait', status=2)
        self.yoke('wait', '--for', 'port:x', status=2)
        self.yoke('wait', '--for', 'peer:a/b', status=2)
        self.yoke('wait', '--for', 'peer:a', '--for', 'peer:b', '--timeout', '0', status=2)
        self.assertRegex(self.complaint, 'peer:a .*peer:b')

    def test_a_peer_is_not_removed(self):
        child = self.join()
        self.yoke('rm', f'peer:{self.base}', status=1)
        self.assertRegex(self.complaint, rf'\Ayoke: peer:{self.base} can not be .* with its process\n')
        self.assertIsNone(child.poll())


if __name__ == '__main__':
    tool.main()
