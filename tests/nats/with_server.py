#!/usr/bin/env python3
"""Runs a command beside a nats-server, or a cluster of three, that is there for it alone.

    with_server.py [--cluster] [--long] [--no-jetstream] [--login WAY] -- COMMAND [ARGUMENT...]

COMMAND finds the server in $YOKE_NATS_URL (nats://ADDRESS:PORT, with commas for a cluster) and $YOKE_NATS_REPLICAS
(1 or 3), a single one's process in $YOKE_NATS_PID, and what WAY (password, token, nkey, creds, tls: keys.py) takes in $NATS_USER and so on. Its exit status and its output are this program's; 128 + N if signal N killed it. Where no
nats-server is installed, 77. SIGTERM, SIGINT and SIGHUP are passed on.
"""

import argparse
import os
import signal
import subprocess
import sys

import keys
import servers


def run(command, running, replicas, login):
    environment = os.environ | login.environment
    environment |= {'YOKE_NATS_URL': running.url, 'YOKE_NATS_REPLICAS': str(replicas)}
    if replicas == 1:
        environment['YOKE_NATS_PID'] = str(running.process.pid)
    try:
        child = subprocess.Popen(command, env=environment, preexec_fn=servers.die_with(os.getpid()))
    except OSError as error:
        print(f'with_server.py: {command[0]}: {error.strerror}', file=sys.stderr)
        return 127
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda which, _: child.send_signal(which))
    status = child.wait()
    return status if status >= 0 else 128 - status


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('\n\n')[1].strip())
    parser.add_argument('--cluster', action='store_true')
    parser.add_argument('--no-jetstream', action='store_true')
    parser.add_argument('--long', action='store_true', help='not where the long proofs get a share of their time')
    parser.add_argument('--login', choices=keys.WAYS, default='nobody')
    parser.add_argument('command', nargs='+')
    options = parser.parse_args()
    servers.require()
    if options.long and os.environ.get('YOKE_LONG_SECONDS'):
        print('with_server.py: takes minutes, and has no share of a few seconds')
        sys.exit(77)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with servers.scratch() as directory:
        address = servers.own_address()
        login = keys.WAYS[options.login](directory, address)
        if options.cluster:
            kept, more = servers.Cluster, {}
        else:
            kept, more = servers.Server, {'jetstream': not options.no_jetstream}
        with kept(directory, address=address, settings=login.settings, **more) as running:
            return run(options.command, running, 3 if options.cluster else 1, login)


if __name__ == '__main__':
    sys.exit(main())
