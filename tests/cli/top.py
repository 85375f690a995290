"""yoke top: what its screen shows, what its keys do, and what it prints without one."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import terminal
import tool


class Case(tool.Case):
    def rows(self, *options, **more):
        """One look, by address."""
        shown = self.json('top', '--once', '--interval', '50ms', *options, **more)
        return {one['address']: one for one in shown['objects']}

    def stop(self, child):
        child.send_signal(signal.SIGSTOP)
        self.until('a stopped process', lambda: self.state(child.pid) == 'T')

    @staticmethod
    def state(pid):
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0]

    def borrower(self, address):
        """A process that has borrowed a message, until its command ends."""
        gate = self.path('gate')
        os.mkfifo(gate)
        child = self.start('recv', address, '--exec', f'exec cat {gate}')
        self.until('a borrowed message', lambda: self.stat(address)['held'] == 1)
        return child

    def let_go(self):
        """What a killed borrower's command waits for."""
        os.close(os.open(self.path('gate'), os.O_RDWR | os.O_NONBLOCK))


class Once(Case):
    def test_each_object_has_a_row_in_text_and_in_json(self):
        port = self.port('--depth', '200')
        self.yoke('send', port, *'12345')
        stream = self.forget(f'stream:{self.base}')
        self.yoke('stream', 'create', self.base, '--capacity', '64K')
        self.yoke('region', 'create', self.base, '--size', '1M')
        self.forget(f'region:{self.base}')
        self.yoke('send', '--as', 'a', 'link:b', 'on the way')
        self.forget('link:a/b')
        text = self.yoke('top', '--once', '--interval', '20ms').decode()
        self.assertRegex(text, r'\A +ADDRESS +IN +OUT +DEPTH +WAITS +HELD +USERS +WHY\n')
        self.assertRegex(text, rf'\n +{port} +0/s +0/s +5/200 +- +- +0  nobody has it open\n')
        self.assertRegex(text, rf'\n +{stream} +0B/s +0B/s +0/64K +- +- +0 *\n')
        self.assertRegex(text, rf'\n +region:{self.base} +- +- +- +- +- +0 *\n')
        self.assertRegex(text, r'\n +link:a/b +0/s +0/s +1/512 ')
        rows = self.rows()
        self.assertEqual(rows[port]['waiting'], 5)
        self.assertEqual(rows[port]['sent_per_second'], 0)
        self.assertEqual(rows[stream]['written_per_second'], 0)
        self.assertFalse(rows[port]['stuck'])
        self.assertEqual(set(self.rows('stream:')), {stream})
        self.assertEqual(set(self.rows('--stuck')), {port, 'link:a/b'})

    def test_a_full_port_with_senders_that_wait_is_stuck(self):
        port = self.port('--depth', '1')
        self.yoke('send', port, 'full')
        self.start('send', port, 'waits')
        self.until_waiting(port, 'send')
        row = self.rows()[port]
        self.assertTrue(row['stuck'])
        self.assertEqual(row['waiting_send'], 1)
        self.assertEqual(row['why'], 'full: 1 sender waits for room')
        text = self.yoke('top', '--once', '--interval', '1ms').decode()
        self.assertRegex(text, rf'\n!  {port} .* 1/1 +1s ')

    def test_a_stopped_process_that_holds_a_message_is_named_and_for_how_long(self):
        port = self.port()
        self.yoke('send', port, 'held', 'waits')
        child = self.borrower(port)
        self.stop(child)
        row = self.rows()[port]
        self.assertTrue(row['stuck'])
        self.assertIn(f'stopped, holds 1: {child.pid} (yoke)', row['why'])
        self.assertGreaterEqual(row['held_at_least'], 0.05)
        self.assertLess(row['held_at_least'], 60)
        self.assertRegex(
            self.yoke('top', '--once', '--interval', '20ms').decode(), rf'{port} .* 1 >\d+ms '
        )
        child.kill()
        child.wait()
        row = self.rows()[port]
        self.assertTrue(row['stuck'])
        self.assertIn('dead, not recovered, had 1: ', row['why'])
        self.let_go()

    def test_a_kept_port_whose_processes_are_all_dead_is_shown_as_they_left_it(self):
        port = self.port()
        self.yoke('send', port, 'one', 'two', 'three')
        receiver = self.borrower(port)
        sender = self.start('send', port)
        self.until('both', lambda: self.stat(port)['participants_used'] == 2)
        for child in (receiver, sender):
            self.stop(child)
        row = self.rows()[port]
        self.assertEqual((row['waiting'], row['held'], row['participants_used']), (2, 1, 2))
        for child in (receiver, sender):
            child.kill()
            child.wait()
        for _ in range(2):  # a look recovers nothing
            row = self.rows()[port]
            self.assertEqual((row['waiting'], row['held'], row['participants_used']), (2, 1, 0))
            self.assertEqual([one['alive'] for one in row['participants']], [False, False])
        self.let_go()

    def test_without_a_screen_a_block_comes_for_each_look_until_a_signal(self):
        address = self.port()
        top = self.start('top', '--interval', '20ms')
        lines = [top.stdout.readline().decode() for _ in range(6)]
        self.assertEqual([line.split()[:1] for line in lines], [['ADDRESS'], [address], []] * 2)
        top.send_signal(signal.SIGTERM)
        self.assertEqual(top.wait(tool.DEADLINE), -signal.SIGTERM)
        top = self.start('top', '--interval', '20ms', '--json')
        for _ in range(3):
            look = json.loads(top.stdout.readline())
            self.assertEqual(look['interval'], 0.02)
            self.assertEqual([one['address'] for one in look['objects']], [address])

    @unittest.skipUnless(os.geteuid() == 0, 'to become another user takes root')
    def test_the_right_to_read_is_enough(self):
        directory = tempfile.mkdtemp(prefix='yoke-shared-', dir='/tmp')
        self.addCleanup(shutil.rmtree, directory)
        os.chmod(directory, 0o1777)
        shared = os.environ | {'YOKE_DIR': directory}
        self.yoke('port', 'create', 'seen', '--mode', '0644', '--depth', '7', env=shared)
        self.addCleanup(self.yoke, 'rm', 'port:seen', env=shared)
        self.yoke('send', 'port:seen', 'seen', env=shared)
        try:
            done = subprocess.run(
                [tool.TOOL, 'top', '--once', '--interval', '1ms', '--json'],
                capture_output=True,
                user=4242,
                group=4242,
                extra_groups=[],
                env=shared,
            )
        except PermissionError:
            self.skipTest('the tool lies where only root may look')
        self.assertEqual(done.returncode, 0, done.stderr)
        (row,) = json.loads(done.stdout)['objects']
        self.assertEqual((row['address'], row['waiting'], row['depth']), ('port:seen', 1, 7))


