#!/usr/bin/env python3
"""Checks the rules of the source tree that no compiler knows.

    layers.py [ROOT]

1. Includes go only downwards: base < memory, ring < src/*.c < place; ring stands on base alone. The tool
   and the benchmarks see yoke.h, inspect.h and each other's headers; the examples yoke.h alone. src/nats, a module
   that the library loads, sees yoke.h and plugin.h, and nobody sees it but bench/nats, a program of its own.
2. Only src/base/atomic.h spells atomics, in src/ and cli/.
3. Only src/base/sys.c calls the kernel, in src/, but for src/nats, which shares no memory with anybody and calls what
   it likes. Nobody else includes a header of the NATS client's: neither the library nor the tool depends on it.
4. Synchronisation points have both sides: a `SYNC name release` needs a `SYNC name acquire` somewhere and
   the other way round; a `SYNC name` without a side, as for two fences that face each other, must occur
   twice. A name that a table of fields mentions must be used.
5. src/yoke.map lists what include/yoke.h declares with YOKE_API, no more and no less.

Each breach is one line "FILE:LINE: what"; the exit status is 1 if there is any.
"""
import re
import sys
from pathlib import Path

# layer: the layers whose headers it may include
ALLOWED = {
    'base': {'public', 'base'},
    'memory': {'public', 'base', 'memory'},
    'ring': {'base', 'ring'},
    'top': {'public', 'base', 'memory', 'ring', 'top'},
    'place': {'public', 'base', 'memory', 'ring', 'top', 'place'},
    'nats': {'public', 'nats', 'src/plugin.h'},
    'bench/nats': {'public', 'nats', 'bench'},
    'cli': {'public', 'src/inspect.h', 'cli', 'bench'},
    'bench': {'public', 'src/inspect.h', 'cli', 'bench'},
    'examples': {'public', 'examples'},
}
INCLUDE_DIRECTORIES = ['include', 'src', 'bench', 'cli']
MODULE = 'src/nats/' # where <...> is never a header of src/
CLIENT = 'nats/'     # whose headers these are
CLIENT_USERS = (MODULE, 'bench/nats/')

ATOMIC_FILE = 'src/base/atomic.h'
ATOMICS = re.compile(r'\b(__atomic_\w+|__sync_\w+|_Atomic|stdatomic\.h|atomic_(?:load|store|exchange|'
                     r'compare|fetch|thread|signal|flag|init)\w*)')

KERNEL_FILE = 'src/base/sys.c'
KERNEL = re.compile(r'(?<![\w.>])(%s)\s*\(' % '|'.join('''
    syscall
    shmget shmat shmdt shmctl semget semop semctl msgget msgsnd msgrcv msgctl ftok
    mq_\\w+ shm_open shm_unlink sem_open
    futex futex_\\w+ membarrier
    open openat openat2 creat fopen fdopen freopen opendir fdopendir scandir readdir nftw fts_open
    close close_range dup dup2 dup3 fcntl ioctl flock lockf
    read readv pread preadv write writev pwrite pwritev splice tee vmsplice sendfile copy_file_range
    truncate ftruncate fallocate posix_fallocate fsync fdatasync
    mmap munmap mremap mprotect madvise msync mlock mlock2 munlock memfd_create
    stat fstat lstat fstatat statx access faccessat statvfs fstatfs
    chmod fchmod fchmodat chown fchown lchown fchownat umask
    link linkat symlink symlinkat readlink readlinkat unlink unlinkat remove rename renameat renameat2
    mkdir mkdirat rmdir mkfifo mknod mkstemp mkdtemp
    poll ppoll select pselect epoll_\\w+ eventfd timerfd_\\w+ signalfd inotify_\\w+
    pipe pipe2 socket socketpair bind connect accept listen send recv sendto recvfrom sendmsg recvmsg
    fork vfork _Fork clone execv\\w* posix_spawn\\w* waitpid waitid wait4 kill tgkill pidfd_\\w+ prctl
    getpid getppid gettid getuid geteuid getgid getegid getgroups
    clock_gettime clock_nanosleep nanosleep usleep sleep sched_yield sched_getaffinity
    getrandom getentropy sysconf sysinfo
'''.split()))

SYNC = re.compile(r'\bSYNC\b(?:\s+([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+)\b(?:\s+(release|acquire)\b)?)?')
TABLE_ROW = re.compile(r'\s*\*.*\|')


