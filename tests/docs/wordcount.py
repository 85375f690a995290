#!/usr/bin/env python3
"""examples/wordcount does what the README says, with a kill and a stop in it, over odd texts, too.

Environment: YOKE_BUILD_DIR (the program is examples/wordcount there), YOKE_DIR, TMPDIR.
"""
import collections
import functools
import os
import pty
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

program = os.path.join(os.environ["YOKE_BUILD_DIR"], "examples", "wordcount")
limit = 300  # seconds, only to end what hangs


def run(*arguments):
    return subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=limit)


def start(*arguments):
    """In a process group of its own."""
    return subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)
    return name


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in:\n{text}"
    return int(found.group(1).replace(",", ""))


def words_of(content):
    """What tr -cs '[:alnum:]' '\\n' | tr A-Z a-z makes of it, counted."""
    return collections.Counter(re.findall(rb"[a-z0-9]+", content.lower()))


def check_report(result, contents, lines=None):
    """The last table, counted once more by Python, and what the accidents left in the report."""
    report = result.stdout
    assert result.returncode == 0, f"status {result.returncode}:\n{report}{result.stderr}"
    assert result.stderr == "", result.stderr
    expected = collections.Counter()
    for content in contents:
        expected += words_of(content)
    if lines is None:
        lines = sum(each.count(b"\n") + (each[-1:] not in (b"\n", b"")) for each in contents)
    assert number(r"lines +([\d,]+)", report) == lines, report
    assert number(r"words +([\d,]+)", report) == sum(expected.values()), report
    assert number(r"them ([\d,]+) different", report) == len(expected), report
    held = number(r"while it held ([\d,]+) borrowed", report)
    assert held >= 1, report
    assert number(r"redelivered +([\d,]+) lines", report) == held, report
    assert number(r"counts of ([\d,]+) came twice", report) == (held + 1) // 2, report
    assert "left behind   nothing" in report, report
    assert "equal to sort | uniq -c" in report, report
    assert re.search(r"system calls  (\d+\.\d+ per message|not measured: .)", report), report
    assert os.geteuid() != 0 or "run it as root" not in report, report
    rows = re.findall(r"^ +(\d+) (\w+)$", report, re.MULTILINE)
    table = {word.encode(): int(count) for count, word in rows}
    assert table == dict(expected), "the table printed by --top is another one"
    return report


@functools.cache
def everyday_text():
    chosen = random.Random(1)
    letters = b"abcdefgHIJKL0123"
    known = [bytes(chosen.choices(letters, k=chosen.randint(1, 9))) for _ in range(3000)]
    lines = (b" ".join(chosen.choices(known, k=chosen.randint(0, 12))) for _ in range(40000))
    return b"\n".join(lines) + b"\n"


def text_with_a_kill_and_a_stop_is_counted_exactly():
    content = everyday_text()
    report = check_report(run("--top", "99999999", write("everyday", content)), [content])
    assert number(r"for [\d.]+ s; ([\d,]+) lines were counted", report) > 1000, report


def binary_and_long_lines_are_counted_exactly():
    contents = [
        random.Random(2).randbytes(200000),
        b"Long line " * 60000 + b"\0x\0" + b"A" * 20000 + b" end",
        b"last line without a newline",
        b"first\r\nsecond\r\n\r\n",
        b"",
    ]
    files = [write(f"odd {i}", content) for i, content in enumerate(contents)]
    report = check_report(run("--workers", "7", "--top", "99999999", *files), contents)
    assert "cut between two words" in report, report


def shortest_texts_are_counted_exactly():
    for content in (b"a", b"\n", b"a\nb\n", b"\n\n\n"):
        check_report(run("--top", "9", write("short", content)), [content])
    content = b"a file named -\n"
    check_report(run("--top", "9", "--workers", "2", "--", write("-", content)), [content])


def many_workers_count_exactly():
    content = everyday_text()
    check_report(run("--workers", "24", "--top", "99999999", write("everyday", content)), [content])


