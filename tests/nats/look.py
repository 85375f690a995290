#!/usr/bin/env python3
"""The tool on the place nats://: what there is, messages without taking any, what is wrong, what is dead.

Real servers on loopback; what only a death at the wrong moment leaves is made by hand, by the same
messages that the dead one had written before.
"""

import base64
import json
import os
import secrets
import shlex
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'cli'))

import servers
import tool

SECRET = 'geheim-4711'
LOGIN = f'anybody:{SECRET}@'

# What a user needs who may look, and no more.
READER = ('{user: reader, password: "%s", permissions: {publish: ["$JS.API.INFO", "$JS.API.STREAM.INFO.>", '
          '"$JS.API.STREAM.LIST", "$JS.API.STREAM.MSG.GET.>", "$JS.API.CONSUMER.INFO.>"], subscribe: "_INBOX.>"}}'
          % SECRET)

stack = None
server = None


def setUpModule():
    global stack, server
    stack = servers.contextlib.ExitStack()
    directory = stack.enter_context(servers.scratch())
    server = stack.enter_context(servers.Server(directory, settings='max_payload: 1MB'))


def tearDownModule():
    stack.close()


class Place(tool.Case):
    """Each test has a prefix of its own."""

    def setUp(self):
        super().setUp()
        self.prefix = 'p' + secrets.token_hex(4)
        self.where = f'{server.url}/{self.prefix}'
        self.secretly = self.where.replace('://', '://' + LOGIN)

    def make(self, name='jobs', *options, where=None):
        where = where or self.where
        self.yoke('port', 'create', name, '--place', where, *options)
        return f'port:{name}@{where}'

    def park_one(self, address):
        """Of a port that parks after one delivery."""
        self.yoke('send', address, 'poison')
        self.yoke('recv', address, '--exec', 'false', '--timeout', '0', status=1)
        self.until('the parked message', lambda: self.run_tool(
            'recv', address, '--timeout', '100ms') and self.stat(address)['parked'] == 1)

    def hold_one(self, address):
        """By a command that runs until it is killed at the end of the test."""
        gate = self.path('gate')
        os.mkfifo(gate)
        holder = self.start('recv', address, '--exec', f'exec cat {gate}')
        self.until('a held message', lambda: self.stat(address)['held'] == 1)
        return holder

    def findings(self, where=None, severity=None):
        """What doctor says: (severity, subject, text, cure)."""
        done = self.run_tool('doctor', '--place', where or self.where, '--verbose', '--json')
        self.assertNotIn(SECRET, (done.stdout + done.stderr).decode())
        found = json.loads(done.stdout)
        wrong = any(one['severity'] in ('fault', 'warning') for one in found)
        self.assertEqual(done.returncode, 1 if wrong else 0)
        return [one for one in found if severity is None or one['severity'] == severity]

    def assert_finding(self, severity, words, cure='', where=None):
        found = self.findings(where)
        for one in found:
            if one['severity'] == severity and words in one['text'] and cure in one.get('cure', ''):
                return one
        self.fail(f'no {severity} with "{words}" and the cure "{cure}" in:\n{json.dumps(found, indent=1)}')

    def connect(self, its=None):
        connection = (its or server).connect()
        self.addCleanup(connection.close)
        return connection

    def streams(self):
        page = self.connect().api('STREAM.LIST')['streams'] or []
        return sorted(name for one in page if (name := one['config']['name']).startswith(self.prefix + '-'))


