"""Nothing is lost, and nothing comes twice unmarked, whatever of a cluster dies, stands still or is cut off.

    faults.py [--links] [--depth N] [--work MICROSECONDS] [FAULT...]

Three servers, three replicas, senders and receivers (worker.c) that know yoke.h only and reach the servers through a
proxy. Each of the faults below comes while they work, and the next one when all of them go on. In the end every
message whose sending succeeded is looked for in what was received. How long it took to go on is printed, not asserted.

With --links, one sends to another by a link, and what comes for the first time comes in order. Where the long proofs
get a share of their time, that is for one seed of four (servers.TURNS).
"""

import argparse
import bisect
import collections
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cli'))
import tool  # noqa: E402

import client  # noqa: E402
import proxy  # noqa: E402
import servers  # noqa: E402

WORKER = os.path.join(os.environ.get('YOKE_BUILD_DIR', 'build/release'), 'tests', 'nats-worker')
SENDERS, RECEIVERS = 3, 3
PAUSE_US = 5000  # of a sender between two messages: bounds the load
AHEAD = 2  # messages until one began after a given moment: the first may have been under way
STANDING_S = 10  # how long a stopped server stands still at most
LEASE = 3  # seconds after which the end of a link whose process was killed is free
ACK_WAIT = 5  # seconds after which a dead receiver's messages are delivered again


