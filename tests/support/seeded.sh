#!/bin/sh
# seeded.sh PROGRAM [ARGUMENT...] - runs one of the long proofs, which take --seed and --seconds, on the share that
# was asked for: from $YOKE_SEED on, for $YOKE_LONG_SECONDS; without them always the same, for twenty minutes.
# A program that does not keep to its time by far hangs, and is ended long before the time limit of the suite.
seconds=${YOKE_LONG_SECONDS:-1200}
most=$((5 * seconds + 300))
timeout --kill-after=10 "$most" "$@" --seed "${YOKE_SEED:-1}" --seconds "$seconds"
status=$?
[ "$status" -ne 124 ] || echo "it had $seconds s, and was still there after $most s" >&2
exit "$status"