class Looking(Place):
    def test_what_there_is_is_listed_by_addresses_that_can_be_used_again(self):
        self.make('jobs', '--depth', '8')
        self.make('a.b')
        listed = json.loads(self.yoke('ls', '--place', self.secretly, '--json'))
        self.assertEqual([one['address'] for one in listed],
                         [f'port:a.b@{self.where}', f'port:jobs@{self.where}'])
        self.assertEqual([one['depth'] for one in listed], [256, 8])
        for one in listed:
            self.assertEqual(self.stat(one['address'])['address'], one['address'])
            self.yoke('send', one['address'], 'x')
            self.yoke('rm', one['address'])
        self.assertEqual(self.yoke('ls', '--place', self.where, '--json'), b'[]\n')

    def test_patterns_need_not_name_the_place(self):
        self.make('jobs')
        self.make('other')
        for pattern in ('jobs', 'port:jobs', 'port:j*', f'port:jobs@{self.where}'):
            listed = json.loads(self.yoke('ls', pattern, '--place', self.where, '--json'))
            self.assertEqual([one['name'] for one in listed], ['jobs'], pattern)

    def test_places_of_this_machine_can_be_chosen(self):
        self.port(name='in-memory')
        self.port('--place', 'kernel', '--depth', '4', name='in-kernel')
        self.addCleanup(self.run_tool, 'rm', 'port:in-kernel@kernel')
        for place, name in (('memory', 'in-memory'), ('kernel', 'in-kernel')):
            listed = json.loads(self.yoke('ls', '--place', place, '--json'))
            self.assertEqual([one['name'] for one in listed], [name])
        self.yoke('ls', '--place', 'nowhere', status=1)
        self.assertIn("'nowhere' is not to be had", self.complaint)

    def test_stat_tells_what_is_in_it_and_how_it_is_kept(self):
        address = self.make('jobs', '--max-deliveries', '1', '--depth', '8')
        self.park_one(address)
        self.yoke('send', address, 'one', 'two', 'three', 'four')
        self.assertEqual(self.yoke('recv', address), b'one\n')
        self.hold_one(address)
        facts = self.stat(address)
        numbers = ('waiting', 'held', 'parked', 'sent', 'received', 'depth', 'replicas', 'participants_used')
        self.assertEqual([facts[key] for key in numbers], [2, 1, 1, 5, 1, 8, 1, 1])
        self.assertEqual((facts['storage'], facts['ack_wait'], facts['place']), ('file', 30.0, 'nats'))
        self.assertEqual(facts['creator_host'], socket.gethostname()[:64])
        (one,) = facts['participants']
        self.assertEqual((one['command'], one['host'], one['uid']),
                         ('yoke', socket.gethostname()[:64], os.getuid()))
        for unknown in ('dropped', 'found_empty', 'bytes_sent', 'segment', 'uid', 'mode'):
            self.assertNotIn(unknown, facts)
        text = self.yoke('stat', address).decode()
        for words in (f'address       {address}\n', 'on disk, 1 replica on the only server\n',
                      'messages      2 waiting, 1 held, 1 parked\n', 'silent for 30s', 'loses its place'):
            self.assertIn(words, text)

    def test_receivers_that_wait_are_counted(self):
        address = self.make()
        self.start('recv', address)
        self.until('a receiver that waits', lambda: self.stat(address)['receivers_waiting'] == 1)
        (row,) = json.loads(self.yoke('top', '--once', '--json', '--place', self.where,
                                      '--interval', '10ms'))['objects']
        self.assertEqual(row['address'], address)

    def test_links_are_shown_with_both_ways(self):
        address = f'link:alice/bob@{self.where}'
        gate = self.path('gate')
        os.mkfifo(gate)
        self.start('recv', '--as', 'bob', f'link:alice@{self.where}', '--exec', f'exec cat {gate}')
        self.yoke('send', '--as', 'alice', f'link:bob@{self.where}', 'one', 'two')
        self.until('a held message', lambda: self.stat(address)['held'] > 0)  # or two: it fetches ahead
        ways = [[way[key] for key in ('from', 'to', 'sent', 'received')] for way in self.stat(address)['ways']]
        self.assertEqual(ways, [['alice', 'bob', 2, 0], ['bob', 'alice', 0, 0]])
        self.assertEqual(self.stat(f'link:bob/alice@{self.where}')['address'], address)
        (listed,) = json.loads(self.yoke('ls', 'link:', '--place', self.where, '--json'))
        self.assertEqual(listed['address'], address)
        self.assertEqual(self.findings(severity='warning'), [])
        self.yoke('tap', address, status=1)
        self.assertIn('in ports only', self.complaint)

    def test_watch_goes_on_with_rates(self):
        address = self.make()
        watch = self.start('stat', address, '--watch=50ms', '--json')
        json.loads(watch.stdout.readline())
        self.yoke('send', address, 'a', 'b', 'c')
        while json.loads(watch.stdout.readline())['sent'] != 3:
            pass
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(), -signal.SIGINT)

    def test_metrics_of_one_or_of_all(self):
        address = self.make()
        self.yoke('send', address, 'a', 'b')
        labels = f'{{object="{address}",kind="port",name="jobs",place="nats"}}'
        for arguments in ((address,), ('--place', self.secretly)):
            lines = self.yoke('stat', '--openmetrics', *arguments).decode().splitlines()
            for line in ('yoke_readable', 'yoke_replicas'):
                self.assertIn(f'{line}{labels} 1', lines)
            self.assertIn(f'yoke_sent_messages_total{labels} 2', lines)
            self.assertIn(f'yoke_waiting_messages{labels} 2', lines)
            self.assertFalse([line for line in lines if 'found_empty' in line or 'dropped' in line])
        self.assertIn(address, self.yoke('stat', '--talks', address).decode())

    def test_what_is_not_there_is_told(self):
        for command in ('stat', 'tap'):
            self.yoke(command, f'port:nix@{self.where}', status=1)
            self.assertIn('there is no port:nix', self.complaint)
        self.yoke('stat', self.make(), '--latency', status=1)
        self.assertIn('how long messages wait', self.complaint)

    def test_a_port_whose_stream_is_gone_is_shown_with_the_reason(self):
        address = self.make()
        self.connect().api(f'STREAM.DELETE.{self.prefix}-parked-jobs-1')
        done = self.run_tool('stat', address, '--json')
        self.assertEqual(done.returncode, 1)
        self.assertIn('its streams are not all there', json.loads(done.stdout)['problem'])
        done = self.run_tool('ls', '--place', self.where)
        self.assertIn(f'{address}     ?'.encode(), done.stdout)
        self.assertIn('its streams are not all there', done.stderr.decode())

    def test_no_answer_and_no_login_are_told(self):
        for command in (('ls', '--place'), ('gc', '--place'), ('stat', '--openmetrics', '--place')):
            self.yoke(*command, f'nats://{LOGIN}{server.address}:1', status=1)
            self.assertIn('no server of the place answers', self.complaint)
            self.assertNotIn(SECRET, self.complaint)


