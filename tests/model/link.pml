/*
 * link.pml - one direction of a link, src/ring/spsc.c, with its sides (src/link.c,
 * src/memory/participant.c) and their recovery, as a model for spin. README.md says how it is run.
 *
 * A sender sends small messages (in the slot) and bigger ones (in the buffer, of one unit or two); a
 * receiver takes, copies, releases in any order, or gives back. Each may die before any access; the
 * sender recovers the receiver's side, or somebody new takes a side over, and goes on there. When
 * both have ended the auditor takes over both sides: nothing is lost, delivered twice unmarked, torn
 * or out of order, and the link takes as much as a new one.
 *
 * Each `atomic` that begins with DIE is one access of the C code to shared memory, or one request to
 * the kernel. Memory model: sequentially consistent. Each word has one writer, and what must be
 * ordered is stored before a release store (bytes, then word; reading, then `released`), which keeps
 * the order of stores as this model has it; no access here need be ordered before a later load
 * (waking, which does, is in wakeup.pml).
 *
 * Not modelled: loans, tags, hostile values, and the short ways of one message, which make the same
 * accesses in the same order.
 */
#ifndef MSGS
#define MSGS 4
#endif
#ifndef TRIES
#define TRIES 4 /* of the receiver, to take one */
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef DEPTH
#define DEPTH 2
#endif
#ifndef UNITS
#define UNITS 3 /* of the buffer; 0: all messages are small */
#endif
#ifndef STAMPS
#define STAMPS 4 /* 2^32 in the C code */
#endif
#ifndef PERIOD
#define PERIOD 2 /* laps, the last of which renews the receipts; 2^16 in the C code */
#endif
#ifndef START
#define START (SLOTS * (STAMPS - 2)) /* of this lap the stamp is the last one, then comes 0 */
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef REJOINS
#define REJOINS 1
#endif
#ifndef RETURNS
#define RETURNS 1
#endif
#ifndef MAX_DELIVERIES
#define MAX_DELIVERIES 3 /* more than there can be: as many as two bits count */
#endif
#ifndef ONCE
#define ONCE 0
#endif

#define PIECES (2 * SLOTS)
#define LAST   (MSGS + DEPTH + 1)
#define SENDER   0
#define RECEIVER 1
#define AUDITOR  2

#define SLOT(index)  ((index) % SLOTS)
#define STAMP(index) (((index) / SLOTS + 1) % STAMPS)
#define MESSAGE(index) ((index) - START + 1)

/* ---- what is shared ---- */

/* a slot: its word (stamp | size; size 0 is small, else units of the buffer), and the rest of it */
byte stamp[SLOTS], size[SLOTS], bytes[SLOTS], offset[SLOTS];
byte buffer[UNITS + 1];
byte released = START, taken = START;
/* a receipt: stamp | done | again | how often it was delivered before */
#define DONE  8
#define OFTEN 3
#define AGAIN 4
byte receipt[SLOTS];
bool used[2], alive[2];
byte recovery[2];

/* ---- the ledger ---- */

#define RELEASED 1 /* its receiver is releasing it, or it is being dropped */
#define ACKED    2 /* that is in memory */
#define SEEN     4 /* a receiver had it in hand */
byte ledger[LAST + 1];
byte hands[LAST + 1]; /* so often a receiver had it in hand */
byte committed; /* so many messages */
byte faults = FAULTS, rejoins = REJOINS, returns = RETURNS, ended;

#define ON(m, flag) ledger[m] = ledger[m] | (flag)
#define IS(m, flag) ((ledger[m] & (flag)) != 0)

#define DIE                                                 \
    if                                                      \
    :: true                                                 \
    :: me != AUDITOR && faults > 0 -> faults--; goto died   \
    fi

/* ---- the sender ---- */

/* look_released(), drop_unused_pieces() */
inline look_released()
{
    atomic { DIE; seen = released }; /* yk_load_seq(released) */
    drop_pieces()
}

inline drop_pieces()
{
    do
    :: first != end && piece_index[first % PIECES] < seen -> first++
    :: else -> break
    od;
    if
    :: first >= PIECES -> first = first - PIECES; end = end - PIECES
    :: else
    fi
}

/* find_place(): for `need` units; `ok`, `at`. */
inline find_place()
{
    ok = 0; at = 0;
    if
    :: first == end -> ok = (need <= UNITS)
    :: first != end && end - first >= PIECES
    :: first != end && end - first < PIECES ->
        at = piece_offset[(end + PIECES - 1) % PIECES] + piece_size[(end + PIECES - 1) % PIECES];
        begin = piece_offset[first % PIECES];
        around = (at <= begin);
        if
        :: !around && need > UNITS - at -> around = 1; at = 0
        :: else
        fi;
#ifdef MUTANT_PIECES_OVERLAP
        ok = !around || need <= begin + 1 - at;
#else
        ok = !around || need + at <= begin;
#endif
        begin = 0; around = 0
    fi
}

