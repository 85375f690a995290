"""The tool's answers to what can not be: status 2, one line that says why, nothing changed."""

import os
import subprocess

import tool

# Arguments, and what the complaint must say.
WRONG = [
    ([], 'Usage: yoke COMMAND'),
    (['sned'], "did you mean 'send'"),
    (['rcev'], "did you mean 'recv'"),
    (['lss'], "did you mean 'ls'"),
    (['link', 'create', 'x'], 'yoke send --as'),
    (['region', 'crate', 'x'], "did you mean 'region create'"),
    (['xyzzyxyzzy'], "there is no command 'xyzzyxyzzy'"),
    (['x' * 5000], 'there is no command'),
    (['region'], 'command missing'),
    (['region', '--size', '4K'], 'region'),
    (['region', 'create'], 'NAME missing'),
    (['region', 'create', 'x'], '--size missing'),
    (['region', 'create', 'x', '--size'], "'--size' needs a value"),
    (['region', 'create', 'x', 'y', '--size', '4K'], 'too many arguments'),
    (['region', 'create', 'x', '--size', '4K', '--frobnicate'], "'--frobnicate'"),
    (['region', 'create', 'x', '--size', '4K', '-q'], "'-q'"),
    (['region', 'create', 'x', '--size', '4K', '--exclusive=yes'], 'takes no value'),
    (['region', 'create', 'region:x', '--size', '4K'], "the bare name, 'x'"),
    (['region', 'create', 'x', '--size', '4K', '--transient'], 'add --hold'),
    (['region', 'create', 'x', '--size', '4K', '--hold'], '--transient'),
    (['port', 'create', 'port:x'], "the bare name, 'x'"),
    (['port', 'create', 'x', '--transient'], 'add --hold'),
    (['send'], 'ADDRESS missing'),
    (['send', 'port:x', '-5'], "goes after '--'"),
    (['send', 'port:x', '--file', 'f', 'message'], 'not both'),
    (['send', 'port:x', '--null', 'message'], 'standard input'),
    (['send', 'region:x', 'message'], 'is memory, messages go through a port'),
    (['recv', 'region:x'], 'is memory, messages go through a port'),
    (['recv', 'peer:x'], 'through a link to it'),
    (['recv'], 'ADDRESS missing'),
    (['recv', 'port:x', 'port:y'], 'too many arguments'),
    (['recv', 'port:x', '--count', '2', '--follow'], 'not both'),
    (['recv', 'port:x', '--file', 'f', '--details'], 'bare bytes'),
    (['recv', 'port:x', '--file', 'f', '--null'], 'bare bytes'),
    (['bridge', 'port:x'], 'FROM or TO missing'),
    (['bridge', 'port:x', 'port:y', 'port:z'], 'too many arguments'),
    (['bridge', 'link:x', 'port:y'], 'is no port'),
    (['bridge', 'port:x', 'port:y', '--batch', '0'], '--batch'),
    (['ls', 'a', 'b'], 'too many arguments'),
    (['stat'], 'ADDRESS missing'),
    (['stat', 'port:x', '--interval', '0'], 'above 0'),
    (['rm'], 'ADDRESS missing'),
    (['gc', 'x'], 'too many arguments'),
]

SIZES = [
    '', '0', '-1', '+1', ' 1', '1 ', '1.5K', 'K', '4KB', '4Kx', '0x10', '64TB', '65T',
    '18446744073709551616', '99999999999999999999999', '17179869184G', 'many',
]
NUMBERS = [
    '', '0', '-1', '+1', ' 1', '1 ', '1.0', '1K', '0x10', '4294967296', '18446744073709551617',
    'many',
]
TIMES = [
    '', '-1', '-1s', 's', '5x', '5 s', '1.s', '.5s', '1e3s', '9223372036854775808ns',
    '99999999999h', '5ss', 'soon',
]
MODES = ['', '0', '00', '-0600', '8', '0689', '0777', '1600', 'rw', '0600 ', '00000600', '0x180']