class Secrets(Place):
    def test_no_command_shows_them(self):
        address = f'port:jobs@{self.secretly}'
        nobody = f'port:jobs@nats://{LOGIN}{server.address}:1'
        for arguments in (
            ('port', 'create', 'jobs', '--place', self.secretly),
            ('port', 'create', 'jobs', '--place', self.secretly, '--json', '--depth', '9999'),
            ('send', address, 'x'), ('recv', address), ('recv', address, '--timeout', '0'),
            ('recv', address, '--timeout', '1ms'), ('tap', address), ('stat', address),
            ('stat', address, '--json'), ('stat', '--openmetrics', address), ('stat', '--talks', address),
            ('stat', '--talks', '--dot', address), ('stat', address, '--latency'),
            ('ls', '--place', self.secretly), ('ls', '--place', self.secretly, '--json'),
            ('doctor', '--place', self.secretly, '--verbose'), ('gc', '--place', self.secretly),
            ('top', '--once', '--place', self.secretly, '--interval', '1ms'),
            ('send', nobody, 'x', '--timeout', '0'), ('recv', nobody, '--timeout', '0'), ('stat', nobody),
            ('rm', nobody), ('tap', nobody), ('rm', f'region:x@{self.secretly}'),
            ('send', f'stream:x@{self.secretly}', 'x'), ('recv', f'region:x@{self.secretly}'),
            ('recv', f'nix:x@{self.secretly}'), ('recv', self.secretly), ('stat', f'port:a/b@{self.secretly}'),
            ('send', f'port:x@nats:/{LOGIN}h', 'x'), ('send', f'port:x@redis://{LOGIN}h', 'x'),
            ('send', f'port:x@nats://h,{LOGIN}h/no/prefix', 'x'), ('send', f'port:x@nats://{LOGIN}', 'x'),
            ('stream', 'create', 'x', '--place', self.secretly), ('write', f'stream:x@{self.secretly}'),
            ('send', '--as', 'me', address, 'x'), ('stat', address, '--place', self.secretly),
            ('rm', address), ('rm', address),
        ):
            done = self.run_tool(*arguments)
            text = (done.stdout + done.stderr).decode()
            self.assertNotIn(SECRET[:6], text, arguments)

    def test_nor_does_the_place_of_the_environment(self):
        environment = os.environ | {'YOKE_PLACE': f'nats://{LOGIN}{server.address}:1'}
        for command in ('stat', 'recv', 'tap'):
            self.yoke(command, 'port:jobs', status=1, env=environment)
            self.assertNotIn(SECRET[:6], self.complaint)


