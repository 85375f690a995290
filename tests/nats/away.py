"""A port whose server goes away: what calls say then, that nothing is sent later that was refused, and that all goes on
when it is there again. The library is called directly.

    away.py [WORD...]
"""

import ctypes
import errno
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cli'))
import tool  # noqa: E402

import servers  # noqa: E402

NOW, SOON, LONG, CREATE, KEPT = 0, 500_000_000, 60_000_000_000, 1, 4
LIBRARY = os.path.join(os.environ.get('YOKE_BUILD_DIR', 'build/release'), 'src', 'libyoke.so.0')


class Message(ctypes.Structure):
    _fields_ = [('data', ctypes.c_void_p), ('size', ctypes.c_size_t), ('capacity', ctypes.c_size_t),
                ('sequence', ctypes.c_uint64), ('tag', ctypes.c_uint64), ('priority', ctypes.c_uint32),
                ('deliveries', ctypes.c_uint32), ('sender', ctypes.c_int32), ('flags', ctypes.c_uint32)]


class Away(tool.Case):
    @classmethod
    def setUpClass(cls):
        cls.directory = servers.scratch()
        cls.server = servers.Server(cls.directory.__enter__()).start()
        cls.yoke_ = ctypes.CDLL(LIBRARY)
        for name in ('yoke_send', 'yoke_recv'):
            getattr(cls.yoke_, name).argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
            getattr(cls.yoke_, name).restype = ctypes.c_ssize_t
        cls.yoke_.yoke_close.argtypes = [ctypes.c_void_p]
        cls.yoke_.yoke_borrow_many.argtypes = [ctypes.c_void_p, ctypes.POINTER(Message), ctypes.c_size_t,
                                               ctypes.c_int64]
        cls.yoke_.yoke_borrow_many.restype = ctypes.c_ssize_t

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.directory.__exit__(None, None, None)

    def open(self):
        port = ctypes.c_void_p()
        address = f'port:{self.base}@{self.server.url}'.encode()
        self.assertEqual(self.yoke_.yoke_open(ctypes.byref(port), address, CREATE | KEPT, None), 0)
        return port

    def send(self, port, text, timeout):
        return self.yoke_.yoke_send(port, text, len(text), timeout)

    def receive(self, port, timeout):
        room = ctypes.create_string_buffer(64)
        size = self.yoke_.yoke_recv(port, room, 64, timeout)
        return room.raw[:size] if size >= 0 else -size

    def borrow(self, port):
        message = Message()
        self.assertEqual(self.yoke_.yoke_borrow_many(port, ctypes.byref(message), 1, LONG), 1)
        return message.sequence, message.deliveries

    def test_what_comes_again_from_one_who_knows_of_no_delivery_is_marked(self):
        # As from a new leader of a cluster, which may be heard before word of its election is.
        port = self.open()
        self.assertEqual(self.send(port, b'one', SOON), 0)
        sequence, deliveries = self.borrow(port)
        self.assertEqual(deliveries, 1)
        with self.server.connect() as nats:
            (stream,) = [name for name in nats.api('STREAM.NAMES')['streams'] if '-port-' in name and self.base in name]
            config = nats.api(f'CONSUMER.INFO.{stream}.receivers')['config']
            nats.api(f'CONSUMER.DELETE.{stream}.receivers')
            nats.consumer(stream, 'receivers', **config)
        self.assertEqual(self.borrow(port), (sequence, 2))
        self.assertEqual(self.send(port, b'two', SOON), 0)
        self.assertEqual(self.borrow(port), (sequence + 1, 1))
        self.yoke_.yoke_close(port)

    def test_all_calls_say_that_no_server_answers_and_nothing_is_sent_later(self):
        port = self.open()
        self.assertEqual(self.send(port, b'before', SOON), 0)
        self.assertEqual(self.receive(port, SOON), b'before')
        self.server.signal(servers.signal.SIGTERM)
        self.server.process.wait(tool.DEADLINE)
        self.until('the news that it is away', lambda: self.receive(port, NOW) == errno.EHOSTUNREACH)
        self.assertEqual(self.receive(port, SOON), errno.EHOSTUNREACH)
        for timeout in (NOW, SOON):
            self.assertEqual(self.send(port, b'never', timeout), -errno.EHOSTUNREACH)
        self.server.start()
        self.until('sending', lambda: self.send(port, b'after', SOON) == 0)
        self.assertEqual(self.receive(port, 10 * SOON), b'after')
        self.assertEqual(self.receive(port, NOW), errno.EAGAIN)
        self.assertEqual(self.yoke_.yoke_close(port), 0)

    def test_what_is_open_can_be_closed_without_it(self):
        port = self.open()
        self.server.kill()
        self.until('the news that it is away', lambda: self.receive(port, NOW) == errno.EHOSTUNREACH)
        self.assertEqual(self.yoke_.yoke_close(port), 0)
        self.server.start()
        again = self.open()
        self.assertEqual(self.receive(again, NOW), errno.EAGAIN)
        self.yoke_.yoke_close(again)


if __name__ == '__main__':
    servers.require()
    tool.main()
