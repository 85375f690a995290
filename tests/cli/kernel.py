"""The kernel place from the command line: ports and links whose messages are in message queues."""

import json
import os
import signal

import tool


class Kernel(tool.Case):
    def setUp(self):
        super().setUp()
        self.port = f'port:{self.base}@kernel'
        self.forget(self.port)

    def create(self, *arguments, **more):
        # small: all tests of a user share what its message queues may take
        small = ('--depth', '4', '--max-message', '64')
        return self.yoke('port', 'create', self.base, '--place', 'kernel', *small, *arguments, **more)

    def test_messages_pass_with_their_details(self):
        made = json.loads(self.create('--priorities', '2', '--json'))
        self.assertEqual(made, {'address': self.port})
        self.yoke('send', self.port, 'one', 'two')
        self.yoke('send', self.port, '--priority', '1', '--tag', '7', 'first')
        got = self.json('recv', self.port)
        self.assertEqual((got['data'], got['priority'], got['tag'], got['deliveries']), ('first', 1, 7, 1))
        self.assertEqual(got['sequence'], 0)
        self.assertEqual(self.yoke('recv', self.port, '--count', '2'), b'one\ntwo\n')
        self.yoke('recv', self.port, '--timeout', '0', status=3)

    def test_mode_that_a_queue_has_not_is_said(self):
        self.create('--mode', '0620')
        self.assertIn('has mode 0660 (0620 asked for)', self.complaint)
        self.assertNotIn('was there already', self.complaint)

    def test_lines_wait_for_room(self):
        self.create()
        sender = self.start('send', self.port)
        receiver = self.start('recv', self.port, '--count', '200')
        sender.stdin.write(b''.join(b'%d\n' % i for i in range(200)))
        sender.stdin.close()
        self.assertEqual(receiver.stdout.read(), b''.join(b'%d\n' % i for i in range(200)))
        self.assertEqual(sender.wait(tool.DEADLINE), 0)
        self.assertEqual(receiver.wait(tool.DEADLINE), 0)

    def test_full_and_too_big_are_said(self):
        self.create()
        self.yoke('send', self.port, '--timeout', '0', *'abcde', status=3)
        self.assertIn('4 sent before', self.complaint)
        self.yoke('send', self.port, 'x' * 65, status=1)
        self.assertIn('64', self.complaint)

    def test_stat_and_ls_show_what_the_kernel_knows(self):
        self.create()
        self.yoke('send', self.port, 'a', 'b')
        holder = self.start('recv', self.port, '--count', '3')
        self.assertEqual(holder.stdout.read(4), b'a\nb\n')
        self.yoke('send', self.port, 'c')
        self.assertEqual(holder.wait(tool.DEADLINE), 0)
        self.yoke('send', self.port, 'd')
        facts = self.json('stat', self.port)
        self.assertEqual(
            {key: facts[key] for key in ('place', 'name', 'waiting', 'depth', 'max_message', 'policy', 'kept')},
            {'place': 'kernel', 'name': self.base, 'waiting': 1, 'depth': 4, 'max_message': 64,
             'policy': 'once', 'kept': True},
        )
        self.assertEqual(facts['memory_used'], 4 * (64 + 16 + 96))
        for unknown in ('segment', 'sent', 'received', 'parked', 'memory_mapped', 'creator'):
            self.assertNotIn(unknown, facts)
        self.assertIn(b'1 waiting', self.yoke('stat', self.port))
        self.assertIn([self.port, '4', 'x', '64', '1', '0'], [
            line.split()[:6] for line in self.yoke('ls').decode().splitlines()])

    def test_stat_shows_who_takes_part(self):
        self.create()
        waiting = self.start('recv', self.port)
        people = self.until('a participant', lambda: self.json('stat', self.port)['participants'])
        self.assertEqual([(one['pid'], one['proven'], one['command']) for one in people],
                         [(waiting.pid, True, 'yoke')])
        self.assertIn(str(waiting.pid).encode(), self.yoke('stat', self.port))
        self.yoke('send', self.port, 'x')
        self.assertEqual(waiting.wait(tool.DEADLINE), 0)

    def test_what_all_killed_users_left_is_cleared(self):
        holder = self.start('port', 'create', self.base, '--place', 'kernel', '--depth', '1',
                            '--max-message', '8', '--transient', '--hold')
        self.assertEqual(holder.stdout.readline().decode().strip(), self.port)
        self.assertFalse(self.json('stat', self.port)['kept'])
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        found = [(one['what'], one['name']) for one in self.json('gc')]
        self.assertIn(('name', self.port), found)
        self.yoke('stat', self.port, status=1)
        self.assertEqual(self.json('gc'), [])

    def test_a_limit_is_named_with_the_way_to_raise_it(self):
        self.yoke('port', 'create', self.base, '--place', 'kernel', '--depth', '70000', status=2)
        self.assertIn('fs.mqueue.msg_max=70000', self.complaint)
        self.yoke('port', 'create', self.base, '--place', 'kernel', '--policy', 'redeliver', status=1)
        self.assertIn('redeliver', self.complaint)
        self.yoke('port', 'create', self.base, '--place', 'moon', status=1)
        self.assertIn('memory, kernel', self.complaint)
        self.yoke('port', 'create', self.base + '@kernel', status=2)
        self.assertIn('--place kernel', self.complaint)

    def test_the_environment_chooses_the_place(self):
        environment = dict(os.environ, YOKE_PLACE='kernel')
        self.yoke('port', 'create', self.base, '--depth', '1', '--max-message', '8', env=environment)
        self.yoke('send', f'port:{self.base}', 'x', env=environment)
        self.assertEqual(self.yoke('recv', self.port), b'x\n')

    def test_the_message_is_not_lost_silently_when_it_can_not_be_written(self):
        self.create()
        self.yoke('send', self.port, 'x')
        with open('/dev/full', 'wb') as full:
            receiver = self.start('recv', self.port, stdout=full)
            self.assertEqual(receiver.wait(tool.DEADLINE), 1)
        self.assertIn(b'the message is lost', receiver.stderr.read())

    def test_rm_frees_the_name(self):
        self.create()
        self.yoke('rm', self.port)
        self.yoke('send', self.port, 'x', status=1)
        self.yoke('rm', self.port, status=1)


