"""`yoke bench`: what it prints and writes is well-formed. How fast anything is, is not tested.

One run of all cases, which takes long, is looked at from many sides.
"""

import html.parser
import json
import os
import re
import signal
import time
import unittest

import tool

ROW = {'case', 'system', 'mode', 'size', 'unit', 'limit_system', 'rounds'}
FIGURES = {'value', 'limit', 'ratio'}
PERCENTILES = ['p50', 'p90', 'p99', 'p999']
SECTIONS = [
    'machine',
    'goals',
    'ratio',
    'latency',
    'throughput',
    'distribution',
    'wake',
    'fan-in',
    'open',
    'syscalls',
    'kill',
    'death',
    'growth',
    'watched',
    'figures',
]
WAYS = ['pipe', 'link-fd', 'port-fd', 'set-gone', 'link-recv', 'peer-wait']
VICTIMS = ['plain', 'threads', 'forked', 'namespace']
SIDES = 'after_receiver_killed', 'after_sender_killed'
VOID = {'meta', 'link', 'br', 'img', 'hr', 'input'}

CURVES = ['ports', 'waiting', 'processes', 'links', 'links-next', 'set', 'link-waiting']

# Measured whatever --against says.
OWN = {'yoke-link', 'yoke-port'}
OWN_POLLED = OWN | {'yoke-set'}  # in mode poll
OWN_IN_PLACE = {'yoke-link-loan', 'yoke-port-loan'}


class Bench(tool.Case):
    found = None
    complaint = ''

    def tearDown(self):
        self.yoke('gc')  # doorbells of receivers that were killed while they polled

    def bench(self, *arguments):
        """Runs it; a noisy machine may make it warn, but not fail."""
        done = self.run_tool('bench', *arguments)
        self.complaint = done.stderr.decode()
        self.assertEqual(done.returncode, 0, self.complaint)
        return done.stdout.decode()

    def rows(self, *arguments):
        rows = [json.loads(line) for line in self.bench('--json', *arguments).splitlines()]
        self.assertTrue(rows, 'no rows')
        return rows

    def whole(self):
        """All cases, measured once for all tests: the rows, the page, and what `yoke ls` then said."""
        if not Bench.found:
            options = ['--quick', '--rounds', '1', '--size', '64', '--against', 'pipe,raw-two-line']
            rows = self.rows('--report', self.path('report.html'), *options)
            Bench.complaint = self.complaint
            Bench.found = rows, self.read('report.html').decode(), self.json('ls')
        return Bench.found

    def check_row(self, row):
        self.assertLessEqual(ROW, row.keys())
        self.assertIn(row['mode'], ('spin', 'block', 'poll'))
        self.assertIn(row['unit'], ('ns', 'messages/s', 'GB/s'))
        self.assertGreaterEqual(row['size'], 8)
        if row['rounds'] > 0:
            self.assertLessEqual(FIGURES, row.keys())
            self.assertGreater(row['value'], 0)
            self.assertGreater(row['limit'], 0)
            self.assertGreater(row['ratio'], 0)
            self.assertEqual('spread' in row, row['rounds'] > 1)
            times = [row[name] for name in PERCENTILES if name in row]
            self.assertEqual(times, sorted(times))
            self.assertEqual('closing' in row, row['case'] == 'open')
            self.assertGreater(row.get('closing', 1), 0)
        else:
            self.assertFalse(FIGURES & row.keys(), row)
            if 'skipped' not in row:
                self.assertGreater(row['set_aside'], 0, row)

    def systems(self, rows, case):
        return {row['system'] for row in rows if row['case'] == case}


