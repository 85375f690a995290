/*
 * forgotten.c - what goes wrong when detaching and destroying are forgotten, and why it can not here.
 *
 * A System V segment stays until somebody removes it, whoever dies; a POSIX one stays in /dev/shm.
 * Both are made here by a process that is then killed, and are still there. A yoke region made by
 * the same process is gone: it was marked for removal as soon as it was attached, so the kernel takes
 * it away with its last user.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define POSIX_NAME "/yoke-example-forgotten"

static int make_all_and_die(int tell)
{
    yoke_region *region;
    int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    int file = shm_open(POSIX_NAME, O_CREAT | O_RDWR, 0600);

    if (segment < 0 || shmat(segment, NULL, 0) == (void *)-1 || file < 0 ||
        ftruncate(file, 4096) < 0 || yoke_region_create(&region, "forgotten", 4096, NULL) < 0 ||
        write(tell, &segment, sizeof segment) != sizeof segment)
        return EXIT_FAILURE;
    return raise(SIGKILL);
}

int main(void)
{
    struct shmid_ds facts;
    yoke_region *region;
    int ends[2], segment;

    if (pipe(ends) < 0)
        return EXIT_FAILURE;
    if (fork() == 0)
        exit(make_all_and_die(ends[1]));
    if (read(ends[0], &segment, sizeof segment) != sizeof segment)
        return EXIT_FAILURE;
    wait(NULL);
    printf("System V segment: %s\n",
           shmctl(segment, IPC_STAT, &facts) == 0 ? "still there" : "gone");
    printf("POSIX segment: %s\n", shm_unlink(POSIX_NAME) == 0 ? "still there" : "gone");
    printf("yoke region: %s\n",
           yoke_region_open(&region, "forgotten", 0) == 0 ? "still there" : "gone");
    shmctl(segment, IPC_RMID, NULL); /* somebody has to */
    return EXIT_SUCCESS;
}
