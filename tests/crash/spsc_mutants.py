#!/usr/bin/env python3
"""Deliberate faults in the ring of links: can the checkers of this directory see at all? See mutants.py.

usage: spsc_mutants.py [--cc CC] [--source DIR] [--only NAME,...] [--jobs N] [--seed N] [--seconds N] [--long]
"""
import sys

import mutants

MUTANTS = [
    # name, what is wrong, [(old, new), ...]
    ("word-before-small-bytes", "a small message's word is stored before its bytes", [
        ("    yk_spsc_copy(slot + YK_SPSC_BYTES, data, size);\n"
         "    /* SYNC spsc.publish release: the bytes before the word. This store is the commit. */\n"
         "    yk_store_release(yk_spsc_word(slot), (uint64_t)yk_spsc_stamp(ring, index) << 32 | size);",
         "    yk_store_release(yk_spsc_word(slot), (uint64_t)yk_spsc_stamp(ring, index) << 32 | size);\n"
         "    yk_spsc_copy(slot + YK_SPSC_BYTES, data, size);")]),
    ("word-before-tagged-bytes", "a tagged message's word is stored before its bytes", [
        ("    yk_spsc_copy(yk_spsc_slot(ring, sender->sent) + YK_SPSC_TAGGED_BYTES, data, size);\n"
         "    publish(sender, YK_SPSC_TAGGED | mark, size);",
         "    publish(sender, YK_SPSC_TAGGED | mark, size);\n"
         "    yk_spsc_copy(yk_spsc_slot(ring, sender->sent - 1) + YK_SPSC_TAGGED_BYTES, data, size);")]),
    ("word-before-buffer", "a buffered message's word is stored before its bytes", [
        ("    memcpy(ring->buffer + offset, data, size);\n    publish_buffered(sender, offset, size, tag, mark);",
         "    publish_buffered(sender, offset, size, tag, mark);\n    memcpy(ring->buffer + offset, data, size);")]),
    ("word-before-offset", "a buffered message's word is stored before its offset", [
        ("    yk_store_relaxed(slot_field(ring, sender->sent, YK_SPSC_OFFSET), offset);\n", ""),
        ("    publish(sender, YK_SPSC_BUFFERED | mark, size);",
         "    publish(sender, YK_SPSC_BUFFERED | mark, size);\n"
         "    yk_store_relaxed(slot_field(ring, sender->sent - 1, YK_SPSC_OFFSET), offset);")]),
    ("no-mark", "a tagged message is not marked", [
        ("    publish(sender, YK_SPSC_TAGGED | mark, size);", "    (void)mark;\n    publish(sender, YK_SPSC_TAGGED, size);")]),
    ("no-buffered-mark", "a buffered message is not marked", [
        ("    publish(sender, YK_SPSC_BUFFERED | mark, size);",
         "    (void)mark;\n    publish(sender, YK_SPSC_BUFFERED, size);")]),
    ("mark-forgotten", "what is marked is not so any more once it was in hand", [
        (".marked = (uint16_t)marked};", ".marked = 0};")]),
    ("no-tag", "a buffered message's tag is not stored", [
        ("    yk_store_relaxed(slot_field(ring, sender->sent, YK_SPSC_BUFFERED_TAG), tag);\n", "    (void)tag;\n")]),
    ("take-any-stamp", "a take looks for any stamp", [
        ("        if ((uint32_t)(word >> 32) != yk_spsc_stamp(ring, index))\n            return 0;\n"
         "        /* an honest",
         "        if (word >> 32 == 0)\n            return 0;\n        /* an honest")]),
    ("recv-any-stamp", "the short way of receiving looks for any stamp", [
        ("    if ((uint32_t)(word >> 32) != yk_spsc_stamp(ring, index))\n        return false;\n    if (size >",
         "    if (word >> 32 == 0)\n        return false;\n    if (size >")]),
    ("stamp-of-one-lap", "lap 0 is stamped 0, as zeroed memory is", [
        ("(uint32_t)(index >> ring->geometry.slots_log2) + 1;", "(uint32_t)(index >> ring->geometry.slots_log2);")]),
    ("stamp-halved", "two laps have the same stamp", [
        ("(uint32_t)(index >> ring->geometry.slots_log2) + 1;",
         "(uint32_t)(index >> ring->geometry.slots_log2 >> 1) + 1;")]),
    ("published-next-lap", "the word bears the stamp of the next slot's lap", [
        ("    uint64_t stamp = yk_spsc_stamp(ring, sender->sent);",
         "    uint64_t stamp = yk_spsc_stamp(ring, sender->sent + 1);")]),
    ("released-before-copy", "the short way of receiving releases before it copies", [
        ("    yk_spsc_copy(buffer, slot + YK_SPSC_BYTES, size);\n"
         "    receiver->taken = receiver->released = index + 1;\n"
         "    /* SYNC spsc.release release: after the copy */\n"
         "    yk_store_release(&ring->shm->released, index + 1);",
         "    receiver->taken = receiver->released = index + 1;\n"
         "    yk_store_release(&ring->shm->released, index + 1);\n"
         "    yk_spsc_copy(buffer, slot + YK_SPSC_BYTES, size);")]),
    ("recv-not-taken", "the short way of receiving does not store `taken`", [
        ("    yk_store_relaxed(&ring->shm->taken, index + 1);\n    yk_fence_compiler();\n", "")]),
    ("recv-overtakes", "the short way of receiving acknowledges what is lent, too", [
        ("index >= receiver->quick_until || receiver->released != index)", "index >= receiver->quick_until)")]),
    ("recv-without-receipt", "the short way of receiving does not look at receipts", [
        ("        index >= receiver->quick_until || receiver->released != index)",
         "        receiver->released != index)")]),
    ("recv-big-without-receipt", "that of receiving big ones does not look at receipts", [
        ("index >= receiver->quick_until ||\n        receiver->released != index || decode", "receiver->released != index || decode")]),
    ("not-taken", "`taken` is not stored", [
        ("    yk_store_relaxed(&receiver->ring.shm->taken, receiver->taken);", "")]),
    ("taken-after-the-caller", "`taken` is stored with the next take", [
        ("    receiver->taken = index + 1;\n"
         "    /* relaxed: only for who comes after this process's death */\n"
         "    yk_store_relaxed(&receiver->ring.shm->taken, receiver->taken);",
         "    yk_store_relaxed(&receiver->ring.shm->taken, receiver->taken);\n"
         "    receiver->taken = index + 1;")]),
    ("too-big-is-taken", "a message that is too big for the buffer is taken", [
        ("        if (message.size > capacity)\n            return -EMSGSIZE;\n        step_over(receiver, index);",
         "        step_over(receiver, index);\n        if (message.size > capacity)\n            return -EMSGSIZE;")]),
    ("receipt-unstamped", "a receipt bears no stamp", [
        ("(uint64_t)yk_spsc_stamp(ring, index) << 32 | value);", "value);")]),
    ("receipt-of-any-lap", "a receipt's stamp is not looked at", [
        ("    return receipt >> 32 != yk_spsc_stamp(ring, index) ? 0 : (uint32_t)receipt;",
         "    return (uint32_t)receipt;")]),
    ("done-lost", "what is released out of order leaves no receipt", [
        ("    else\n        write_receipt(&receiver->ring, index, YK_SPSC_DONE);", "")]),
    ("done-by-the-last", "a receipt `done` is written with the next release", [
        ("    lent->state = YK_SPSC_RELEASED;\n    if (index == receiver->released)\n        advance(receiver);\n    else",
         "    lent->state = YK_SPSC_RELEASED;\n    if (index == receiver->released)\n        advance(receiver);\n"
         "    else if (lent_at(receiver, index - 1)->state == YK_SPSC_RELEASED)")]),
    ("done-is-due", "`done` is not looked at by who comes after", [
        ("    bool done = (receipt & YK_SPSC_DONE) != 0;", "    bool done = false;")]),
    ("receipt-late", "a receipt is written after its message is released", [
        ("    if (index == receiver->released)\n        advance(receiver);\n    else\n"
         "        write_receipt(&receiver->ring, index, YK_SPSC_DONE);",
         "    if (index == receiver->released)\n        advance(receiver);\n"
         "    write_receipt(&receiver->ring, index + receiver->ring.mask + 1, YK_SPSC_DONE);")]),
    ("released-through", "a release goes on over what is lent", [
        ("    while (receiver->released != receiver->taken &&\n"
         "           lent_at(receiver, receiver->released)->state == YK_SPSC_RELEASED);",
         "    while (receiver->released != receiver->taken &&\n"
         "           lent_at(receiver, receiver->released)->state != YK_SPSC_RETURNED);")]),
    ("released-one-by-one", "what was released out of order stays", [
        ("    while (receiver->released != receiver->taken &&\n"
         "           lent_at(receiver, receiver->released)->state == YK_SPSC_RELEASED);",
         "    while (false);")]),
    ("released-twice", "a message can be released again", [
        ("    return in_hand && lent->state == YK_SPSC_LENT ? lent : NULL;", "    return in_hand ? lent : NULL;")]),
    ("return-not-counted", "a return counts no delivery", [
        ("    write_receipt(&receiver->ring, index, YK_SPSC_AGAIN | deliveries);",
         "    write_receipt(&receiver->ring, index, YK_SPSC_AGAIN | (deliveries - 1));")]),
    ("return-counted-twice", "recovery counts what a return has counted", [
        ("    write_receipt(&receiver->ring, index, YK_SPSC_AGAIN | deliveries);",
         "    write_receipt(&receiver->ring, index, deliveries);")]),
    ("return-forgotten", "a returned message is not remembered", [
        ("    lent->state = YK_SPSC_RETURNED;\n    receiver->returned++;", "    lent->state = YK_SPSC_RETURNED;")]),
    ("returned-last", "a returned message comes after the new ones", [
        ("    if (receiver->returned > 0)\n        return take_returned",
         "    if (receiver->returned > 0 && !is_sent(ring, receiver->taken))\n        return take_returned")]),
    ("returned-once-too-often", "a return does not look at max_deliveries", [
        ("    if (geometry->once || deliveries + lent->marked >= geometry->max_deliveries) {",
         "    if (geometry->once || deliveries + lent->marked > geometry->max_deliveries) {")]),
    ("due-once-too-often", "one delivery more than max_deliveries", [
        ("count + marked < ring->geometry.max_deliveries", "count + marked <= ring->geometry.max_deliveries")]),
    ("again-stays", "`again` is not cleared when the message goes out", [
        ("    write_receipt(ring, index, receipt & COUNT_MASK);", "    write_receipt(ring, index, receipt);")]),
    ("never-renewed", "a receipt is written only when `again` goes", [
        ("    write_receipt(ring, index, receipt & COUNT_MASK);",
         "    if (receipt & YK_SPSC_AGAIN)\n        write_receipt(ring, index, receipt & COUNT_MASK);")]),
    ("renewed-to-nothing", "a receipt that is renewed forgets what it said of its message", [
        ("    write_receipt(ring, index, receipt & COUNT_MASK);", "    write_receipt(ring, index, 0);")]),
    ("renewed-unstamped", "a receipt is renewed with the stamp that it had", [
        ("    write_receipt(ring, index, receipt & COUNT_MASK);",
         "    yk_store_relaxed(&ring->receipts[index & ring->mask],\n"
         "                     yk_load_relaxed(&ring->receipts[index & ring->mask]) & ~YK_SPSC_AGAIN);")]),
    ("take-renews-nothing", "in the lap that renews, a take does not", [
        ("        bool quick = index < receiver->quick_until;",
         "        bool quick = index < receiver->quick_until || index >= receiver->receipts_until;")]),
    ("renewing-begins-late", "the first message of the lap that renews is taken the short way", [
        ("slow ? 0 : last_lap << slots_log2;", "slow ? 0 : (last_lap << slots_log2) + 1;")]),
    ("renewing-ends-early", "the last message of the lap that renews is taken the short way", [
        ("    uint64_t last_lap = receiver->taken >> slots_log2 | (YK_SPSC_PERIOD - 1);",
         "    uint64_t last_lap = (receiver->taken + 1) >> slots_log2 | (YK_SPSC_PERIOD - 1);")]),
    ("renewing-is-over", "one who is in the lap that renews looks ahead to the next", [
        ("    uint64_t last_lap = receiver->taken >> slots_log2 | (YK_SPSC_PERIOD - 1);",
         "    uint64_t last_lap = ((receiver->taken >> slots_log2) + 1) | (YK_SPSC_PERIOD - 1);")]),
    ("receipts-over-early", "a look ahead forgets that there are receipts", [
        ("    bool slow = receiver->taken < receiver->receipts_until;",
         "    bool slow = receiver->taken + 1 < receiver->receipts_until;")]),
    ("resume-forgets-renewing", "a new receiver does not ask whether it is in the lap that renews", [
        ("            receiver->receipts_until = i + 1;\n    }\n    look_ahead(receiver);",
         "            receiver->receipts_until = i + 1;\n    }\n"
         "    receiver->quick_until = receiver->receipts_until > released ? 0 : UINT64_MAX;")]),
    ("resume-at-taken", "a new receiver begins at `taken`, which recovery leaves", [
        ("    yk_store_release(&ring->shm->taken, released);\n    return given_back;", "    return given_back;"),
        ("    uint64_t released = yk_load_acquire(&ring->shm->released);\n    receiver->released",
         "    uint64_t released = yk_load_acquire(&ring->shm->taken);\n    receiver->released")]),
    ("resume-without-receipts", "a new receiver does not look at receipts", [
        ("            receiver->receipts_until = i + 1;", "            receiver->receipts_until = released;")]),
    ("resume-misses-last-receipt", "a new receiver does not look at the last receipt", [
        ("            receiver->receipts_until = i + 1;", "            receiver->receipts_until = i;")]),
    ("recover-taken-first", "recovery stores `taken` before the receipts", [
        ("    for (uint64_t i = released; i - released < in_hand; i++) {",
         "    yk_store_release(&ring->shm->taken, released);\n"
         "    for (uint64_t i = released; i - released < in_hand; i++) {")]),
    ("recover-counts-again", "a recovery that is done again counts again", [
        ("        if (receipt & (YK_SPSC_DONE | YK_SPSC_AGAIN))", "        if (receipt & YK_SPSC_DONE)")]),
    ("recover-done", "recovery gives back what is released", [
        ("        if (receipt & (YK_SPSC_DONE | YK_SPSC_AGAIN))", "        if (receipt & YK_SPSC_AGAIN)")]),
    ("recover-not-the-last", "recovery does not look at the last one in hand", [
        ("    for (uint64_t i = released; i - released < in_hand; i++) {",
         "    for (uint64_t i = released; i - released + 1 < in_hand; i++) {")]),
    ("once-again", "policy once delivers again", [
        ("ring->geometry.once ? YK_SPSC_DONE : YK_SPSC_AGAIN | one_more(receipt));",
         "YK_SPSC_AGAIN | one_more(receipt));")]),
    ("one-too-many", "depth + 1 messages", [
        ("    return result < 0 ? result : sender->sent - sender->released < depth;",
         "    return result < 0 ? result : sender->sent - sender->released <= depth;")]),
    ("one-too-many-small", "depth + 1 messages by the short way of sending", [
        ("        index - sender->released >= ring->geometry.depth)",
         "        index - sender->released > ring->geometry.depth)")]),
    ("one-too-few", "depth - 1 messages", [
        ("    return result < 0 ? result : sender->sent - sender->released < depth;",
         "    return result < 0 ? result : sender->sent - sender->released + 1 < depth;")]),
    ("released-not-looked-at", "the sender does not look how far the receiver is", [
        ("    sender->released = released;\n    return 0;", "    return 0;")]),
    ("piece-freed-early", "a piece is freed while its message is the oldest that is not released", [
        ("(int64_t)(sender->released - index) <= 0))", "(int64_t)(sender->released - index) < 0))")]),
    ("loan-freed", "a loan is freed as a message is", [
        ("        if (index == YK_SPSC_LOANED ||\n            (index", "        if ((index")]),
    ("cancelled-stays", "a cancelled loan is not freed", [
        ("    piece->index = YK_SPSC_UNUSED;", "    piece->index = YK_SPSC_LOANED;")]),
    ("committed-stays", "a committed loan stays a loan", [
        ("    piece->index = sender->sent;\n", "")]),
    ("commit-wrong-index", "a committed loan is freed with the message before it", [
        ("    piece->index = sender->sent;\n", "    piece->index = sender->sent - 1;\n")]),
    ("place-around", "a piece around the end overlaps the first by a unit", [
        ("    return !around || size <= begin - end;", "    return !around || size <= begin - end + UNIT;")]),
    ("place-beyond", "a piece goes beyond the end of the buffer", [
        ("    if (!around && size > all - end) {", "    if (!around && size > all - end + UNIT) {")]),
    ("place-from-start", "a piece is always taken from the start", [
        ("    *ret_offset = end;\n    return !around", "    *ret_offset = 0;\n    return !around")]),
    ("resume-sender-early", "a new sender overwrites the newest message of a full ring", [
        ("    for (; index - sender->released < ring->geometry.depth && is_sent(ring, index); index++) {",
         "    for (; index - sender->released + 1 < ring->geometry.depth && is_sent(ring, index); index++) {")]),
    ("resume-sender-any", "a new sender takes any stamp for a message", [
        ("    for (; index - sender->released < ring->geometry.depth && is_sent(ring, index); index++) {",
         "    for (; index - sender->released < ring->geometry.depth && (is_sent(ring, index) ||\n"
         "           yk_spsc_word(yk_spsc_slot(ring, index))->raw != 0); index++) {")]),
    ("resume-sender-no-pieces", "a new sender does not know of pieces in use", [
        ("        if ((word & YK_SPSC_BUFFERED) == 0 ||", "        if ((word & YK_SPSC_BUFFERED) != 0 ||")]),
    ("resume-sender-small-pieces", "a new sender takes all pieces for one unit", [
        (".size = round_up(message.size > 0 ? message.size : 1, UNIT),", ".size = UNIT,")]),
    ("resume-sender-unordered", "a new sender takes the order of messages for that of the pieces", [
        ("    qsort(pieces, count, sizeof *pieces, by_offset);\n", "")]),
    ("resume-sender-first-gap", "a new sender begins its run at the start of the buffer", [
        ("    uint64_t begin = widest_gap(pieces, count, sender->ring.geometry.buffer);",
         "    uint64_t begin = 0;")]),
]

