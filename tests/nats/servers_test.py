"""The servers that the other tests of this suite run beside: what tests/nats/servers.py promises of them."""

import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cli'))
import tool  # noqa: E402

import client  # noqa: E402
import keys  # noqa: E402
import servers  # noqa: E402

WITH_SERVER = str(pathlib.Path(__file__).resolve().parent / 'with_server.py')


def is_there(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
            return file.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


class Servers(tool.Case):
    def scratch_directory(self):
        return self.enterContext(servers.scratch())

    def test_killed_server_comes_again_with_its_store_and_port(self):
        with servers.Server(self.scratch_directory()) as server:
            url = server.url
            with server.connect() as nats:
                nats.stream('kept', ['kept.>'])
                nats.store('kept.a', b'x')
            server.kill()
            with self.assertRaises(OSError):
                server.connect()
            server.start()
            self.assertEqual(server.url, url)
            with server.connect() as nats:
                self.assertEqual(nats.api('STREAM.INFO.kept')['state']['messages'], 1)

    def test_stopped_server_says_nothing_until_it_goes_on(self):
        with servers.Server(self.scratch_directory()) as server, server.connect() as nats:
            server.stop()
            with self.assertRaises(client.TimedOut):
                nats.flush(0.2)
            server.resume()
            nats.flush()

    def test_cluster_goes_on_without_the_leader_of_a_stream(self):
        with servers.Cluster(self.scratch_directory()) as cluster:
            with cluster.servers[0].connect() as nats:
                self.assertEqual(nats.stream('kept', ['kept.>'], 3)['config']['num_replicas'], 3)
                nats.store('kept.a', b'x')
            leader = cluster.await_stream_leader('kept')
            leader.kill()
            other = self.until('another leader', lambda: cluster.leader('kept') not in (None, leader))
            self.assertTrue(other)
            leader.start()
            cluster.await_leader()
            with leader.connect() as nats:
                self.assertEqual(nats.store('kept.a', b'y')['seq'], 2)
                # Its leader tells that it has a message a moment before it counts it.
                self.until('two messages', lambda: nats.api('STREAM.INFO.kept')['state']['messages'] == 2)

    def test_logins_let_in_who_has_them_and_nobody_else(self):
        for name, way in keys.WAYS.items():
            with self.subTest(way=name):
                directory, address = self.scratch_directory(), servers.own_address()
                login = way(directory, address)
                server = servers.Server(directory, address=address, settings=login.settings)
                server.login, server.tls = login.login, login.tls
                with server:
                    with server.connect() as nats:
                        nats.stream('one', ['one.>'])
                        nats.store('one.a', b'x')
                    if name != 'nobody':
                        with self.assertRaises((client.Refused, ConnectionError)):
                            client.Client((server.address, server.port)).close()

    def test_server_without_jetstream_says_so(self):
        with servers.Server(self.scratch_directory(), jetstream=False) as server, server.connect() as nats:
            with self.assertRaises(client.Refused) as caught:
                nats.api('INFO')
            self.assertEqual(caught.exception.code, 503)

    # ---- beside a command

    def beside(self, *arguments):
        return subprocess.run([sys.executable, WITH_SERVER, *arguments], capture_output=True, text=True,
                              timeout=4 * tool.DEADLINE)

    def test_command_finds_its_server_and_its_status_is_passed_on(self):
        done = self.beside('--', 'sh', '-c', 'echo "$YOKE_NATS_URL $YOKE_NATS_REPLICAS"; exit 3')
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stdout, r'\Anats://127\.\d+\.\d+\.\d+:\d+ 1\n\Z')
        self.assertEqual(self.beside('--', 'sh', '-c', 'kill -9 $$').returncode, 128 + signal.SIGKILL)
        self.assertEqual(self.beside('--', '/no/such/command').returncode, 127)
        done = self.beside('--login', 'password', '--', 'sh', '-c', 'echo "$NATS_USER"')
        self.assertEqual(done.stdout, 'alice\n', done.stderr)

    def test_servers_and_command_die_with_a_killed_owner(self):
        script = 'echo $$; echo $(cat "$TMPDIR"/yoke-nats-*/one/pid); exec sleep 1000'
        owner = subprocess.Popen([sys.executable, WITH_SERVER, '--', 'sh', '-c', script], stdout=subprocess.PIPE,
                                 text=True, env=os.environ | {'TMPDIR': self.scratch})
        self.addCleanup(owner.stdout.close)
        command = int(owner.stdout.readline())
        server = int(owner.stdout.readline())
        self.assertTrue(is_there(server))
        owner.kill()
        owner.wait()
        self.until('the end of both', lambda: not is_there(command) and not is_there(server))


if __name__ == '__main__':
    servers.require()
    tool.main(json_needed=False)