class Rows(Bench):
    def of_case(self, *cases):
        rows = [row for row in self.whole()[0] if row['case'] in cases]
        self.assertEqual({row['case'] for row in rows}, set(cases))
        return rows

    def test_every_row_has_all_fields(self):
        rows = self.of_case('latency', 'rate', 'size', 'wake', 'fan-in', 'open', 'grow')
        for row in rows:
            with self.subTest(row=row):
                self.check_row(row)
        self.assertEqual(self.systems(rows, 'open'), OWN)
        self.assertEqual(self.systems(rows, 'latency'), OWN | {'pipe', 'raw-two-line'})
        self.assertEqual(self.systems(rows, 'rate'), OWN | OWN_IN_PLACE | {'pipe'})
        self.assertEqual({row['unit'] for row in rows if row['case'] == 'size'}, {'GB/s'})

    def test_system_calls_are_counted_or_it_is_said_why_not(self):
        for row in self.of_case('wake'):
            with self.subTest(row=row):
                if 'syscalls_per_message' not in row:
                    self.assertTrue(row['syscalls_not_counted'])
                elif row['mode'] == 'poll':  # at least a write, a poll, and a read that clears
                    self.assertGreater(row['syscalls_per_message'], 2)
                elif row['system'] == 'pipe':  # a write and a read
                    self.assertAlmostEqual(row['syscalls_per_message'], 2, delta=0.1)
                    self.assertEqual(row['futex_calls_per_message'], 0)
                else:
                    self.assertGreater(row['futex_calls_per_message'], 0)

    def test_an_idle_receiver_is_watched(self):
        rows = self.of_case('wake')
        for mode, systems in (('block', OWN), ('poll', OWN_POLLED)):
            found = {row['system'] for row in rows if row['mode'] == mode}
            self.assertEqual(found, systems | {'pipe'})
        for row in rows:
            self.assertIn(row['mode'], ('block', 'poll'))
            self.assertIn('idle_wakeups_per_second', row)
            if row['mode'] == 'poll':  # for ever, so it is counted, not timed; but it may be late to lie down
                self.assertLess(row['idle_wakeups_per_second'], 15, row)

    def test_many_senders_and_receivers(self):
        rows = self.of_case('fan-in')
        for row in rows:
            self.assertEqual(row['limit_system'], row['system'])
        self.assertEqual({(row['senders'], row['receivers']) for row in rows}, {(2, 2), (16, 16)})

    def test_interrupted_it_ends_by_the_signal_and_leaves_nothing(self):
        for case in ('grow', 'watched', 'latency', 'fan-in', 'kill', 'death'):
            child = self.start('bench', '--case', case, '--against', 'none')
            time.sleep(0.3)  # long enough to be in the middle of something, wherever that is
            child.send_signal(signal.SIGINT)
            self.assertEqual(child.wait(tool.DEADLINE), -signal.SIGINT, case)
            self.assertEqual(self.json('ls'), [])

    def test_those_who_were_watched_leave_no_names(self):
        self.bench('--case', 'watched', '--quick', '--against', 'none')
        left = [name for name in os.listdir(os.environ['YOKE_DIR']) if not name.startswith(('.lock', '.intents'))]
        self.assertEqual(left, [])

    def test_growth_has_its_curves(self):
        rows = self.of_case('grow')
        if {row['curve'] for row in rows} != set(CURVES):  # --quick has little time, and the machine is slow
            rows = self.rows('--case', 'grow')
        most = {}
        for row in rows:
            most[row['curve']] = max(row['count'], most.get(row['curve'], 0))
        if 'no time was left' in self.complaint:  # a busy machine
            self.assertLessEqual(set(most), set(CURVES))
        else:
            self.assertEqual(set(most), set(CURVES))
        tool.diagnose(f'the curves reach {most}; {self.complaint.strip()}')

    def test_being_watched_is_compared_with_not(self):
        """How much it costs is not asserted: the machine may be busy."""
        rows = self.of_case('watched')
        self.assertEqual([row['of'] for row in rows], ['port', 'link'], self.complaint)
        for row in rows:
            self.assertGreater(row['cpu_ns_per_message'], 0)
            for ratio in ('cpu_watched_to_alone', 'cpu_alone_to_alone', 'rate_watched_to_alone'):
                self.assertLessEqual(0, row[ratio]['p10'])
                self.assertLessEqual(row[ratio]['p10'], row[ratio]['median'])
                self.assertLessEqual(row[ratio]['median'], row[ratio]['p90'])
            tool.diagnose(str(row))

    def test_killing_is_observed(self):
        rows = self.of_case('kill')
        self.assertEqual({row['system'] for row in rows}, OWN | {'pipe'})
        for attempt in range(10):  # a busy machine may see nothing in the time of --quick
            pipe = next(row for row in rows if row['system'] == 'pipe')
            if 'waits' not in (pipe[side]['outcome'] for side in SIDES):
                break
            rows = self.rows('--case', 'kill', '--against', 'pipe')
        for row in rows:
            for side in SIDES:
                self.assertIn(
                    row[side]['outcome'], ('error', 'end of file', 'waits', 'goes on'), row
                )
            self.assertTrue(row['left_behind'])
            if row['system'] == 'pipe':
                self.assertEqual(row['after_receiver_killed']['errno'], 'EPIPE')
                self.assertEqual(row['after_sender_killed']['outcome'], 'end of file')

    def test_it_ends_in_real_time_too(self):
        """As `chrt -f` runs it: two workers that spin would keep the CPUs from who is to end them."""
        mine = os.sched_getscheduler(0), os.sched_getparam(0)
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
        except PermissionError:
            self.skipTest('no right to real-time priority')
        try:
            options = ['--quick', '--against', 'vyukov', '--rounds', '1']
            rows = self.rows('--case', 'kill,fan-in', *options)
        finally:
            os.sched_setscheduler(0, *mine)
        self.assertIn('vyukov', {row['system'] for row in rows})

    def test_every_death_becomes_known(self):
        rows = self.of_case('death')
        self.assertEqual(
            [(row['victim'], row['known_by']) for row in rows],
            [(victim, way) for victim in VICTIMS for way in WAYS],
        )
        for row in rows:
            if 'PID namespace' in row.get('ended', ''):  # none is to be had
                self.assertEqual(row['kills'], 0, row)
                continue
            self.assertNotIn('ended', row)
            self.assertLess(row['missed'], row['kills'], row)
            times = [row['after_sigkill'][name] for name in ('p50', 'p99', 'worst')]
            self.assertEqual(times, sorted(times))
            self.assertEqual('after_closing' in row, row['known_by'] != 'pipe')
        tool.diagnose(f'{sum(row["kills"] for row in rows)} deaths seen')

    def test_nothing_is_left_behind(self):
        self.assertEqual(self.whole()[2], [])

    def test_the_table_names_what_was_measured(self):
        options = ['--quick', '--size', '64', '--rounds', '1', '--against', 'none']
        table = self.bench('--case', 'wake,open,kill,death', *options)
        self.assertIn('opening one more endpoint', table)
        self.assertNotIn('copying 64 MiB', table)  # nobody asked
        for word in ('CASE', 'X LIMIT', 'yoke-port', 'raw-futex', 'raw-open', 'LEFT BEHIND', 'AFTER CLOSING'):
            self.assertIn(word, table)

    def test_when_every_row_has_failed_it_ends(self):
        """However much time there would be."""
        place = {'YOKE_DIR': os.path.join(self.scratch, 'no', 'such', 'directory')}
        options = ['--case', 'fan-in', '--against', 'none', '--time', '1h']
        done = self.run_tool('bench', *options, env=os.environ | place)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b'yoke-port failed', done.stderr)

    def test_in_place_is_compared_with_itself(self):
        options = ['--quick', '--case', 'size', '--size', '64M', '--rounds', '1']
        for row in self.rows(*options, '--against', 'none'):
            in_place = row['system'] in OWN_IN_PLACE
            self.assertEqual(row['limit_system'], row['system'] if in_place else 'raw-memcpy')

    def test_wrong_names_are_refused_with_the_right_ones(self):
        self.yoke('bench', '--against', 'pigeon', status=2)
        self.assertIn('raw-two-line', self.complaint)
        self.yoke('bench', '--case', 'pigeon', status=2)
        self.yoke('bench', '--size', '4', status=2)


