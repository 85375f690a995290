"""What yoke doctor finds: each fault is made, found, cured by the command that it names, and gone."""

import json
import os
import signal
import subprocess
import unittest

import tool


class Doctor(tool.Case):
    def findings(self, subject, verbose=False):
        done = self.run_tool('doctor', '--json', *(['--verbose'] if verbose else []))
        self.assertIn(done.returncode, (0, 1), done.stderr)
        all_of_them = json.loads(done.stdout)
        wrong = any(one['severity'] in ('fault', 'warning') for one in all_of_them)
        self.assertEqual(done.returncode, 1 if wrong else 0)
        return [one for one in all_of_them if one['subject'] == subject]

    def finding(self, subject):
        found = self.findings(subject)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def cure(self, finding):
        tool_itself = os.path.dirname(os.path.abspath(tool.TOOL))
        path = {'PATH': f'{tool_itself}:{os.environ["PATH"]}'}
        subprocess.run(
            finding['cure'].split(' (')[0], shell=True, check=True, env=os.environ | path
        )

    def test_what_is_healthy_is_told_only_when_asked_for(self):
        address = self.port()
        self.assertEqual(self.findings(address), [])
        (said,) = self.findings(address, verbose=True)
        self.assertEqual(said['severity'], 'fine')
        self.assertNotIn('cure', said)

    def test_a_full_port(self):
        address = self.port('--depth', '2')
        self.yoke('send', address, 'a', 'b')
        said = self.finding(address)
        self.assertEqual(said['severity'], 'warning')
        self.assertIn('is full, with 2 messages', said['text'])
        self.yoke('recv', address, '--count', '1')
        self.assertIn('1 message waits', self.finding(address)['text'])
        self.yoke('recv', address)
        self.assertEqual(self.findings(address), [])

    def test_a_full_port_where_nobody_goes_on(self):
        address = self.port('--depth', '1')
        self.yoke('send', address, 'a')
        self.start('send', address, 'b')
        said = self.until(
            'a sender that waits',
            lambda: [one for one in self.findings(address) if one['severity'] == 'fault'],
        )[0]
        self.assertIn('1 process waits for room, and nobody goes on who might receive', said['text'])
        self.assertIn(f'yoke stat {address}', said['cure'])
        self.start('recv', address, '--count', '2').wait()
        self.assertEqual(self.findings(address), [])

    def test_parked_messages_and_their_cure(self):
        address = self.port('--max-deliveries', '1')
        self.yoke('send', address, 'poison')
        self.yoke('recv', address, '--exec', 'false', '--timeout', '0', status=1)
        said = self.finding(address)
        self.assertEqual(said['severity'], 'warning')
        self.assertIn('1 message was delivered 1 times without success and parked', said['text'])
        self.cure(said)
        self.assertEqual(self.findings(address), [])

    def test_a_stopped_process_with_a_borrowed_message(self):
        address = self.port()
        worker = self.start('recv', address, '--exec', 'cat >/dev/null; exec sleep 1000')
        self.yoke('send', address, 'x')
        self.until('a borrowed message', lambda: self.stat(address)['held'] == 1)
        worker.send_signal(signal.SIGSTOP)
        said = self.until('a finding', lambda: self.findings(address))[0]
        self.assertEqual(said['severity'], 'warning')
        self.assertIn(f'process {worker.pid} (yoke) is stopped and has 1 borrowed message', said['text'])
        self.cure(said)
        self.until('no finding', lambda: not self.findings(address))

    def test_a_stopped_user_of_a_region(self):
        child = self.start('region', 'create', self.base, '--size', '4K', '--transient', '--hold')
        address = child.stdout.readline().decode().strip()
        child.send_signal(signal.SIGSTOP)
        said = self.until('a finding', lambda: self.findings(address))[0]
        self.assertIn('a lock that it may hold', said['text'])
        self.cure(said)

    def test_one_who_stands_still_with_a_name_in_hand(self):
        """Holds the byte of a name's lock as yoke does, and is stopped."""
        self.port()  # makes the lock file
        directory = os.environ['YOKE_DIR']
        path = os.path.join(directory, f'.lock-{os.geteuid()}')
        holder = subprocess.Popen(
            [
                'python3',
                '-c',
                'import fcntl,os,signal,struct,sys\n'
                'fd=os.open(sys.argv[1],os.O_RDWR)\n'
                'lock=struct.pack("hhqqi4x",fcntl.F_WRLCK,0,77,1,0)\n'
                'fcntl.fcntl(fd,37,lock)\n'  # F_OFD_SETLK
                'print("held",flush=True)\n'
                'signal.pause()\n',
                path,
            ],
            stdout=subprocess.PIPE,
        )
        self.addCleanup(self.end, holder)
        self.assertEqual(holder.stdout.readline(), b'held\n')
        subject = os.path.basename(path)
        self.assertEqual(self.findings(subject), [])
        holder.send_signal(signal.SIGSTOP)
        said = self.until('a finding', lambda: self.findings(subject))[0]
        self.assertEqual(said['severity'], 'fault')
        self.assertIn(f'process {holder.pid} (python3) is stopped while it creates', said['text'])

    def test_what_the_dead_left(self):
        child = self.start('port', 'create', self.base, '--transient', '--hold')
        self.assertEqual(child.stdout.readline().decode(), f'port:{self.base}\n')
        child.kill()
        child.wait()
        said = self.finding('leftovers')
        self.assertIn('of the dead are left', said['text'])
        self.cure(said)
        self.assertEqual(self.findings('leftovers'), [])

    def test_a_name_that_leads_nowhere(self):
        path = os.path.join(os.environ['YOKE_DIR'], f'port.{self.base}')
        with open(path, 'w') as file:
            file.write('this is not what yoke writes\n')
        self.addCleanup(os.unlink, path)
        said = self.finding(f'port:{self.base}')
        self.assertEqual(said['severity'], 'fault')
        self.assertIn('not a name that yoke wrote', said['text'])

    def test_a_directory_in_which_others_may_remove(self):
        directory = self.path('open')
        os.mkdir(directory)
        os.chmod(directory, 0o777)
        environment = os.environ | {'YOKE_DIR': directory}
        done = self.run_tool('doctor', '--json', env=environment)
        self.assertEqual(done.returncode, 1)
        said = next(one for one in json.loads(done.stdout) if one['subject'] == directory)
        self.assertEqual(said['severity'], 'fault')
        self.assertIn('mode 0777', said['text'])

    def test_a_kernel_that_keeps_nothing(self):
        """The setting is the IPC namespace's own, and that is the test's own."""
        setting = '/proc/sys/kernel/shm_rmid_forced'
        own = 'ipc' in os.environ.get('YOKE_TEST_NAMESPACES', '')
        if not own or not os.access(setting, os.W_OK):
            raise unittest.SkipTest('needs root, and an IPC namespace of its own')
        with open(setting, 'w') as file:
            file.write('1')
        try:
            said = self.finding('kernel.shm_rmid_forced')
            self.assertEqual(said['severity'], 'warning')
            self.cure(said)
            self.assertEqual(self.findings('kernel.shm_rmid_forced'), [])
        finally:
            with open(setting, 'w') as file:
                file.write('0')

    def test_too_few_descriptors_are_told(self):
        done = subprocess.run(
            f'ulimit -n 64; "{tool.TOOL}" doctor', shell=True, capture_output=True, text=True
        )
        self.assertRegex(done.stdout, r'(?m)^warning  RLIMIT_NOFILE: 64 descriptors')
        self.assertIn('  cure:  ulimit -n 1024', done.stdout)

    def test_it_changes_nothing(self):
        address = self.port('--depth', '1')
        self.yoke('send', address, 'x')
        before = self.stat(address)
        self.findings(address)
        after = self.stat(address)
        for facts in (before, after):
            facts.pop('sent_per_second'), facts.pop('received_per_second')
            facts.pop('memory_used')  # a page that was only read is in use, too
        self.assertEqual(before, after)


if __name__ == '__main__':
    tool.main()
