#!/usr/bin/env python3
"""Signals on the place nats:// from the command line, and what becomes of them when connections break or a server
stores one twice.

Real servers on loopback; what only a change of leaders does to a message is done by hand, with the packet that yoke
itself sends.
"""

import json
import os
import signal
import struct
import sys
import threading

import look
import proxy
import servers
import tool

setUpModule, tearDownModule = look.setUpModule, look.tearDownModule

CUTS = 5


class Signals(look.Place):
    def setUp(self):
        super().setUp()
        self.place = self.where
        self.lease(20)  # on a busy machine somebody may be silent for long

    def lease(self, seconds):
        self.where = f'{self.place}?lease={seconds}'
        self.peer = f'peer:bob@{self.where}'
        self.inbox = f'signals:bob@{self.where}'

    def start_wait(self, *arguments, where=None):
        """A receiver that takes signals by the time that this returns."""
        child = self.start('wait', '--as', f'bob@{where or self.where}', '--follow', '--json', *arguments)
        self.yoke('signal', self.peer, '0', '--timeout', '120s')
        self.assertEqual(self.next(child)['number'], 0)
        return child

    def next(self, child):
        return json.loads(child.stdout.readline())

    def stream(self):
        (one,) = (name for name in self.streams() if name.startswith(f'{self.prefix}-signals-bob-'))
        return one

    def publish(self, number, headers, data=None):
        """As yoke does: the packet of signals.h."""
        subject = self.stream().replace('-', '.')
        data = struct.pack('=QII112s', number, number, os.getuid(), b'by-hand') if data is None else data
        self.connect().store(subject, data, headers={'Yoke-Sender': '1'} | headers)

    def stop(self, child):
        """Once it has asked for the next one, which then is delivered to it though it stands."""
        connection, stream = self.connect(), self.stream()
        self.until('a question for more', lambda: any(
            one['num_waiting'] for one in connection.api(f'CONSUMER.LIST.{stream}')['consumers'] or []))
        child.send_signal(signal.SIGSTOP)

    def kill_bob(self):
        """Leaves one signal behind."""
        child = self.start_wait()
        self.stop(child)
        self.yoke('signal', self.peer, '9')
        child.kill()
        child.wait()

    # ---- the commands

    def test_number_value_and_sender_arrive_in_order(self):
        child = self.start_wait()
        self.yoke('signal', '--as', f'alice@{self.where}', self.peer, '7', '--value', '42')
        self.yoke('signal', self.peer, '8', '--value', str(2**64 - 1))
        first, second = self.next(child), self.next(child)
        self.assertEqual((first['number'], first['value'], first['sender']), (7, 42, 'alice'))
        self.assertEqual((second['number'], second['value'], second['sender']), (8, str(2**64 - 1), ''))
        self.assertEqual([one['sequence'] for one in (first, second)], [2, 3])
        self.assertEqual({one['origin'] for one in (first, second)}, {'stated'})
        self.assertEqual({one['uid'] for one in (first, second)}, {os.getuid()})
        child.terminate()
        self.assertEqual(child.wait(tool.DEADLINE), -signal.SIGTERM)
        self.yoke('signal', self.peer, '9', status=1)
        self.assertIn('nobody is peer:bob', self.complaint)
        self.assertEqual([name for name in self.streams() if 'signals' in name], [])

    def test_unix_signals_come_beside_them_and_go_to_no_other_machine(self):
        child = self.start_wait('--catch', 'TERM')
        child.terminate()
        self.assertEqual(self.next(child)['unix'], 'TERM')
        self.yoke('signal', self.peer, '5')
        self.assertEqual(self.next(child)['number'], 5)
        self.yoke('signal', self.peer.replace('://', '://' + look.LOGIN), '--unix', 'TERM', status=1)
        self.assertIn('UNIX signals go to processes of this one', self.complaint)
        self.assertNotIn(look.SECRET, self.complaint)
        child.kill()

    def test_complaints_do_not_say_passwords(self):
        secretly = self.where.replace('://', '://' + look.LOGIN)
        self.yoke('wait', '--as', f'bob@{secretly}', '--timeout', '0', status=3)
        self.assertIn('no signal for peer:bob;', self.complaint)
        self.assertNotIn(look.SECRET, self.complaint)
        self.yoke('wait', '--as', f'bob@{secretly}', '--timeout', '10ms', status=3)
        self.assertNotIn(look.SECRET, self.complaint)
        self.yoke('wait', '--as', f'b/b@{secretly}', status=2)
        self.assertNotIn(look.SECRET, self.complaint)
        self.yoke('wait', '--as', f'bob@{secretly}', '--kernel', status=1)
        self.assertIn('not in the kernel', self.complaint)
        self.assertNotIn(look.SECRET, self.complaint)

    # ---- looking

    def test_an_inbox_is_shown_with_what_waits(self):
        child = self.start_wait()
        (listed,) = json.loads(self.yoke('ls', '--place', self.where, '--json'))
        self.assertEqual((listed['address'], listed['kind'], listed['kept']), (self.inbox, 'signals', False))
        child.send_signal(signal.SIGSTOP)
        self.yoke('signal', self.peer, '9')
        facts = self.stat(self.inbox)
        self.assertEqual(facts['waiting'] + facts['held'], 1)
        self.assertEqual([facts[key] for key in ('depth', 'sent', 'received')], [1024, 2, 1])
        self.assertEqual([one['command'] for one in facts['participants']], ['yoke'])
        self.assertIn('silent for 20s', self.yoke('stat', self.inbox).decode())
        (peer,) = json.loads(self.yoke('peers', '--place', self.where, '--json'))
        self.assertEqual((peer['name'], peer['signals']['address'], peer['signals']['waiting']),
                         ('bob', self.inbox, facts['waiting']))
        self.assertEqual(self.findings(severity='warning'), [])
        self.assertEqual(self.yoke('gc', '--place', self.where, '--json'), b'[]\n')
        self.yoke('tap', self.inbox, status=1)
        self.yoke('rm', self.inbox, status=1)
        self.assertIn('goes with its process', self.complaint)
        child.kill()

    def test_what_a_dead_peer_left_is_told_and_cleared(self):
        self.lease(5)
        self.kill_bob()
        cure = f"yoke gc --place '{self.where}'"
        self.until('the end of the lease', lambda: self.findings(severity='warning') != [])
        self.assert_finding('warning', 'nobody can receive what is in it, 1 signal', cure)
        would = json.loads(self.yoke('gc', '--place', self.where, '--dry-run', '--json'))
        self.assertEqual([(one['what'], one['name']) for one in would], [('inbox', 'signals:bob')])
        self.assertNotEqual(self.stream(), '')
        done = json.loads(self.yoke('gc', '--place', self.where, '--json'))
        self.assertEqual(done, would)
        self.assertEqual([name for name in self.streams() if 'signals' in name], [])
        self.assertEqual(self.yoke('ls', '--place', self.where, '--json'), b'[]\n')
        self.assertEqual(self.yoke('gc', '--place', self.where, '--json'), b'[]\n')

    def test_a_stream_that_no_name_leads_to_is_cleared_when_nobody_is_its_peer(self):
        self.lease(5)
        child = self.start_wait()
        stream = self.stream()
        self.connect().api(f'STREAM.PURGE.{self.prefix}-names')
        self.assertEqual(self.yoke('gc', '--place', self.where, '--json'), b'[]\n')
        child.kill()
        child.wait()
        cleared = []
        self.until('the end of the lease', lambda: cleared.extend(
            json.loads(self.yoke('gc', '--place', self.where, '--json'))) or cleared)
        self.assertEqual([(one['what'], one['name']) for one in cleared], [('stream', stream)])

    # ---- what servers and connections do

    def test_one_that_was_stored_twice_is_received_once(self):
        child = self.start_wait()
        self.publish(1, {'Yoke-Tag': '77'})
        self.publish(1, {'Yoke-Tag': '77', 'Yoke-Again': '1'})
        self.publish(2, {'Yoke-Tag': '78', 'Yoke-Again': '1'})  # the first one never came
        self.publish(3, {'Yoke-Tag': '79'})
        self.assertEqual([self.next(child)['number'] for _ in range(3)], [1, 2, 3])
        self.end(child)

    def test_what_no_yoke_wrote_is_told_and_gone(self):
        for data in (b'short', b'x' * 300):
            child = self.start('wait', '--as', f'bob@{self.where}')
            self.until('an inbox', lambda: self.run_tool('stat', self.inbox).returncode == 0)
            self.publish(1, {}, data)
            self.assertEqual(child.wait(tool.DEADLINE), 1)
            self.assertIn(b'that no yoke wrote', child.stderr.read())

    def through_a_proxy(self):
        between = proxy.Proxy(servers.own_address(), 1)
        self.addCleanup(between.close)
        between.targets = [(look.server.address, look.server.port)]
        host, port = between.addresses[0]
        return between, f'nats://{host}:{port}/{self.prefix}?lease=20'

    def test_one_whose_end_was_lost_on_its_way_is_received_once(self):
        between, where = self.through_a_proxy()
        child = self.start_wait(where=where)
        self.stop(child)
        self.yoke('signal', self.peer, '1')
        self.until('its delivery', lambda: self.stat(self.inbox)['held'] == 1)
        paused, go_on = threading.Event(), threading.Event()
        orders = [threading.Thread(target=between._order, args=(lambda: (paused.set(), go_on.wait()),)),
                  threading.Thread(target=between.cut)]
        orders[0].start()
        paused.wait(tool.DEADLINE)
        child.send_signal(signal.SIGCONT)
        self.assertEqual(self.next(child)['number'], 1)
        orders[1].start()
        self.until('the order to cut', lambda: between.orders)
        go_on.set()  # what it said of that one goes no further
        for one in orders:
            one.join(tool.DEADLINE)
        self.yoke('signal', self.peer, '2', '--timeout', '60s')
        self.assertEqual(self.next(child)['number'], 2)
        self.end(child)

    def test_none_is_lost_doubled_or_out_of_order_when_connections_break(self):
        between, where = self.through_a_proxy()
        child = self.start_wait(where=where)
        for number in range(1, CUTS * 10 + 1):
            self.yoke('signal', self.peer, str(number), '--timeout', '60s')
            if number % 10 == 5:
                between.cut()
        got = [self.next(child) for _ in range(CUTS * 10)]
        self.assertEqual([one['number'] for one in got], list(range(1, CUTS * 10 + 1)))
        self.end(child)


if __name__ == '__main__':
    servers.require()
    tool.main()