class Page(html.parser.HTMLParser):
    """Notes sections, headings and references, and insists that what is opened is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.problems = [], []
        self.sections, self.references, self.tags = [], [], set()

    def handle_startendtag(self, tag, attributes):
        self.note(tag, attributes)

    def handle_starttag(self, tag, attributes):
        self.note(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f'</{tag}> at {self.getpos()}')

    def note(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            if name in ('src', 'href', 'xlink:href', 'action', 'data', 'srcset'):
                self.references.append(value)
            if tag == 'section' and name == 'id':
                self.sections.append(value)


class Report(Bench):
    def parse(self, text):
        page = Page()
        page.feed(text)
        page.close()
        self.assertEqual(page.problems, [])
        self.assertEqual(page.open, [])
        self.assertEqual(page.sections, SECTIONS)
        return page

    def test_the_page_is_whole_and_needs_nothing_else(self):
        text = self.whole()[1]
        page = self.parse(text)
        self.assertIn('svg', page.tags)
        self.assertNotIn('script', page.tags)
        self.assertNotIn('link', page.tags)
        for reference in page.references:
            self.assertRegex(reference, r'\A#')
        self.assertEqual({name[1:] for name in page.references}, set(SECTIONS))
        self.assertIsNone(re.search(r'https?:|url\(|@import', text))
        self.assertIn('viewport', text)
        self.assertIn('@media print', text)
        self.assertNotIn('nan', re.sub(r'[a-z]nan|nan[a-z]', '', text))
        self.assertNotIn('Not measured in this run', text)

    def test_what_was_not_measured_is_said(self):
        options = ['--quick', '--rounds', '1', '--case', 'open', '--against', 'none']
        self.bench('--report', self.path('report.html'), *options)
        text = self.read('report.html').decode()
        self.parse(text)
        self.assertIn('Not measured in this run', text)

    @unittest.skipIf(not os.path.exists('/dev/full'), 'there is no /dev/full here')
    def test_a_report_that_cannot_be_written_is_a_failure(self):
        options = ['--case', 'open', '--rounds', '1', '--against', 'none']
        self.yoke('bench', '--quick', *options, '--report', '/dev/full', status=1)
        self.assertIn('/dev/full', self.complaint)

    def test_a_report_that_cannot_be_written_is_refused_before_anything_is_measured(self):
        path = os.path.join(self.scratch, 'no', 'such', 'directory')
        options = ['--rounds', '100000', '--case', 'open', '--against', 'none']
        self.assertEqual(self.yoke('bench', *options, '--report', path, status=1), b'')
        self.assertIn(f'cannot write the report to {path}', self.complaint)

    def test_an_interrupted_run_leaves_the_report_as_it_was(self):
        path = self.path('report.html', b'as it was')
        child = self.start('bench', '--report', path, '--case', 'open', '--against', 'none')
        time.sleep(0.3)  # as above
        child.send_signal(signal.SIGINT)
        child.wait(tool.DEADLINE)
        self.assertEqual(self.read('report.html'), b'as it was')


if __name__ == '__main__':
    tool.main()
