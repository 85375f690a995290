"""What stat tells of several objects, and of time: OpenMetrics, who talks to whom, latency, what is held.

Looking needs no more than the right to read, and nobody's help: each is tried on objects whose
processes are all stopped, and on kept ones whose processes are all dead.
"""

import json
import os
import re
import signal
import stat
import subprocess
import unittest

import tool

try:
    from prometheus_client.openmetrics import parser as openmetrics
    from prometheus_client import parser as textformat
except ImportError:
    openmetrics = textformat = None

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf'({NAME})(?:\{{((?:{LABEL})(?:,{LABEL})*)?\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?)')
SUFFIXES = {
    'counter': {'_total', '_created'},
    'gauge': {''},
    'histogram': {'_bucket', '_count', '_sum'},
}


class Wrong(Exception):
    pass


def insist(condition, line):
    if not condition:
        raise Wrong(line)


class Family:
    def __init__(self, name):
        self.name, self.type, self.unit, self.help = name, None, '', None
        self.samples = []  # (suffix, labels, value)


def parse(text):
    """OpenMetrics 1.0, as strictly as it is written, as far as yoke uses it: {name: Family}."""
    families, family = {}, None
    insist(text.endswith('# EOF\n'), 'no # EOF at the end')
    for line in text[: -len('# EOF\n')].splitlines():
        if line.startswith('#'):
            match = re.fullmatch(rf'# (TYPE|UNIT|HELP) ({NAME}) (.+)', line)
            insist(match, line)
            what, name, value = match.groups()
            if what == 'TYPE':  # it begins each family here
                insist(name not in families and value in SUFFIXES, line)
                family = families[name] = Family(name)
                family.type = value
                continue
            insist(family and name == family.name and not family.samples, line)
            insist(what != 'UNIT' or name.endswith('_' + value), line)
            insist('\\' not in re.sub(r'\\[\\n"]', '', value), line)
            setattr(family, what.lower(), value)
            continue
        match = SAMPLE.fullmatch(line)
        insist(match and family and family.help, line)
        name = match.group(1)
        insist(name.startswith(family.name), line)
        suffix = name[len(family.name) :]
        insist(suffix in SUFFIXES[family.type], line)
        labels = re.findall(LABEL, match.group(2) or '')
        insist(len(dict(labels)) == len(labels), line)
        key = (suffix, tuple(sorted(labels)))
        insist(key not in [(s, tuple(sorted(l))) for s, l, _ in family.samples], line)
        insist(family.type != 'counter' or float(match.group(match.lastindex)) >= 0, line)
        family.samples.append((suffix, labels, float(match.group(match.lastindex))))
    for family in families.values():
        insist(family.samples, f'{family.name} has no samples')
        if family.type == 'histogram':
            check_histogram(family)
    return families


def check_histogram(family):
    buckets = [(dict(labels)['le'], value) for suffix, labels, value in family.samples if suffix == '_bucket']
    insist(buckets[-1][0] == '+Inf', 'the last bucket is not +Inf')
    edges = [float(edge) for edge, _ in buckets]
    counts = [count for _, count in buckets]
    insist(edges == sorted(set(edges)) and counts == sorted(counts), 'buckets are not in order')
    insist([v for s, _, v in family.samples if s == '_count'] == [counts[-1]], 'count is not that of +Inf')


