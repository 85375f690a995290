#!/bin/sh
# The public header and what the library exports: yoke.h compiles as C99 and C++17 without a warning, and the
# names in yoke.h, in the symbol map and in libyoke.so are the same.
set -eu

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
header=$YOKE_SOURCE_DIR/include/yoke.h
number=0
failed=0

check() { # NAME COMMAND...
    name=$1
    shift
    number=$((number + 1))
    if "$@" > "$work/out" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$work/out"
        failed=1
    fi
}

echo '#include <yoke.h>
int main(void) { struct yoke_options o = YOKE_OPTIONS_INIT; return o.spin_ns == 0; }' > "$work/user.c"
cp "$work/user.c" "$work/user.cc"
sed -n 's/^YOKE_API .*[ *]\(yoke_[a-z_]*\)(.*/\1/p' "$header" | sort > "$work/header"
sed -n 's/^ *\(yoke_[a-z_]*\);$/\1/p' "$YOKE_SOURCE_DIR/src/yoke.map" | sort > "$work/map"

check header_has_functions test -s "$work/header"
check header_is_c99 cc -std=c99 -pedantic -Wall -Wextra -Werror -I"$YOKE_SOURCE_DIR/include" \
    -fsyntax-only "$work/user.c"
if command -v c++ > "$work/out"; then
    check header_is_cxx17 c++ -std=c++17 -pedantic -Wall -Wextra -Werror \
        -I"$YOKE_SOURCE_DIR/include" -fsyntax-only "$work/user.cc"
fi
check header_and_symbol_map_agree diff -u "$work/header" "$work/map"
nm -D --defined-only "$YOKE_BUILD_DIR/src/libyoke.so" | sed -n 's/.* [TtDdBbRrVvWw] \([^@]*\)@.*/\1/p' |
    sort > "$work/library"
check library_exports_that_and_no_more diff -u "$work/map" "$work/library"
echo "1..$number"
exit "$failed"
