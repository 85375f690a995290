#!/bin/sh
# The short examples do what they say.
set -eu

cd "$YOKE_BUILD_DIR/examples"
test "$(./hello)" = 'hello, world'
test "$(./greeter | sort)" = 'alice was told: hello, alice
bob was told: hello, bob
carol was told: hello, carol'