/* yk_spsc_send() of message `next`: `ok`. */
inline send()
{
    ok = 1;
    /* get_slot() */
    if
#ifdef MUTANT_ONE_MORE
    :: next - seen <= DEPTH
#else
    :: next - seen < DEPTH
#endif
    :: else -> look_released(); ok = (next - seen < DEPTH)
    fi;
    if
    :: ok -> /* how big it is */
        if
        :: need = 0
#if UNITS > 0
        :: need = 1
        :: need = 2
#endif
        fi;
        if
        :: need > 0 -> /* take_piece() */
            atomic { drop_pieces(); find_place() };
            if
            :: !ok -> look_released(); find_place()
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    if
    :: ok ->
#ifdef MUTANT_WORD_FIRST
        publish();
#endif
        if
        :: need == 0 -> atomic { DIE; bytes[SLOT(next)] = MESSAGE(next) } /* yk_spsc_copy() */
        :: need > 0 ->
            piece_offset[end % PIECES] = at; piece_size[end % PIECES] = need;
            piece_index[end % PIECES] = next;
            end++;
            atomic { DIE; buffer[at] = MESSAGE(next) }; /* memcpy(), a unit at a time */
            if
            :: need == 2 -> atomic { DIE; buffer[at + 1] = MESSAGE(next) }
            :: else
            fi;
            atomic { DIE; offset[SLOT(next)] = at } /* yk_store_relaxed(offset) */
        fi;
#ifndef MUTANT_WORD_FIRST
        publish();
#endif
        next++
    :: else
    fi;
    atomic { need = 0; at = 0 }
}

inline publish()
{
    atomic { DIE; /* yk_store_release(word): sent */
        assert(MESSAGE(next) == committed + 1);
        committed++;
        stamp[SLOT(next)] = STAMP(next); size[SLOT(next)] = need
    }
}

/* yk_spsc_resume_sender(). The pieces are put in the order of their messages, which is the buffer's. */
inline resume_sender()
{
    atomic { DIE; seen = released }; /* yk_load_acquire(released) */
    next = seen; first = 0; end = 0;
#ifndef MUTANT_RESUME_AT_RELEASED
    do
    :: next - seen < DEPTH ->
        atomic { DIE; ok = (stamp[SLOT(next)] == STAMP(next)); need = size[SLOT(next)] }; /* is_sent() */
        if
        :: !ok -> break
        :: ok && need > 0 ->
            atomic { DIE; at = offset[SLOT(next)] }; /* decode() */
#ifndef MUTANT_PIECES_FORGOTTEN
            piece_offset[end % PIECES] = at; piece_size[end % PIECES] = need;
            piece_index[end % PIECES] = next;
            end++;
#endif
            next++
        :: else -> next++
        fi
    :: else -> break
    od;
#endif
    atomic { ok = 0; need = 0; at = 0 }
}

/* ---- the receiver ---- */

#define FRESH    0
#define LENT     1
#define RETURNED 2
#define FREED    3 /* released, while an older one is not */

/* read_receipt(): of message j, `note`: flags and count, or 0 when it is an older message's. */
inline read_receipt()
{
    atomic { DIE; /* yk_load_relaxed(receipt) */
        note = receipt[SLOT(j)];
#ifdef MUTANT_RECEIPT_WITHOUT_STAMP
        note = note & 15
#else
        note = (note >> 4 == STAMP(j) -> note & 15 : 0)
#endif
    }
}

#define WRITE_RECEIPT(value) receipt[SLOT(j)] = (STAMP(j) << 4) | (value)
#define ONE_MORE(value) (((value) & OFTEN) < OFTEN -> ((value) & OFTEN) + 1 : ((value) & OFTEN))

/* advance(): all before the oldest that is in hand. Then the store. */
inline advance()
{
    do
    :: lent[SLOT(done)] = FRESH; done++;
        if
        :: done == next && true -> break
        :: done != next && lent[SLOT(done)] != FREED -> break
        :: else
        fi
    od;
    atomic { DIE; /* yk_store_release(released) */
        released = done;
        m = 1;
        do
        :: m < MESSAGE(done) ->
            assert(IS(m, RELEASED));
            ON(m, ACKED); m++
        :: else -> m = 0; break
        od
    }
}