@unittest.skipUnless(terminal.has_screen(tool.TOOL), 'this yoke was built without ncurses')
class Screen(Case):
    def top(self, *options, **more):
        shown = terminal.Terminal([tool.TOOL, 'top', '--interval', '100ms', *options], **more)
        self.addCleanup(shown.close)
        return shown

    def ends(self, shown, key='q', status=0):
        shown.keys(key)
        self.assertEqual(shown.wait(tool.DEADLINE), status)
        self.assertTrue(shown.modes_are_as_before())

    def three(self):
        """port:alpha holds most, port:beta less, port:gamma nothing."""
        ports = [self.port('--depth', '10', name=name) for name in ('alpha', 'beta', 'gamma')]
        self.yoke('send', ports[0], *'12345')
        self.yoke('send', ports[1], *'123')
        return ports

    @staticmethod
    def order(text):
        return re.findall(r'^[ !]port:(\w+)', text, re.MULTILINE)

    def test_on_screens_of_all_sizes_and_kinds(self):
        self.three()
        for rows, columns in ((24, 80), (10, 40), (60, 200), (3, 20), (1, 1)):
            for kind, more in (
                ('xterm-256color', {}),
                ('xterm', {'NO_COLOR': '1'}),
                ('vt100', {'LANG': 'C'}),
                ('linux', {}),
            ):
                with self.subTest(rows=rows, columns=columns, kind=kind):
                    shown = self.top(rows=rows, columns=columns, kind=kind, **more)
                    if rows == 1:
                        shown.until('q', tool.DEADLINE)
                    elif rows == 3:
                        shown.until('yoke top  3 of 3', tool.DEADLINE)
                    else:
                        text = shown.until(r'^ port:alpha .* 0/s .* 5/10', tool.DEADLINE)
                        shown.until(r'^q quit', tool.DEADLINE)
                        self.assertRegex(text, r'\Ayoke top  3 of 3, 0 stuck  by rate')
                        self.assertEqual('USERS' in text, columns > 100)
                        self.assertEqual('WHY' in text, columns > 60)
                    self.ends(shown)
                    colours = {
                        int(number)
                        for style in shown.screen.styles
                        for number in style.split(';')
                        if number and 30 <= int(number) <= 37
                    }
                    if rows > 3 or more:
                        self.assertEqual(bool(colours), not more)
                    if 'LANG' in more:
                        self.assertTrue(all(byte < 128 for byte in shown.raw))

    def test_bars_in_utf8_and_in_ascii(self):
        self.three()
        shown = self.top(columns=120)
        shown.until(r'^ port:alpha .* █████·{5} +5/10', tool.DEADLINE)
        shown.until(r'^ port:gamma .* ·{10} +0/10', tool.DEADLINE)
        self.ends(shown)
        shown = self.top(columns=120, LANG='C')
        shown.until(r'^ port:alpha .* #####\.{5} +5/10', tool.DEADLINE)
        self.ends(shown)

    def test_it_goes_along_with_a_terminal_that_changes_its_size(self):
        self.three()
        shown = self.top()
        shown.until('WHY$', tool.DEADLINE)
        shown.resize(10, 40)
        shown.until(r'OUT +DEPTH$', tool.DEADLINE)
        shown.resize(50, 200)
        text = shown.until('USERS MEMORY', tool.DEADLINE)
        shown.until(r'^q quit.*$', tool.DEADLINE)
        self.assertEqual(shown.screen.text().splitlines()[-1][:6], 'q quit')
        self.assertEqual(len(shown.screen.text().splitlines()), 50)
        self.ends(shown)

    def test_keys_sort_turn_round_and_filter(self):
        self.three()
        shown = self.top('--sort', 'name')
        shown.until(lambda text: self.order(text) == ['alpha', 'beta', 'gamma'], tool.DEADLINE)
        shown.keys('r')
        shown.until(lambda text: self.order(text) == ['gamma', 'beta', 'alpha'], tool.DEADLINE)
        shown.keys('rss')  # to size, to waiting
        shown.until('by waiting', tool.DEADLINE)
        shown.keys('r')
        shown.until(lambda text: self.order(text) == ['gamma', 'beta', 'alpha'], tool.DEADLINE)
        shown.keys('/et')
        shown.until(lambda text: self.order(text) == ['beta'], tool.DEADLINE)
        shown.until('^filter: et_', tool.DEADLINE)
        shown.keys('\r')
        shown.until('1 of 3.* /\\*et\\*', tool.DEADLINE)
        shown.keys('/\x7f\x7fport:')
        shown.until(lambda text: len(self.order(text)) == 3, tool.DEADLINE)
        shown.keys('[ab]*')
        shown.until(lambda text: self.order(text) == ['beta', 'alpha'], tool.DEADLINE)
        shown.keys('\x1b')  # away with it
        shown.until(lambda text: len(self.order(text)) == 3, tool.DEADLINE)
        shown.keys('t')
        shown.until(lambda text: self.order(text) == ['beta', 'alpha'], tool.DEADLINE)
        self.ends(shown)

    def test_paused_it_stays_as_it_is(self):
        address = self.port('--depth', '99')
        shown = self.top()
        shown.until(' 0/99', tool.DEADLINE)
        shown.keys('p')
        shown.until('PAUSED', tool.DEADLINE)
        self.yoke('send', address, 'one')
        end = time.monotonic() + 0.5  # several intervals, in which each key is answered
        while time.monotonic() < end:
            shown.keys('r')
            shown.until('reversed', tool.DEADLINE)
            shown.keys('r')
            shown.until(lambda text: 'reversed' not in text, tool.DEADLINE)
            self.assertIn(' 0/99', shown.screen.text())
        shown.keys('p')
        shown.until(' 1/99', tool.DEADLINE)
        self.assertNotIn('PAUSED', shown.screen.text())
        self.ends(shown)

    def test_inside_one_it_shows_what_stat_shows_live(self):
        self.three()
        shown = self.top('--sort', 'name')
        shown.until('port:gamma', tool.DEADLINE)
        shown.keys('j\r')
        shown.until(r'^messages +3 waiting', tool.DEADLINE)
        text = shown.until('participants  0 of 128', tool.DEADLINE)  # the screen may come in pieces
        self.assertRegex(text, r'\Aport:beta\n')
        self.yoke('send', 'port:beta', 'more')
        shown.until(r'^messages +4 waiting', tool.DEADLINE)
        self.yoke('rm', 'port:beta')
        shown.until(r'\Aport:beta  is gone', tool.DEADLINE)
        shown.keys('q')
        shown.until(lambda text: self.order(text) == ['alpha', 'gamma'], tool.DEADLINE)
        self.ends(shown)

    def test_inside_what_has_more_lines_than_the_screen_it_scrolls(self):
        address = self.port(name='jobs')
        for _ in range(6):
            self.start('send', address)
        self.until('six', lambda: self.stat(address)['participants_used'] == 6)
        shown = self.top(rows=12)
        shown.until(address, tool.DEADLINE)
        shown.keys('\r')
        shown.until(r'\A.*\naddress', tool.DEADLINE)
        shown.keys('\x1bOF')  # End
        shown.until(lambda text: 'address' not in text and ' 5 ' in text, tool.DEADLINE)
        shown.keys('\x1bOH')  # Home
        shown.until(r'\A.*\naddress', tool.DEADLINE)
        shown.keys('\x1b')
        shown.until('yoke top', tool.DEADLINE)
        self.ends(shown)

    def test_more_objects_than_rows_scroll_with_the_chosen_one(self):
        names = [self.port(name=f'port-{i:02}')[5:] for i in range(30)]
        shown = self.top('--sort', 'name', rows=14)
        shown.until('port-09', tool.DEADLINE)
        self.assertEqual(re.findall(r'port-\d\d', shown.screen.text()), names[:10])
        shown.keys('G')
        shown.until(lambda text: re.findall(r'port-\d\d', text) == names[20:], tool.DEADLINE)
        shown.keys('k' * 12)
        shown.until(lambda text: re.findall(r'port-\d\d', text) == names[17:27], tool.DEADLINE)
        self.ends(shown)

    def test_what_is_stuck_is_marked_and_said_in_full(self):
        port = self.port(name='jobs')
        self.yoke('send', port, 'held')
        child = self.borrower(port)
        self.stop(child)
        shown = self.top(columns=80)
        shown.until(rf'^!{port} ', tool.DEADLINE)
        shown.until(r' 1 >\d+(ms|s) ', tool.DEADLINE)
        shown.until(rf'^{port}: stopped, holds 1: {child.pid} \(yoke\)$', tool.DEADLINE)
        shown.until('1 stuck', tool.DEADLINE)
        shown.keys('\r')
        shown.until(rf'^stuck +stopped, holds 1: {child.pid} \(yoke\)$', tool.DEADLINE)
        shown.until(rf'{child.pid} +yoke .* T ', tool.DEADLINE)
        shown.keys('q')
        child.kill()
        self.let_go()
        child.wait()
        self.ends(shown)

    def test_rates_of_what_flows(self):
        stream = self.forget(f'stream:{self.base}')
        reader = self.start('read', stream, stdout=subprocess.DEVNULL)
        writer = self.start('write', stream, stdin=open('/dev/zero', 'rb'))
        shown = self.top('--sort', 'rate')
        shown.until(rf'^ stream:\S+ +[0-9.]+[KMG]B/s +[0-9.]+[KMG]B/s ', tool.DEADLINE)
        writer.kill()
        writer.wait()
        self.assertEqual(reader.wait(tool.DEADLINE), 4)
        shown.until(rf'^ stream:\S+ +0B/s +0B/s ', tool.DEADLINE)
        self.ends(shown)

    def test_keys_are_explained(self):
        shown = self.top()
        shown.until('nothing is there', tool.DEADLINE)
        shown.keys('?')
        shown.until(r'^r +the other way round', tool.DEADLINE)
        shown.until(r'^Ctrl-L', tool.DEADLINE)
        shown.keys('q')
        shown.until('nothing is there', tool.DEADLINE)
        self.ends(shown)

    def test_signals_and_a_closed_terminal_end_it_and_the_terminal_is_as_it_was(self):
        shown = self.top()
        shown.until('nothing is there', tool.DEADLINE)
        self.assertFalse(shown.modes_are_as_before())
        self.assertIn('1049', shown.screen.modes)
        self.ends(shown, '\x03', -signal.SIGINT)
        self.assertNotIn('1049', shown.screen.modes)
        for number in (signal.SIGTERM, signal.SIGHUP):
            shown = self.top()
            shown.until('nothing is there', tool.DEADLINE)
            shown.child.send_signal(number)
            self.ends(shown, '', -number)
        shown = self.top()
        shown.until('nothing is there', tool.DEADLINE)
        self.ends(shown, '\x03' * 5, -signal.SIGINT)
        shown = self.top()
        shown.until('nothing is there', tool.DEADLINE)
        os.close(shown.its)
        os.close(shown.mine)  # the kernel hangs up
        shown.its = None
        self.assertIn(shown.child.wait(tool.DEADLINE), (0, -signal.SIGHUP))

    def test_stopped_by_ctrl_z_it_comes_back(self):
        self.port()
        # a group of its own, as an interactive shell makes one: an orphaned one can not be stopped
        command = 'set -m; "$0" top --interval 100ms; read line; fg'
        shown = terminal.Terminal(['sh', '-c', command, tool.TOOL])
        self.addCleanup(shown.close)
        shown.until('port:', tool.DEADLINE)
        shown.keys('\x1a')
        with open(f'/proc/{shown.child.pid}/task/{shown.child.pid}/children') as file:
            (pid,) = map(int, file.read().split())
        self.until('a stopped top', lambda: self.state(pid) == 'T')
        self.assertTrue(shown.modes_are_as_before())
        shown.keys('\n')
        self.until('a screen again', lambda: not shown.modes_are_as_before())
        shown.keys('p')
        shown.until('PAUSED', tool.DEADLINE)
        self.ends(shown)

    def test_a_terminal_that_can_only_print_gets_blocks(self):
        address = self.port()
        shown = self.top(kind='dumb')
        shown.until(rf'ADDRESS(.|\n)*{address}(.|\n)*ADDRESS', tool.DEADLINE)
        self.assertNotIn(b'\x1b', shown.raw)
        self.ends(shown, '\x03', -signal.SIGINT)

    def test_a_terminal_of_which_nothing_is_known_is_refused(self):
        # ncurses keeps what it had begun with, which is no leak of ours
        options = os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'
        shown = self.top(kind='no-such-terminal', ASAN_OPTIONS=options.lstrip(':'))
        self.assertEqual(shown.wait(tool.DEADLINE), 1)
        self.assertIn("TERM is 'no-such-terminal'", shown.screen.text())


if __name__ == '__main__':
    tool.main()