class Worker:
    """A process that writes records, and what it has written so far."""

    def __init__(self, directory, name, peer, *arguments):
        self.name, self.path = name, os.path.join(directory, name)
        self.offset, self.rest = 0, b''
        self.records = []
        self.complaints = open(self.path + '.stderr', 'wb')  # noqa: SIM115
        self.process = subprocess.Popen(
            [WORKER, arguments[0], arguments[1], self.path, *arguments[2:]], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=self.complaints, preexec_fn=servers.die_with(os.getpid()),
            env=os.environ | ({'WORKER_AS': peer} if peer else {}))
        self.complaints.close()

    def look(self):
        """Reads what is new; all records."""
        try:
            with open(self.path, 'rb') as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return self.records
        self.offset += len(data)
        lines = (self.rest + data).split(b'\n')
        self.rest = lines.pop()
        self.records += [line.decode().split() for line in lines]
        return self.records

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """Lets it finish; it has to end well."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(tool.DEADLINE)
        self.look()
        with open(self.path + '.stderr', encoding='utf-8') as file:
            complaint = file.read()
        if status or complaint:
            raise AssertionError(f'{self.name} ended with {status}: {complaint}')


def silence(workers, when):
    """The longest time in seconds without a record of any of them: what was going on at that moment, or later."""
    times = sorted(int(line[0]) for worker in workers for line in worker.look())
    first = max(bisect.bisect(times, when) - 1, 0)
    return max((two - one for one, two in zip(times[first:], times[first + 1:])), default=0) / 1e9


class World:
    def __init__(self, directory, depth, work_us, links):
        self.directory, self.depth, self.work_us, self.links = directory, depth, work_us, links
        self.begin = time.monotonic_ns()
        self.senders, self.receivers, self.dead = [], [], []
        self.proxy = proxy.Proxy(servers.own_address(), 3)
        self.cluster = servers.Cluster(directory, advertise=[f'{host}:{port}' for host, port in self.proxy.addresses])
        self.proxy.targets = [(server.address, server.port) for server in self.cluster.servers]
        where = ','.join(f'{host}:{port}' for host, port in self.proxy.addresses)
        self.place = f'nats://{where}/faults?ack_wait={ACK_WAIT}&lease={LEASE}'
        # (who it is, with whom): of senders and of receivers
        self.sending = ('alice', 'link:bob') if links else (None, 'port:jobs')
        self.receiving = ('bob', 'link:alice') if links else (None, 'port:jobs')

    def start(self):
        self.cluster.start()
        if not self.links:
            subprocess.run([tool.TOOL, 'port', 'create', 'jobs', '--place', self.place, '--depth', str(self.depth)],
                           check=True, timeout=tool.DEADLINE)
        for _ in range(1 if self.links else RECEIVERS):
            self.add_receiver()
        for number in range(1 if self.links else SENDERS):
            who, where = self.sending
            self.senders.append(Worker(self.directory, f'sender{number}', who, 'send', f'{where}@{self.place}',
                                       f's{number}', str(PAUSE_US)))
        self.stream = servers.until('the stream', self.find_stream)

    def add_receiver(self):
        name = f'receiver{len(self.receivers) + len(self.dead)}'
        who, where = self.receiving
        self.receivers.append(Worker(self.directory, name, who, 'recv', f'{where}@{self.place}', str(self.work_us)))

    def find_stream(self):
        with self.cluster.servers[0].connect() as nats:
            names = nats.api('STREAM.NAMES')['streams'] or []
        start = 'faults-link0-' if self.links else 'faults-port-jobs-'  # alice is side 0
        return next((name for name in names if name.startswith(start)), None)

    def close(self):
        for worker in self.senders + self.receivers:
            worker.kill()
        self.cluster.kill()
        self.proxy.close()

    # ---- waiting

    def check_alive(self):
        for worker in self.senders + self.receivers:
            if worker.process.poll() is not None:
                worker.end()
                raise AssertionError(f'{worker.name} ended by itself')

    def goal(self):
        """A message of each sender's that it has not begun to send yet."""
        return {f's{number}': len(worker.look()) + AHEAD for number, worker in enumerate(self.senders)}

    def go_on(self, goal, deadline=tool.DEADLINE):
        """Waits until all of these are sent, and one of them, or a later one, is received; false if they are not."""
        give_up = time.monotonic() + deadline
        while True:
            self.check_alive()
            if all(len(worker.look()) > goal[f's{number}'] for number, worker in enumerate(self.senders)) and any(
                    int(line[2]) >= goal[line[1]] for worker in self.receivers for line in worker.look()[-100:]):
                return True
            if time.monotonic() > give_up:
                return False
            time.sleep(0.01)  # between two looks

    def await_work(self):
        if not self.go_on(self.goal()):
            raise AssertionError(f'not all went on within {tool.DEADLINE} s')

    def await_whole(self):
        """Until all three servers are there, and have what the stream's leader has."""
        self.cluster.await_leader()
        servers.until('three replicas that are current', self.is_current)

    def is_current(self):
        leader = self.cluster.leader(self.stream)
        if not leader:
            return False
        try:
            with leader.connect(timeout=5) as nats:
                replicas = nats.api(f'STREAM.INFO.{self.stream}', timeout=5)['cluster'].get('replicas') or []
        except (OSError, client.TimedOut, client.Refused):
            return False
        return len(replicas) == 2 and all(replica['current'] for replica in replicas)

    def leads_receivers(self, server):
        """Whether it leads a consumer, too."""
        with server.connect() as nats:
            consumers = nats.api(f'CONSUMER.LIST.{self.stream}')['consumers'] or []
            return any(consumer['cluster'].get('leader') == server.name for consumer in consumers)

    def choose_leader(self):
        leader = self.cluster.await_stream_leader(self.stream)
        tool.diagnose(f'{leader.name} leads the stream{" and its receivers" * self.leads_receivers(leader)}')
        return leader

    # ---- the faults: each returns once what it did is undone, with the moment when it struck

    def receiver_killed(self):
        when = time.monotonic_ns()
        victim = self.receivers.pop(0)
        victim.kill()
        self.dead.append(victim)
        self.add_receiver()
        self.await_work()
        return when

    def leader_killed(self):
        leader = self.choose_leader()
        when = time.monotonic_ns()
        leader.kill()
        self.await_work()
        leader.start()
        self.await_whole()
        return when

    def connections_cut(self):
        when = time.monotonic_ns()
        if self.proxy.cut() < len(self.senders + self.receivers):
            raise AssertionError('there were fewer connections than workers')
        self.await_work()
        return when

    def leader_stopped(self):
        leader = self.choose_leader()
        when = time.monotonic_ns()
        leader.stop()
        went_on = self.go_on(self.goal(), STANDING_S)
        leader.resume()
        if not went_on:
            tool.diagnose(f'not all went on while it stood still, for {STANDING_S} s')
            self.await_work()
        self.await_whole()
        return when

    FAULTS = {'receiver_killed': receiver_killed, 'leader_killed': leader_killed, 'connections_cut': connections_cut,
              'leader_stopped': leader_stopped}

    def strike(self, name):
        when = self.FAULTS[name](self)
        undone = time.monotonic_ns()
        self.await_work()
        senders = max(silence([worker], when) for worker in self.senders)
        receivers = silence(self.receivers + self.dead, when)
        tool.diagnose(f'{name} at {(when - self.begin) / 1e9:.3f} s: no sending for {senders:.2f} s at most, no '
                      f'receiving for {receivers:.2f} s; undone after {(undone - when) / 1e9:.2f} s')

    # ---- the count

    def sent(self):
        return {(f's{number}', int(line[1])) for number, worker in enumerate(self.senders) for line in worker.look()}

    def received(self):
        """Each message that was received, with how often it had been delivered, each time."""
        seen = collections.defaultdict(list)
        for worker in self.receivers + self.dead:
            for _, name, number, deliveries in worker.look():
                seen[name, int(number)].append(int(deliveries))
        return seen

    def tell(self, keys):
        """What is recorded of these messages, in seconds since the test began."""
        for worker in self.senders + self.receivers + self.dead:
            for line in worker.look():
                name, number = (f's{worker.name[-1]}', line[1]) if len(line) == 3 else line[1:3]
                if (name, int(number)) in keys:
                    tool.diagnose(f'{(int(line[0]) - self.begin) / 1e9:.3f} s: {worker.name}: {" ".join(line[1:])}')

    def count(self):
        for worker in self.senders:
            worker.end()
        sent = self.sent()
        try:
            servers.until('every message that was sent', lambda: self.check_alive_receivers()
                          or not sent - self.received().keys())
        except TimeoutError:
            pass  # what is missing is said below
        for worker in self.receivers:
            worker.end()
        seen = self.received()
        tries = sum(int(line[2]) - 1 for worker in self.senders for line in worker.look())
        return sent, seen, tries

    def check_alive_receivers(self):
        for worker in self.receivers:
            if worker.process.poll() is not None:
                worker.end()
                raise AssertionError(f'{worker.name} ended by itself')