def quiet_prints_nothing():
    result = run("--quiet", write("short", b"some words\n"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", ""), result


def what_can_not_be_read_is_refused_in_a_sentence():
    write("nothing", b"")
    refusals = {"nowhere": "No such file", ".": "not a regular file", "nothing": "no text"}
    for name, why in refusals.items():
        result = run(name)
        assert result.returncode == 1 and result.stdout == "", result
        assert result.stderr.startswith(f"wordcount: {name}: {why}"), result.stderr
    if os.geteuid() != 0:
        os.chmod(write("secret", b"words\n"), 0)
        assert "Permission denied" in run("secret").stderr


def wrong_usage_is_status_2():
    for arguments in ("--workers 1", "--workers x", "--top -1", "--nonsense", "--workers"):
        result = run(*arguments.split())
        assert result.returncode == 2 and result.stdout == "", result
        assert result.stderr.startswith("wordcount: "), result.stderr


def progress_is_shown_on_a_terminal_only():
    write("everyday", everyday_text())
    master, slave = pty.openpty()
    result = subprocess.Popen([program, *["everyday"] * 6], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 4096):
            shown += chunk
    except OSError:  # how a terminal says that the other side has closed
        pass
    os.close(master)
    assert result.wait(limit) == 0
    assert re.search(rb"\rwordcount: [\d,]+ of 240,000 lines, [\d,]+ lines/s", shown), shown
    assert shown.endswith(b"\r\x1b[K"), shown


def segments():
    with open("/proc/sysvipc/shm") as file:
        return [line for line in file.readlines()[1:]]


def processes_of_group(group):
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
            if name.isdigit() and int(fields[2]) == group and fields[0] != "Z":
                found.append(int(name))
        except OSError:
            pass
    return found


def start_a_long_run():
    """Returns when it is under way."""
    write("everyday", everyday_text())
    process = start(*["everyday"] * 60)
    deadline = time.monotonic() + limit
    while not any(name.startswith("port.") for name in os.listdir(os.environ["YOKE_DIR"])):
        assert process.poll() is None and time.monotonic() < deadline, "never got under way"
        time.sleep(0.005)
    return process


def wait_until(what, condition):
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def interrupt_ends_it_with_nothing_left():
    for moment in (0.0, 0.4):
        process = start_a_long_run()
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=limit)
        assert (process.returncode, out, err) == (130, "", ""), (process.returncode, out, err)
        assert processes_of_group(process.pid) == []
        names = [name for name in os.listdir(os.environ["YOKE_DIR"]) if "wordcount" in name]
        assert names == [], names


def killed_outright_it_leaves_no_process_and_no_memory():
    before = segments()
    process = start_a_long_run()
    time.sleep(0.2)
    process.kill()
    process.communicate(timeout=limit)
    wait_until("processes are left", lambda: processes_of_group(process.pid) == [])
    wait_until("segments are left", lambda: len(segments()) <= len(before))
    # Clears the names, as any call of yoke's does.
    assert run("--quiet", write("short", b"some words\n")).returncode == 0
    names = [name for name in os.listdir(os.environ["YOKE_DIR"]) if "wordcount" in name]
    assert names == [], names


def a_worker_killed_by_somebody_else_is_replaced():
    write("everyday", everyday_text())
    process = start(*["everyday"] * 20)
    wait_until("no workers", lambda: len(processes_of_group(process.pid)) >= 7)
    time.sleep(0.02)
    # In the order of their starts: the director, the collector, four workers, the sender.
    os.kill(sorted(processes_of_group(process.pid))[3], signal.SIGKILL)
    out, err = process.communicate(timeout=limit)
    assert process.returncode == 0 and err == "", (process.returncode, out, err)
    assert "equal to sort | uniq -c" in out, out


TESTS = [
    text_with_a_kill_and_a_stop_is_counted_exactly,
    binary_and_long_lines_are_counted_exactly,
    shortest_texts_are_counted_exactly,
    many_workers_count_exactly,
    quiet_prints_nothing,
    what_can_not_be_read_is_refused_in_a_sentence,
    wrong_usage_is_status_2,
    progress_is_shown_on_a_terminal_only,
    interrupt_ends_it_with_nothing_left,
    killed_outright_it_leaves_no_process_and_no_memory,
    a_worker_killed_by_somebody_else_is_replaced,
]


def run_in_empty_directory(test):
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        try:
            test()
        finally:
            os.chdir("/")


def main():
    failed = 0
    print(f"1..{len(TESTS)}")
    for count, test in enumerate(TESTS, 1):
        try:
            run_in_empty_directory(test)
            print(f"ok {count} - {test.__name__}", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as fault:
            failed += 1
            why = f"{type(fault).__name__}: {fault}".replace("\n", "\n# ")
            print(f"not ok {count} - {test.__name__}\n# {why}", flush=True)
    sys.exit(1 if failed else 0)


main()
