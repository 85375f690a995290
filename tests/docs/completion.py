#!/usr/bin/env python3
"""completions/yoke offers, in a real bash, the commands, each command's options, and the addresses that are there.

Each line is completed by calling the function that the file registers, as bash does, with the line cut
into words at bash's own breaks.

Environment: YOKE, YOKE_SOURCE_DIR, YOKE_DIR.
"""
import os
import re
import shutil
import subprocess
import sys

tool = os.environ["YOKE"]
completions = os.path.join(os.environ["YOKE_SOURCE_DIR"], "completions", "yoke")
failed = []

SCRIPT = r"""
PATH=$(dirname "$YOKE"):$PATH
. "$1"
registered=$(complete -p yoke) || exit 1
function=$(sed 's/.*-F \([^ ]*\).*/\1/' <<< "$registered")
COMP_LINE=$2 COMP_POINT=${#2}
shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"$function" yoke "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


def offered(line):
    words = [word for word in re.split(r"\s+|([:@=])", line) if word]
    if line[-1:] in " :@=":
        words.append("")
    result = subprocess.run(["bash", "--norc", "-c", SCRIPT, "bash", completions, line, *words], text=True,
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
    if result.returncode != 0 or result.stderr:
        failed.append(f"'{line}': status {result.returncode}: {result.stderr}")
    return set(result.stdout.split("\n")) - {""}


def yoke(*arguments):
    return subprocess.run([tool, *arguments], stdin=subprocess.DEVNULL, text=True, timeout=300,
                          capture_output=True, check=True).stdout


def expect(line, words):
    got = offered(line)
    if got != set(words):
        failed.append(f"'{line}' offers {sorted(got)}, not {sorted(words)}")


def check_commands():
    commands = set(re.findall(r"^  ([a-z]+) +\S", yoke("--help"), re.MULTILINE))
    expect("yoke ", commands)
    expect("yoke s", {command for command in commands if command.startswith("s")})
    expect("yoke port ", {"create"})
    return commands


def check_options(commands):
    for command in sorted(commands):
        words = [command, "create"] if "create" in offered(f"yoke {command} ") else [command]
        lines = re.findall(r"^  (-.*?)(?:  |$)", yoke(*words, "--help"), re.MULTILINE)
        options = {word for line in lines for word in re.findall(r"(?<!\S)--[a-z0-9-]+", line)}
        expect(f"yoke {' '.join(words)} --", options | {"--help"})


def check_addresses():
    yoke("port", "create", "jobs")
    yoke("port", "create", "jars")
    yoke("stream", "create", "log")
    yoke("region", "create", "frames", "--size", "4K")
    expect("yoke stat ", {"port:jobs", "port:jars", "stream:log", "region:frames"})
    expect("yoke stat port:jo", {"jobs"})  # bash replaces what follows the colon only
    expect("yoke rm reg", {"region:frames"})
    expect("yoke recv ", {"port:jobs", "port:jars"})
    expect("yoke recv --count 3 ", {"port:jobs", "port:jars"})
    expect("yoke write ", {"stream:log"})
    expect("yoke bridge port:jobs ", {"port:jobs", "port:jars"})
    yoke("port", "create", "$(touch${IFS}pwned)")  # a name is never run
    expect("yoke stat port:$", {"\\$\\(touch\\$\\{IFS\\}pwned\\)"})
    yoke("rm", "port:$(touch${IFS}pwned)")
    if os.path.exists("pwned"):
        failed.append("a command in a name was run")
    expect("yoke read nothing", set())
    peer = subprocess.Popen([tool, "wait", "--as", "bob", "--timeout", "300"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL)
    yoke("wait", "--for", "peer:bob", "--timeout", "300s")
    expect("yoke wait --for ", {"peer:bob"})
    expect("yoke signal pe", {"peer:bob"})
    expect("yoke send --as ", {"bob"})
    peer.terminate()
    peer.wait()
    yoke("send", "--as", "alice", "link:bob", "hi")  # who acts under a name has links to others
    expect("yoke stat li", {"link:alice/bob"})
    expect("yoke send --as alice li", {"link:bob"})
    expect("yoke recv --as bob li", {"link:alice"})
    expect("yoke recv --as carol li", set())
    yoke("rm", "port:jobs", "port:jars", "stream:log", "region:frames", "link:alice/bob")


def check_arguments():
    open("file one", "w").close()
    expect("yoke port create jobs --place ", {"memory", "kernel", "nats://"})
    expect("yoke ls --place k", {"kernel"})
    expect("yoke send port:jobs --file fi", {"file\\ one"})
    expect("yoke signal peer:bob --unix TER", {"TERM"})
    expect("yoke send port:jobs --tag ", set())
    expect("yoke wait --for peer:bob --as ", set())
    # a word before, which is a file's name, is never run, nor makes it fail
    os.makedirs("sh<x;", exist_ok=True)
    open("sh<x;/e#", "w").close()
    with open("x", "w") as script:
        script.write("touch pwned\n")
    for word in ("./sh\\<x\\;/e#", "./a/b/wpwned", "a[", "\\(", "--file/b/e#", "x/", "*"):
        offered(f"yoke stat {word} ")
    if os.path.exists("pwned"):
        failed.append("a command in a file's name was run")


def main():
    if not shutil.which("bash"):
        print("there is no bash")
        return 77
    os.chdir(os.environ.get("TMPDIR", "/tmp"))
    commands = check_commands()
    check_options(commands)
    check_addresses()
    check_arguments()
    if len(commands) < 10:
        failed.append("few commands: has the form of yoke --help changed?")
    print("\n".join(failed) or f"# {len(commands)} commands")
    return 1 if failed else 0


sys.exit(main())