/* step_over(): message j = next is in hand from here on. */
inline step_over()
{
    next++;
#ifndef MUTANT_TAKEN_NOT_STORED
    atomic { DIE; taken = next; hands[MESSAGE(j)]++ } /* yk_store_relaxed(taken) */
#endif
}

/* look_ahead(): those before `quick` are taken without a look at their receipts. */
inline look_ahead()
{
    if
    :: next < until -> quick = 0
    :: else -> quick = ((next / SLOTS) | (PERIOD - 1)) * SLOTS
    fi
}

/* count_delivery(): `often`; the receipt is written anew, also where it was another message's. */
inline count_delivery()
{
    often = ONE_MORE(note);
#ifdef MUTANT_NEVER_RENEWED
    if
    :: note & AGAIN -> atomic { DIE; WRITE_RECEIPT(note & OFTEN) }
    :: else
    fi
#else
    atomic { DIE; WRITE_RECEIPT(note & OFTEN) } /* write_receipt() */
#endif
}

/* It goes out: what a receiver may rely on. */
inline handed_out()
{
    m = MESSAGE(j);
    assert(m <= committed && !IS(m, ACKED));
    assert(!IS(m, SEEN) || often > 1);
    assert(IS(m, SEEN) || often == 1 || FAULTS > 0);
    ledger[m] = SEEN; /* whoever was releasing it died before it had */
    m = 0
}

/* yk_spsc_take(): `got`, j, often. */
inline take()
{
    got = 0;
    if
    :: returned > 0 -> /* take_returned() */
        j = done;
        do
        :: lent[SLOT(j)] != RETURNED -> j++
        :: else -> break
        od;
        atomic { lent[SLOT(j)] = LENT; returned--; hands[MESSAGE(j)]++ };
        read_receipt();
        count_delivery();
        got = 1
    :: else ->
        do
        :: j = next;
            atomic { DIE; /* yk_load_seq(word) */
#ifdef MUTANT_NO_STAMP
                ok = (stamp[SLOT(j)] != 0)
#else
                ok = (stamp[SLOT(j)] == STAMP(j))
#endif
            };
            if
            :: !ok -> j = 0; break
            :: else
            fi;
            often = 1; note = 0;
            if
            :: j >= quick -> read_receipt() /* is_due() */
            :: else
            fi;
            if
            :: j >= quick && ((note & DONE) || (note & OFTEN) >= MAX_DELIVERIES) ->
                if
                :: !(note & DONE) ->
                    atomic { DIE; /* write_receipt(): dropped, and not too early */
                        assert(hands[MESSAGE(j)] >= MAX_DELIVERIES);
                        WRITE_RECEIPT(DONE); ON(MESSAGE(j), RELEASED | ACKED)
                    }
                :: else
                fi;
                step_over();
                look_ahead();
                lent[SLOT(j)] = FREED;
                if
                :: j == done -> advance()
                :: else
                fi
            :: else ->
                if
                :: j >= quick -> count_delivery(); step_over(); look_ahead()
                :: else -> step_over()
                fi;
                lent[SLOT(j)] = LENT; got = 1; break
            fi
        od
    fi;
    if
    :: got -> handed_out()
    :: else
    fi;
    atomic { ok = 0; note = 0; often = 0 }
}

/* The caller reads message j, a unit at a time. */
inline copy()
{
    atomic { DIE; need = size[SLOT(j)]; at = offset[SLOT(j)];
        if
        :: need == 0 -> assert(bytes[SLOT(j)] == MESSAGE(j))
        :: else -> assert(buffer[at] == MESSAGE(j))
        fi
    };
    if
    :: need == 2 -> atomic { DIE; assert(buffer[at + 1] == MESSAGE(j)) }
    :: else
    fi;
    atomic { need = 0; at = 0 }
}

/* yk_spsc_release() of message j */
inline release()
{
    atomic { ON(MESSAGE(j), RELEASED); lent[SLOT(j)] = FREED };
    if
    :: j == done -> advance()
    :: else -> atomic { DIE; WRITE_RECEIPT(DONE); ON(MESSAGE(j), ACKED) } /* write_receipt() */
    fi;
    j = 0
}

/* yk_spsc_return() of message j */
inline give_back()
{
    read_receipt();
    often = ONE_MORE(note);
    if
    :: ONCE || often >= MAX_DELIVERIES -> release()
    :: else ->
        atomic { DIE; WRITE_RECEIPT(AGAIN | often) }; /* write_receipt() */
        lent[SLOT(j)] = RETURNED; returned++
    fi;
    atomic { note = 0; often = 0; j = 0 }
}

