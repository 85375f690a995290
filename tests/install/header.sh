#!/bin/sh
# The public header and what the library exports: yoke.h compiles alone without a warning, by gcc and clang, as
# C from C99 to C23 and as C++ from C++11 to C++20; the names in yoke.h, in the symbol map and in libyoke.so are
# the same, and so are the versions in yoke.h, meson.build and debian/changelog.
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
warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'

# by COMPILER FILE STANDARD...: that the file compiles as each of these
by() {
    compiler=$1 file=$2
    shift 2
    if ! command -v "$compiler" > "$work/out"; then
        number=$((number + 1))
        echo "ok $number - header_by_$compiler # SKIP $compiler is not installed"
        return
    fi
    for standard; do
        # shellcheck disable=SC2086 # a list of words
        check "header_by_${compiler}_as_$standard" "$compiler" "-std=$standard" $warnings \
            -I"$YOKE_SOURCE_DIR/include" -fsyntax-only "$work/$file"
    done
}

version_of() { # WORD: as yoke.h has it
    sed -n "s/^#define YOKE_VERSION_$1 //p" "$header"
}

sed -n 's/^YOKE_API .*[ *]\(yoke_[a-z_]*\)(.*/\1/p' "$header" | sort > "$work/header"
sed -n 's/^ *\(yoke_[a-z_]*\);$/\1/p' "$YOKE_SOURCE_DIR/src/yoke.map" | sort > "$work/map"

check header_has_functions test -s "$work/header"
by gcc user.c c99 c11 c17 c2x
by clang user.c c99 c11 c17 c2x
by g++ user.cc c++11 c++14 c++17 c++20
by clang++ user.cc c++11 c++14 c++17 c++20
check header_and_symbol_map_agree diff -u "$work/header" "$work/map"
sed -n 's/^ \(yoke_[a-z_]*\)@.*/\1/p' "$YOKE_SOURCE_DIR/debian/libyoke0.symbols" | sort > "$work/symbols"
check symbol_map_and_package_agree diff -u "$work/map" "$work/symbols"
nm -D --defined-only "$YOKE_BUILD_DIR/src/libyoke.so" | sed -n 's/.* [TtDdBbRrVvWw] \([^@]*\)@.*/\1/p' |
    sort > "$work/library"
check library_exports_that_and_no_more diff -u "$work/map" "$work/library"
soname=$(readelf -d "$YOKE_BUILD_DIR/src/libyoke.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
check soname_is_of_the_interface test "$soname" = libyoke.so.0

version=$(version_of MAJOR).$(version_of MINOR).$(version_of PATCH)
check meson_has_the_header_s_version \
    test "$(sed -n "s/^  version: '\(.*\)',/\1/p" "$YOKE_SOURCE_DIR/meson.build")" = "$version"
check packages_have_the_header_s_version \
    test "$(sed -n '1s/^yoke (\(.*\)) .*/\1/p' "$YOKE_SOURCE_DIR/debian/changelog")" = "$version"
echo "1..$number"
exit "$failed"
