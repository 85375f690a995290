#!/bin/sh
# Tries ./dev on machines that have nothing: bare Debian trees made by debootstrap.
#
#     tests/fresh-machine.sh [run|check|build|install|user]...        (all of them without an argument)
#
# Not part of ./dev check: it needs root, debootstrap, a network, and some minutes.
#
# Each trial gets a tree of its own in which nothing but git was added, and a clone of this source tree as it
# lies here, uncommitted files included:
#   run, check, build, install   that command is the first one on the machine, and is called twice: the second call
#                                must install and build nothing
#   user                         somebody without root: told what is missing first; then, with everything
#                                there, in a clone of his own and in one that he may only read
#
# The mirror, its keys and a proxy are the ones of this machine's apt; $MIRROR and $SUITE (bookworm) say otherwise.
# Trees lie in $FRESH (/tmp/yoke-fresh): base.tar is the bare tree, made once, archives/ the downloaded
# packages; delete the directory for a new beginning. KEEP=1 leaves the trees there.
# All mounts are made in a mount namespace and go with it.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
fresh=${FRESH:-/tmp/yoke-fresh}
suite=${SUITE:-bookworm}
passed=0 failed=0
. "$root/tests/support/machine.sh"
archives=$fresh/archives

say() {
    printf '\n==== %s\n' "$*"
}

# ---- making a machine -----------------------------------------------------------------------------

make_base() {
    test ! -e "$fresh/base.tar" || return 0
    mirror=${MIRROR:-$(find_mirror "$suite")}
    test -n "$mirror" || { echo "no mirror for $suite in apt's lists: set MIRROR" >&2; exit 1; }
    say "making a bare $suite from apt's mirror"
    rm -rf --one-file-system "$fresh/base"
    debootstrap --variant=minbase "$suite" "$fresh/base" "$mirror" > "$fresh/debootstrap.log" 2>&1 || {
        tail -n 20 "$fresh/debootstrap.log" >&2
        exit 1
    }
    apt-config dump | grep -E '^Acquire::(http|https)::[Pp]roxy|^Acquire::Check-' > \
        "$fresh/base/etc/apt/apt.conf.d/99host" || true
    cp -L /etc/resolv.conf "$fresh/base/etc/resolv.conf"
    enter "$fresh/base" root 'apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends git > /dev/null 2>&1 &&
        rm -rf /var/lib/apt/lists/* && useradd -m tester'
    # a fresh machine knows no packages yet
    tar -C "$fresh/base" --one-file-system -cf "$fresh/base.tar.new" .
    mv "$fresh/base.tar.new" "$fresh/base.tar"
    rm -rf --one-file-system "$fresh/base"
}

# A new machine in $tree with the sources, as a repository to clone from, in /srv/yoke.
make_machine() {
    tree=$fresh/$1
    rm -rf --one-file-system "$tree"
    mkdir -p "$tree"
    tar -C "$tree" -xf "$fresh/base.tar"
    mkdir -p "$tree/srv/yoke"
    copy_sources "$root" "$tree/srv/yoke"
    chown -R 0:0 "$tree/srv/yoke"
    enter "$tree" root 'cd /srv/yoke && git init -q -b main && git add -A &&
        git -c user.name=trial -c user.email=trial@localhost commit -qm trial &&
        git config --system safe.directory "*"' # users may clone what root owns
}

drop_machine() {
    test -n "${KEEP:-}" || rm -rf --one-file-system "$tree"
}

# ---- trials ---------------------------------------------------------------------------------------

# try NAME STATUS USER SCRIPT: runs it in $tree; its output is in $output
try() {
    output=$fresh/output
    began=$(date +%s)
    say "$1"
    enter "$tree" "$3" "$4" > "$output" 2>&1 && status=0 || status=$?
    tail -n 40 "$output"
    took=$(($(date +%s) - began))
    if [ "$status" -eq "$2" ]; then
        verdict "$1 ($took s)" 0
    else
        verdict "$1: exit status $status instead of $2 ($took s)" 1
    fi
}

verdict() { # NAME STATUS
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
        echo "---- passed: $1"
    else
        failed=$((failed + 1))
        echo "---- FAILED: $1"
    fi
}

says() { # PATTERN NAME
    if grep -Eq -e "$1" "$output"; then verdict "$2" 0; else verdict "$2" 1; fi
}

says_not() {
    if grep -Eq -e "$1" "$output"; then verdict "$2" 1; else verdict "$2" 0; fi
}

nothing_done='^dev: (installing|configuring|building|missing)'

trial_first() { # COMMAND...
    make_machine "$1"
    try "./dev $* on a fresh machine" 0 root "git clone -q /srv/yoke && ./yoke/dev $*"
    says '^dev: missing: meson \(' "./dev $1 says what is missing and why"
    try "./dev $* again" 0 root "./yoke/dev $*"
    says_not "$nothing_done" "./dev $1 again installs and builds nothing"
    if [ "$1" = build ]; then
        test "$took" -le 5 && verdict './dev build again is quick' 0 || verdict "./dev build again took $took s" 1
    fi
}

trial_run() {
    trial_first run
    says_not '^dev: missing: libcmocka' './dev run needs no test library'
    says "^dev: next: './dev build'" './dev run says what to do next'
    drop_machine
}

trial_check() {
    trial_first check
    says '^[0-9]+ passed, 0 failed(, [0-9]+ skipped)?$' './dev check ends with its count'
    drop_machine
}

trial_build() {
    trial_first build
    drop_machine
}

trial_install() {
    trial_first install /usr/local
    try 'a program is built against the installed library, and runs' 0 root '
        cc -o hello yoke/examples/hello.c $(PKG_CONFIG_PATH=/usr/local/lib/pkgconfig pkg-config --cflags --libs yoke) &&
        ./hello && yoke --help > /dev/null && ls /usr/local/lib/libyoke.a'
    try 'DESTDIR is put before PREFIX' 0 root 'DESTDIR=staging ./yoke/dev install /usr && 
        test -x staging/usr/bin/yoke && ls staging/usr/lib/*/libyoke.so.0 &&
        test ! -e /usr/bin/yoke'
    drop_machine
}

trial_user() {
    make_machine user
    try 'a user on a bare machine is told what is missing' 1 tester 'git clone -q /srv/yoke && ./yoke/dev run'
    says 'apt-get install .*meson' 'the administrator'"'"'s command is named'
    try './dev build by root, and the test libraries' 0 root \
        'git clone -q /srv/yoke "/opt/a clone" && "/opt/a clone/dev" build &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends libcmocka-dev > /dev/null'
    try './dev run by a user' 0 tester ./yoke/dev\ run
    try './dev check by a user' 0 tester ./yoke/dev\ check
    says '^[0-9]+ passed, 0 failed(, [0-9]+ skipped)?$' './dev check ends with its count'
    try './dev install by a user' 0 tester './yoke/dev install "$HOME/some where" && "$HOME/some where/bin/yoke" --help > /dev/null'
    try './dev run by a user in a clone that he may only read' 0 tester '"/opt/a clone/dev" run'
    drop_machine
}

for tool in debootstrap unshare git; do
    command -v $tool > /dev/null || { echo "tests/fresh-machine.sh needs $tool" >&2; exit 1; }
done
test "$(id -u)" -eq 0 || { echo 'tests/fresh-machine.sh needs root' >&2; exit 1; }
mkdir -p "$archives/partial"
make_base
test $# -gt 0 || set -- run check build install user
for trial; do
    "trial_$trial"
done
say "$passed passed, $failed failed"
test "$failed" -eq 0