class KernelLinks(tool.Case):
    def setUp(self):
        super().setUp()
        self.alice, self.bob = 'alice-' + self.base[-40:], 'bob-' + self.base[-40:]
        self.both = f'link:{self.alice}/{self.bob}@kernel'
        self.forget(self.both)
        self.small = ('--max-message', '64')

    def send(self, *arguments, **more):
        return self.yoke('send', '--as', self.alice, f'link:{self.bob}@kernel', *self.small, *arguments, **more)

    def recv_arguments(self, *arguments):
        return 'recv', '--as', self.bob, f'link:{self.alice}@kernel', *self.small, *arguments

    def test_what_was_sent_before_the_other_came_waits_for_it(self):
        self.send('one', 'two')
        self.assertEqual([one['address'] for one in self.json('ls', 'link:')], [self.both])
        self.assertEqual(self.json('stat', self.both)['waiting'], 2)
        self.assertEqual(self.json('stat', '--as', self.alice, f'link:{self.bob}@kernel')['waiting'], 2)
        rows = [row.split() for row in self.yoke('stat', self.both).decode().splitlines()[-2:]]
        unknown = ['-'] * 4  # the kernel does not count what went through
        self.assertEqual(rows[0][:2] + rows[0][3:], [self.alice, self.bob, '2', *unknown])
        self.assertEqual(rows[1][:2] + rows[1][3:], [self.bob, self.alice, '0', *unknown])
        ways = self.json('stat', self.both)['ways']
        self.assertEqual([way['waiting'] for way in ways], [2, 0])
        self.assertNotIn('sent', ways[0])
        self.assertEqual(self.yoke(*self.recv_arguments('--count', '2')), b'one\ntwo\n')
        self.yoke('rm', '--as', self.bob, f'link:{self.alice}@kernel')
        self.assertEqual(self.json('ls', 'link:'), [])
        self.send('again')

    def test_receiver_waits_for_one_who_closed_and_comes_back(self):
        self.send('first')
        receiver = self.start(*self.recv_arguments('--count', '2'))
        self.assertEqual(receiver.stdout.read(6), b'first\n')
        self.send('second')
        self.assertEqual(receiver.stdout.read(7), b'second\n')
        self.assertEqual(receiver.wait(tool.DEADLINE), 0)

    def test_death_of_the_other_end_is_exit_status_4(self):
        sender = self.start('send', '--as', self.alice, f'link:{self.bob}@kernel', *self.small)
        sender.stdin.write(b'last words\n')
        sender.stdin.flush()
        receiver = self.start(*self.recv_arguments('--follow'))
        self.assertEqual(receiver.stdout.read(11), b'last words\n')
        os.kill(sender.pid, signal.SIGKILL)
        self.assertEqual(receiver.wait(tool.DEADLINE), 4)

    def test_peers_shows_who_has_it_open(self):
        sender = self.start('send', '--as', self.alice, f'link:{self.bob}@kernel', *self.small)
        self.until('the peer', lambda: (self.alice, sender.pid) in [
            (one['name'], one['pid']) for one in self.json('peers')])
        sender.stdin.close()
        self.assertEqual(sender.wait(tool.DEADLINE), 0)


if __name__ == '__main__':
    tool.main()
