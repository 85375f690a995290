"""A NATS client for tests, over one socket, in one thread.

It knows the protocol's verbs and nothing else: no reconnecting, no library. So what a test sees through it
is what the server does, and yoke's own code has no part in it.
"""

import collections
import json
import secrets
import select
import socket
import ssl
import time

Message = collections.namedtuple('Message', 'subject sid reply headers data')

# How long an answer may take, on a machine that may stand still for a minute.
DEADLINE = 120


class Refused(Exception):
    """The server answered with an error; `code` is JetStream's err_code, or the status of a message."""

    def __init__(self, text, code=0):
        super().__init__(text)
        self.code = code


class TimedOut(Exception):
    """Nothing came in the time given."""


def parse_headers(text):
    """(status, {name: value}) of a block of headers."""
    lines = text.decode().split('\r\n')
    status = lines[0][len('NATS/1.0'):].strip()
    return status, dict(line.split(':', 1) for line in lines[1:] if ':' in line)


class Client:
    def __init__(self, address, tls=None, timeout=DEADLINE, **login):
        """address: (host, port); login: user and pass, auth_token, or nkey and sign (a function)."""
        sign = login.pop('sign', None)
        self.buffer = b''
        self.arrived = collections.deque()
        self.subscriptions = 0
        self.pongs = 0
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._greet(tls, timeout, login, sign)
        except BaseException:
            self.socket.close()
            raise

    def _greet(self, tls, timeout, login, sign):
        verb, line = self._line(time.monotonic() + timeout).split(b' ', 1)
        if verb != b'INFO':
            raise Refused(f'{verb} instead of INFO')
        self.info = json.loads(line)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=self.info['host'])
        elif self.info.get('tls_required'):
            raise Refused('TLS is wanted')
        if sign:
            login['sig'] = sign(self.info['nonce'])
        options = {'verbose': False, 'pedantic': False, 'headers': True, 'no_responders': True,
                   'lang': 'python', 'version': '0', 'protocol': 1} | login
        self._write(b'CONNECT ' + json.dumps(options).encode() + b'\r\n')
        self.flush(timeout)
        self.inbox = '_INBOX.' + secrets.token_hex(11)
        self.subscribe(self.inbox + '.*')

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- bytes

    def _write(self, data):
        self.socket.settimeout(DEADLINE)
        self.socket.sendall(data)

    def _read(self, give_up):
        """Reads some more bytes."""
        left = give_up - time.monotonic()
        pending = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()
        if not pending and not select.select([self.socket], [], [], max(left, 0))[0]:
            raise TimedOut
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError('the server closed the connection')
        self.buffer += data

    def _line(self, give_up):
        while b'\r\n' not in self.buffer:
            self._read(give_up)
        line, self.buffer = self.buffer.split(b'\r\n', 1)
        return line

    def _take(self, line, give_up):
        """One thing that the server said, of which `line` was taken from the buffer."""
        words = line.decode().split()
        verb = words[0].upper()
        if verb == 'PING':
            self._write(b'PONG\r\n')
        elif verb == 'PONG':
            self.pongs += 1
        elif verb == 'INFO':
            self.info = json.loads(line[5:])
        elif verb == '-ERR':
            raise Refused(line.decode()[5:].strip("'"))
        elif verb in ('MSG', 'HMSG'):
            numbers = 2 if verb == 'HMSG' else 1
            total = int(words[-1])
            try:
                while len(self.buffer) < total + 2:
                    self._read(give_up)
            except TimedOut:
                self.buffer = line + b'\r\n' + self.buffer
                raise
            body, self.buffer = self.buffer[:total], self.buffer[total + 2:]
            head = int(words[-2]) if verb == 'HMSG' else 0
            reply = words[3] if len(words) == 4 + numbers else ''
            self.arrived.append(Message(words[1], words[2], reply, body[:head], body[head:]))

    # ---- the verbs

    def subscribe(self, subject, queue=''):
        self.subscriptions += 1
        self._write(f'SUB {subject} {queue} {self.subscriptions}\r\n'.encode())
        return str(self.subscriptions)

    def unsubscribe(self, sid):
        self._write(f'UNSUB {sid}\r\n'.encode())

    def publish(self, subject, data=b'', reply='', headers=None):
        if headers:
            head = 'NATS/1.0\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in headers.items()) + '\r\n'
            size = f'{len(head)} {len(head) + len(data)}'
            self._write(f'HPUB {subject} {reply} {size}\r\n{head}'.encode() + data + b'\r\n')
        else:
            self._write(f'PUB {subject} {reply} {len(data)}\r\n'.encode() + data + b'\r\n')

    def flush(self, timeout=DEADLINE):
        """Returns when the server has seen all that was sent before."""
        give_up, wanted = time.monotonic() + timeout, self.pongs + 1
        self._write(b'PING\r\n')
        while self.pongs < wanted:
            self._take(self._line(give_up), give_up)

    def next(self, timeout=DEADLINE, wanted=lambda message: True):
        """The next message that is wanted; the others stay."""
        give_up = time.monotonic() + timeout
        looked_at = 0
        while True:
            while looked_at < len(self.arrived):
                if wanted(self.arrived[looked_at]):
                    message = self.arrived[looked_at]
                    del self.arrived[looked_at]
                    return message
                looked_at += 1
            self._take(self._line(give_up), give_up)

    def request(self, subject, data=b'', headers=None, timeout=DEADLINE):
        """The first answer, whatever it says."""
        reply = f'{self.inbox}.{secrets.token_hex(6)}'
        self.publish(subject, data, reply, headers)
        return self.next(timeout, lambda message: message.subject == reply)

    # ---- JetStream

    def api(self, what, body=None, timeout=DEADLINE):
        """The answer of $JS.API.<what> as a dictionary; Refused with its err_code if it is an error."""
        data = json.dumps(body).encode() if body is not None else b''
        answer = self.request('$JS.API.' + what, data, timeout=timeout)
        return self._answer(answer, what)

    @staticmethod
    def _answer(message, what):
        if message.headers:
            status = parse_headers(message.headers)[0]
            if status:
                raise Refused(f'{what}: {status}', int(status.split()[0]))
        answer = json.loads(message.data)
        if 'error' in answer:
            error = answer['error']
            raise Refused(f'{what}: {error.get("description")} ({error.get("code")}, {error.get("err_code")})',
                          error.get('err_code', 0))
        return answer

    def store(self, subject, data=b'', headers=None, timeout=DEADLINE):
        """Publishes into a stream and waits for its answer."""
        return self._answer(self.request(subject, data, headers, timeout), f'publish to {subject}')

    def stream(self, name, subjects, replicas=1, **more):
        config = {'name': name, 'subjects': subjects, 'num_replicas': replicas, 'storage': 'file'} | more
        return self.api(f'STREAM.CREATE.{name}', config)

    def consumer(self, stream, name, **more):
        config = {'durable_name': name, 'ack_policy': 'explicit', 'deliver_policy': 'all'} | more
        return self.api(f'CONSUMER.DURABLE.CREATE.{stream}.{name}',
                        {'stream_name': stream, 'config': config})

    def pull(self, stream, consumer, timeout=DEADLINE, **body):
        """One answer of a pull request: a message, or Refused with its status (404, 408, 409)."""
        what = f'CONSUMER.MSG.NEXT.{stream}.{consumer}'
        inbox = f'_PULL.{secrets.token_hex(11)}'  # of its own: a message comes there under its stream's subject
        sid = self.subscribe(inbox)
        try:
            self.publish('$JS.API.' + what, json.dumps({'batch': 1} | body).encode(), inbox)
            message = self.next(timeout, lambda message: message.sid == sid)
        finally:
            self.unsubscribe(sid)
        if message.headers:
            status, _ = parse_headers(message.headers)
            if status:
                raise Refused(f'{what}: {status}', int(status.split()[0]))
        return message

    def acknowledge(self, message, word=b''):
        """Waits for the server's answer, so it is done when this returns."""
        self.request(message.reply, word)


def deliveries(message):
    """How often it was delivered, of a message that a consumer sent: $JS.ACK.stream.consumer.N...."""
    words = message.reply.split('.')
    return int(words[4] if len(words) == 9 else words[6])


def sequence(message):
    """Its number in the stream."""
    words = message.reply.split('.')
    return int(words[5] if len(words) == 9 else words[7])
