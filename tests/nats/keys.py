"""Who may log in: passwords, tokens, NKeys, credentials, certificates, made afresh for a test by openssl.

Each function gets a scratch directory and returns a Login: what the server's configuration says, what client.py
needs, and what yoke finds in its environment (the names are those of the `nats` tool). Nothing of it is worth
keeping secret, and nothing of it outlives its directory.
"""

import base64
import collections
import json
import os
import ssl
import subprocess
import time

Login = collections.namedtuple('Login', 'settings login tls environment')

# What the first byte of an encoded key says of it.
PREFIX = {'seed': 18 << 3, 'user': 20 << 3, 'account': 0, 'operator': 14 << 3}


def openssl(*arguments, stdin=b''):
    done = subprocess.run(['openssl', *arguments], input=stdin, capture_output=True)
    if done.returncode:
        raise RuntimeError(f'openssl {" ".join(arguments)}: {done.stderr.decode()}')
    return done.stdout


def write(path, text):
    with open(path, 'w', encoding='utf-8', opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    return path


# ---- NKeys: Ed25519 keys, written in base32 with a letter for what they are

def crc16(data):
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1) ^ (0x1021 if value & 0x8000 else 0)
            value &= 0xffff
    return value


def encode(data):
    return base64.b32encode(data + crc16(data).to_bytes(2, 'little')).decode().rstrip('=')


class Key:
    def __init__(self, directory, kind, name):
        self.path = os.path.join(directory, name + '.pem')
        openssl('genpkey', '-algorithm', 'ed25519', '-out', self.path)
        secret = openssl('pkey', '-in', self.path, '-outform', 'DER')[-32:]
        public = openssl('pkey', '-in', self.path, '-pubout', '-outform', 'DER')[-32:]
        prefix = PREFIX[kind]
        self.public = encode(bytes([prefix]) + public)
        self.seed = encode(bytes([PREFIX['seed'] | prefix >> 5, (prefix & 31) << 3]) + secret)

    def sign(self, data):
        name = write(self.path + '.data', data)
        return openssl('pkeyutl', '-sign', '-inkey', self.path, '-rawin', '-in', name)


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip('=')


def token_of(issuer, subject, name, claims):
    """A JWT, as operators sign for accounts and accounts for users."""
    head = {'typ': 'JWT', 'alg': 'ed25519-nkey'}
    body = {'jti': name, 'iat': int(time.time()), 'iss': issuer.public, 'name': name, 'sub': subject.public,
            'nats': claims | {'version': 2}}
    text = '.'.join(base64url(json.dumps(part).encode()) for part in (head, body))
    return text + '.' + base64url(issuer.sign(text))


# ---- the ways of logging in

def nobody(_directory, _address):
    return Login('', {}, None, {})


def password(_directory, _address):
    return Login('authorization { user: alice, password: "open sesame" }', {'user': 'alice', 'pass': 'open sesame'},
                 None, {'NATS_USER': 'alice', 'NATS_PASSWORD': 'open sesame'})


def token(_directory, _address):
    return Login('authorization { token: "a-token" }', {'auth_token': 'a-token'}, None, {'NATS_TOKEN': 'a-token'})


def nkey(directory, _address):
    key = Key(directory, 'user', 'user')
    login = {'nkey': key.public, 'sign': lambda nonce: base64url(key.sign(nonce))}
    seed = write(os.path.join(directory, 'user.nk'), key.seed + '\n')
    return Login(f'authorization {{ users: [ {{ nkey: {key.public} }} ] }}', login, None, {'NATS_NKEY': seed})


def credentials(directory, _address):
    """A file with a user's token and seed, for a server whose accounts an operator has signed."""
    operator, system, account, user = (Key(directory, kind, name) for kind, name in (
        ('operator', 'operator'), ('account', 'system'), ('account', 'account'), ('user', 'user')))
    unlimited = dict.fromkeys(('subs', 'data', 'payload', 'imports', 'exports', 'conn', 'leaf', 'mem_storage',
                               'disk_storage', 'streams', 'consumer'), -1) | {'wildcards': True}
    plain = {key: value for key, value in unlimited.items()
             if key not in ('mem_storage', 'disk_storage', 'streams', 'consumer')}
    operators = token_of(operator, operator, 'operator', {'type': 'operator', 'system_account': system.public})
    accounts = {
        system.public: token_of(operator, system, 'system', {'type': 'account', 'limits': plain}),
        account.public: token_of(operator, account, 'account', {'type': 'account', 'limits': unlimited}),
    }
    users = token_of(account, user, 'user', {'type': 'user', 'pub': {}, 'sub': {}, 'subs': -1, 'data': -1,
                                             'payload': -1})
    path = write(os.path.join(directory, 'user.creds'),
                 f'-----BEGIN NATS USER JWT-----\n{users}\n------END NATS USER JWT------\n\n'
                 f'-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n')
    known = '\n'.join(f'{name}: {value}' for name, value in accounts.items())
    settings = (f'operator: {operators}\nsystem_account: {system.public}\nresolver: MEMORY\n'
                f'resolver_preload: {{\n{known}\n}}')
    login = {'jwt': users, 'sign': lambda nonce: base64url(user.sign(nonce))}
    return Login(settings, login, None, {'NATS_CREDS': path})


def certificate(directory, authority, name, extensions):
    """(certificate, key): signed by (certificate, key), or by itself where that is None."""
    path = os.path.join(directory, name)
    key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', path + '.key']
    subject = ['-subj', f'/CN={name}', '-days', '2', '-out', path + '.pem']
    added = [word for extension in extensions for word in ('-addext', extension)]
    if authority:
        request = openssl('req', '-new', *key, '-subj', f'/CN={name}')
        details = write(path + '.ext', '\n'.join(extensions) + '\n')
        openssl('x509', '-req', '-CA', authority[0], '-CAkey', authority[1], '-CAcreateserial', '-days', '2',
                '-extfile', details, '-out', path + '.pem', stdin=request)
    else:
        openssl('req', '-x509', *key, *subject, *added)
    return path + '.pem', path + '.key'


def certificates(directory, address):
    """TLS both ways: the server shows a certificate of an authority made here, and wants one of it."""
    authority = certificate(directory, None, 'authority', ['basicConstraints=critical,CA:TRUE'])
    server = certificate(directory, authority, 'server', [f'subjectAltName=IP:{address}'])
    user = certificate(directory, authority, 'user', ['extendedKeyUsage=clientAuth'])
    settings = (f'tls {{ cert_file: "{server[0]}", key_file: "{server[1]}", ca_file: "{authority[0]}", '
                'verify: true, timeout: 30 }')
    context = ssl.create_default_context(cafile=authority[0])
    context.load_cert_chain(*user)
    return Login(settings, {}, context, {'NATS_CA': authority[0], 'NATS_CERT': user[0], 'NATS_KEY': user[1]})


WAYS = {'nobody': nobody, 'password': password, 'token': token, 'nkey': nkey, 'creds': credentials,
        'tls': certificates}
