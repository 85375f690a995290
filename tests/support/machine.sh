# machine.sh - a bare Debian tree as a machine of its own: for scripts that try something on one. To be sourced.

# find_mirror SUITE: where this machine's apt has it from; nothing if it does not
find_mirror() {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Identifier: Packages' |
        awk -v suite="$1" '$2 == suite && $3 == "main" { sub("/*$", "", $1); print $1; exit }'
}

# enter TREE USER SCRIPT: runs the shell script in the tree as on a machine of its own; its apt keeps what it
# downloads in $archives, if that is set
enter() {
    unshare --mount --pid --ipc --uts --fork --kill-child sh -eu -c '
        tree=$1 user=$2 script=$3 archives=$4
        mount --make-rprivate /
        mount -t proc proc "$tree/proc"
        mount -t sysfs -o ro sysfs "$tree/sys"
        mount -t tmpfs -o mode=755 dev "$tree/dev"
        for device in null:3 zero:5 full:7 random:8 urandom:9; do
            mknod -m 666 "$tree/dev/${device%:*}" c 1 "${device#*:}"
        done
        mknod -m 666 "$tree/dev/tty" c 5 0
        mkdir "$tree/dev/shm" "$tree/dev/pts"
        ln -s /proc/self/fd "$tree/dev/fd"
        mount -t tmpfs -o mode=1777 shm "$tree/dev/shm"
        mount -t devpts -o newinstance,ptmxmode=0666 devpts "$tree/dev/pts"
        ln -s pts/ptmx "$tree/dev/ptmx"
        mount -t tmpfs -o mode=755 run "$tree/run"
        test -z "$archives" || mount --bind "$archives" "$tree/var/cache/apt/archives"
        home=/root
        test "$user" = root || home=/home/$user
        exec chroot "$tree" env -i HOME="$home" TERM=dumb LANG=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
            runuser -u "$user" -- sh -c "cd $home && $script"
    ' enter "$1" "$2" "$3" "${archives:-}" < /dev/null
}

# copy_sources ROOT DIRECTORY: the source tree as it lies there, uncommitted files included, what was built excluded.
# What is no clone, as in a package's own build, is copied without build/ and .git.
copy_sources() {
    if git -C "$1" rev-parse > /dev/null 2>&1; then
        git -C "$1" ls-files -z --cached --others --exclude-standard |
            (cd "$1" && xargs -0 sh -c 'for file; do test ! -e "$file" || printf "%s\0" "$file"; done' list)
    else
        (cd "$1" && find . \( -path ./build -o -path ./.git \) -prune -o ! -type d -print0)
    fi | tar -C "$1" --null -T - -cf - | tar -C "$2" -xf -
}