/* yk_spsc_recover_receiver(): whose recovery byte is ours. */
inline recover_receiver()
{
    atomic { DIE; begin = released }; /* yk_load_acquire(released) */
    atomic { DIE; at = taken };       /* yk_load_relaxed(taken) */
#ifdef MUTANT_RECOVER_TAKEN_FIRST
    atomic { DIE; taken = begin };
#endif
    j = begin;
    do
    :: j < at && at - begin <= DEPTH ->
        read_receipt();
        if
#ifdef MUTANT_RECOVER_TWICE
        :: !(note & DONE) ->
#else
        :: !(note & (DONE | AGAIN)) ->
#endif
            atomic { DIE; /* write_receipt() */
                WRITE_RECEIPT((ONCE -> DONE : AGAIN | ONE_MORE(note)));
                if
                :: ONCE -> ON(MESSAGE(j), RELEASED | ACKED)
                :: else
                fi
            }
        :: else
        fi;
        j++
    :: else -> break
    od;
#ifndef MUTANT_RECOVER_TAKEN_FIRST
    atomic { DIE; taken = begin }; /* yk_store_release(taken): last */
#endif
    atomic { j = 0; at = 0; begin = 0; note = 0 }
}

/* yk_spsc_resume_receiver() */
inline resume_receiver()
{
    atomic { DIE; done = released }; /* yk_load_acquire(released) */
    next = done; until = done; returned = 0;
    j = 0;
    do
    :: j < SLOTS -> lent[j] = FRESH; j++
    :: else -> break
    od;
    j = done;
    do
    :: j - done < DEPTH ->
        read_receipt();
        if
        :: note != 0 -> until = j + 1
        :: else
        fi;
        j++
    :: else -> break
    od;
#ifdef MUTANT_RESUME_FORGETS_RENEWING
    if
    :: until > next -> quick = 0
    :: else -> quick = 255
    fi;
#else
    look_ahead();
#endif
    atomic { j = 0; note = 0 }
}

/* ---- sides ---- */

/* recover_slot(), of the other side */
inline recover_other(side)
{
    atomic { DIE; /* owner_is_dead(), then yk_sys_lock_byte(YK_RECOVERY_BYTE) */
        ok = used[side] && !alive[side] && recovery[side] == 0;
        if
        :: ok -> recovery[side] = me + 1
        :: else
        fi
    };
    if
    :: ok ->
        atomic { DIE; ok = used[side] && !alive[side] }; /* again */
        if
        :: ok ->
            recover_receiver();
            atomic { DIE; used[side] = 0 } /* yk_store_release(slot->word): last */
        :: else
        fi;
        atomic { DIE; recovery[side] = 0 } /* yk_sys_unlock_byte */
    :: else
    fi;
    ok = 0
}

/* try_slot() */
inline begin_join()
{
    atomic { DIE; recovery[me] == 0 -> recovery[me] = me + 1 }; /* yk_sys_lock_byte; else again */
    atomic { DIE; ok = used[me] }
}

inline end_join()
{
    ok = 0;
    atomic { DIE; alive[me] = 1 }; /* yk_sys_lock_byte(life byte) */
    atomic { DIE; used[me] = 1 };  /* claim_slot(): yk_store_release(slot->word) */
}

inline drop_locks()
{
    alive[me] = 0;
    if
    :: recovery[0] == me + 1 -> recovery[0] = 0
    :: else
    fi;
    if
    :: recovery[1] == me + 1 -> recovery[1] = 0
    :: else
    fi
}

#define PRIVATE_BOTH byte n, m, j, next, seen, need, at, begin, note; bool ok
#define PRIVATE_SENDER \
    byte first, end, piece_offset[PIECES], piece_size[PIECES], piece_index[PIECES]; bool around
#define PRIVATE_RECEIVER byte done, until, quick, returned, often, lent[SLOTS]; bool got

inline forget_sender()
{
    j = 0; next = 0; seen = 0; need = 0; at = 0; begin = 0; note = 0; ok = 0; first = 0; end = 0; around = 0;
    m = 0;
    do
    :: m < PIECES -> piece_offset[m] = 0; piece_size[m] = 0; piece_index[m] = 0; m++
    :: else -> m = 0; break
    od
}

inline forget_receiver()
{
    j = 0; next = 0; need = 0; at = 0; begin = 0; note = 0; ok = 0; done = 0; until = 0; quick = 0; returned = 0;
    often = 0; got = 0;
    m = 0;
    do
    :: m < SLOTS -> lent[m] = 0; m++
    :: else -> m = 0; break
    od
}