WRONG += [(['region', 'create', 'x', '--size', size], f"--size '{size}'") for size in SIZES]
WRONG += [
    (['port', 'create', 'x', '--max-message', size], '--max-message') for size in SIZES + ['65M']
]
WRONG += [
    (['port', 'create', 'x', option, number], f"{option} '{number}'")
    for option in ('--depth', '--priorities', '--max-deliveries', '--max-parked', '--participants')
    for number in NUMBERS
]
WRONG += [
    (['port', 'create', 'x', '--depth', '1048577'], 'from 1 to 1048576'),
    (['port', 'create', 'x', '--priorities', '33'], 'from 1 to 32'),
    (['port', 'create', 'x', '--max-borrowed', '65537'], 'from 1 to 65536'),
    (['port', 'create', 'x', '--participants', '1024'], 'from 1 to 1023'),
    (['port', 'create', 'x', '--policy', 'twice'], "'twice'"),
    (['port', 'create', 'x', '--policy', ''], '--policy'),
    (['port', 'create', 'x', '--group', 'no-such-group'], "'no-such-group'"),
    (['port', 'create', 'x', '--group', '-1'], "'-1'"),
    (['port', 'create', 'x', '--group', '4294967295'], "'4294967295'"),
    (['send', 'port:x', '--priority', '32', 'm'], 'from 0 to 31'),
    (['send', 'port:x', '--priority', '-1', 'm'], "'-1'"),
    (['send', 'port:x', '--tag', '18446744073709551616', 'm'], "'18446744073709551616'"),
    (['recv', 'port:x', '--count', '0'], '--count'),
    (['recv', 'port:x', '--count', '-3'], "'-3'"),
    (['bench', '--time', '0'], "--time '0'"),
]
WRONG += [
    ([command, 'port:x', '--timeout', time], f"--timeout '{time}'")
    for command in ('send', 'recv')
    for time in TIMES
]
WRONG += [(['port', 'create', 'x', '--mode', mode], f"--mode '{mode}'") for mode in MODES]

# Names and addresses that can not be are the library's to refuse, and a wrong usage all the same.
NAMES = [
    '', '.', '..', '.hidden', 'a/b', '../x', 'a b', 'tab\there', 'new\nline', 'escape\x1b[2J',
    'ümlaut',
    'x' * 129,
]
WRONG += [(['port', 'create', name], '') for name in NAMES]
WRONG += [(['region', 'create', name, '--size', '4K'], '') for name in NAMES]
WRONG += [
    ([command, address], '')
    for command in ('recv', 'stat', 'rm')
    for address in ('', 'jobs', 'port:', 'port:a/b', 'port:' + 'x' * 129)
]


class WrongUsage(tool.Case):
    def test_is_refused_in_one_line_that_says_why(self):
        for arguments, words in WRONG:
            with self.subTest(arguments=arguments):
                done = self.run_tool(*arguments)
                complaint = done.stderr.decode()
                self.assertEqual(done.returncode, 2, f'{arguments}: {complaint}')
                self.assertIn(words, complaint)
                self.assertEqual(done.stdout, b'')
                if arguments:
                    self.assertRegex(complaint, r'\Ayoke: [^\n]+\n\Z')
                    self.assertNotIn('\x1b', complaint)
        self.assertEqual(
            len(self.yoke('ls').splitlines()), 1, 'a refused command has created something'
        )

    def test_what_does_not_exist_is_a_failure(self):
        for command in (['recv'], ['send'], ['stat'], ['rm']):
            self.yoke(*command, 'port:nowhere', status=1)
            self.assertIn('nowhere', self.complaint)
        self.yoke('rm', 'region:nowhere', status=1)

    def test_a_port_is_no_region_and_a_region_no_port(self):
        address = self.port()
        name = address.removeprefix('port:')
        for wrong in (
            ['recv', f'region:{name}', '--timeout', '0'],
            ['send', f'region:{name}', 'x'],
        ):
            done = self.run_tool(*wrong)
            self.assertIn(done.returncode, (1, 2), done.stderr)
            self.assertIn(b'region', done.stderr)
        self.assertEqual(self.yoke('ls', 'region:').count(b'\n'), 1)

    def test_kinds_and_places_that_are_not_to_be_had_are_refused(self):
        for address in ('link:bob', 'port:jobs@moon', 'teapot:x', 'port:jobs@', ':', ':jobs'):
            for command in ('recv', 'stat', 'rm'):
                with self.subTest(command=command, address=address):
                    done = self.run_tool(command, address)
                    self.assertIn(done.returncode, (1, 2), done.stderr)
                    self.assertRegex(done.stderr.decode(), r'\Ayoke: [^\n]+\n\Z')

    def test_a_message_too_big_is_refused_and_named(self):
        address = self.port('--max-message', '100')
        self.yoke('send', address, 'x' * 100)
        self.yoke('send', address, 'fits', 'y' * 101, 'never sent', status=1)
        self.assertIn('message 2', self.complaint)
        self.assertIn('100', self.complaint)
        self.assertEqual(self.yoke('recv', address, '--count', '2'), b'x' * 100 + b'\nfits\n')
        self.yoke('recv', address, '--timeout', '0', status=3)

    def test_a_line_too_long_is_named_and_those_before_it_are_sent(self):
        address = self.port('--max-message', '100', '--depth', '1024')
        lines = [b'line %d' % i for i in range(1, 501)]
        for long_line in (b'x' * 101, b'x' * 3000000):
            for end in (b'', b'\n', b'\nmore\n'):
                self.yoke(
                    'send', address, stdin=b'\n'.join(lines) + b'\n' + long_line + end, status=1
                )
                self.assertIn('line 501', self.complaint)
                self.assertIn('100', self.complaint)
                self.assertEqual(self.yoke('recv', address, '--count', '500').splitlines(), lines)
                self.yoke('recv', address, '--timeout', '0', status=3)

    def test_a_file_too_big_or_missing_is_named(self):
        address = self.port('--max-message', '100')
        big, missing = self.path('big', b'x' * 101), self.path('missing')
        self.yoke('send', address, '--file', big, status=1)
        self.assertIn(big, self.complaint)
        self.assertIn('100', self.complaint)
        self.yoke('send', address, '--file', missing, status=1)
        self.assertIn(missing, self.complaint)
        self.yoke('send', address, '--file', self.scratch, status=1)
        self.yoke('send', address, '--file', '-', stdin=b'x' * 101, status=1)
        self.yoke('recv', address, '--timeout', '0', status=3)