class Metrics(tool.Case):
    def metrics(self, *arguments, **more):
        """As the tool prints it, strictly parsed: a function (family, address) -> value."""
        text = self.yoke('stat', '--openmetrics', *arguments, **more).decode()
        return self.check(text)

    def check(self, text):
        families = parse(text)
        if openmetrics:
            list(openmetrics.text_string_to_metric_families(text))
            list(textformat.text_string_to_metric_families(text))

        def value(name, address, suffix=None):
            family = families[name]
            wanted = suffix or ('_total' if family.type == 'counter' else '')
            found = [
                value
                for suffix, labels, value in family.samples
                if suffix == wanted and dict(labels)['object'] == address
            ]
            return found[0] if found else None

        value.families = families
        return value

    def held_by_a_worker(self, *options, policy=()):
        """A port with `one` borrowed by a process, and `two` waiting: (address, the process)."""
        address = self.port(*policy)
        gate = self.path('gate')
        os.mkfifo(gate)
        self.yoke('send', address, 'one', 'two')
        worker = self.start('recv', address, '--exec', f'exec cat {gate}', *options)
        self.until('a borrowed message', lambda: self.stat(address)['held'] == 1)
        return address, worker

    # ---- OpenMetrics

    def test_the_strict_parser_refuses_what_is_wrong(self):
        good = '# TYPE a counter\n# HELP a b\na_total{x="y"} 1\n# EOF\n'
        parse(good)
        for bad in (
            good[:-6],
            good.replace('a_total', 'a'),
            good.replace('a_total{x="y"} 1', 'a_total{x="y"} 1\na_total{x="y"} 2'),
            good.replace('"y"', '"y'),
            good.replace('"y"', '"\\y"'),
            good.replace(' counter', ' info'),
            good.replace('# HELP', '# UNIT a seconds\n# HELP'),
            good.replace('1\n', '1\n# TYPE b gauge\n# HELP b c\nb 1\na_total 3\n'),
        ):
            with self.assertRaises(Wrong, msg=bad):
                parse(bad)

    def test_a_port_in_openmetrics(self):
        address = self.port('--depth', '8', '--priorities', '2')
        self.yoke('send', address, 'one', 'three')
        self.yoke('send', address, '--priority', '1', 'x')
        self.yoke('recv', address, '--count', '2')
        value = self.metrics(address)
        for name, expected in {
            'yoke_readable': 1,
            'yoke_sent_messages': 3,
            'yoke_received_messages': 2,
            'yoke_waiting_messages': 1,
            'yoke_held_messages': 0,
            'yoke_parked_messages': 0,
            'yoke_depth_messages': 8,
            'yoke_sent_bytes': 9,
            'yoke_received_bytes': 4,
            'yoke_redelivered_messages': 0,
            'yoke_dropped_messages': 0,
            'yoke_participants': 0,
            'yoke_waiting_receivers': 0,
        }.items():
            self.assertEqual(value(name, address), expected, name)
        facts = self.stat(address)
        self.assertEqual(value('yoke_memory_mapped_bytes', address), facts['memory_mapped'])
        self.assertGreater(value('yoke_memory_resident_bytes', address), 0)
        created = value('yoke_sent_messages', address, '_created')
        self.assertAlmostEqual(created, facts['created'], places=3)

    def test_all_objects_in_openmetrics_each_family_once(self):
        port = self.port()
        self.yoke('stream', 'create', self.base, '--capacity', '64K')
        stream = self.forget(f'stream:{self.base}')
        self.yoke('write', stream, stdin=b'x' * 1000)
        self.yoke('region', 'create', self.base, '--size', '8K')
        region = self.forget(f'region:{self.base}')
        self.forget('link:a/b')
        self.yoke('send', '--as', 'a', 'link:b', 'hello')
        self.yoke('port', 'create', self.base, '--place', 'kernel', '--depth', '2')
        kernel = self.forget(f'port:{self.base}@kernel')
        self.yoke('send', kernel, 'x')
        value = self.metrics()
        for address in (port, stream, region, 'link:a/b', kernel):
            self.assertEqual(value('yoke_readable', address), 1, address)
        self.assertEqual(value('yoke_waiting_bytes', stream), 1000)
        self.assertEqual(value('yoke_sent_bytes', stream), 1000)
        self.assertEqual(value('yoke_received_bytes', stream), 0)
        self.assertEqual(value('yoke_capacity_bytes', stream), 65536)
        self.assertEqual(value('yoke_sent_messages', 'link:a/b'), 1)
        self.assertEqual(value('yoke_waiting_messages', kernel), 1)
        self.assertIsNone(value('yoke_sent_messages', kernel))  # nobody counts there
        self.assertIsNone(value('yoke_sent_messages', region))

    def test_counters_go_on_over_their_users(self):
        address = self.port()
        for i in range(3):
            self.yoke('send', address, 'word')
            self.yoke('recv', address, '--count', '1')
            self.yoke('recv', address, '--timeout', '0', status=3)
            value = self.metrics(address)
            self.assertEqual(value('yoke_sent_bytes', address), 4 * (i + 1))
            self.assertEqual(value('yoke_received_bytes', address), 4 * (i + 1))
            self.assertEqual(value('yoke_found_empty', address), i + 1)
            self.assertEqual(value('yoke_found_full', address), 0)

    def test_found_full_is_counted_for_ports_links_and_streams(self):
        port = self.port('--depth', '1')
        self.yoke('send', port, 'x')
        self.yoke('send', port, 'y', '--timeout', '0', status=3)
        self.forget('link:a/b')
        self.yoke('send', '--as', 'a', 'link:b', 'x' * 3000, '--timeout', '0')
        while self.run_tool('send', '--as', 'a', 'link:b', 'x' * 3000, '--timeout', '0').returncode == 0:
            pass
        self.yoke('stream', 'create', self.base, '--capacity', '4K')
        stream = self.forget(f'stream:{self.base}')
        writer = self.start('write', stream)
        writer.stdin.write(b'x' * 10000)
        writer.stdin.flush()
        self.until('a full stream', lambda: self.json('stat', stream)['found_full'] > 0)
        value = self.metrics()
        for address in (port, 'link:a/b'):
            self.assertEqual(value('yoke_found_full', address), 1, address)
        self.assertGreaterEqual(value('yoke_found_full', stream), 1)

    def test_a_parked_message_and_a_redelivered_one(self):
        address = self.port('--max-deliveries', '1')
        self.yoke('send', address, 'poison')
        self.yoke('recv', address, '--exec', 'false', '--timeout', '0', status=1)
        self.assertEqual(self.metrics(address)('yoke_parked_messages', address), 1)

    def test_the_output_file_is_replaced_as_a_whole_or_not_at_all(self):
        address = self.port()
        path = self.path('yoke.prom', b'old')
        self.assertEqual(self.yoke('stat', '--openmetrics', '--output', path), b'')
        value = self.check(self.read('yoke.prom').decode())
        self.assertEqual(value('yoke_readable', address), 1)
        self.assertEqual(os.listdir(self.scratch), ['yoke.prom'])
        before = self.read('yoke.prom')
        self.yoke('stat', '--openmetrics', 'port:none', '--output', path, status=1)
        self.assertEqual(self.read('yoke.prom'), before)
        nowhere = os.path.join(self.scratch, 'none', 'yoke.prom')
        self.yoke('stat', '--openmetrics', '--output', nowhere, status=1)
        self.assertIn(f"'{nowhere}' can not be written", self.complaint)
        self.assertEqual(os.listdir(self.scratch), ['yoke.prom'])

    def test_an_output_that_is_no_file_stays_what_it_is(self):
        self.port()
        fifo = os.path.join(self.scratch, 'fifo')
        link = os.path.join(self.scratch, 'link')
        os.mkfifo(fifo)
        os.symlink('/dev/null', link)
        for path in (fifo, link, self.scratch):
            self.yoke('stat', '--openmetrics', '--output', path, status=1)
            self.assertIn('is no file that could be replaced', self.complaint)
        self.assertTrue(stat.S_ISFIFO(os.stat(fifo).st_mode))
        self.assertTrue(os.path.islink(link))
        self.assertEqual(sorted(os.listdir(self.scratch)), ['fifo', 'link'])

    def test_what_others_made_in_place_of_the_temporary_file_is_not_written(self):
        self.port()
        path = os.path.join(self.scratch, 'yoke.prom')
        script = 'echo theirs > "$2.$$.0.new"; exec "$1" stat --openmetrics --output "$2"'
        subprocess.run(['sh', '-c', script, 'sh', tool.TOOL, path], check=True)
        theirs = [name for name in os.listdir(self.scratch) if name != 'yoke.prom']
        self.assertEqual(len(theirs), 1, theirs)
        self.assertEqual(self.read(theirs[0]), b'theirs\n')
        self.assertTrue(self.read('yoke.prom').endswith(b'# EOF\n'))

    @unittest.skipUnless(os.path.exists('/dev/full'), 'there is no /dev/full')
    def test_an_output_that_could_not_be_written_whole_is_told(self):
        self.port()
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([tool.TOOL, 'stat', '--openmetrics'], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)

    def test_a_watch_writes_the_file_again_and_again(self):
        address = self.port()
        path = self.path('yoke.prom')
        watch = self.start('stat', '--openmetrics', '--watch', '50ms', '--output', path)

        def sent():
            try:
                with open(path) as file:
                    return self.check(file.read())('yoke_sent_messages', address)
            except FileNotFoundError:
                return None

        self.until('a file', lambda: sent() == 0)
        self.yoke('send', address, 'x')
        self.until('another one', lambda: sent() == 1)
        watch.send_signal(signal.SIGTERM)
        self.assertEqual(watch.wait(), -signal.SIGTERM)
        self.assertEqual(os.listdir(self.scratch), ['yoke.prom'])

    def test_what_can_not_be_looked_at_is_a_line_too(self):
        address = self.port()
        names = os.environ['YOKE_DIR']
        path = os.path.join(names, f'port.{self.base}')
        with open(path, 'rb') as file:
            whole = file.read()
        try:
            with open(path, 'wb') as file:
                file.write(whole[:10])
            value = self.metrics(address)
            self.assertEqual(value('yoke_readable', address), 0)
            self.assertNotIn('yoke_sent_messages', value.families)
        finally:
            with open(path, 'wb') as file:
                file.write(whole)

    # ---- without anybody's help

    def test_of_stopped_processes_everything_is_told(self):
        address, worker = self.held_by_a_worker()
        worker.send_signal(signal.SIGSTOP)
        self.until('a stopped process', lambda: self.stat(address)['participants'][0]['state'] == 'T')
        value = self.metrics(address)
        self.assertEqual(value('yoke_held_messages', address), 1)
        self.assertEqual(value('yoke_stopped_participants', address), 1)
        edges = self.json('stat', '--talks', address)
        self.assertEqual([(e['direction'], e['messages']) for e in edges], [('sends', 2)])
        facts = self.json('stat', address, '--interval', '50ms', '--latency')
        (held,) = facts['holding']
        self.assertEqual((held['sequence'], held['slot'], held['size']), (0, facts['participants'][0]['slot'], 3))
        self.assertGreaterEqual(held['held_at_least'], 0.05)
        self.assertEqual(facts['latency']['messages'], 0)
        self.assertIn('3 ', self.yoke('stat', address).decode())
        worker.send_signal(signal.SIGCONT)

    def test_of_the_dead_everything_is_told(self):
        address, worker = self.held_by_a_worker()
        worker.kill()
        worker.wait()
        value = self.metrics(address)
        self.assertEqual(value('yoke_sent_messages', address), 2)
        self.assertEqual(value('yoke_participants', address), 0)
        facts = self.json('stat', address, '--interval', '50ms', '--latency')
        (dead,) = facts['participants']
        self.assertFalse(dead['alive'])
        (held,) = facts['holding']
        self.assertEqual(held['slot'], dead['slot'])
        self.assertEqual(self.stat(address)['held'], 1)  # looking has recovered nothing
        self.yoke('stat', '--talks', address)
        self.assertEqual(sorted(self.yoke('recv', address, '--count', '2').split()), [b'one', b'two'])

    @unittest.skipUnless(os.getuid() == 0, 'needs root, to look as somebody else')
    def test_the_right_to_read_is_enough(self):
        os.chmod(self.scratch, 0o755)
        if 'ISOLATE' in os.environ:  # its scratch directory is the test's own
            os.chmod(os.path.dirname(self.scratch), 0o711)
        names = os.path.join(self.scratch, 'names')
        os.mkdir(names, 0o1777)
        os.chmod(names, 0o1777)
        shared = dict(os.environ, YOKE_DIR=names)
        try:
            self.yoke('port', 'create', 'q', '--mode', '0644', env=shared)
            self.yoke('send', 'port:q', 'x', 'y', env=shared)
            other = {'env': shared, 'user': 65534, 'group': 65534, 'extra_groups': []}
            done = self.run_tool('stat', 'port:q', '--latency', '--interval', '50ms', '--json', **other)
            if b'Permission' in done.stderr or b'no such file' in done.stderr.lower():
                self.skipTest('nobody else can run the tool here')
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)['waiting'], 2)
            self.assertEqual(self.metrics('port:q', **other)('yoke_sent_messages', 'port:q'), 2)
            self.yoke('recv', 'port:q', '--count', '1', status=1, **other)  # indeed no more than that
        except (PermissionError, FileNotFoundError):
            self.skipTest('nobody else can run the tool here')
        finally:
            self.run_tool('rm', 'port:q', env=shared)

    # ---- latency

    def test_waiting_is_measured_and_bounded_from_above(self):
        """Each message waits for 50 ms at least before it is taken: no bound may be lower."""
        address = self.port()
        watch = self.start('stat', address, '--watch', '200ms', '--latency', '--json')
        looks = []
        for _ in range(200):
            self.yoke('send', address, 'x')
            self.run_tool('tap', address, '--count', '2', '--timeout', '50ms')  # no more than a pause
            self.yoke('recv', address, '--count', '1')
            if len(looks) < 400:
                looks.append(json.loads(watch.stdout.readline())['latency'])
            if sum(look['messages'] for look in looks) >= 3:
                break
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(), -signal.SIGINT)
        found = [look for look in looks if look['messages']]
        self.assertTrue(found, 'no message was seen')
        for look in found:
            self.assertGreaterEqual(look['p50'], 0.05)
            self.assertGreaterEqual(look['longest'] * 1.1, look['p99'])
            self.assertEqual(sum(b['messages'] for b in look['buckets']), look['messages'])
            self.assertLessEqual(look['within'], look['longest'])

    def test_what_still_waits_is_told(self):
        address = self.port()
        watch = self.start('stat', address, '--latency', '--interval', '3s', '--json')
        # It says nothing before it is through: who sends again and again meanwhile meets it in time.
        while watch.poll() is None:
            self.run_tool('send', address, 'x', '--timeout', '0')
        latency = json.loads(watch.stdout.read())['latency']
        self.assertEqual(latency['messages'], 0)
        self.assertGreater(latency['still_waiting'], 0)
        self.assertGreater(latency['still_waiting_for'], 0)

    def test_a_histogram_for_people_and_for_prometheus(self):
        address = self.port()
        done = self.yoke('stat', address, '--latency', '--interval', '20ms').decode()
        self.assertIn('latency       no message was seen to come and be taken', done)
        value = self.metrics(address, '--latency', '--interval', '20ms')
        self.assertEqual(value('yoke_latency_seconds', address, '_count'), 0)

    def test_messages_on_a_busy_port_and_link_are_seen(self):
        self.forget('link:a/b')
        address = self.port('--depth', '64')
        lines = self.path('lines', b'x\n' * 200000)
        for object, sends, receives in (
            (address, ('send', address), ('recv', address)),
            ('link:a/b', ('send', '--as', 'a', 'link:b'), ('recv', '--as', 'b', 'link:a')),
        ):
            receiver = self.start(*receives, '--follow', stdout=subprocess.DEVNULL)
            script = f'while cat {lines}; do :; done | "$@"'
            sender = subprocess.Popen(
                ['sh', '-c', script, 'sh', tool.TOOL, *sends],
                stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )
            try:
                def seen():
                    facts = self.json('stat', object, '--latency', '--interval', '300ms')
                    return facts['latency'] if facts['latency']['messages'] else None

                self.until('an object', lambda: self.run_tool('stat', object).returncode == 0)
                latency = self.until('a message that is watched', seen)
                self.assertLessEqual(latency['p50'], latency['p99'])
                text = self.yoke('stat', object, '--latency', '--interval', '100ms').decode()
                self.assertIn('latency  ', text)
                talks = self.json('stat', '--talks', object, '--interval', '100ms')
                self.assertEqual({e['direction'] for e in talks if e['messages']}, {'sends', 'receives'})
            finally:
                os.killpg(sender.pid, signal.SIGKILL)
                sender.wait()
                receiver.kill()
                receiver.wait()

    def test_watch_takes_its_interval_and_shows_latency(self):
        address = self.port()
        for arguments in (('--watch', '20ms'), ('--watch=20ms',), ('--watch', '--interval', '20ms')):
            watch = self.start('stat', address, *arguments)
            title = watch.stdout.readline().split()
            self.assertEqual(title[-2:], [b'P50', b'P99'])
            self.assertEqual(len(watch.stdout.readline().split()), len(title))
            watch.send_signal(signal.SIGINT)
            self.assertEqual(watch.wait(), -signal.SIGINT)

    def test_a_message_that_waits_longer_than_an_interval_is_seen_to_be_taken(self):
        address = self.port()
        watch = self.start('stat', address, '--watch', '20ms', '--latency', '--json')
        seen = lambda: json.loads(watch.stdout.readline())['latency']
        seen()
        while seen()['still_waiting'] == 0:  # what was sent before it was chosen is not watched
            self.yoke('send', address, 'x')
        for _ in range(3):
            self.assertEqual(seen()['messages'], 0)
        self.yoke('recv', address, '--count', '1000', '--timeout', '0', status=3)
        while (latency := seen())['messages'] == 0:
            pass
        self.assertGreaterEqual(latency['longest'], 3 * 0.02)

    def test_what_has_no_messages_has_no_latency(self):
        self.yoke('region', 'create', self.base, '--size', '4K')
        region = self.forget(f'region:{self.base}')
        self.yoke('stat', region, '--latency', status=1)
        self.assertIn('has no messages to look at', self.complaint)
        watch = self.start('stat', region, '--watch', '20ms')
        watch.stdout.readline()
        self.assertIn(b'-', watch.stdout.readline())

    # ---- who talks to whom

    def test_edges_of_a_port_a_link_and_a_stream(self):
        port = self.port()
        self.port(name='sink')
        self.forget('link:alice/bob')
        self.yoke('send', '--as', 'alice', 'link:bob', 'one', 'two')
        self.yoke('recv', '--as', 'bob', 'link:alice', '--count', '1')
        self.yoke('send', port, 'x' * 10)
        receiver = self.start('recv', port, '--follow')
        self.assertEqual(receiver.stdout.readline(), b'x' * 10 + b'\n')
        command = os.path.basename(tool.TOOL)[:15]
        expected = {
            ('link:alice/bob', 'sends', 'alice', 2, None),
            ('link:alice/bob', 'receives', 'bob', 1, None),
            (port, 'sends', None, 1, None),  # it is gone
            (port, 'receives', command, 1, 10),  # once it is released, after it was printed
        }

        def edges():
            return {
                (e['object'], e['direction'], e.get('peer') or e.get('command'), e['messages'], e.get('bytes'))
                for e in self.json('stat', '--talks')
            }

        self.until('a message that is released', lambda: len(edges()) == len(expected))
        self.assertEqual(edges(), expected)
        text = self.yoke('stat', '--talks', port).decode()
        self.assertNotIn('alice', text)
        self.assertRegex(text, rf'{port} +{command}\({receiver.pid}\) +1 +10 ')
        self.assertNotIn('sink', self.yoke('stat', '--talks').decode())

    def test_a_process_that_is_a_peer_goes_by_its_name(self):
        waiting = self.start('wait', '--as', 'carol', '--timeout', '5m')
        self.until('carol', lambda: b'carol' in self.yoke('peers'))
        self.yoke('signal', '--as', 'dave', 'peer:carol', '7')
        waiting.wait()
        # nobody is left; the inbox went with its owner
        self.assertEqual(self.json('stat', '--talks'), [])

    def test_dot_is_what_graphviz_reads(self):
        self.forget('link:alice/bob')
        self.yoke('send', '--as', 'alice', 'link:bob', 'one')
        text = self.yoke('stat', '--talks', '--dot').decode()
        lines = text.splitlines()
        self.assertEqual((lines[0], lines[-1]), ('digraph yoke {', '}'))
        node = r'"[^"\\]*"'
        for line in lines[1:-1]:
            self.assertRegex(
                line, rf'^  (rankdir=LR;|{node} \[(shape=box|label={node}(, style=dashed)?)\];|{node} -> {node} \[label={node}\];)$'
            )
        self.assertIn('  "alice" -> "link:alice/bob" [label="1"];', lines)
        path = self.path('talks.dot')
        self.yoke('stat', '--talks', '--dot', '--output', path)
        self.assertEqual(self.read('talks.dot').decode(), text)

    def test_wrong_combinations_are_refused(self):
        address = self.port()
        for arguments in (
            ('--openmetrics', '--talks'),
            ('--openmetrics', '--json'),
            ('--dot', address),
            ('--dot', '--talks', '--json'),
            ('--output', 'x', address),
            ('--latency', '--talks'),
            ('--latency', '--openmetrics'),
            ('--watch', '0s', address),
            ('--watch=x', address),
            (address, address),
            (),
        ):
            self.yoke('stat', *arguments, status=2)


if __name__ == '__main__':
    tool.main()
