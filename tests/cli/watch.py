"""yoke ls again and again, sorted, filtered; and the rates between two looks."""

import json
import os
import re
import signal

import terminal
import tool


class Watch(tool.Case):
    def addresses(self, *options):
        return [one['address'] for one in self.json('ls', *options)]

    def test_sorted_by_each_key_and_the_other_way_round(self):
        self.yoke('region', 'create', 'z', '--size', '1M')
        self.forget('region:z')
        small = self.port('--depth', '16', '--max-message', '64', name='a')
        big = self.port('--depth', '512', '--max-message', '8K', name='c')
        self.yoke('stream', 'create', 'b', '--capacity', '64K')
        stream = self.forget('stream:b')
        self.yoke('send', small, '1', '2', '3')
        self.yoke('send', big, *'12345')
        self.yoke('write', stream, stdin=b'x' * 4)
        for key, order in (
            ('kind', [small, big, 'region:z', stream]),
            ('name', [small, stream, big, 'region:z']),
            ('size', [big, 'region:z', stream, small]),
            ('waiting', [big, stream, small, 'region:z']),
            ('fill', [small, big, stream, 'region:z']),
            ('age', ['region:z', small, big, stream]),
        ):
            self.assertEqual(self.addresses('--sort', key), order, key)
            self.assertEqual(self.addresses('--reverse', '--sort', key), order[::-1], key)
        for key in ('users', 'memory', 'owner', 'held', 'stuck'):
            self.assertEqual(
                set(self.addresses('--sort', key, '--interval', '1ms')),
                {small, big, stream, 'region:z'},
            )
        memory = [one['memory_used'] for one in self.json('ls', '--sort', 'memory')]
        self.assertEqual(memory, sorted(memory, reverse=True))
        self.yoke('ls', '--sort', 'colour', status=2)
        self.assertIn("--sort 'colour': one of kind, name, size", self.complaint)

    def test_rates_are_those_between_the_two_looks(self):
        quiet, busy = self.port(name='quiet'), self.port(name='busy')
        self.yoke('send', quiet, 'before the first look')
        sender = self.start('send', busy)
        receiver = self.start('recv', busy, '--follow')
        self.until_waiting(busy, 'receive')
        watch = self.start('ls', '--watch=100ms', '--json', '--sort', 'rate')
        seen = []

        def rated():
            sender.stdin.write(b'x\n' * 20)
            sender.stdin.flush()
            receiver.stdout.readline()
            seen.append(json.loads(watch.stdout.readline()))
            return seen[-1][0]['sent_per_second'] > 0

        self.until('a rate', rated)
        first, second = seen[-1]
        self.assertEqual((first['address'], second['address']), (busy, quiet))
        self.assertTrue(first['rates_measured'])
        self.assertEqual(second['sent_per_second'], 0)  # on average it would be more

    def test_watched_in_a_pipe_it_prints_a_block_for_each_look(self):
        address = self.port()
        watch = self.start('ls', '--watch', '20ms', address)
        lines = [watch.stdout.readline().decode() for _ in range(8)]
        for block in (lines[0:3], lines[3:6]):
            self.assertRegex(block[0], r'^ADDRESS .* IN +OUT$')
            self.assertRegex(block[1], rf'^{re.escape(address)} .* 0/s +0/s$')
            self.assertEqual(block[2], '\n')
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(tool.DEADLINE), -signal.SIGINT)
        self.assertEqual(watch.stderr.read(), b'')

    def test_watched_on_a_terminal_it_stays_in_its_place(self):
        many = [self.port(name=f'port-{i:02}') for i in range(12)]
        shown = terminal.Terminal([tool.TOOL, 'ls', '--watch', '50ms'], rows=10, columns=50)
        self.addCleanup(shown.close)
        text = shown.until('port-06 ', tool.DEADLINE)
        self.assertRegex(text, r'\Ayoke ls, every 50ms: 12 objects\nADDRESS')
        self.assertNotIn('port-07', text)  # no room
        self.assertTrue(all(len(line) <= 49 for line in text.splitlines()))
        self.yoke('rm', *many[:11])
        text = shown.until('every 50ms: 1 object$', tool.DEADLINE)
        text = shown.until(lambda now: 'port-11' in now and 'port-06' not in now, tool.DEADLINE)
        shown.keys('\x03')
        self.assertEqual(shown.wait(tool.DEADLINE), -signal.SIGINT)
        self.assertTrue(shown.modes_are_as_before())

    def test_a_terminal_that_can_only_print_gets_blocks(self):
        self.port()
        shown = terminal.Terminal([tool.TOOL, 'ls', '--watch', '20ms'], kind='dumb')
        self.addCleanup(shown.close)
        shown.until(r'ADDRESS(.|\n)*ADDRESS', tool.DEADLINE)
        self.assertNotIn(b'\x1b', shown.raw)

    def test_what_follows_watch_is_its_time_or_the_pattern(self):
        address = self.port()
        for options in (('--watch', address), (address, '--watch'), (address, '--watch', '30ms')):
            watch = self.start('ls', *options)
            self.assertIn(b'ADDRESS', watch.stdout.readline())
            self.assertIn(address.encode(), watch.stdout.readline())
        for wrong in ('--watch=0', '--watch=soon', '--interval=0', '--interval=forever'):
            self.yoke('ls', wrong, status=2)
            self.assertIn('not a time above 0', self.complaint)

    def test_mine_are_this_users(self):
        address = self.port()
        self.assertEqual(self.addresses('--mine'), [address])
        if os.geteuid() == 0:
            os.chown(f'{os.environ["YOKE_DIR"]}/{address.replace(":", ".")}', 4242, -1)
            self.assertEqual(self.addresses('--mine'), [])
            os.chown(f'{os.environ["YOKE_DIR"]}/{address.replace(":", ".")}', 0, -1)


if __name__ == '__main__':
    tool.main()