class Tapping(Place):
    def lines(self, *arguments):
        return [json.loads(line) for line in self.yoke('tap', *arguments, '--json').splitlines()]

    def test_messages_are_shown_and_stay(self):
        address = self.make('jobs', '--max-deliveries', '1')
        self.park_one(address)
        self.yoke('send', address, '--tag', '7', 'in hand', 'one', 'two')
        self.hold_one(address)
        before = self.stat(address)
        shown = self.lines(address)
        self.assertEqual(
            [(one['state'], one['data'], one['sequence'], one['deliveries'], one['tag']) for one in shown],
            [('parked', 'poison', 1, 1, 0), ('held', 'in hand', 2, 1, 7), ('waits', 'one', 3, 0, 7),
             ('waits', 'two', 4, 0, 7)])
        self.assertTrue(all(one['sender'] > 0 for one in shown))
        after = self.stat(address)
        for key in ('waiting', 'held', 'parked', 'sent', 'received', 'redelivered'):
            self.assertEqual(after[key], before[key], key)
        self.assertEqual(self.yoke('recv', address, '--count', '2'), b'one\ntwo\n')

    def test_any_bytes_as_many_as_asked_for(self):
        address = self.make()
        data = bytes(range(256)) * 3
        self.yoke('send', address, '--file', self.path('bytes', data))
        (whole,) = self.lines(address, '--bytes', '1K')
        self.assertEqual((whole['size'], whole['complete']), (768, True))
        self.assertEqual(base64.b64decode(whole['data_base64']), data)
        text = self.yoke('tap', address, '--hex', '--bytes', '17').decode()
        self.assertIn('  00000010  10  ', text)

    def test_those_that_come_are_shown_once_each(self):
        address = self.make('jobs', '--max-deliveries', '1')
        self.yoke('send', address, 'old')
        tap = self.start('tap', address, '--follow')
        self.assertIn(b'old', tap.stdout.readline())
        self.yoke('recv', address, '--exec', 'false', '--timeout', '0', status=1)  # it is parked with the next look
        for i in range(3):
            self.yoke('send', address, f'new {i}')
            self.assertIn(f'new {i}\n'.encode(), tap.stdout.readline())
        self.assertEqual(self.yoke('recv', address, '--count', '3'), b'new 0\nnew 1\nnew 2\n')
        self.yoke('send', address, 'last')
        self.assertIn(b'last', tap.stdout.readline())
        tap.send_signal(signal.SIGINT)
        self.assertEqual(tap.wait(), -signal.SIGINT)
        self.assertEqual(tap.stdout.read(), b'')

    def test_it_ends_when_nothing_is_there_or_the_port_goes(self):
        address = self.make()
        self.yoke('tap', address, status=3)
        self.assertIn('is empty', self.complaint)
        self.yoke('tap', address, '--follow', '--timeout', '10ms', status=3)
        tap = self.start('tap', address, '--follow')
        self.yoke('send', address, 'x')
        tap.stdout.readline()
        self.yoke('rm', address)
        self.assertEqual(tap.wait(tool.DEADLINE), 1)
        self.assertIn(b'was removed', tap.stderr.read())


