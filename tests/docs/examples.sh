#!/bin/sh
# The short examples do what they say.
set -eu

cd "$YOKE_BUILD_DIR/examples"
test "$(./hello)" = 'hello, world'
test "$(./greeter | sort)" = 'alice was told: hello, alice
bob was told: hello, bob
carol was told: hello, carol'

test "$(./bounded_buffer)" = 'consumed 1000 items, sum 500500, through a buffer of 4'
test "$(./counter)" = 'counted 35000, and mended after 1 that died with the lock'
test "$(./direct | sort)" = 'P received: the same to you
Q received: good morning, Q'
test "$(./event_loop)" = '100 messages and 10 bytes through one loop'
test "$(./forgotten)" = 'System V segment: still there
POSIX segment: still there
yoke region: gone'
test "$(./mailbox)" = '30 jobs done, sum 465; delivered again after a death: 1'
test "$(./notify)" = 'boss said that there are 20 jobs: all are done'
test "$(./pipe)" = '1000 lines, then the end: the writer closed
3 lines, then the end: the writer died'
