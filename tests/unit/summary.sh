#!/bin/sh
# The closing line of ./dev check counts right, whatever the programs did.
set -u
cd "${TMPDIR:-/tmp}" || exit 1
number=0 failures=0

# expect STATUS "LAST LINE" TEXT NAME: a log of the JSON lines on stdin; TEXT must be in the output
expect() {
    mkdir -p build/meson-logs
    cat > build/meson-logs/testlog.json
    "${PYTHON:-python3}" "$YOKE_SOURCE_DIR/tests/support/summary.py" "try=$PWD/build" > out 2>&1
    status=$?
    number=$((number + 1))
    if [ "$status" -eq "$1" ] && [ "$(tail -n 1 out)" = "$2" ] && grep -q -e "$3" out; then
        echo "ok $number - $4"
    else
        echo "not ok $number - $4"
        sed 's/^/# /' out
        failures=$((failures + 1))
    fi
}

expect 0 '2 passed, 0 failed' '' 'programs without TAP count as one' <<'J'
{"name": "a", "stdout": "hello\n", "result": "OK"}
{"name": "b", "stdout": "", "result": "OK"}
J
expect 0 '3 passed, 0 failed' '' 'cases of TAP count each' <<'J'
{"name": "a", "stdout": "1..2\nok 1 - x\nok 2 - y\n", "result": "OK"}
{"name": "b", "stdout": "ok 1 - x\n1..1\n", "result": "OK"}
J
expect 0 '2 passed, 0 failed' '' 'several plans in one program add up' <<'J'
{"name": "a", "stdout": "1..1\nok 1 - x\n1..1\nok 1 - y\n", "result": "OK"}
J
expect 0 '1 passed, 0 failed, 1 skipped' 'skipped: try: a: slow: no huge pages' "cmocka's skip is no failure" <<'J'
{"name": "a", "stdout": "1..2\nok 1 - x\n# SKIP no huge pages\nnot ok 2 # SKIP slow\n", "result": "OK"}
J
expect 0 '1 passed, 0 failed, 1 skipped' 'skipped: try: a: slow: not here' "TAP's own skip is none either" <<'J'
{"name": "a", "stdout": "1..2\nok 1 - x\nok 2 - slow # SKIP not here\n", "result": "OK"}
J
expect 0 '0 passed, 0 failed, 1 skipped' 'skipped: try: a: needs root' 'a skipped program says why' <<'J'
{"name": "a", "stdout": "trying\nneeds root\n", "result": "SKIP"}
J
expect 0 '1 passed, 0 failed' '' 'what looks like a case without a plan is only talk' <<'J'
{"name": "a", "stdout": "ok then\nnot ok?\n", "result": "OK"}
J
expect 0 '0 passed, 0 failed, 1 skipped' 'skipped: try: a: 1..0 # SKIP no kernel' 'an empty plan is a skip' <<'J'
{"name": "a", "stdout": "1..0 # SKIP no kernel\n", "result": "OK"}
J
expect 1 '1 passed, 1 failed' 'expected 1, got 2' 'a failed case fails, and its log is shown' <<'J'
{"name": "a", "stdout": "1..2\nok 1 - x\nnot ok 2 - y\n# expected 1, got 2\n", "result": "FAIL", "stderr": ""}
J
expect 1 '0 passed, 1 failed' 'segmentation' 'a failed program without TAP fails' <<'J'
{"name": "a", "stdout": "", "result": "FAIL", "stderr": "segmentation\n"}
J
expect 1 '1 passed, 1 failed' 'left behind' 'a leak fails though every case passed' <<'J'
{"name": "a", "stdout": "1..1\nok 1 - x\n", "result": "FAIL", "stderr": "isolate: left behind: file x\n"}
J
expect 1 '1 passed, 1 failed' '1 of 3 cases ran' 'a program that ends early fails though it says 0' <<'J'
{"name": "a", "stdout": "1..3\nok 1 - x\n", "result": "OK"}
J
expect 1 '0 passed, 1 failed' '0 of 3 cases ran' 'a program that ends before its first case fails' <<'J'
{"name": "a", "stdout": "1..3\n", "result": "OK"}
J
expect 1 '1 passed, 2 failed' '2 of 4 cases ran' 'a crash counts beside a failed case' <<'J'
{"name": "a", "stdout": "1..4\nok 1 - x\nnot ok 2 - y\n", "result": "FAIL"}
J
expect 1 '1 passed, 1 failed' 'TIMEOUT' 'a program that took too long fails' <<'J'
{"name": "a", "stdout": "1..3\nok 1 - x\n", "result": "TIMEOUT"}
J
expect 1 '0 passed, 1 failed' 'no test ran' 'an empty run is a failure' < /dev/null
expect 1 '0 passed, 1 failed' 'no results' 'a broken log is a failure' <<'J'
{"name": "a",
J
echo "1..$number"
[ "$failures" -eq 0 ]
