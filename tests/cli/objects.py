"""Creating, listing, showing, removing, clearing."""

import json
import os
import re
import signal
import subprocess

import tool


class Regions(tool.Case):
    def test_created_shown_and_removed(self):
        self.assertEqual(self.yoke('region', 'create', self.base, '--size', '1M'), b'')
        address = self.forget(f'region:{self.base}')
        facts = self.stat(address)
        self.assertEqual(
            (facts['kind'], facts['size'], facts['kept'], facts['mode']),
            ('region', 1 << 20, True, '0600'),
        )
        self.assertEqual(facts['participants'], [])
        self.assertIn(b'1.0M', self.yoke('stat', address))
        self.assertIn(address.encode(), self.yoke('ls'))
        self.yoke('rm', address)
        self.yoke('stat', address, status=1)
        self.assertNotIn(address.encode(), self.yoke('ls'))

    def test_the_same_again_is_fine_but_not_exclusively_nor_with_another_size(self):
        create = ['region', 'create', self.base, '--size']
        self.assertEqual(self.json(*create, '64K'), {'address': self.forget(f'region:{self.base}')})
        self.yoke(*create, '64K')
        self.yoke(*create, '64K', '--exclusive', status=1)
        self.yoke(*create, '128K', status=1)

    def test_participants_are_shown_without_columns_for_messages(self):
        child = self.start(
            'region', 'create', self.base, '--size', '4K', '--transient', '--hold'
        )
        address = child.stdout.readline().decode().strip()
        text = self.yoke('stat', address).decode()
        self.assertIn('COMMAND', text)
        self.assertIn(', 1 attachment\n', text)
        for word in ('SENT', 'RECEIVED', 'HELD', 'WAITS'):
            self.assertNotIn(word, text)
        participant = self.stat(address)['participants'][0]
        self.assertEqual(participant['pid'], child.pid)
        self.assertNotIn('held', participant)

    def test_mode_and_group_are_as_asked(self):
        who = ['--mode', '0640', '--group', str(os.getgid())]
        self.yoke('region', 'create', self.base, '--size', '4K', *who)
        facts = self.stat(self.forget(f'region:{self.base}'))
        self.assertEqual((facts['mode'], facts['gid']), ('0640', os.getgid()))

    def test_populated_memory_is_in_use_from_the_start(self):
        self.yoke('region', 'create', self.base, '--size', '4M', '--populate')
        facts = self.stat(self.forget(f'region:{self.base}'))
        self.assertIn('memory_used', facts)
        if facts['memory_used']:
            self.assertGreaterEqual(facts['memory_used'], 4 << 20)

    def test_huge_pages_work_or_are_refused_with_a_reason(self):
        done = self.run_tool('region', 'create', self.base, '--size', '2M', '--huge')
        self.forget(f'region:{self.base}')
        if done.returncode != 0:
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.decode(), '(?i)huge')

    def test_absurd_sizes_are_refused_with_a_reason(self):
        self.yoke('region', 'create', self.base, '--size', '64T', status=2)
        self.assertIn(self.base, self.complaint)
        self.yoke('stat', f'region:{self.base}', status=1)


class Held(tool.Case):
    def hold(self, kind='region'):
        size = ['--size', '1M'] if kind == 'region' else []
        child = self.start(kind, 'create', self.base, *size, '--transient', '--hold')
        self.assertEqual(child.stdout.readline().decode(), f'{kind}:{self.base}\n')
        return child, f'{kind}:{self.base}'

    def test_lives_as_long_as_the_command_and_ends_cleanly(self):
        for kind in ('region', 'port'):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                with self.subTest(kind=kind, number=number):
                    child, address = self.hold(kind)
                    facts = self.stat(address)
                    self.assertFalse(facts['kept'])
                    self.assertEqual(
                        [(p['pid'], p['alive']) for p in facts['participants']], [(child.pid, True)]
                    )
                    child.send_signal(number)
                    self.assertEqual(child.wait(tool.DEADLINE), 0)
                    self.yoke('stat', address, status=1)

    def test_creating_it_again_to_be_kept_is_noted(self):
        for kind in ('region', 'port'):
            with self.subTest(kind=kind):
                size = ['--size', '1M'] if kind == 'region' else []
                child, address = self.hold(kind)
                self.yoke(kind, 'create', self.base, *size, '--mode', '0600')
                self.assertEqual(
                    self.complaint,
                    f'yoke: note: {address} was there already and is transient: '
                    'it goes with its last user\n',
                )
                self.yoke(kind, 'create', self.base, *size, '--mode', '0640', '--participants', '200')
                self.assertIn('keeps its mode 0600 (0640 asked for)', self.complaint)
                self.assertIn('number of participants of 128 (200 asked for)', self.complaint)
                self.end(child)
                self.yoke('gc')

    def test_of_one_that_is_kept_is_noted(self):
        self.yoke('region', 'create', self.base, '--size', '1M')
        self.assertEqual(self.complaint, '')
        self.forget(f'region:{self.base}')
        child, address = self.hold()
        child.terminate()
        self.assertIn(f"is kept until 'yoke rm {address}'", child.stderr.read().decode())

    def test_does_not_end_with_its_standard_input(self):
        child, address = self.hold()
        child.stdin.close()
        self.stat(address)
        self.assertIsNone(child.poll())

    def test_killed_it_leaves_nothing_that_gc_does_not_clear(self):
        child, address = self.hold()
        child.kill()
        child.wait()
        self.yoke('gc')
        self.assertEqual(self.json('ls'), [])
        self.assertEqual(self.json('gc', '--dry-run'), [])

    def test_gc_names_what_it_clears(self):
        child, address = self.hold()
        self.assertEqual(self.json('gc', '--dry-run'), [], 'what is in use is not to be cleared')
        child.kill()
        child.wait()
        found = self.json('gc', '--dry-run')
        self.assertTrue(any(self.base in item['name'] for item in found), found)
        self.assertTrue(all(item['reason'] and item['what'] for item in found), found)
        self.assertEqual(self.json('gc'), found)
        self.assertIn(b'nothing to clear', self.yoke('gc'))


