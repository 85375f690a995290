#!/usr/bin/env python3
"""Which field is accessed in which order, and was that reviewed?

    ordering.py [ROOT]            checks; each breach is one line, the exit status is 1 if there is any
    ordering.py --list [ROOT]     the fields and their orders, as the table of the README has them

1. A field that somebody stores with release is loaded with acquire somewhere, and the other way round (seq
   is both). So no half of a pair is forgotten, or weakened alone.
2. Where a comment says `SYNC name release`, an access that releases stands beside it; the same for acquire.
3. tests/threads/README.md has a row for each field, with just these orders: what was changed since is to be
   looked at again, for a processor with weak ordering, before the row is changed, too.

A field is told by the last name in what is accessed; where that is a pointer of the function's own, ALIASES
says whose it is.
"""
import re
import sys
from pathlib import Path

ACCESS = re.compile(r'\byk_(load|store|cas|add|or|and)(?:32)?_(relaxed|acquire|release|seq)\s*\(')
FENCE = re.compile(r'\byk_fence_(?:seq|compiler)\s*\(')
SYNC = re.compile(r'\bSYNC\s+([a-z][a-z0-9_.]*\.[a-z0-9_]+)\s+(release|acquire)\b')
NEAR = 7  # lines from a comment to its access

# (file, or '' for any; name there): the field
ALIASES = {
    ('', 'position_cell'): 'cell', ('', 'cells'): 'cell', ('src/ring/port_ring.c', 'at'): 'cell',
    ('', 'hint'): 'head, tail', ('', 'head'): 'head, tail', ('', 'tail'): 'head, tail',
    ('', 'yk_spsc_word'): 'link slot word', ('', 'slot_field'): 'link slot offset, tag',
    ('src/wait.c', 'word'): 'bell', ('', 'inside'): 'stream inside',
    ('', 'word'): 'slot word', ('src/lock.c', 'word'): 'lock word',
    ('src/ring/port_ring.c', 'word'): 'block word', ('src/ring/port_ring.h', 'word'): 'block word',
    ('src/ring/port_ring.c', 'stamp'): 'block word',
    ('', 'own'): 'written, read', ('', 'written'): 'written, read', ('', 'read'): 'written, read',
    ('src/pool.c', 'shared'): 'pool_used', ('', 'rows'): 'bits',
    ('src/ring/spsc.c', 'counter'): 'link redelivered, dropped', ('', 'counter'): 'sent, received',
    ('src/ring/spsc.c', 'redelivered'): 'link redelivered, dropped',
    ('src/ring/spsc.c', 'dropped'): 'link redelivered, dropped',
    ('', 'counts'): 'counts, before', ('', 'before'): 'counts, before',
    ('', 'sent'): 'sent, received', ('', 'received'): 'sent, received', ('src/inbox.c', 'received'): 'inbox received',
    ('src/ring/bytes.c', 'inside'): 'stream inside', ('src/link.c', 'inside'): 'link inside',
    ('src/peer.c', 'inside'): 'peer inside',
    ('src/region.c', 'bell'): 'region bell', ('src/semaphore.c', 'bell'): 'region bell',
    ('src/base/fork.c', 'mutex'): 'mutex, watch_mutex', ('src/base/fork.c', 'watch_mutex'): 'mutex, watch_mutex',
    ('src/semaphore.c', 'hint'): 'semaphore hint', ('src/link.c', 'state'): 'link state',
    ('src/port.c', 'deliveries'): 'port deliveries',
}

# Read by whoever recovers the one who stored it: the kernel's lock is between them.
BY_LOCK = {'taken'}

RELEASES = {'release', 'seq'}
ACQUIRES = {'acquire', 'seq'}
ORDERS = ['relaxed', 'acquire', 'release', 'seq']


def without_comments(text):
    blank = lambda match: re.sub(r'[^\n]', ' ', match.group(0))
    return re.sub(r'//[^\n]*|/\*.*?\*/', blank, text, flags=re.DOTALL)


def first_argument(code, start):
    depth = 0
    for at in range(start, len(code)):
        if code[at] in '([{':
            depth += 1
        elif code[at] in ')]}':
            if depth == 0:
                return code[start:at]
            depth -= 1
        elif code[at] == ',' and depth == 0:
            return code[start:at]
    return ''


