"""A terminal for the tests: starts a program on a pseudo-terminal and keeps what its screen shows.

It knows what ncurses sends to a vt100, an xterm or a linux console, and fails on anything else.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

SEQUENCE = re.compile(
    rb'\x1b\[([?>!]?[0-9;]*)([@-~])|\x1b[()][0AB]|\x1b([=>78DMEHc])|\x1b\][^\x07]*\x07'
    rb'|([\x20-\x7e]|[\xc0-\xf7][\x80-\xbf]+)|([\x00-\x1a\x1c-\x1f])'
)


def has_screen(tool):
    """Was it built with ncurses?"""
    with open(tool, 'rb') as file:
        return b'built without ncurses' not in file.read()


class Screen:
    """What is on it: rows of characters."""

    def __init__(self, rows, columns):
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[' '] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.saved = (0, 0)
        self.top, self.bottom = 0, rows - 1
        self.styles = set()
        self.modes, self.last = set(), ' '

    def text(self):
        return '\n'.join(''.join(row).rstrip() for row in self.cells)

    def feed(self, data):
        """Returns what is not a whole sequence yet."""
        at = 0
        while at < len(data):
            found = SEQUENCE.match(data, at)
            if not found:
                if len(data) - at < 24 and data[at] in b'\x1b' or data[at] >= 0xC0:
                    return data[at:]
                raise AssertionError(f'a terminal does not know {data[at:at + 24]!r}')
            at = found.end()
            self.take(found)
        return b''

    def take(self, found):
        numbers, final, escape, character, control = found.groups()
        if character:
            self.put(character.decode())
        elif control:
            self.control(control)
        elif final:
            self.command(numbers.decode(), final.decode())
        elif escape == b'M':
            self.up()
        elif escape == b'D':
            self.down()
        elif escape == b'7':
            self.saved = (self.row, self.column)
        elif escape == b'8':
            self.row, self.column = self.saved

    def put(self, character):
        if self.column >= self.columns:
            self.column = 0
            self.down()
        self.cells[self.row][self.column] = self.last = character
        self.column += 1

    def control(self, code):
        if code == b'\r':
            self.column = 0
        elif code == b'\n':
            self.down()
        elif code == b'\b':
            self.column = max(0, min(self.column, self.columns - 1) - 1)
        elif code == b'\t':
            self.column = min(self.columns - 1, self.column // 8 * 8 + 8)

    def blank(self):
        return [' '] * self.columns

    def down(self):
        if self.row == self.bottom:
            del self.cells[self.top]
            self.cells.insert(self.bottom, self.blank())
        else:
            self.row = min(self.rows - 1, self.row + 1)

    def up(self):
        if self.row == self.top:
            del self.cells[self.bottom]
            self.cells.insert(self.top, self.blank())
        else:
            self.row = max(0, self.row - 1)

    def command(self, numbers, final):
        if numbers[:1] in ('?', '>', '!'):
            for mode in numbers[1:].split(';'):
                (self.modes.add if final == 'h' else self.modes.discard)(mode)
            return
        values = [int(one or 0) for one in numbers.split(';')]
        first = values[0] or 1
        row = self.cells[self.row]
        at = min(self.column, self.columns - 1)
        if final in 'Hf':
            self.row = min(first, self.rows) - 1
            self.column = min(values[1] or 1 if len(values) > 1 else 1, self.columns) - 1
        elif final == 'A':
            self.row = max(0, self.row - first)
        elif final == 'B':
            self.row = min(self.rows - 1, self.row + first)
        elif final == 'C':
            self.column = min(self.columns - 1, self.column + first)
        elif final == 'D':
            self.column = max(0, self.column - first)
        elif final == 'G':
            self.column = min(first, self.columns) - 1
        elif final == 'd':
            self.row = min(first, self.rows) - 1
        elif final == 'K':
            begin, end = ((at, self.columns), (0, at + 1), (0, self.columns))[values[0]]
            row[begin:end] = ' ' * (end - begin)
        elif final == 'J':
            if values[0] == 0:
                row[at:] = ' ' * (self.columns - at)
            for y in range(self.row + 1 if values[0] == 0 else 0, self.rows):
                if values[0] != 1 or y < self.row:
                    self.cells[y] = self.blank()
            if values[0] == 1:
                row[: at + 1] = ' ' * (at + 1)
        elif final == 'X':
            end = min(self.columns, at + first)
            row[at:end] = ' ' * (end - at)
        elif final == 'P':
            del row[at : at + first]
            row.extend(' ' * (self.columns - len(row)))
        elif final == '@':
            row[at:at] = ' ' * first
            del row[self.columns :]
        elif final == 'b':
            for _ in range(first):
                self.put(self.last)
        elif final in 'LM':
            for _ in range(min(first, self.bottom - self.row + 1)):
                gone, new = (self.bottom, self.row) if final == 'L' else (self.row, self.bottom)
                del self.cells[gone]
                self.cells.insert(new, self.blank())
        elif final in 'ST':
            for _ in range(first):
                gone, new = (self.top, self.bottom) if final == 'S' else (self.bottom, self.top)
                del self.cells[gone]
                self.cells.insert(new, self.blank())
        elif final == 'r':
            self.top = first - 1
            self.bottom = (values[1] if len(values) > 1 and values[1] else self.rows) - 1
            self.row = self.column = 0
        elif final == 'm':
            self.styles.add(numbers)
        elif final not in 'hlnct':
            raise AssertionError(f'a terminal does not know ESC[{numbers}{final}')


class Terminal:
    """A program on a terminal of its own. `close` it."""

    def __init__(self, arguments, rows=24, columns=80, kind='xterm', **environment):
        self.mine, its = pty.openpty()
        self.screen = Screen(rows, columns)
        self.rest, self.raw = b'', b''
        self.size(rows, columns)
        self.before = termios.tcgetattr(its)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ('LINES', 'COLUMNS', 'NO_COLOR', 'LC_ALL', 'LC_CTYPE')
        }
        self.child = subprocess.Popen(
            arguments,
            stdin=its,
            stdout=its,
            stderr=its,
            env=inherited | {'TERM': kind, 'LANG': 'C.UTF-8'} | environment,
            preexec_fn=self.lead,
        )
        self.its = its  # open, so that its modes can be asked for when the program has ended

    @staticmethod
    def lead():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def size(self, rows, columns):
        fcntl.ioctl(self.mine, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def resize(self, rows, columns):
        self.read(0)
        self.screen.resize(rows, columns)
        self.size(rows, columns)  # the kernel sends SIGWINCH

    def keys(self, text):
        os.write(self.mine, text.encode())

    def read(self, seconds):
        """Takes what comes within that time; true if anything did."""
        if not select.select([self.mine], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.mine, 65536)
        except OSError:
            return False
        self.raw += data
        self.rest = self.screen.feed(self.rest + data)
        return True

    def until(self, what, deadline):
        """Reads until `what`, a regular expression or a function of the text, is on the screen."""
        matches = what if callable(what) else re.compile(what, re.MULTILINE).search
        give_up = time.monotonic() + deadline
        while True:
            text = self.screen.text()
            if matches(text):
                return text
            if time.monotonic() > give_up:
                raise AssertionError(f'{what} has not come on the screen:\n{text}')
            if not self.read(0.2) and self.child.poll() is not None and not self.read(0):
                raise AssertionError(f'it ended with {self.child.returncode}:\n{self.screen.text()}')

    def wait(self, deadline):
        """Until it has ended: its status. What it says is read meanwhile."""
        give_up = time.monotonic() + deadline
        while self.child.poll() is None and time.monotonic() < give_up:
            self.read(0.05)
        while self.read(0):
            pass
        return self.child.wait(1)

    def modes_are_as_before(self):
        return termios.tcgetattr(self.its) == self.before

    def close(self):
        if self.its is None:
            return
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        os.close(self.its)
        os.close(self.mine)
        self.its = None
