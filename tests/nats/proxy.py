"""TCP connections that a test can cut: a listener for each server, and a thread that passes bytes on both ways."""

import contextlib
import selectors
import socket
import struct
import threading

CHUNK = 1 << 16


class Proxy:
    """Listens on `ports` of `address`; what comes there goes to the target of that place, once there is one."""

    def __init__(self, address, count):
        self.selector = selectors.DefaultSelector()
        self.targets = [None] * count
        self.other = {}  # the other side of each connection
        self.to_write = {}
        self.listeners = []
        for number in range(count):
            listener = socket.create_server((address, 0))
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, number)
            self.listeners.append(listener)
        self.addresses = [listener.getsockname() for listener in self.listeners]
        self.bell, self.rope = socket.socketpair()
        self.selector.register(self.bell, selectors.EVENT_READ, None)
        self.orders = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # ---- for the test

    def cut(self):
        """Cuts all connections there are, at once and without a word (RST); how many there were."""
        return self._order(self._cut_all)

    def close(self):
        self._order(None)
        self.thread.join()
        for one in [*self.listeners, self.bell, self.rope]:
            one.close()

    def _order(self, what):
        done = threading.Event()
        result = []
        self.orders.append((what, result, done))
        self.rope.send(b'x')
        done.wait()
        return result[0] if result else None

    # ---- its thread

    def _run(self):
        while True:
            for key, events in self.selector.select():
                if key.fileobj is self.bell:
                    self.bell.recv(CHUNK)
                    while self.orders:
                        what, result, done = self.orders.pop(0)
                        result.append((what or self._cut_all)())
                        done.set()
                        if not what:
                            return
                elif key.fileobj in self.listeners:
                    self._accept(key.fileobj, key.data)
                elif key.fileobj in self.other:  # not cut by what came before in this round
                    if events & selectors.EVENT_WRITE:
                        self._write(key.fileobj)
                    if events & selectors.EVENT_READ and key.fileobj in self.other:
                        self._read(key.fileobj)

    def _accept(self, listener, number):
        with contextlib.suppress(OSError):
            here, _ = listener.accept()
            try:
                there = socket.create_connection(self.targets[number], 5)  # on loopback: at once, or refused
            except OSError:
                here.close()
                return
            for one, other in ((here, there), (there, here)):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.other[one], self.to_write[one] = other, b''
                self.selector.register(one, selectors.EVENT_READ)

    def _watch(self, one):
        """Reads only while the other side has taken what was read before."""
        events = (selectors.EVENT_READ if not self.to_write[self.other[one]] else 0) | (
            selectors.EVENT_WRITE if self.to_write[one] else 0)
        if one in self.selector.get_map():
            self.selector.unregister(one)
        if events:
            self.selector.register(one, events)

    def _read(self, one):
        try:
            data = one.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b''
        if not data:
            self._cut(one)
            return
        other = self.other[one]
        self.to_write[other] += data
        self._write(other)

    def _write(self, one):
        try:
            sent = one.send(self.to_write[one])
        except BlockingIOError:
            sent = 0
        except OSError:
            self._cut(one)
            return
        self.to_write[one] = self.to_write[one][sent:]
        self._watch(one)
        self._watch(self.other[one])

    def _cut(self, one):
        for side in (one, self.other.get(one)):
            if side in self.other:
                if side in self.selector.get_map():
                    self.selector.unregister(side)
                with contextlib.suppress(OSError):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                del self.other[side], self.to_write[side]
                side.close()

    def _cut_all(self):
        count = len(self.other) // 2
        for one in list(self.other):
            self._cut(one)
        return count