def disordered(world):
    """Of a link: each message that came for the first time though a later one was there already."""
    came = sorted(int(line[0]) for worker in world.receivers + world.dead for line in worker.look())
    numbers = {int(line[0]): int(line[2]) for worker in world.receivers + world.dead for line in worker.look()}
    wrong, seen, last = [], set(), -1
    for number in (numbers[when] for when in came):
        if number not in seen and number < last:
            wrong.append(number)
        seen.add(number)
        last = max(last, number)
    return wrong


def judge(world, sent, seen):
    """What is wrong, in sentences."""
    faults = []
    wrong = disordered(world) if world.links else []
    if wrong:
        faults.append(f'{len(wrong)} came out of order, such as {wrong[:5]}')
    lost = sorted(sent - seen.keys())
    if lost:
        faults.append(f'{len(lost)} lost, such as {lost[:5]}')
    unmarked = sorted(key for key, deliveries in seen.items() if deliveries.count(1) > 1)
    if unmarked:
        faults.append(f'{len(unmarked)} came twice unmarked, such as {unmarked[:5]}')
    world.tell(lost[:5] + unmarked[:5])
    last = collections.Counter(name for name, _ in sent)
    strange = sorted(key for key in seen.keys() - sent if key[1] > last[key[0]])
    if strange:
        faults.append(f'{len(strange)} came that nobody sent, such as {strange[:5]}')
    return faults


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1].strip())
    parser.add_argument('--links', action='store_true')
    parser.add_argument('--depth', type=int, default=10000)
    parser.add_argument('--work', type=int, default=0)
    parser.add_argument('faults', nargs='*', choices=[*World.FAULTS, []])
    options = parser.parse_args()
    servers.require()
    if options.links:
        servers.take_turn('faults of links')
    if not os.path.exists(os.path.join(os.environ.get('YOKE_PLUGINS', ''), 'nats.so')):
        print('this yoke was built without the place nats (it takes libnats and jansson)')
        sys.exit(77)
    begin = time.monotonic()
    with servers.scratch() as directory:
        world = World(directory, options.depth, options.work, options.links)
        try:
            world.start()
            world.await_work()
            for name in options.faults or World.FAULTS:
                world.strike(name)
            sent, seen, tries = world.count()
        finally:
            world.close()
    again = sum(len(deliveries) > 1 for deliveries in seen.values())
    marked = sum(max(deliveries) > 1 for deliveries in seen.values())
    tool.diagnose(f'{len(sent)} sent ({tries} calls had to be made again), {len(seen)} received, {marked} of them '
                  f'marked, {again} of them more than once, in {time.monotonic() - begin:.0f} s')
    faults = judge(world, sent, seen)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