class Ports(tool.Case):
    def test_created_as_asked(self):
        sizes = ['--depth', '1024', '--max-message', '8K', '--priorities', '4']
        rules = ['--participants', '9', '--mode', '0660', '--policy', 'once']
        limits = ['--max-deliveries', '5', '--max-parked', '7', '--max-borrowed', '11']
        address = self.port(*sizes, *rules, *limits)
        facts = self.stat(address)
        for key, value in {
            'depth': 1024,
            'max_message': 8192,
            'priorities': 4,
            'policy': 'once',
            'max_deliveries': 5,
            'max_parked': 7,
            'max_borrowed': 11,
            'participants_max': 9,
            'mode': '0660',
            'kept': True,
            'waiting': 0,
            'held': 0,
            'parked': 0,
        }.items():
            self.assertEqual(facts[key], value, key)

    def test_defaults_are_those_of_the_help(self):
        facts = self.stat(self.port())
        self.assertEqual((facts['depth'], facts['max_message']), (256, 4096))
        self.assertEqual((facts['priorities'], facts['policy']), (1, 'redeliver'))
        self.assertEqual((facts['max_deliveries'], facts['max_parked']), (16, 64))
        self.assertEqual(facts['max_borrowed'], 64)

    def test_deliveries_without_limit(self):
        self.assertNotIn('max_deliveries', self.stat(self.port('--max-deliveries', 'none')))

    def test_one_that_is_there_stays_and_who_asked_for_more_is_told(self):
        address = self.port('--depth', '16')
        self.yoke('send', address, 'still here')
        self.yoke('port', 'create', self.base, '--depth', '16')
        self.assertEqual(self.complaint, '')
        self.yoke('port', 'create', self.base, '--depth', '512', '--policy', 'once')
        self.assertIn('depth of 16', self.complaint)
        self.assertIn("policy 'redeliver'", self.complaint)
        self.yoke('port', 'create', self.base, '--exclusive', status=1)
        self.assertEqual(self.yoke('recv', address), b'still here\n')

    def test_a_failure_names_the_object(self):
        address = self.port('--participants', '1', '--max-message', '100')
        self.yoke('send', address, 'x', '--priority', '5', status=2)
        self.assertIn(f'the highest priority of {address} is 0', self.complaint)
        big = self.path('big', b'x' * 101)
        self.yoke('send', address, '--file', big, status=1)
        self.assertIn(address, self.complaint)
        self.yoke('region', 'create', 'huge', '--size', '60T', status=1)
        self.assertIn('region:huge', self.complaint)
        self.yoke('stat', 'region:gone', status=1)
        self.assertIn('there is no region:gone in', self.complaint)

    def test_stat_shows_who_waits(self):
        address = self.port()
        child = self.start('recv', address)
        waiting = self.until_waiting(address, 'receive')
        self.assertEqual(waiting['pid'], child.pid)
        self.assertEqual(waiting['command'], os.path.basename(tool.TOOL)[:15])
        self.assertEqual(waiting['uid'], os.getuid())
        self.assertIn(b'receive 1', self.yoke('stat', address))
        self.yoke('send', address, 'go')
        self.assertEqual(child.communicate(timeout=tool.DEADLINE)[0], b'go\n')

    def test_stat_counts_and_measures(self):
        address = self.port('--depth', '512')
        self.yoke('send', address, stdin=b'x\n' * 300)
        self.yoke('recv', address, '--count', '100')
        facts = self.stat(address)
        self.assertEqual((facts['sent'], facts['received'], facts['waiting']), (300, 100, 200))
        self.assertFalse(facts['rates_measured'])
        self.assertGreater(facts['sent_per_second'], 0)
        facts = self.json('stat', address, '--interval', '50ms')
        self.assertTrue(facts['rates_measured'])
        self.assertEqual(facts['sent_per_second'], 0)
        text = self.yoke('stat', address).decode()
        self.assertIn('200 waiting', text)
        self.assertIn('on average', text)

    def test_stat_watches_until_a_signal(self):
        address = self.port()
        child = self.start('stat', address, '--watch', '--interval', '20ms', '--json')
        lines = [tool.json.loads(child.stdout.readline()) for _ in range(3)]
        self.assertEqual({line['address'] for line in lines}, {address})
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(tool.DEADLINE), -signal.SIGINT)


