"""A million short lines from one `yoke send` to one `yoke recv`: seconds, not minutes."""

import hashlib
import time

import tool

COUNT = 1000000


class MillionLines(tool.Case):
    def test_arrive_in_order(self):
        address = self.port('--depth', '1024')
        lines = self.path('lines', b''.join(b'%d\n' % number for number in range(1, COUNT + 1)))
        start = time.monotonic()
        with open(lines, 'rb') as source, open(self.path('copy'), 'wb') as copy:
            sender = self.start('send', address, stdin=source)
            receiver = self.start('recv', address, '--count', str(COUNT), stdout=copy)
            self.assertEqual(receiver.wait(4 * tool.DEADLINE), 0)
            self.assertEqual(sender.wait(tool.DEADLINE), 0)
        took = time.monotonic() - start
        tool.diagnose(f'{COUNT} lines in {took:.2f} s: {COUNT / took / 1e6:.2f} million a second')
        self.assertEqual(
            hashlib.sha256(self.read('copy')).digest(), hashlib.sha256(self.read('lines')).digest()
        )

    def test_arrive_each_once_at_several_receivers(self):
        address = self.port('--depth', '1024')
        count = COUNT // 10
        receivers, senders = [], []
        for i in range(3):
            with open(self.path(f'out{i}'), 'wb') as out:
                receivers.append(self.start('recv', address, '--follow', stdout=out))
        for i in range(3):
            lines = b''.join(b'%d %d\n' % (i, number) for number in range(count))
            with open(self.path(f'in{i}', lines), 'rb') as source:
                senders.append(self.start('send', address, stdin=source))
        for sender in senders:
            self.assertEqual(sender.wait(4 * tool.DEADLINE), 0)

        def is_empty():
            facts = self.stat(address)
            return facts['waiting'] + facts['held'] == 0

        self.until('an empty port', is_empty)
        for receiver in receivers:
            receiver.terminate()
            receiver.wait(tool.DEADLINE)
        outs = [self.read(f'out{i}').splitlines() for i in range(3)]
        self.assertEqual(
            sorted(line for out in outs for line in out),
            sorted(b'%d %d' % (i, number) for i in range(3) for number in range(count)),
        )
        tool.diagnose(f'shares of the receivers: {[len(out) for out in outs]}')
        for out in outs:
            self.check_each_senders_order(out)

    def check_each_senders_order(self, lines):
        """First in first out: a receiver sees what it gets of one sender in that one's order."""
        for sender in range(3):
            numbers = [int(line[2:]) for line in lines if line.startswith(b'%d ' % sender)]
            self.assertEqual(numbers, sorted(numbers))


if __name__ == '__main__':
    tool.main()