def blank(text, keep_strings):
    """The code with comments (and strings, unless kept) replaced by spaces; lines stay where they are."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

    def replace(match):
        if keep_strings and match.group(0)[0] in '"\'':
            return match.group(0)
        return re.sub(r'[^\n]', ' ', match.group(0))

    return token.sub(replace, text)


def line_of(text, position):
    return text.count('\n', 0, position) + 1


class Tree:
    def __init__(self, root):
        self.root = root
        self.breaches = []
        self.files = {}
        for top in ('include', 'src', 'cli', 'bench', 'examples'):
            for path in sorted(root.glob(f'{top}/**/*.[ch]')):
                self.files[path.relative_to(root).as_posix()] = path.read_text(encoding='utf-8')

    def breach(self, name, line, what):
        self.breaches.append((name, line, what))

    @staticmethod
    def layer(name):
        parts = name.split('/')
        if parts[0] == 'include':
            return 'public'
        if name.startswith('bench/nats/'):
            return 'bench/nats'
        if parts[0] != 'src':
            return parts[0]
        return 'top' if len(parts) == 2 else parts[1]

    def resolve(self, name, target, quoted):
        """The file of the tree that this include means, or None."""
        directories = [name.rpartition('/')[0]] if quoted else []
        more = ['include'] if name.startswith(MODULE) and not quoted else INCLUDE_DIRECTORIES
        for directory in directories + more:
            path = (self.root / directory / target).resolve()
            if path.is_file() and self.root in path.parents:
                return path.relative_to(self.root).as_posix()
        return None

    def check_includes(self, name, text):
        layer = self.layer(name)
        if layer == 'public':
            return
        if layer not in ALLOWED:
            self.breach(name, 1, f'src/{layer}/ is no layer that tests/layers.py knows')
            return
        code = blank(text, keep_strings=True)
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', code, re.MULTILINE):
            target = self.resolve(name, match.group(2), match.group(1) == '"')
            line = line_of(code, match.start())
            if match.group(1) == '<' and match.group(2).startswith(CLIENT) and not name.startswith(CLIENT_USERS):
                self.breach(name, line, f'includes {match.group(2)}, and is not to depend on NATS')
            if target is None:
                if match.group(1) == '"':
                    self.breach(name, line, f'includes "{match.group(2)}", which is not in the tree')
                continue
            other = self.layer(target)
            allowed = ALLOWED[layer]
            if other in allowed or target in allowed:
                continue
            self.breach(name, line, f'{layer} includes {target} of the layer {other}')

    def check_words(self, name, text, where, only, words, what):
        if not name.startswith(where) or name == only:
            return
        code = blank(text, keep_strings=False)
        for match in words.finditer(code):
            self.breach(name, line_of(code, match.start()), f'{what} {match.group(1)} outside {only}')

    def check_sync(self):
        uses, rows = {}, {}
        for name, text in self.files.items():
            if not name.startswith('src/'):
                continue
            for number, line in enumerate(text.splitlines(), 1):
                for match in SYNC.finditer(line):
                    point, side = match.groups()
                    if point is None:
                        self.breach(name, number, 'SYNC without a name on the same line')
                    elif TABLE_ROW.match(line):
                        rows.setdefault(point, (name, number))
                    else:
                        uses.setdefault(point, []).append((side, name, number))
        for point, places in uses.items():
            sides = {side for side, _, _ in places}
            _, name, number = places[0]
            for side, partner in (('release', 'acquire'), ('acquire', 'release')):
                if side in sides and partner not in sides:
                    self.breach(name, number, f'SYNC {point} has a {side} side and no {partner} side')
            if sides == {None} and len(places) < 2:
                self.breach(name, number, f'SYNC {point} occurs only here')
        for point, (name, number) in rows.items():
            if point not in uses:
                self.breach(name, number, f'the table names SYNC {point}, which is used nowhere')

    def check_map(self):
        header, symbols = self.files.get('include/yoke.h', ''), self.root / 'src' / 'yoke.map'
        if not symbols.is_file():
            self.breach('src/yoke.map', 1, 'is missing')
            return
        code = blank(header, keep_strings=False)
        declared = set(re.findall(r'^YOKE_API\b[^;]*?\b(yoke_\w+)\s*\(', code, re.MULTILINE))
        listed = set(re.findall(r'\b(yoke_\w+)\s*;', blank(symbols.read_text(), keep_strings=False)))
        for name in sorted(declared - listed):
            self.breach('src/yoke.map', 1, f'does not list {name} of yoke.h')
        for name in sorted(listed - declared):
            self.breach('src/yoke.map', 1, f'lists {name}, which yoke.h does not declare')

    def check(self):
        for name, text in self.files.items():
            self.check_includes(name, text)
            for where in ('src/', 'cli/'):
                self.check_words(name, text, where, ATOMIC_FILE, ATOMICS, 'spells')
            if not name.startswith(MODULE):
                self.check_words(name, text, 'src/', KERNEL_FILE, KERNEL, 'calls')
        self.check_sync()
        self.check_map()
        if not any(name.startswith('src/') for name in self.files):
            self.breach('src', 1, 'holds no sources')
        return self.breaches


def main(arguments):
    root = Path(arguments[0] if arguments else Path(__file__).parent.parent).resolve()
    breaches = Tree(root).check()
    for name, line, what in breaches:
        print(f'{name}:{line}: {what}')
    return 1 if breaches else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