proctype sender()
{
    PRIVATE_BOTH;
    PRIVATE_SENDER;
    byte me = SENDER;
    goto resume;
again:
    begin_join();
    if
    :: ok -> atomic { DIE; used[me] = 0 } /* recover_side(): nothing of this direction */
    :: else
    fi;
    end_join();
    atomic { DIE; recovery[me] = 0 };
resume:
    resume_sender(); /* joined() */
    do
    :: n < MSGS -> n++; send(); ok = 0
    :: n < MSGS && used[RECEIVER] && !alive[RECEIVER] -> recover_other(RECEIVER)
    :: else -> break
    od;
    atomic { forget_sender(); goto out };
died:
    atomic {
        drop_locks(); forget_sender();
        if
        :: rejoins > 0 -> rejoins--; goto again
        :: true
        fi
    };
out:
    atomic { n = 0; ended++ }
}

/* The oldest, or the youngest, that it has in hand. */
inline choose_lent()
{
    do
    :: j < next && lent[SLOT(j)] != LENT -> j++
    :: else -> break
    od
}

proctype receiver()
{
    PRIVATE_BOTH;
    PRIVATE_RECEIVER;
    byte me = RECEIVER;
    goto resume;
again:
    begin_join();
    if
    :: ok ->
        recover_receiver();
        atomic { DIE; used[me] = 0 } /* yk_store_release(slot->word) */
    :: else
    fi;
    end_join();
    atomic { DIE; recovery[me] = 0 };
resume:
    resume_receiver();
    do
    :: n < TRIES ->
        n++;
        take();
        j = 0
    :: done < next -> /* one of those in hand, in any order */
        j = done;
        choose_lent();
        if
        :: j + 1 < next && lent[SLOT(j + 1)] == LENT -> j++
        :: true
        fi;
        if
        :: j < next && lent[SLOT(j)] == LENT ->
            if
            :: returns > 0 -> returns--; give_back()
            :: true ->
#ifdef MUTANT_RELEASE_BEFORE_COPY
                m = j; release(); j = m; m = 0; copy(); j = 0
#else
                copy(); release()
#endif
            fi
        :: else -> /* only what it gave back, which it may take again */
            j = 0;
            if
            :: n == TRIES -> break
            :: else
            fi
        fi
    :: n == TRIES -> break
    od;
    atomic { forget_receiver(); goto out }; /* what it has in hand is given back, as of a dead one */
died:
    atomic {
        forget_receiver();
        drop_locks();
        if
        :: rejoins > 0 -> rejoins--; goto again
        :: true
        fi
    };
out:
    atomic { alive[RECEIVER] = 0; n = 0; ended++ }
}

inline take_all()
{
    resume_receiver();
    do
    :: take();
        if
        :: got -> copy(); release()
        :: else -> break
        fi
    od;
    m = 1;
    do
    :: m <= committed -> assert(IS(m, ACKED)); m++
    :: else -> m = 0; break
    od;
    assert(MESSAGE(released) == committed + 1);
    forget_receiver()
}

/* Takes over both sides in turn. */
proctype auditor()
{
    PRIVATE_BOTH;
    PRIVATE_SENDER;
    PRIVATE_RECEIVER;
    byte me = AUDITOR, round;
    atomic {
        ended == 2;
        do
        :: round == 0 || round == 2 ->
            recover_receiver();
            take_all();
            round++;
            if
            :: round == 3 -> break
            :: else
            fi
        :: round == 1 ->
            resume_sender();
            do
            :: n <= DEPTH ->
                send();
                n++;
                /* as much as a new one; of big ones at least one */
                assert(ok == (n <= DEPTH) || (UNITS > 0 && n > 1));
                if
                :: ok -> ok = 0
                :: else -> break
                fi
            :: else -> break
            od;
            forget_sender();
            round++
        od
    };
    goto out;
died:
    skip;
out:
    skip
}

init {
    atomic {
        byte k;
        do
        :: k < SLOTS -> /* as the lap before left it */
            stamp[k] = (STAMP(START) + STAMPS - 1) % STAMPS;
#ifdef OLD_RECEIPTS /* whose stamp comes again two laps on: one of the two laps before that renews */
            receipt[k] = (STAMP(START + 2 * SLOTS) << 4) | DONE;
#endif
            k++
        :: else -> k = 0; break
        od;
        alive[SENDER] = 1; used[SENDER] = 1; alive[RECEIVER] = 1; used[RECEIVER] = 1;
        run sender();
        run receiver();
        run auditor()
    }
}
