#!/bin/sh
# The Debian packages: dpkg-buildpackage makes them of the sources as they lie here; made again in another place, by
# somebody with another umask, time zone and language, they are the same, byte for byte; lintian finds nothing; in a
# clean Debian they install, debian/tests pass, and nothing is left when they are removed.
#
# Where the long proofs get a share of their time ($YOKE_LONG_SECONDS), an even $YOKE_SEED has them made again, an odd one
# takes the clean Debian. What is not there is skipped, aloud: lintian; root, debootstrap or a mirror, for the clean Debian. $TMPDIR takes
# some 700 MB.
set -u

root=$YOKE_SOURCE_DIR
work=$(mktemp -d)
number=0 failed=0
. "$root/tests/support/machine.sh"

if ! command -v dpkg-buildpackage > "$work/out" || ! command -v dh > "$work/out"; then
    echo 'dpkg-buildpackage or debhelper is not installed'
    exit 77
fi
cd "$root" || exit 1
if ! dpkg-checkbuilddeps -Pnocheck > "$work/out" 2>&1; then
    cat "$work/out"
    exit 77
fi

check() { # NAME COMMAND...
    name=$1
    shift
    number=$((number + 1))
    if "$@" > "$work/out" 2>&1; then
        echo "ok $number - $name"
        return
    fi
    echo "not ok $number - $name"
    tail -n 60 "$work/out" | sed 's/^/# /'
    failed=1
    return 1
}

skip() { # NAME WHY
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

finish() {
    echo "1..$number"
    exit "$failed"
}

# The compiler's words about where it was are meson.build's to take out, not dpkg's: so what meson installs is the
# same everywhere, too.
build() ( # DIRECTORY UMASK TIME-ZONE LANGUAGE
    mkdir -p "$work/$1" &&
        umask "$2" &&
        cp -R "$work/sources" "$work/$1/yoke" &&
        cd "$work/$1/yoke" &&
        env -i PATH="$PATH" HOME="$work" TMPDIR="$work" TZ="$3" LC_ALL="$4" \
            DEB_BUILD_OPTIONS='nocheck reproducible=-fixfilepath' DEB_BUILD_PROFILES=nocheck \
            dpkg-buildpackage -us -uc
)

packages_are_there() {
    for package in libyoke0 libyoke-dev yoke yoke-nats; do
        ls "$work/a/${package}_"*.deb || return
    done
}

same_bytes() {
    for package in "$work"/a/*.deb; do
        echo "${package##*/}"
        cmp "$package" "$work/another-place/${package##*/}" || return
    done
}

# Once: somebody may be writing in them.
mkdir "$work/sources" && copy_sources "$root" "$work/sources" || exit 1
check 'the packages build' build a 022 UTC C || finish
check 'they are libyoke0, libyoke-dev, yoke and yoke-nats' packages_are_there || finish
share=${YOKE_LONG_SECONDS:+$((${YOKE_SEED:-1} % 2))}
if [ "$share" = 1 ]; then
    skip 'they build in another place' 'that is for even seeds'
else
    check 'they build in another place' build another-place 027 Asia/Kathmandu C.UTF-8 &&
        check 'and are the same, byte for byte' same_bytes
fi

if command -v lintian > "$work/out"; then
    check 'lintian finds nothing' lintian -EviI --pedantic --allow-root --no-tag-display-limit \
        --fail-on error,warning,info,pedantic,experimental "$work/a/"*.changes
else
    skip 'lintian finds nothing' 'lintian is not installed'
fi

# ---- in a clean Debian ------------------------------------------------------------------------------

tree=$work/clean

# Of the very release: the packages are linked with its C library. What debian/tests asks for is in it from the
# beginning, since nothing but yoke is to come and go.
make_clean() {
    release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    mirror=$(find_mirror "$release")
    test -n "$mirror" || {
        echo "apt knows no mirror of '$release'"
        return 1
    }
    debootstrap --variant=minbase --include=gcc,libc6-dev,pkg-config,libjansson4,libncursesw6,libnats3.4,nats-server \
        "$release" "$tree" "$mirror"
}

# Everything but what dpkg keeps for itself.
files_of() {
    (cd "$tree" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log -o -path ./var/cache -o -path ./srv \) -prune \
        -o -print | sort)
}

in_clean() { # SCRIPT
    enter "$tree" root "$1"
}

clean() {
    if [ "$share" = 0 ]; then
        skip 'in a clean Debian' 'that is for odd seeds'
        return
    elif [ "$(id -u)" -ne 0 ]; then
        skip 'in a clean Debian' 'that takes root'
        return
    elif ! command -v debootstrap > "$work/out"; then
        skip 'in a clean Debian' 'debootstrap is not installed'
        return
    elif ! make_clean > "$work/out" 2>&1; then
        skip 'in a clean Debian' "there is none to be had: $(tail -n 1 "$work/out")"
        return
    fi
    mkdir -p "$tree/srv/yoke" &&
        cp -R "$root/debian/tests" "$work"/a/libyoke0_*.deb "$work"/a/libyoke-dev_*.deb "$work"/a/yoke_*.deb "$work"/a/yoke-nats_*.deb \
            "$tree/srv/yoke/"
    files_of > "$work/before"
    check 'in a clean Debian they install' in_clean 'dpkg --install /srv/yoke/*.deb' || return
    check 'a program is built with them, shared and static' in_clean 'sh /srv/yoke/tests/hello'
    check 'the command works' in_clean 'sh /srv/yoke/tests/command'
    check 'the module of the place nats works' in_clean 'sh /srv/yoke/tests/nats'
    check 'they are removed' in_clean 'dpkg --purge yoke-nats libyoke-dev yoke libyoke0'
    files_of > "$work/after"
    check 'and nothing is left of them' diff "$work/before" "$work/after"
}

clean
rm -rf --one-file-system "$work"
finish
