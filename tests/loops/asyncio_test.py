"""Descriptors in Python's asyncio: loop.add_reader() on what yoke_fd() returns, by ctypes."""

import asyncio
import ctypes
import errno
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'cli'))
import tool  # noqa: E402

MESSAGES = 500
CREATE = 0x1
DEADLINE = 60
EOWNERDEAD = getattr(errno, 'EOWNERDEAD', 130)

yoke = ctypes.CDLL(os.path.join(os.environ.get('YOKE_BUILD_DIR', 'build/release'), 'src/libyoke.so'))
yoke.yoke_send.restype = yoke.yoke_recv.restype = ctypes.c_ssize_t
yoke.yoke_send.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
yoke.yoke_recv.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
yoke.yoke_open.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_void_p]
yoke.yoke_open_descriptor.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
yoke.yoke_pair.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
yoke.yoke_fd.argtypes = yoke.yoke_close.argtypes = [ctypes.c_void_p]


def must(result):
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result


def open_port():
    endpoint = ctypes.c_void_p()
    must(yoke.yoke_open(ctypes.byref(endpoint), b'port:asyncio', CREATE, None))
    return endpoint


def open_end(descriptor):
    endpoint = ctypes.c_void_p()
    must(yoke.yoke_open_descriptor(ctypes.byref(endpoint), descriptor, None))
    return endpoint


def send_each_when_the_last_was_received(opened, acknowledged):
    """A child that sends, and then dies."""
    child = os.fork()
    if child:
        return child
    try:
        sender = opened()
        for number in range(MESSAGES):
            text = b'%d' % number
            must(yoke.yoke_send(sender, text, len(text), 0))
            os.read(acknowledged, 1)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


async def receive(endpoint, acknowledge, until):
    """What was received, by a callback for each time that the descriptor is readable."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    received = []
    buffer = ctypes.create_string_buffer(64)

    def on_readable():
        size = yoke.yoke_recv(endpoint, buffer, len(buffer), 0)
        if size >= 0:
            received.append(buffer.raw[:size])
            os.write(acknowledge, b'.')
        if not over.done() and until(size, received):
            over.set_result(size)

    descriptor = must(yoke.yoke_fd(endpoint))
    loop.add_reader(descriptor, on_readable)
    try:
        return received, await asyncio.wait_for(over, DEADLINE)
    finally:
        loop.remove_reader(descriptor)


class InAsyncio(tool.Case):
    def receive_all(self, receiver, opened, until):
        acknowledged, acknowledge = os.pipe()
        child = send_each_when_the_last_was_received(opened, acknowledged)
        try:
            received, end = asyncio.run(receive(receiver, acknowledge, until))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            yoke.yoke_close(receiver)
            os.close(acknowledge)
            os.close(acknowledged)
        self.assertEqual(received, [b'%d' % number for number in range(MESSAGES)])
        return end

    def test_all_messages_of_a_port_come(self):
        self.receive_all(open_port(), open_port, lambda size, received: len(received) == MESSAGES)

    def test_death_behind_the_messages_of_a_pair_comes(self):
        pair = (ctypes.c_int * 2)()
        must(yoke.yoke_pair(pair, None))
        receiver = open_end(pair[1])
        try:
            end = self.receive_all(
                receiver,
                lambda: open_end(pair[0]),
                lambda size, received: size < 0 and size != -errno.EAGAIN,
            )
        finally:
            os.close(pair[0])
            os.close(pair[1])
        self.assertEqual(end, -EOWNERDEAD)


if __name__ == '__main__':
    tool.main(json_needed=False)
