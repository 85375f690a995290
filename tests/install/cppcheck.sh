#!/bin/sh
# cppcheck finds nothing in the library, the tool, the benchmark and the examples, but for what
# cppcheck.txt beside this file excuses, which says why; an excuse that is not needed any more fails, too.
set -eu

command -v cppcheck > /dev/null || { echo 'cppcheck is not installed'; exit 77; }
cd "$YOKE_SOURCE_DIR"
cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability,information \
    --suppress=missingIncludeSystem --suppressions-list=tests/install/cppcheck.txt \
    --std=c11 --library=posix --library=gnu -D_GNU_SOURCE= -D__linux__=1 -U__cplusplus -UYK_CHECK \
    '-Djson_array_foreach(array, i, value)=while ((value = json_array_get(array, 0)))' \
    -Iinclude -Isrc -Icli -Ibench --template='{file}:{line}: {id}: {message}' src cli bench examples 2>&1