class Lists(tool.Case):
    def setUp(self):
        super().setUp()
        for name in ('jobs', 'jolly', 'other'):
            self.port(name=name)
        self.yoke('region', 'create', 'jobs', '--size', '64K')
        self.forget('region:jobs')

    def test_all_sorted(self):
        self.assertEqual(
            [item['address'] for item in self.json('ls')],
            ['port:jobs', 'port:jolly', 'port:other', 'region:jobs'],
        )

    def test_by_pattern(self):
        for pattern, names in {
            'port:': ['port:jobs', 'port:jolly', 'port:other'],
            'jo*': ['port:jobs', 'port:jolly', 'region:jobs'],
            'jobs': ['port:jobs', 'region:jobs'],
            'port:jo*': ['port:jobs', 'port:jolly'],
            'region:': ['region:jobs'],
            'port:jobs': ['port:jobs'],
            'nothing': [],
        }.items():
            self.assertEqual([item['address'] for item in self.json('ls', pattern)], names, pattern)
            lines = self.yoke('ls', pattern).decode().splitlines()
            self.assertEqual([line.split()[0] for line in lines], ['ADDRESS'] + names)

    def test_the_table_tells_size_life_and_owner(self):
        self.yoke('send', 'port:jobs', 'a', 'b', 'c')
        line = self.yoke('ls', 'port:jobs').decode().splitlines()[1]
        self.assertRegex(line, r'\Aport:jobs +256 x 4K +3 +0 +\S+ +kept +\d+(us|ms|s) +\S+\Z')

    def test_rm_goes_on_after_one_that_is_not_there(self):
        self.yoke('rm', 'port:jobs', 'port:gone', 'region:jobs', status=1)
        self.assertIn('gone', self.complaint)
        self.assertEqual(
            [item['address'] for item in self.json('ls')], ['port:jolly', 'port:other']
        )

    def test_an_object_that_can_not_be_looked_at_is_listed_with_its_problem(self):
        published = os.path.join(os.environ['YOKE_DIR'], 'port.other')
        if not os.path.exists(published):
            self.skipTest('the names are stored in another way')
        with open(published, 'rb') as file:
            good = file.read()
        with open(published, 'wb') as file:
            file.write(b'rubbish')
        try:
            done = subprocess.run([tool.TOOL, 'ls'], capture_output=True, timeout=tool.DEADLINE)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(b'port:other', done.stdout)
            self.assertIn(b'port:other', done.stderr)
            self.assertEqual(len(self.json('ls')), 4)
            shown = self.run_tool('stat', 'port:other')
            self.assertEqual(shown.returncode, 1)
            titles = [line.split()[0] for line in shown.stdout.decode().splitlines()]
            self.assertEqual(titles, ['address', 'owner'], 'the rest is not known')
            self.assertNotIn(b'mode', shown.stdout)
            shown = json.loads(self.run_tool('stat', 'port:other', '--json').stdout)
            self.assertEqual(set(shown), {'address', 'kind', 'name', 'place', 'problem', 'uid', 'gid'})
        finally:
            with open(published, 'wb') as file:
                file.write(good)


    def test_what_is_known_of_an_object_with_a_problem_is_shown(self):
        published = os.path.join(os.environ['YOKE_DIR'], 'port.other')
        with open(published, 'rb') as file:
            good = file.read()
        with open(published, 'wb') as file: # of another boot, or of another container
            file.write(re.sub(rb' ipc=\d+', b' ipc=4026000001', good))
        try:
            shown = self.run_tool('stat', 'port:other')
            self.assertEqual(shown.returncode, 1)
            self.assertIn(b'life          kept', shown.stdout)
            self.assertRegex(shown.stdout, rb'memory        segment \d+\n')
            for word in (b'age', b'room', b'participants', b'mode'):
                self.assertNotIn(word, shown.stdout)
        finally:
            with open(published, 'wb') as file:
                file.write(good)


if __name__ == '__main__':
    tool.main()