class Help(tool.Case):
    COMMANDS = [
        [],
        ['region'],
        ['port'],
        ['region', 'create'],
        ['port', 'create'],
        ['send'],
        ['recv'],
        ['ls'],
        ['stat'],
        ['rm'],
        ['gc'],
    ]

    def test_fits_a_screen_and_has_an_example(self):
        for command in self.COMMANDS:
            with self.subTest(command=command):
                text = self.yoke(*command, '--help').decode()
                self.assertLessEqual(max(map(len, text.splitlines())), 80)
                self.assertLessEqual(text.count('\n'), 24)
                self.assertTrue(text.startswith('Usage: yoke'))
                if command not in (['region'], ['port']):
                    self.assertIn('Example:', text)

    def test_the_version_is_printed(self):
        self.assertRegex(self.yoke('--version'), rb'\Ayoke \d+\.\d+\.\d+\n\Z')

    def test_that_can_not_be_printed_is_a_failure(self):
        with open('/dev/full', 'wb') as full:
            done = subprocess.run([tool.TOOL, '--help'], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b'No space left', done.stderr)


class Json(tool.Case):
    def test_is_printed_or_a_build_without_jansson_says_why_not(self):
        if tool.has_json():
            self.assertEqual(self.json('ls'), [])
            return
        for command in (['ls'], ['gc'], ['stat', 'port:x'], ['recv', 'port:x'], ['send', 'port:x']):
            self.yoke(*command, '--json', status=2)
            self.assertIn('jansson', self.complaint)
        self.yoke('port', 'create', 'x', '--json', status=2)
        self.assertEqual(len(self.yoke('ls').splitlines()), 1)


class ClosedDescriptors(tool.Case):
    """A closed standard descriptor must not be mistaken for a file that was opened in its place."""

    def closed(self, fds, *arguments):
        def close():
            for fd in fds:
                os.close(fd)

        return subprocess.run(
            [tool.TOOL, *arguments], preexec_fn=close, stderr=subprocess.PIPE, timeout=tool.DEADLINE
        )

    def test_output_fails_and_the_message_stays(self):
        address = self.port()
        self.yoke('send', address, 'precious')
        self.assertEqual(self.closed([1], 'recv', address).returncode, 1)
        self.assertEqual(self.closed([0, 1], 'recv', address).returncode, 1)
        received = self.yoke('recv', address, '--details')
        self.assertIn(b'deliveries=3 ', received)
        self.assertTrue(received.endswith(b'\tprecious\n'))

    def test_input_fails(self):
        self.assertEqual(self.closed([0], 'send', self.port()).returncode, 1)


if __name__ == '__main__':
    tool.main(json_needed=False)
