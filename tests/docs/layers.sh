#!/bin/sh
# The source tree keeps its rules (tests/layers.py says which), and the script sees each breach.
set -u
cd "${TMPDIR:-/tmp}" || exit 1
number=0 failures=0

result() { # STATUS NAME
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
    else
        echo "not ok $number - $2"
        sed 's/^/# /' out
        failures=$((failures + 1))
    fi
}

layers() {
    "${PYTHON:-python3}" "$YOKE_SOURCE_DIR/tests/layers.py" "$@" > out 2>&1
}

layers "$YOKE_SOURCE_DIR"
result $? 'this tree keeps the rules'

# A tree that keeps them, with everything in it that looks like a breach and is none.
make_tree() {
    rm -rf tree
    mkdir -p tree/include tree/src/base tree/src/memory tree/src/ring tree/src/place tree/cli tree/bench tree/examples
    cd tree || exit 1
    cat > include/yoke.h <<'C'
#define YOKE_API __attribute__((visibility("default")))
YOKE_API int yoke_open(const char *name);
YOKE_API const char *
yoke_explain(void); /* not: YOKE_API int yoke_other(void); */
C
    printf 'YOKE_0.1 {\nglobal:\n    yoke_open;\n    yoke_explain;\nlocal:\n    *;\n};\n' > src/yoke.map
    echo '#define yk_load(p) __atomic_load_n(p, 5)' > src/base/atomic.h
    printf '#include "base/sys.h"\nint yk_sys_open(void) { return open("x", 0); }\n' > src/base/sys.c
    echo 'int yk_sys_open(void);' > src/base/sys.h
    cat > src/memory/names.c <<'C'
#include "base/sys.h"
#include "names.h"
#include "yoke.h"
#include <string.h>
/* open() is called by sys.c alone, with __atomic_load_n before */
const char *text = "mmap(";
int reopen(void) { return yk_sys_open() + place->open(1) + place.close (2); }
C
    printf '#include <base/atomic.h>\n' > src/memory/names.h
    cat > src/ring/ring.h <<'C'
#include "base/atomic.h"
/*
 * field | written by | order
 * cell  | all        | SYNC port.publish
 */
/* SYNC port.publish release: the payload before the cell */
C
    printf '/* SYNC port.publish acquire; SYNC wait.receive */\n/* SYNC wait.receive */\n' > src/ring/ring.c
    printf '#include "memory/names.h"\n#include "ring/ring.h"\n' > src/port.c
    echo '#include "base/sys.h"' > src/inspect.h
    echo '#include "../port.h"' > src/place/memory.c
    touch src/port.h
    printf '#include "inspect.h"\n#include "bench.h"\n#include <yoke.h>\nint x(void) { return open("x", 0); }\n' > cli/main.c
    echo '#include "yoke.h"' > bench/bench.h
    echo '#include <yoke.h>' > examples/hello.c
    cd ..
}

make_tree
layers tree
result $? 'a tree that keeps the rules passes'

# breach FILE "TEXT TO ADD" "WHAT IS SAID" NAME
breach() {
    make_tree
    printf '%s\n' "$2" >> "tree/$1"
    if layers tree; then
        result 1 "$4"
    else
        grep -q -e "$3" out && [ "$(wc -l < out)" -eq 1 ]
        result $? "$4"
    fi
}

breach src/base/sys.h '#include "memory/names.h"' 'base includes src/memory/names.h' 'an include upwards'
breach src/memory/names.c '#include "ring/ring.h"' 'memory includes src/ring/ring.h' 'an include upwards from memory'
breach src/ring/ring.c '# include  "../memory/names.h"' 'ring includes src/memory' 'the ring may not see memory'
breach src/ring/ring.c '#include <yoke.h>' 'ring includes include/yoke.h' 'the ring may not see the public header'
breach src/port.c '#include "nowhere.h"' 'which is not in the tree' 'an include of nothing'
breach cli/main.c '#include "memory/names.h"' 'cli includes src/memory/names.h' 'the tool looks inside'
breach cli/main.c '#include "port.h"' 'cli includes src/port.h' 'the tool looks inside the top layer'
breach examples/hello.c '#include "inspect.h"' 'examples includes src/inspect.h' 'an example looks inside'
breach src/port.c 'int f(int *p) { return __atomic_load_n(p, 0); }' 'port.c:3: spells __atomic_load_n' 'an atomic elsewhere'
breach cli/main.c '#include <stdatomic.h>' 'spells stdatomic.h' 'stdatomic in the tool'
breach src/port.c '_Atomic int x;' 'spells _Atomic' 'an atomic type'
breach src/port.c 'int f(void) { return open("x", 0); }' 'port.c:3: calls open outside' 'a system call elsewhere'
breach src/ring/ring.h 'int f(void) { return syscall (1); }' 'calls syscall' 'a raw system call'
breach src/memory/names.c 'int f(void) { return mq_send(1, 2); }' 'calls mq_send' 'a message queue'
breach src/port.c '/* SYNC slot.claim release */' 'slot.claim has a release side and no acquire' 'a release without its acquire'
breach src/port.c '/* SYNC slot.claim acquire */' 'slot.claim has a acquire side and no release' 'an acquire without its release'
breach src/port.c '/* SYNC wait.room */' 'SYNC wait.room occurs only here' 'a fence that faces none'
breach src/port.c '/* SYNC */' 'SYNC without a name' 'a point without a name'
breach src/ring/ring.h '/* x
 * y | all | SYNC port.gone */' 'the table names SYNC port.gone' 'a table of something gone'
breach src/yoke.map '{ yoke_left; }' 'lists yoke_left' 'a name in the map that the header lacks'
breach include/yoke.h 'YOKE_API int yoke_new(void);' 'does not list yoke_new' 'a name in the header that the map lacks'
make_tree
mkdir tree/src/new
touch tree/src/new/x.c
! layers tree && grep -q 'no layer' out
result $? 'a layer that nobody named'
mkdir empty
! layers empty
result $? 'an empty tree does not pass'

echo "1..$number"
[ "$failures" -eq 0 ]