def last_name(argument):
    """The member, or the function, that is accessed: without what is in brackets behind it."""
    text = argument.strip()
    while text and text[-1] in ')]':
        depth = 0
        for at in range(len(text) - 1, -1, -1):
            depth += (text[at] in ')]') - (text[at] in '([')
            if depth == 0:
                text = text[:at].rstrip()
                break
        else:
            return text
    match = re.search(r'(\w+)$', text)
    return match.group(1) if match else text


class Sources:
    def __init__(self, root):
        self.root = root
        self.fields = {}  # (field, file or ''): {'load': {orders}, 'store': .., 'change': ..}
        self.breaches = []
        for path in sorted(root.glob('src/**/*.[ch]')):
            name = path.relative_to(root).as_posix()
            if name != 'src/base/atomic.h':
                self.read(name, path.read_text(encoding='utf-8'))

    def read(self, name, text):
        code = without_comments(text)
        lines = [set() for _ in range(text.count('\n') + 2)]
        for match in ACCESS.finditer(code):
            kind, order = match.groups()
            called = last_name(first_argument(code, match.end()))
            field = ALIASES.get((name, called)) or ALIASES.get(('', called)) or called
            kind = kind if kind in ('load', 'store') else 'change'
            self.fields.setdefault(field, {}).setdefault(kind, set()).add(order)
            sides = set()
            if kind != 'load' and order in RELEASES:
                sides.add('release')
            if kind != 'store' and order in ACQUIRES:
                sides.add('acquire')
            lines[code.count('\n', 0, match.start())] |= sides
        for match in FENCE.finditer(code):
            lines[code.count('\n', 0, match.start())] |= {'release', 'acquire'}
        for match in SYNC.finditer(text):
            at = text.count('\n', 0, match.start())
            near = lines[max(0, at - NEAR):at + NEAR + 1]
            if not any(match.group(2) in sides for sides in near):
                self.breaches.append(f'{name}:{at + 1}: SYNC {match.group(1)} {match.group(2)} stands by '
                                     f'nothing that does so')

    def check_pairs(self):
        for field, kinds in sorted(self.fields.items()):
            stored = kinds.get('store', set()) | kinds.get('change', set())
            loaded = kinds.get('load', set()) | kinds.get('change', set())
            if field in BY_LOCK:
                continue
            if stored & RELEASES and not loaded & ACQUIRES:
                self.breaches.append(f'`{field}` is stored with release, and never loaded with acquire')
            if 'acquire' in loaded and not stored & RELEASES:
                self.breaches.append(f'`{field}` is loaded with acquire, and never stored with release')

    def orders(self, field):
        parts = []
        for kind in ('store', 'change', 'load'):
            orders = self.fields[field].get(kind)
            if orders:
                parts.append(f'{kind} ' + ', '.join(order for order in ORDERS if order in orders))
        return '; '.join(parts)

    def check_review(self):
        readme = self.root / 'tests' / 'threads' / 'README.md'
        rows = {}
        for line in readme.read_text(encoding='utf-8').splitlines():
            cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
            if line.startswith('| `') and len(cells) == 3:
                rows[cells[0].strip('`')] = cells[1]
        for field in sorted(self.fields):
            if rows.get(field) != self.orders(field):
                self.breaches.append(f'README.md: `{field}` is reviewed with "{rows.get(field)}", and the code '
                                     f'has "{self.orders(field)}"')
        for field in sorted(rows.keys() - self.fields.keys()):
            self.breaches.append(f'README.md: `{field}` is reviewed, and accessed nowhere')


def main(arguments):
    listing = arguments[:1] == ['--list']
    rest = arguments[listing:]
    sources = Sources(Path(rest[0] if rest else Path(__file__).parent.parent.parent).resolve())
    if listing:
        for field in sorted(sources.fields):
            print(f'| `{field}` | {sources.orders(field)} |  |')
        return 0
    sources.check_pairs()
    sources.check_review()
    for breach in sources.breaches:
        print(breach)
    return 1 if sources.breaches or not sources.fields else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
