#!/bin/sh
# seeded.sh PROGRAM [ARGUMENT...] - runs one of the long proofs, which take --seed and --seconds, on the share that
# was asked for: from $YOKE_SEED on, for $YOKE_LONG_SECONDS; without them always the same, for twenty minutes.
exec "$@" --seed "${YOKE_SEED:-1}" --seconds "${YOKE_LONG_SECONDS:-1200}"
