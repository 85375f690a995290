/*
 * queue.h - the backing of what lives in the kernel place: POSIX message queues. A port has one, a
 * link one for each way.
 *
 * A queue is called "/yoke-NONCE-DEV.INO-NUMBER", after its object's nonce and the name directory
 * that this belongs to, so that one without a name can be told from another directory's. The kernel
 * frees a queue when its name is gone and its last descriptor closed; the name never goes by itself,
 * not even when all who had it open were killed.
 */
#ifndef YK_MEMORY_QUEUE_H
#define YK_MEMORY_QUEUE_H

#include "memory/names.h"

#define YK_QUEUES_MAX    2
#define YK_QUEUE_NAME    96
#define YK_QUEUES_FOLDER "/dev/mqueue" /* where they are listed, if that is mounted */

int yk_queue_count(uint32_t kind);
/* What one takes of its user's RLIMIT_MSGQUEUE from when it is made, whatever is in it. */
uint64_t yk_queue_bytes(uint64_t depth, uint64_t message_size);
void yk_queue_name(char name[YK_QUEUE_NAME], const struct yk_directory *directory, uint64_t nonce,
                   int number);

/* Is the text, without the slash in front, the name of a queue of this directory? */
bool yk_queue_parse(const char *text, const struct yk_directory *directory, uint64_t *ret_nonce);

/* Are all queues there that the record speaks of? 1, 0, or an error: it can not be told. */
int yk_queues_exist(const struct yk_directory *directory, const struct yk_record *record);

/*
 * Takes the names of the record's queues away. Only those that belong to the owner of the record's
 * file: whatever is written there, nobody else's are touched. 0: nothing is left of them.
 */
int yk_queues_retire(const struct yk_directory *directory, const struct yk_record *record);

#endif