class Collecting(Place):
    def leave_streams(self, name='jobs'):
        """As who removes a port and is killed after the first step."""
        self.make(name)
        self.yoke('send', f'port:{name}@{self.where}', 'a', 'b')
        self.connect().store(f'{self.prefix}.names.port.{name}', b'')

    def collect(self, *options):
        return json.loads(self.yoke('gc', '--place', self.secretly, '--json', *options))

    def test_streams_of_a_removed_port_are_cleared(self):
        self.leave_streams()
        self.make('living')
        before = self.streams()
        dead = [f'{self.prefix}-{what}-jobs-1' for what in ('parked', 'port')]
        self.assertEqual(sorted(one['name'] for one in self.collect('--dry-run')), dead)
        self.assertEqual(self.streams(), before)
        self.assertEqual(sorted((one['what'], one['name']) for one in self.collect()),
                         [('stream', name) for name in dead])
        self.assertEqual(self.streams(), [name for name in before if name not in dead])
        self.assertIn(f'nothing to clear in {self.where}\n',
                      self.yoke('gc', '--place', self.secretly).decode())
        self.yoke('send', f'port:living@{self.where}', 'x')

    def test_those_of_a_name_that_was_made_anew_are_cleared_and_the_new_ones_stay(self):
        self.leave_streams()
        address = self.make('jobs')
        self.yoke('send', address, 'new')
        self.assertEqual(len(self.collect()), 2)
        self.assertEqual(self.yoke('recv', address), b'new\n')
        self.assertEqual(self.collect(), [])

    def test_what_nothing_is_known_of_stays(self):
        self.make('jobs')
        connection = self.connect()
        connection.stream(f'{self.prefix}-port-ghost-7', [f'{self.prefix}.port.ghost.7'], retention='workqueue')
        connection.stream(f'{self.prefix}-port-jobs-99', [f'{self.prefix}.port.jobs.99'])
        connection.stream(f'{self.prefix}-port-x-y', [f'{self.prefix}.port.x.y'])
        self.assertEqual(self.collect(), [])
        self.assertEqual(len(self.streams()), 7)
        self.assert_finding('warning', 'no name leads to this stream')

    def test_another_prefix_that_begins_alike_stays(self):
        self.make('port-x')
        self.yoke('rm', f'port:port-x@{self.where}')
        other = f'{server.url}/{self.prefix}-port'
        self.make('x', where=other)  # its streams could be taken for those of an older port:port-x
        self.connect().store(f'{self.prefix}.names.port.port-x', b'')
        self.assertEqual(self.collect(), [])
        self.yoke('send', f'port:x@{other}', 'still there')

    def test_this_machine_is_no_such_place(self):
        for command in ('gc', 'doctor'):
            for place in ('memory', 'kernel'):
                self.yoke(command, '--place', place, status=2)
                self.assertIn('without --place', self.complaint)


