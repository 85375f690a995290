"""Real nats-servers on loopback, for a test.

    with servers.scratch() as directory, servers.Server(directory) as server: ...
    with servers.scratch() as directory, servers.Cluster(directory) as cluster: ...

Each test has an address of its own out of 127.0.0.0/8, so no two of them, and no outgoing connection, ever
want the same port, and a server that is started again finds its ports free. A server dies with the process
that started it, however that ends, and must therefore be started by its main thread. nats-server takes no
more than some 20 MB here.

Where it is not installed, `require()` skips the test. Nothing here sleeps to let something happen: what is
waited for is asked for, until it has come about or DEADLINE is over.
"""

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import client

DEADLINE = client.DEADLINE
MEBIBYTE = 1 << 20


def find():
    """The server's path, or None. Debian has it where users need not look."""
    path = os.environ.get('PATH', os.defpath) + ':/usr/local/sbin:/usr/sbin:/sbin'
    return shutil.which('nats-server', path=path)


def require():
    """Skips the test, which must be a program of its own, where there is no nats-server."""
    if not find():
        print('nats-server is not installed (Debian: nats-server)')
        sys.exit(77)


# What takes a cluster for long: where the long proofs get a share of their time, each seed has one of these.
TURNS = ('bridges to', 'faults of links', 'bridges from', 'facts')


def take_turn(*names):
    """Which of these it is to be; None: all, as there is time. Skips the test where it is another one's turn."""
    if 'YOKE_LONG_SECONDS' not in os.environ:
        return None
    turn = TURNS[int(os.environ.get('YOKE_SEED', '1')) % len(TURNS)]
    if turn not in names:
        print(f'this seed has the turn of "{turn}"')
        sys.exit(77)
    return turn


def version():
    line = subprocess.run([find(), '--version'], capture_output=True, text=True, check=True).stdout
    return line.strip().rsplit('v', 1)[-1]


@contextlib.contextmanager
def scratch():
    """A directory on disk: $TMPDIR, unless that is in memory as /dev/shm is."""
    directory = tempfile.mkdtemp(prefix='yoke-nats-')
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def until(what, condition, deadline=DEADLINE):
    """Waits until the condition holds, and returns what it returned."""
    give_up = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > give_up:
            raise TimeoutError(f'{what} has not come about in {deadline} s')
        time.sleep(0.01)  # between two looks; what is waited for is the condition


def die_with(parent):
    """For a child between fork and exec: to be killed with its parent."""
    prctl = ctypes.CDLL(None).prctl  # loaded before the fork

    def prepare():
        prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)  # it was too late

    return prepare


def own_address():
    """An address of loopback that nobody else uses, so far as chance can tell (1 in 16 million)."""
    return f'127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}'


_given = set()  # what free_port() has said: it is free until a server has it, and would be said again


def free_port(address):
    """A port of that address that is free, another one each time. Nobody else takes it: the address is our own."""
    while True:
        with socket.socket() as probe:
            probe.bind((address, 0))
            place = probe.getsockname()
        if place not in _given:
            _given.add(place)
            return place[1]


