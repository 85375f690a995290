"""Messages on their way from senders to receivers through bridges, any of which may be killed, and the
account of all of them: none is lost, and what comes twice says so.

Senders are `yoke send` with lines of their own; receivers `yoke recv --follow --json` into files, so that what
one got out before it was killed is known. Of a killed sender it is not known how many of its lines went, but
they went in order, but for those of one call (Traffic.call), some of which may be there.
"""

import collections
import json
import os
import random
import signal
import subprocess
import threading
import time

import tool


class Traffic:
    call = 1  # how many messages of a call that was cut short may be there without those before them

    def __init__(self, case, source, target, receivers=2, seed=None):
        self.case, self.source, self.target = case, source, target
        self.random = random.Random(seed if seed is not None else os.environ.get('YOKE_SEED', '1'))
        self.sent = []  # of each sender: its child, its lines
        self.files, self.receivers, self.bridges = [], [], []
        self.killed = collections.Counter()
        for _ in range(receivers):
            self.receive()

    # ---- who takes part

    def send(self, count, *options):
        name = f's{len(self.sent)}'
        lines = [f'{name}-{number}' for number in range(count)]
        path = self.case.path(name, ''.join(f'{line}\n' for line in lines).encode())
        with open(path, 'rb') as file:
            child = self.case.start('send', self.source, *options, stdin=file)
        self.sent.append((child, lines))

    def receive(self):
        name = f'r{len(self.files)}'
        with open(self.case.path(name), 'wb') as file:
            self.receivers.append(self.case.start('recv', self.target, '--follow', '--json', stdout=file))
        self.files.append(name)

    def bridge(self, *options):
        self.bridges.append(self.case.start('bridge', self.source, self.target, *options))

    def kill(self, children, what):
        """One of them, if it is still at work. True: it was."""
        child = self.random.choice(children)
        children.remove(child)
        child.kill()
        child.wait()
        at_work = child.returncode == -signal.SIGKILL
        self.killed[what] += at_work
        if not at_work and not self.may_end(what, child):
            self.case.fail(f'a {what} ended by itself, {child.returncode}: {child.stderr.read().decode()}')

    def may_end(self, what, child):
        """By itself."""
        return False

    def kill_bridge(self, *options):
        self.kill(self.bridges, 'bridge')
        self.bridge(*options)

    def kill_receiver(self):
        self.kill(self.receivers, 'receiver')
        self.receive()

    def revive_receivers(self):
        """For those that may end by themselves: another one for each that has."""
        for child in [child for child in self.receivers if child.poll() is not None]:
            self.kill([child], 'receiver')
            self.receivers.remove(child)
            self.receive()

    def kill_sender(self):
        """One that still sends; another one begins."""
        at_work = [child for child, _ in self.sent if child.poll() is None]
        if at_work:
            child = self.random.choice(at_work)
            child.kill()
            child.wait()
            self.killed['sender'] += child.returncode == -signal.SIGKILL

    def pause(self, most):
        time.sleep(self.random.uniform(0, most))  # not for anything: so that it is some moment or other

    # ---- the account

    def is_empty(self, address):
        facts = self.case.stat(address)
        return facts['waiting'] == 0 and facts.get('held', 0) == 0  # the kernel lends none

    def drain(self):
        """Until all that was sent has come out."""
        for child, _ in self.sent:
            self.case.until('the end of a sender', lambda child=child: child.poll() is not None)
        self.case.until('an empty source', lambda: self.is_empty(self.source))
        self.case.until('an empty target', lambda: self.is_empty(self.target))
        for child in self.bridges + self.receivers:
            child.send_signal(signal.SIGTERM)
            child.wait(tool.DEADLINE)
            if child in self.receivers and child.returncode == 1 and self.may_end('receiver', child):
                continue
            said = child.stderr.read().decode()
            self.case.assertEqual(child.returncode, -signal.SIGTERM, said)
            self.case.assertEqual([line for line in said.splitlines() if 'note:' not in line], [])

    def received(self):
        """Of each message: with what numbers of deliveries it came out, and with what details."""
        came = collections.defaultdict(list)
        for name in self.files:
            text = self.case.read(name)
            for line in text[: text.rfind(b'\n') + 1].splitlines():
                message = json.loads(line)
                came[message['data']].append(message)
        return came

    def check(self):
        came = self.received()
        expected = set()
        for child, lines in self.sent:
            there = [number for number, line in enumerate(lines) if line in came]
            expected |= {lines[number] for number in there}
            lost = sorted(set(range(len(lines) if child.returncode == 0 else max(there, default=0))) - set(there))
            if child.returncode != 0:
                lost = [number for number in lost if number <= max(there) - self.call]
            self.case.assertEqual([lines[number] for number in lost], [], 'lost')
        self.case.assertEqual(set(came) - expected, set(), 'never sent')
        doubled = unmarked = marked = 0
        for data, messages in came.items():
            first = sum(message['deliveries'] == 1 for message in messages)
            doubled += len(messages) > 1
            marked += first < len(messages)
            if first > 1:
                unmarked += 1
                tool.diagnose(f'{data} came unmarked {first} times')
        self.case.assertEqual(unmarked, 0, 'came twice and did not say so')
        killed = ', '.join(f'{count} {what}s' for what, count in sorted(self.killed.items()))
        tool.diagnose(
            f'{len(came)} messages, {doubled} of them twice or more, {marked} marked; killed: {killed or "none"}'
        )
        return doubled, marked