# What a mutant must come through to survive, the quickest first.
CHECKS = [
    ["spsc_schedules", "--share", "0.03"],
    ["spsc_sweep", "--share", "0.03"],
    ["spsc_schedules", "--setup", "planned"],
    ["spsc_schedules", "--length", "2", "--share", "0.05"],
    ["spsc_schedules", "--processes", "3", "--share", "0.02"],
    ["spsc_sweep", "--mode", "resume", "--share", "0.01"],
    ["spsc_schedules", "--share", "1"],
    ["spsc_schedules", "--length", "3", "--share", "0.2"],
    ["spsc_sweep", "--share", "0.2"],
]
LONG_CHECKS = [
    ["spsc_schedules", "--length", "2"],
    ["spsc_schedules", "--processes", "3", "--seconds", "600"],
    ["spsc_sweep", "--mode", "resume", "--seconds", "600"],
    ["spsc_sweep", "--mode", "pair", "--seconds", "600"],
]

WORLD = ["tools", "shuffle", "spsc_starts", "spsc_operations", "spsc_model", "coroutine"]
LINK = mutants.Ring(["ring/spsc.c", "ring/spsc.h"], MUTANTS, CHECKS, LONG_CHECKS,
                    {"spsc_schedules": WORLD + ["walk", "spsc_schedules"],
                     "spsc_sweep": WORLD + ["stepper", "spsc_sweep"]}, ["spsc_operations"])

if __name__ == "__main__":
    sys.exit(mutants.main(LINK))
