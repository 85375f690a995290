#!/bin/sh
# ./dev answers what can not be done in a sentence, with status 2 for wrong usage, and touches nothing for it.
set -u
cd "${TMPDIR:-/tmp}" || exit 1
number=0 failures=0
mkdir -p bin build
# whatever happens, no test installs anything on this machine
printf '#!/bin/sh\necho "apt-get was called: $*" >> "%s"\nexit 1\n' "$PWD/called" > bin/apt-get
printf '#!/bin/sh\nexit 1\n' > bin/sudo
chmod +x bin/*
PATH=$PWD/bin:$PATH YOKE_BUILD=$PWD/build
export PATH YOKE_BUILD

# expect STATUS TEXT NAME ARGUMENT...: TEXT must be in what ./dev says
expect() {
    status=$1 text=$2 name=$3
    shift 3
    "$YOKE_SOURCE_DIR/dev" "$@" > out 2>&1 < /dev/null
    result=$?
    number=$((number + 1))
    if [ "$result" -eq "$status" ] && grep -q -e "$text" out && [ ! -e called ] && [ -z "$(ls -A build)" ]; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        echo "# status $result"
        sed 's/^/# /' out
        failures=$((failures + 1))
    fi
    rm -rf called build
    mkdir build
}

expect 0 '^usage: ./dev COMMAND' 'help is none' help
expect 2 '^usage: ./dev COMMAND' 'an unknown command is refused' frobnicate
expect 2 'one PREFIX' 'install without PREFIX is refused' install
expect 2 'one PREFIX' 'install with two is refused' install a b
expect 2 "'foo' is not --long" 'an unknown option of check is refused' check foo
expect 2 "'foo' is no number" 'what is no time to fuzz is refused' fuzz foo
expect 2 'one number of SECONDS' 'fuzz with two times is refused' fuzz 1 2
expect 2 "'foo' is too much" 'an argument of build is refused' build foo
expect 2 "'foo' is too much" 'an argument of arm64 is refused' arm64 foo
expect 2 "'foo' is too much" 'an argument of abi is refused' abi foo
CC='no-such-cc -m64' && export CC
for command in build run check arm64; do
    expect 1 "no command 'no-such-cc'" "$command with a compiler that is not there names it" $command
done
expect 1 "no command 'no-such-cc'" 'install, too' install "$PWD/nowhere"

echo "1..$number"
[ "$failures" -eq 0 ]