class Doctor(Place):
    def test_a_place_that_is_as_it_should_be(self):
        self.make()
        self.assertEqual([one['severity'] for one in self.findings() if one['severity'] != 'fine'],
                         ['note', 'note'])
        self.assert_finding('note', 'is one server')
        self.assert_finding('note', 'do not tell their sync_interval', 'sync_interval: always')
        self.assert_finding('fine', f'nats-server {servers.version()} with JetStream')
        text = self.yoke('doctor', '--place', self.secretly).decode()
        self.assertTrue(text.endswith(f'0 faults, 0 warnings, 2 notes; {self.where}\n'), text)

    def test_a_place_that_nobody_used_yet(self):
        self.assert_finding('fine', 'nobody made anything here')
        self.assertEqual(self.yoke('ls', '--place', self.where, '--json'), b'[]\n')
        self.yoke('gc', '--place', self.where)

    def test_no_server(self):
        self.assert_finding('fault', 'no server of the place answers', 'nats-server -js',
                            where=f'nats://{LOGIN}{server.address}:1')

    def test_a_full_port_and_one_that_nobody_receives_from(self):
        address = self.make('jobs', '--depth', '2')
        self.yoke('send', address, 'a')
        self.assert_finding('note', '1 message is there, and no process has it open')
        self.yoke('send', address, 'b')
        one = self.assert_finding('warning', 'is full, with 2 messages waiting', f'yoke recv {address}')
        self.assertEqual(one['subject'], address)
        holder = self.hold_one(address)
        self.assert_finding('warning', 'is full, with 1 messages waiting and 1 held')
        self.end(holder)

    def test_parked_messages(self):
        address = self.make('jobs', '--max-deliveries', '1', '--max-parked', '1')
        self.park_one(address)
        self.assert_finding('warning', 'no more can be, and the next such are dropped',
                            f"yoke recv '{address}' --parked")

    def test_a_name_without_its_streams_and_the_cure(self):
        self.make()
        cure = f"yoke port create jobs --place '{self.where}'"
        for what in ('STREAM.DELETE.{}-parked-jobs-1', 'CONSUMER.DELETE.{}-parked-jobs-1.receivers'):
            self.connect().api(what.format(self.prefix))
            self.assert_finding('warning', 'its streams are not all there', cure)
            self.yoke(*shlex.split(cure)[1:])
            self.assertEqual(self.findings(severity='warning'), [])

    def test_a_port_whose_stream_somebody_removed_and_the_cure(self):
        address = self.make()
        cure = f"yoke rm '{address}' && yoke port create jobs --place '{self.where}'"
        for what in ('STREAM.DELETE.{}', 'CONSUMER.DELETE.{}.receivers'):
            (stream,) = [name for name in self.streams() if '-port-' in name]
            self.connect().api(what.format(stream))
            self.assert_finding('fault', 'was removed, and not by yoke', cure)
            for command in cure.split(' && '):
                self.yoke(*shlex.split(command)[1:])
            self.assertEqual(self.findings(severity='fault'), [])

    def test_streams_without_their_name_and_the_cure(self):
        self.make()
        self.yoke('send', f'port:jobs@{self.where}', 'a')
        self.connect().store(f'{self.prefix}.names.port.jobs', b'')
        cure = f"yoke gc --place '{self.where}'"
        self.assert_finding('warning', '1 message was left behind', cure)
        self.yoke(*shlex.split(cure)[1:])
        self.assertEqual(self.findings(severity='warning'), [])

    def test_what_no_yoke_wrote(self):
        self.make()
        self.connect().store(f'{self.prefix}.names.port.jobs', b'nonsense')
        self.assert_finding('fault', 'was written by no yoke')
        self.yoke('stat', f'port:jobs@{self.where}', status=1)
        self.assertIn('was written by no yoke', self.complaint)

    def test_what_moves_a_terminal_is_not_shown(self):
        """Names and kinds that no yoke writes, where others can write."""
        self.make()
        connection = self.connect()
        for token in ('port.=1B=5B31m', 'port.=7F', 'port.=C2=9B31m', 'port.=2F=2E=2E', 'evil\x1b.a'):
            connection.store(f'{self.prefix}.names.{token}', b'nonsense')
        for name in ('=1B=5B31m', '=7F', '=C2=9B31m', 'a=20b'):
            connection.store(f'{self.prefix}.here.peer.{name}', b'{"owner": "x"}')
        for command in (('ls',), ('doctor',), ('peers',), ('gc', '--dry-run')):
            output = self.yoke(*command, '--place', self.where).decode()
            for shown in (output, self.complaint):
                self.assertTrue(all(' ' <= c < '\x7f' or c in '\n…' for c in shown), (command, shown))

    def test_a_transient_port_whose_last_user_died(self):
        holder = self.start('port', 'create', 'jobs', '--transient', '--hold', '--place', self.where)
        holder.stdout.readline()
        connection = self.connect()
        for _ in holder, None:  # its lease runs on for a while: as if that were over
            self.end(holder)
        connection.api(f'STREAM.PURGE.{self.prefix}-here')
        cure = f"yoke rm 'port:jobs@{self.where}'"
        self.assert_finding('note', 'is transient, and nobody takes part', cure)
        self.yoke(*shlex.split(cure)[1:])


