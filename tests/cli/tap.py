"""Looking on at messages without taking any."""

import json
import os
import signal

import tool


class Tap(tool.Case):
    def lines(self, *arguments, **more):
        return [json.loads(line) for line in self.yoke('tap', *arguments, '--json', **more).splitlines()]

    def test_what_waits_is_shown_and_stays(self):
        address = self.port('--priorities', '2')
        self.yoke('send', address, 'one', 'two')
        self.yoke('send', address, '--priority', '1', '--tag', '7', 'urgent')
        before = self.stat(address)
        first, urgent, second = self.lines(address)
        self.assertEqual((first['data'], second['data']), ('one', 'two'))
        self.assertEqual(
            (urgent['data'], urgent['priority'], urgent['tag'], urgent['state']),
            ('urgent', 1, 7, 'waits'),
        )
        after = self.stat(address)
        for facts in (before, after):
            for moving in ('sent_per_second', 'received_per_second', 'memory_used'):
                facts.pop(moving)
        self.assertEqual(after, before)
        self.assertEqual(self.yoke('recv', address, '--count', '3'), b'urgent\none\ntwo\n')

    def test_an_empty_port_is_told(self):
        self.yoke('tap', self.port(), status=3)
        self.assertIn('is empty', self.complaint)

    def test_as_many_bytes_as_asked_for_in_hexadecimal_too(self):
        address = self.port()
        self.yoke('send', address, stdin=b'\x00\x01AB\xff' + b'z' * 95 + b'\n')
        text = self.yoke('tap', address).decode()
        self.assertIn('100 bytes', text)
        self.assertIn('..AB.zzz', text)
        self.assertIn('…', text)
        text = self.yoke('tap', address, '--hex', '--bytes', '17').decode()
        self.assertIn('  00000000  00 01 41 42 ff 7a', text)
        self.assertIn('  00000010  7a  ', text)
        (whole,) = self.lines(address, '--bytes', '1K')
        self.assertTrue(whole['complete'])
        self.assertIn('data_base64', whole)

    def test_borrowed_and_parked_ones_are_shown_as_such(self):
        address = self.port('--max-deliveries', '1')
        self.yoke('send', address, 'poison')
        self.yoke('recv', address, '--exec', 'false', '--timeout', '0', status=1)
        gate = self.path('gate')
        os.mkfifo(gate)
        self.start('recv', address, '--exec', f'exec cat {gate}')
        self.yoke('send', address, 'in hand')
        self.until('a borrowed message', lambda: self.stat(address)['held'] == 1)
        self.assertEqual(
            [(one['state'], one['data'], one['deliveries']) for one in self.lines(address)],
            [('parked', 'poison', 1), ('held', 'in hand', 1)],
        )

    def test_those_that_come_are_shown_once_each_and_received_by_others(self):
        address = self.port()
        self.yoke('send', address, 'old')
        tap = self.start('tap', address, '--follow')
        self.assertIn(b'old', tap.stdout.readline())
        for i in range(5):
            self.yoke('send', address, f'new {i}')
            self.assertIn(f'new {i}\n'.encode(), tap.stdout.readline())
        self.assertEqual(self.yoke('recv', address, '--count', '6').count(b'\n'), 6)
        tap.send_signal(signal.SIGINT)
        self.assertEqual(tap.wait(), -signal.SIGINT)
        self.assertEqual(tap.stdout.read(), b'')

    def test_it_ends_after_so_many_or_when_nothing_comes(self):
        address = self.port()
        self.yoke('send', address, 'a', 'b', 'c')
        self.assertEqual(len(self.lines(address, '--count', '2')), 2)
        self.yoke('tap', address, '--count', '4', '--timeout', '50ms', status=3)
        self.assertIn('3 shown before', self.complaint)

    def test_what_comes_and_goes_between_two_looks_is_counted(self):
        address = self.port()
        tap = self.start('tap', address, '--follow')
        self.yoke('send', address, 'seen')
        self.assertIn(b'seen', tap.stdout.readline())
        tap.send_signal(signal.SIGSTOP)
        self.yoke('send', address, 'x', 'y', 'z')
        self.yoke('recv', address, '--count', '4')
        self.yoke('send', address, 'last')
        tap.send_signal(signal.SIGCONT)
        self.assertIn(b'last', tap.stdout.readline())
        tap.send_signal(signal.SIGINT)
        self.assertIn(b'note: 3 more came and went unseen', tap.stderr.read())

    def test_it_lets_go_of_what_goes_with_its_last_user(self):
        holder = self.start('port', 'create', self.base, '--transient', '--hold')
        holder.stdout.readline()
        address = 'port:' + self.base
        tap = self.start('tap', address, '--follow')
        self.yoke('send', address, 'of the dead')
        self.assertIn(b'of the dead', tap.stdout.readline())
        holder.kill()
        self.assertEqual(tap.wait(timeout=tool.DEADLINE), 3)
        self.assertIn(b'its last user went', tap.stderr.read())
        self.yoke('recv', address, '--timeout', '0', status=1)
        self.assertIn('there is no ' + address, self.complaint)

    def test_a_link_both_ways(self):
        self.forget('link:a/b')
        self.yoke('send', '--as', 'a', 'link:b', 'there', 'x' * 3000)
        self.yoke('send', '--as', 'b', 'link:a', 'and back')
        seen = self.lines('link:a/b', '--bytes', '4K')
        self.assertEqual(
            sorted((one['way'], one['sequence'], one['data']) for one in seen),
            [(0, 0, 'there'), (0, 1, 'x' * 3000), (1, 0, 'and back')],
        )
        self.assertIn('a > b  0 waits  5 bytes  there', self.yoke('tap', 'link:b', '--as', 'a').decode())
        self.assertEqual(self.yoke('recv', '--as', 'b', 'link:a'), b'there\n')

    def test_what_has_no_messages_is_refused_by_name(self):
        self.yoke('region', 'create', self.base, '--size', '4K')
        self.yoke('tap', self.forget(f'region:{self.base}'), status=1)
        self.assertIn('has no messages to look at', self.complaint)
        self.yoke('port', 'create', 'q', '--place', 'kernel', '--depth', '2')
        self.forget('port:q@kernel')
        self.yoke('tap', 'port:q@kernel', status=1)
        self.assertIn('in the kernel', self.complaint)
        self.yoke('tap', 'port:none', status=1)
        self.assertIn('there is no port:none', self.complaint)


if __name__ == '__main__':
    tool.main()
