#!/bin/sh
# The wrapper that every test runs under catches what a test can leave behind, with namespaces and without.
set -u
cd "${TMPDIR:-/tmp}" || exit 1
number=0 failures=0
export ISOLATE_GRACE_MS=200 # what is left here stays for ever

result() { # NAME, status of the comparison before it
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        sed 's/^/# /' out
        failures=$((failures + 1))
    fi
}

# expect STATUS TEXT NAME: runs the script on stdin under the wrapper; TEXT must be in what it prints, none if empty
expect() {
    cat > script
    "$ISOLATE" sh "$PWD/script" > out 2>&1
    status=$?
    [ "$status" -eq "$1" ] &&
        if [ -n "$2" ]; then grep -q -e "$2" out; else ! grep -q 'left behind' out; fi
    result $? "$mode: $3"
}

segment='import ctypes, time
libc = ctypes.CDLL(None)
id = libc.shmget(0, 4096, 0o1600)
time.sleep(0.3)'
removed="$segment
libc.shmctl(id, 0, None)"

for mode in namespaces plain; do
    case $mode in
    plain) export ISOLATE_NAMESPACES=no ;;
    *) unset ISOLATE_NAMESPACES ;;
    esac

    expect 0 '' 'a test that leaves nothing passes' <<'S'
exit 0
S
    expect 77 '' 'a skip is passed on' <<'S'
exit 77
S
    expect 5 '' 'a failure is passed on' <<'S'
exit 5
S
    expect 137 'killed by signal 9' 'a killed test is one that failed' <<'S'
kill -KILL $$
S
    expect 0 '^700 0 ' 'the name directory is private and empty' <<'S'
echo "$(stat -c %a "$YOKE_DIR") $(ls -A "$YOKE_DIR" | wc -l) $YOKE_DIR"
S
    directory=$(cut -d' ' -f3 out)
    [ -n "$directory" ] && [ ! -e "$directory" ]
    result $? "$mode: the name directory is gone afterwards"

    ( # as under nohup
    trap '' HUP INT QUIT PIPE TERM USR1
    expect 0 '^SigIgn:.0*$' 'what the caller ignores the test does not' <<'S'
grep SigIgn: /proc/self/status
S
    exit "$failures"
    )
    failures=$? number=$((number + 1))

    expect 1 'left behind: process .*(sleep)' 'a left process is caught' <<'S'
sleep 1000 &
echo "pid $!"
S
    ! kill -0 "$(sed -n 's/^pid //p' out)" 2> /dev/null
    result $? "$mode: a left process is killed"
    expect 1 'left behind: process .*(sleep)' 'a left process in another session is caught' <<'S'
(setsid sh -c 'setsid sleep 1000 & exit') &
wait
S
    ISOLATE_GRACE_MS=60000
    expect 0 '' 'a process that is only slow to go is none' <<'S'
sleep 0.5 &
S
    ISOLATE_GRACE_MS=200
    expect 1 'left behind: process .*(sleep)' 'a skip does not excuse a left process' <<'S'
sleep 1000 &
exit 77
S

    expect 1 'left behind: segment .* 4096 bytes' 'a left segment is caught' <<S
"${PYTHON:-python3}" -c '$segment'
S
    expect 0 '' 'a removed segment is none' <<S
"${PYTHON:-python3}" -c '$removed'
S

    expect 1 'left behind: file $YOKE_DIR/port:x' 'a left name is caught' <<'S'
touch "$YOKE_DIR/port:x"
S
    expect 0 '' "yoke's own empty entries are allowed" <<'S'
: > "$YOKE_DIR/.lock-0"; : > "$YOKE_DIR/.lock-1000"; mkdir "$YOKE_DIR/.intents-0"
S
    expect 1 'left behind: file $YOKE_DIR/.intents-0/1' 'a left intent is caught' <<'S'
mkdir "$YOKE_DIR/.intents-0"; : > "$YOKE_DIR/.intents-0/1"
S
    expect 1 'left behind: file $YOKE_DIR/.lock-0, 1 bytes' 'a lock file that grew is caught' <<'S'
printf x > "$YOKE_DIR/.lock-0"
S
    expect 1 'left behind: file $YOKE_DIR/.lock-me' 'another hidden file is caught' <<'S'
: > "$YOKE_DIR/.lock-me"
S
    expect 1 'left behind: directory $YOKE_DIR/d' 'a left directory is caught' <<'S'
mkdir "$YOKE_DIR/d"; chmod 0 "$YOKE_DIR/d"
S
    expect 0 '' 'scratch files are the wrapper'"'"'s business' <<'S'
mkdir "$TMPDIR/d"; touch "$TMPDIR/d/x"; chmod 0 "$TMPDIR/d"
S
    case ${YOKE_TEST_NAMESPACES:-} in *shm*) # else tests that run beside this one would see it, too
        expect 1 'left behind: /dev/shm/yoke-test-leak' 'a left file in /dev/shm is caught' <<'S'
: > "/dev/shm/yoke-test-leak-$$"
S
        rm -f /dev/shm/yoke-test-leak-* ;;
    esac

    printf 'echo started; sleep 1000 & sleep 1000\n' > script
    : > out
    "$ISOLATE" sh "$PWD/script" > out 2>&1 &
    wrapper=$!
    until grep -q started out; do sleep 0.01; done
    kill -TERM "$wrapper"
    wait "$wrapper"
    status=$?
    [ "$status" -eq 143 ] && grep -q 'process .*(sleep)' out
    result $? "$mode: a test out of time says where its processes were, and ends"
done

echo "1..$number"
[ "$failures" -eq 0 ]