class OtherServers(Place):
    """Each has one, with settings of its own."""

    def serve(self, **more):
        directory = self.enter(servers.scratch())
        its = self.enter(servers.Server(directory, **more))
        self.where = f'{its.url}/other'
        return its

    def enter(self, manager):
        entered = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return entered

    def test_no_jetstream(self):
        self.serve(jetstream=False)
        self.assert_finding('fault', 'no JetStream', '-js')

    def test_a_login_that_is_refused(self):
        its = self.serve(settings='authorization { user: right, password: right }')
        self.assert_finding('fault', 'does not let us in', 'NATS_USER',
                            where=f'nats://right:{SECRET}@{its.address}:{its.port}')

    def test_messages_bigger_than_what_the_server_carries(self):
        its = self.serve()
        self.make('jobs', '--max-message', '500K')
        its.kill()
        its.settings = 'max_payload: 64KB'
        its.start()
        self.assert_finding('warning', 'carries no more than 65536', 'max_payload')

    def test_an_account_that_is_nearly_full(self):
        its = self.serve(settings='accounts { A { jetstream { max_mem: 1M, max_file: 1M, max_streams: 4, '
                                  f'max_consumers: 90 }}, users: [{{user: a, password: "{SECRET}"}}] }} }}')
        self.where = f'nats://a:{SECRET}@{its.address}:{its.port}/x'
        self.make()
        self.assert_finding('warning', 'has 4 streams and may have 4', 'limits')

    def test_who_may_look_alone_can_look(self):
        its = self.serve(settings=f'authorization {{ users: [{READER}, {{user: all, password: all}}] }}')
        writer = f'nats://all:all@{its.address}:{its.port}/x'
        reader = f'nats://reader:{SECRET}@{its.address}:{its.port}/x'
        address = self.make(where=writer)
        self.yoke('send', address, 'a', 'b')
        self.assertEqual(len(json.loads(self.yoke('ls', '--place', reader, '--json'))), 1)
        self.assertEqual(self.stat(f'port:jobs@{reader}')['waiting'], 2)
        self.assertEqual(self.yoke('tap', f'port:jobs@{reader}').count(b'waits'), 2)
        self.yoke('top', '--once', '--interval', '1ms', '--place', reader)
        self.yoke('stat', '--openmetrics', '--place', reader)
        self.yoke('gc', '--dry-run', '--place', reader)
        self.assert_finding('note', 'is one server', where=reader)
        its.connect(user='all', **{'pass': 'all'}).store('x.names.port.jobs', b'')
        self.yoke('gc', '--place', reader, status=1)
        self.assertIn('this user may not', self.complaint)
        self.assertNotIn(SECRET, self.complaint)

    def test_a_server_that_is_too_old_or_not_to_be_asked(self):
        its = self.serve()
        between = Between(its, lambda line: line.replace(servers.version().encode(), b'2.8.4'))
        self.addCleanup(between.close)
        self.assert_finding('fault', 'which is too old', 'nats-server 2.9', where=between.url)
        between.change = lambda line: b''
        between.untouched = 1
        self.assert_finding('warning', 'does not say its version on a second connection', where=between.url)


class Between:
    """Passes connections on to a server; the first line that this says is changed."""

    def __init__(self, its, change):
        self.its, self.change, self.untouched = its, change, 0
        self.listening = socket.create_server((its.address, 0))
        self.url = 'nats://%s:%d' % self.listening.getsockname()
        self.open = [self.listening]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near = self.listening.accept()[0]
            except OSError:
                return
            far = socket.create_connection((self.its.address, self.its.port))
            self.open += [near, far]
            line = b''
            while not line.endswith(b'\r\n'):
                line += far.recv(1)
            if self.untouched:
                self.untouched -= 1
            else:
                line = self.change(line)
            if not line:
                near.close()
                continue
            near.sendall(line)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(one, other):
        try:
            while data := one.recv(1 << 16):
                other.sendall(data)
        except OSError:
            pass

    def close(self):
        for one in self.open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


class Clustered(Place):
    """A cluster of three, and what is wrong when one is away."""

    def test_replicas(self):
        with servers.scratch() as directory, servers.Cluster(directory) as cluster:
            self.where = cluster.url + '/c'
            self.make('three')
            self.make('one', where=self.where + '?replicas=1')
            facts = self.stat(f'port:three@{self.where}')
            self.assertEqual((facts['replicas'], facts['replicas_behind']), (3, 0))
            self.assertIn(facts['leader'], [one.name for one in cluster.servers])
            self.assertIn('3 replicas, led by server', self.yoke('stat', f'port:three@{self.where}').decode())
            one = self.assert_finding('warning', 'has one replica in a cluster', 'nats stream edit c-port-one-')
            self.assertEqual(one['subject'], f'port:one@{self.where}')
            self.assertFalse([one for one in self.findings() if 'is one server' in one['text']])
            name = next(stream['config']['name'] for stream in self.connect(cluster.servers[0]).api(
                'STREAM.LIST')['streams'] if stream['config']['name'].startswith('c-port-one-'))
            leader = cluster.await_stream_leader(name)
            leader.kill()

            def noticed():
                found = self.findings()
                texts = [f'{one["severity"]} {one["subject"]} {one["text"]}' for one in found]
                return (any(f'not up to date: {leader.name} (' in text for text in texts)
                        and any(text.startswith(f'fault port:one@{self.where} ') for text in texts))
            self.until('that a replica is away, and a stream without a leader', noticed)
            self.assertIn('port:one', self.run_tool('ls', '--place', self.where).stdout.decode())
            leader.start()


if __name__ == '__main__':
    servers.require()
    tool.main()
