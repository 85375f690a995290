"""What the tests of the tool have in common: running it, waiting for a state, printing TAP.

The tool is $YOKE_TOOL or $YOKE. The tests run under support/isolate, which gives them a name
directory of their own and looks for what they leave behind; run by hand without it, they make a
directory themselves. Words on the command line choose tests by their names.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

TOOL = os.environ.get('YOKE_TOOL') or os.environ.get('YOKE') or 'yoke'

# How long a state may take to come, on a machine that may stand still for a minute. Nothing waits as
# long as this unless it is broken, and no test is about how long things take.
DEADLINE = 120


class Case(unittest.TestCase):
    """A test with a scratch directory; what it creates through it is removed at its end."""

    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix='yoke-cli-')
        self.addCleanup(shutil.rmtree, self.scratch)
        self.base = self.id().rsplit('.', 1)[-1].replace('_', '-')[:100]

    # ---- running it

    def run_tool(self, *arguments, stdin=b'', **more):
        return subprocess.run(
            [TOOL, *arguments], input=stdin, capture_output=True, timeout=4 * DEADLINE, **more
        )

    def yoke(self, *arguments, status=0, stdin=b'', **more):
        """Runs it to its end, insists on the exit status, and returns its standard output."""
        done = self.run_tool(*arguments, stdin=stdin, **more)
        self.complaint = done.stderr.decode()
        self.assertEqual(
            done.returncode,
            status,
            f'yoke {" ".join(arguments)}\nstdout: {done.stdout[:2000]}\nstderr: {self.complaint}',
        )
        if status == 0:
            self.assertNotIn('yoke: ', self.complaint.replace('yoke: note:', ''))
        elif status > 0:
            self.assertRegex(self.complaint, r'\Ayoke: .*\n')
        return done.stdout

    def json(self, *arguments, **more):
        return json.loads(self.yoke(*arguments, '--json', **more))

    def start(self, *arguments, **more):
        """Starts it with pipes on all sides; killed at the end of the test if it still runs."""
        pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE}
        child = subprocess.Popen([TOOL, *arguments], **(pipes | more))
        self.addCleanup(self.end, child)
        return child

    def end(self, child):
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass

    def until(self, what, condition):
        """Waits until the condition holds, and returns what it returned."""
        give_up = time.monotonic() + DEADLINE
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > give_up:
                self.fail(f'{what} has not come about in {DEADLINE} s')
            time.sleep(0.005)  # between two looks; what is waited for is the condition

    def until_waiting(self, address, what):
        """Waits until a participant waits to 'receive' or to 'send'; returns the facts about it."""

        def look():
            participants = self.stat(address)['participants']
            return next((one for one in participants if one[f'waiting_{what}'] > 0), None)

        return self.until(f'a process that waits to {what}', look)

    # ---- objects

    def forget(self, address):
        """Removes the object at the end of the test, if it is still there."""
        self.addCleanup(self.run_tool, 'rm', address)
        return address

    def port(self, *options, name=None):
        name = name or self.base
        self.yoke('port', 'create', name, *options)
        return self.forget(f'port:{name}')

    def stat(self, address):
        return self.json('stat', address)

    def path(self, name, data=None):
        path = os.path.join(self.scratch, name)
        if data is not None:
            with open(path, 'wb') as file:
                file.write(data)
        return path

    def read(self, name):
        with open(os.path.join(self.scratch, name), 'rb') as file:
            return file.read()


class Tap(unittest.TestResult):
    """Prints the results as they come, in the form that tests/support/summary.py counts."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def startTest(self, test):
        super().startTest(test)
        self.failed_parts = 0

    def stopTest(self, test):
        if self.failed_parts:
            self.say('not ok', test, f' ({self.failed_parts} of its parts)')
        super().stopTest(test)

    def explain(self, error):
        for line in ''.join(traceback.format_exception(*error)).splitlines():
            print(f'#   {line}', flush=True)

    def addSubTest(self, test, part, error):
        super().addSubTest(test, part, error)
        if error:
            self.failed_parts += 1
            print(f'# {part}', flush=True)
            self.explain(error)

    def say(self, verdict, test, more=''):
        self.number += 1
        print(f'{verdict} {self.number} - {test.id().rsplit(".", 1)[-1]}{more}', flush=True)

    def broke(self, test, error):
        self.say('not ok', test)
        self.explain(error)

    def addSuccess(self, test):
        self.say('ok', test)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.broke(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self.broke(test, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say('ok', test, f' # SKIP {reason}')


def diagnose(text):
    """A line of TAP that counts for nothing: figures to look at."""
    print(f'# {text}', flush=True)


def has_json():
    return (
        subprocess.run([TOOL, 'ls', '--json'], capture_output=True, timeout=DEADLINE).returncode
        != 2
    )


def main(json_needed=True):
    # nohup, or a script in the background, must not hand down that these are ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    own_directory = None
    if 'YOKE_DIR' not in os.environ:
        own_directory = os.environ['YOKE_DIR'] = tempfile.mkdtemp(prefix='yoke-names-')
    if json_needed and not has_json():
        print('1..0 # SKIP this yoke was built without jansson')
        sys.exit(77)
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])
    wanted = sys.argv[1:]
    tests = [
        test
        for group in suite
        for test in group
        if not wanted or any(word in test.id() for word in wanted)
    ]
    print(f'1..{len(tests)}', flush=True)
    result = Tap()
    unittest.TestSuite(tests).run(result)
    if own_directory:
        shutil.rmtree(own_directory)
    sys.exit(0 if result.wasSuccessful() else 1)
