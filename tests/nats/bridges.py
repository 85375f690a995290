"""yoke bridge between a port in memory and one on NATS: whatever is killed, or stands still for a while, no message
is lost, and what comes twice says so.

    bridges.py [--cluster] [WORD...]

Where the long proofs get a share of their time, a cluster has one of the tests (servers.TURNS).
"""

import pathlib
import random
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cli'))
import tool  # noqa: E402
import traffic  # noqa: E402

import servers  # noqa: E402

cluster = '--cluster' in sys.argv


class Storm(traffic.Traffic):
    """One of whose ends may be on the servers, which are asked themselves."""

    call = 256

    def may_end(self, what, child):
        """Who comes when the server is not there is told so; a bridge waits for it."""
        return what == 'receiver' and b'of the place' in child.stderr.read()

    def is_empty(self, address):
        if '@' not in address:
            return super().is_empty(address)
        state = self.case.stream(address)
        return state is not None and state['messages'] == 0


class Bridge(tool.Case):
    @classmethod
    def setUpClass(cls):
        cls.directory = servers.scratch()
        cls.running = (servers.Cluster if cluster else servers.Server)(cls.directory.__enter__())
        cls.running.__enter__()
        cls.all = cls.running.servers if cluster else [cls.running]
        tool.diagnose(f'nats-server {servers.version()}, {len(cls.all)} of them')

    @classmethod
    def tearDownClass(cls):
        cls.running.__exit__()
        cls.directory.__exit__(None, None, None)

    def served(self, *options):
        """A port on the servers, empty."""
        place = f'{self.running.url}/yoke?ack_wait=2'
        self.yoke('port', 'create', self.base, '--place', place, *options)
        return self.forget(f'port:{self.base}@{place}')

    def local(self, name):
        return self.port('--depth', '512', '--max-deliveries', 'none', name=f'{self.base}-{name}')

    # ---- what the servers say

    def asked(self, what, body=None):
        """The answer of whichever server gives one, or None."""
        for server in self.all:
            try:
                with server.connect(timeout=5) as connection:
                    return connection.api(what, body, timeout=5)
            except (OSError, servers.client.TimedOut, servers.client.Refused):
                continue
        return None

    def stream_name(self):
        def found():
            names = (self.asked('STREAM.NAMES') or {}).get('streams') or []
            return [name for name in names if name.startswith(f'yoke-port-{self.base}-')]

        return self.until('the stream of a port', found)[0]

    def stream(self, _):
        info = self.asked(f'STREAM.INFO.{self.stream_name()}')
        return info and info['state']

    # ---- what is done to them

    def torment_server(self, how):
        """
        Kills one and starts it again, or stops it for a while; in a cluster the one that leads. One alone is ended in
        good order: killed, it loses what it has acknowledged and not written yet.
        """
        one = self.all[0]
        if cluster:
            one = self.running.await_stream_leader(self.stream_name())
        if how == 'kill':
            if not cluster:
                one.signal(signal.SIGTERM)
                one.process.wait(tool.DEADLINE)
            one.kill()
            if cluster:  # the others go on without it
                self.until('a leader', lambda: self.running.leader(self.stream_name()))
            one.start()
        else:
            one.stop()
            servers.time.sleep(random.uniform(0.5, 3))
            one.resume()

    # ---- tests

    def test_to_the_servers_bridges_killed_nothing_is_lost_or_comes_twice(self):
        source, target = self.local('a'), self.served('--depth', '512')
        storm = Storm(self, source, target, receivers=2)
        for _ in range(3):
            storm.send(3000)
        storm.bridge()
        storm.bridge()
        for _ in range(25):
            storm.pause(0.15)
            storm.kill_bridge()
        storm.drain()
        doubled, _ = storm.check()
        self.assertEqual(doubled, 0)  # each bridge sends under the same names

    def test_from_the_servers_bridges_killed_nothing_is_lost(self):
        source, target = self.served('--depth', '512'), self.local('b')
        storm = Storm(self, source, target, receivers=2)
        for _ in range(3):
            storm.send(2000)
        storm.bridge()
        storm.bridge()
        for _ in range(12):
            storm.pause(0.3)
            storm.kill_bridge()
        storm.drain()
        storm.check()

    def test_to_the_servers_all_of_them_killed_nothing_is_lost(self):
        source, target = self.local('a'), self.served('--depth', '512')
        storm = Storm(self, source, target, receivers=2)
        for _ in range(3):
            storm.send(3000)
        storm.bridge()
        storm.bridge('--batch', '7')
        for number in range(4):
            for _ in range(4):
                storm.pause(0.3)
                storm.kill_bridge()
            storm.kill_receiver()
            storm.kill_sender()
            storm.send(1000)
            self.torment_server('kill' if number % 2 == 0 else 'stop')
            storm.revive_receivers()
        storm.drain()
        storm.check()

    def test_from_the_servers_all_of_them_killed_nothing_is_lost(self):
        source, target = self.served('--depth', '512'), self.local('b')
        storm = Storm(self, source, target, receivers=2)
        for _ in range(3):
            storm.send(2000)
        storm.bridge()
        storm.bridge('--batch', '7')
        for number in range(4):
            for _ in range(3):
                storm.pause(0.3)
                storm.kill_bridge()
            storm.kill_receiver()
            storm.kill_sender()
            storm.send(500)
            self.torment_server('kill' if number % 2 == 0 else 'stop')
            storm.revive_receivers()
        storm.drain()
        storm.check()

    def test_that_the_servers_are_away_and_back_is_said(self):
        if cluster:
            self.skipTest('one server is enough')
        source, target = self.local('a'), self.served()
        bridge = self.start('bridge', source, target)
        self.yoke('send', source, 'before')
        self.assertEqual(self.yoke('recv', target), b'before\n')
        self.all[0].kill()
        self.yoke('send', source, 'meanwhile')
        line = bridge.stderr.readline()
        self.assertIn(b'does not answer', line)
        self.assertIn(b'in hand', line)
        self.all[0].start()
        self.assertIn(b'answers again', bridge.stderr.readline())
        self.assertEqual(self.yoke('recv', target), b'meanwhile\n')


if __name__ == '__main__':
    servers.require()
    sys.argv = [word for word in sys.argv if word != '--cluster']
    turn = servers.take_turn('bridges to', 'bridges from') if cluster else None
    if turn:
        sys.argv.append(f'test_{turn.split()[-1]}_the_servers_all_of_them')
    tool.main()