class Server:
    """One nats-server. It keeps its ports and its store when it is killed and started again."""

    def __init__(self, directory, name='one', address=None, jetstream=True, cluster='', settings='',
                 advertise=''):
        """
        settings: more lines for its configuration file, such as who may log in (keys.py makes some);
        cluster: its block `cluster`; advertise: the address that it tells clients in place of its own.
        """
        self.name, self.address = name, address or own_address()
        self.directory = os.path.join(directory, name)
        self.configuration = os.path.join(self.directory, 'server.conf')
        self.log_path = os.path.join(self.directory, 'log')
        self.jetstream, self.cluster, self.settings, self.advertise = jetstream, cluster, settings, advertise
        self.process = None
        self.login = {}  # for connect()
        self.tls = None
        os.mkdir(self.directory)
        self.choose_ports()

    # ---- starting and ending

    def choose_ports(self):
        self.port, self.monitor = free_port(self.address), free_port(self.address)

    def configure(self):
        lines = [f'server_name: "{self.name}"',
                 f'listen: "{self.address}:{self.port}"',
                 f'http: "{self.address}:{self.monitor}"',
                 f'log_file: "{self.log_path}"',
                 f'pid_file: "{os.path.join(self.directory, "pid")}"',
                 'max_payload: 1MB']
        if self.advertise:
            lines.append(f'client_advertise: "{self.advertise}"')
        if self.jetstream:
            store = os.path.join(self.directory, 'store')
            lines.append(f'jetstream {{ store_dir: "{store}", max_memory_store: {64 * MEBIBYTE}, '
                         f'max_file_store: {512 * MEBIBYTE} }}')
        lines += [self.cluster, self.settings]
        with open(self.configuration, 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines) + '\n')
        os.chmod(self.configuration, 0o600)  # it may hold passwords

    def launch(self):
        """Starts it and does not wait for it."""
        self.configure()
        self.process = subprocess.Popen(
            [find(), '-c', self.configuration], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with(os.getpid()))

    def start(self):
        """Starts it and waits until it listens. It may be started again after kill()."""
        self.launch()
        self.await_ready()
        return self

    def await_ready(self):
        def listens():
            if self.process.poll() is not None:
                raise RuntimeError(f'nats-server {self.name} ended with {self.process.returncode}:\n{self.log()}')
            return self.ask('healthz?js-enabled-only=true' if self.jetstream else 'healthz') is not None
        until(f'nats-server {self.name}', listens)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        """kill -9; it is gone when this returns."""
        if self.process:
            self.process.kill()  # kills one that is stopped, too
            self.process.wait()
            self.process = None

    def stop(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    # ---- talking to it

    @property
    def url(self):
        return f'nats://{self.address}:{self.port}'

    def connect(self, **more):
        return client.Client((self.address, self.port), **({'tls': self.tls} | self.login | more))

    def ask(self, path):
        """The answer of its monitoring, or None while it does not give one."""
        try:
            with urllib.request.urlopen(f'http://{self.address}:{self.monitor}/{path}', timeout=5) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def log(self):
        try:
            with open(self.log_path, encoding='utf-8') as file:
                return file.read()
        except FileNotFoundError:
            return ''


class Cluster:
    """Three servers with JetStream that know each other."""

    def __init__(self, directory, size=3, address=None, settings='', advertise=None):
        """advertise: per server, the address that clients are told in place of its own."""
        address = address or own_address()
        routes = [free_port(address) for _ in range(size)]
        seeds = ', '.join(f'"nats-route://{address}:{port}"' for port in routes)
        self.servers = []
        for number, route in enumerate(routes):
            block = f'cluster {{ name: yoke-test, listen: "{address}:{route}", routes: [{seeds}] }}'
            self.servers.append(Server(directory, f'server{number}', address, cluster=block, settings=settings,
                                       advertise=advertise[number] if advertise else ''))

    def start(self):
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.await_ready()
        self.await_leader()
        return self

    def await_leader(self):
        """Until all of them know the same leader of JetStream, and it all of them."""
        def agreed():
            answers = [server.ask('jsz') for server in self.servers]
            metas = [answer.get('meta_cluster') or {} for answer in answers if answer]
            leaders = {meta.get('leader') for meta in metas}
            known = max((len(meta.get('replicas') or []) for meta in metas), default=0)
            return (len(metas) == len(self.servers) and len(leaders) == 1 and all(leaders)
                    and known == len(self.servers) - 1)
        until('a leader of the cluster', agreed)

    def kill(self):
        for server in self.servers:
            server.kill()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, *_):
        self.kill()

    @property
    def url(self):
        return 'nats://' + ','.join(f'{server.address}:{server.port}' for server in self.servers)

    def leader(self, stream, asked=None):
        """The server that leads a stream, as another (or the one given) sees it; None while there is none."""
        for server in [asked] if asked else self.servers:
            if not server.process:
                continue
            try:
                with server.connect(timeout=5) as connection:
                    info = connection.api(f'STREAM.INFO.{stream}', timeout=5)
            except (OSError, client.TimedOut, client.Refused):
                continue
            name = info.get('cluster', {}).get('leader')
            return next((one for one in self.servers if one.name == name), None)
        return None

    def await_stream_leader(self, stream):
        return until(f'a leader of stream {stream}', lambda: self.leader(stream))
