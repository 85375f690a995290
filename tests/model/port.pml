/*
 * port.pml - src/ring/port_ring.c with its pools (src/pool.c), its slots (src/memory/participant.c)
 * and their recovery (src/memory/recovery.c), as a model for spin. tests/model/README.md says how it
 * is run, and within which bounds.
 *
 * Senders and receivers do a few operations each; any of them may die (or, with STOP, stop for ever)
 * before any access to what is shared. When all have ended the auditor comes: it recovers the dead,
 * takes what is there, and looks whether anything was lost, given to two, delivered twice unmarked,
 * or leaked, and whether the ring takes as much as a new one. Each `atomic` that begins with DIE is
 * one access of the C code to shared memory (or one request to the kernel), which is named beside
 * it; what follows the access in the same `atomic` is private, or the ledger.
 *
 * Memory model: sequentially consistent. All that decides is a compare-and-swap or an add, which are
 * full fences in the C code; the plain stores (word, returning, settled, hints) come before one of
 * these or are only hints.
 *
 * Not modelled: several rings, EMSGSIZE, statistics, the bounds of loops (a bound that is reached
 * answers "full" or "empty", as another branch here does), hostile values.
 */

/* ---- bounds; see spin.py ---- */

#ifndef SENDERS
#define SENDERS 1
#endif
#ifndef RECEIVERS
#define RECEIVERS 2
#endif
#ifndef MSGS
#define MSGS 2 /* that each sender tries to send, once each */
#endif
#ifndef TRIES
#define TRIES 2 /* of each receiver, to take one */
#endif
#ifndef CELLS
#define CELLS 2
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef EACH
#define EACH 1 /* blocks in the pool of each sender */
#endif
#ifndef LAPS
#define LAPS 4 /* 2^25 in the C code */
#endif
#ifndef START
#define START (CELLS * (LAPS - 1)) /* the first position: one lap before the counter of laps wraps */
#endif
#ifndef FAULTS
#define FAULTS 1 /* deaths, or stops */
#endif
#ifndef REJOINS
#define REJOINS 0 /* how often somebody new takes the slot of a dead one */
#endif
#ifndef RETURNS
#define RETURNS 1 /* how often a message is given back by a living receiver */
#endif
#ifndef BORROWS
#define BORROWS 0 /* 1: a receiver may keep its first message until it has tried all others */
#endif
#ifndef MAX_DELIVERIES
#define MAX_DELIVERIES 100
#endif
#ifndef MAX_PARKED
#define MAX_PARKED 1
#endif
#ifndef ONCE
#define ONCE 0
#endif
#ifndef OWNER_ROOM
#define OWNER_ROOM 1 /* the auditor may ask for as much room as the ring was planned for */
#endif

#define N       (SENDERS + RECEIVERS)
#define AUDITOR N
#define BLOCKS  (SENDERS * EACH + DEPTH + 1)
#define POOL(who) ((who) < SENDERS -> (who) * EACH : SENDERS * EACH)
#define POOL_SIZE(who) ((who) < SENDERS -> EACH : ((who) == AUDITOR -> DEPTH + 1 : 0))
#define LAST_MESSAGE (SENDERS * MSGS + DEPTH + 1)

/* ---- what is shared ---- */

/* cell: lap 3 bits | owner 3 | block 4 | state 3 (make_cell() and its like) */
#define EMPTY  0
#define FULL   1
#define HELD   2
#define AGAIN  3
#define PARKED 4
#define CELL(lap, owner, block, state) \
    ((((lap) % LAPS) << 10) | ((owner) << 7) | ((block) << 3) | (state))
#define STATE(c) ((c) & 7)
#define BLOCK(c) (((c) >> 3) & 15)
#define OWNER(c) (((c) >> 7) & 7)
#define LAP(c)   ((c) >> 10)
#define KEY(c)   ((c) & 1023)
#define WITH_LAP(c, lap) (KEY(c) | (((lap) % LAPS) << 10))

/* positions are small enough to be added to; before the first one they wrap, as 64 bits do */
#define AROUND (CELLS * LAPS)
#define INDEX(p)   (((p) + AROUND) % CELLS)
#define LAP_OF(p)  ((((p) + AROUND) / CELLS) % LAPS)
#define DIST(c, p) ((LAP(c) + LAPS - LAP_OF(p)) % LAPS)
#define BEHIND     (LAPS - 1) /* LAP_MASK: one lap behind */
#define IS_FULL_AT(p) (STATE(cell[INDEX(p)]) == FULL && DIST(cell[INDEX(p)], p) == 0)

#define NOT_RETURNING 0
#define RETURNING     1
#define PARKING       2

short cell[CELLS];
byte tail, head;      /* hints */
byte raised, settled; /* few enough not to wrap */
byte word[BLOCKS];    /* 0: FREE; position + 1: USED by that position */
byte content[BLOCKS]; /* the message: sender, tag, bytes */
byte deliveries[BLOCKS], returning[BLOCKS];
bool used[N];    /* the slot's word */
bool alive[N];   /* the life byte: the kernel drops it at death */
byte recovery[N]; /* the recovery byte: who has it, + 1; dropped at death, too */

/* ---- the ledger: what the checks need, and no process may look at ---- */

#define SENT     1
#define ACKED    2 /* released, or dropped */
#define SEEN     4 /* a receiver had it in hand */
#define GIVEN    8 /* it was given back, by its holder or for a dead one */
#define IN_PARK 16
byte ledger[LAST_MESSAGE + 1];
byte holder[LAST_MESSAGE + 1];
byte faults = FAULTS, rejoins = REJOINS, returns = RETURNS;
byte ended, halted;

#define ON(m, flag)  ledger[m] = ledger[m] | (flag)
#define OFF(m, flag) ledger[m] = ledger[m] & (31 - (flag))
#define IS(m, flag)  ((ledger[m] & (flag)) != 0)

/* What a process is doing. */
#define NOTHING     0
#define SEND        1
#define TAKE        2
#define TAKE_PARKED 3
#define RECOVER     4
#define RECOVERED   (CELLS + 64)

/* Before each access: the process may end here. */
#define DIE                                                      \
    if                                                           \
    :: true                                                      \
    :: (me != AUDITOR && faults > 0) -> faults--; goto died      \
    fi

/* One compare-and-swap; `ok` says whether it was made. */
#define CAS(i, old, new)                                         \
    if                                                           \
    :: cell[i] == (old) -> cell[i] = (new); ok = 1               \
    :: else -> ok = 0                                            \
    fi

/* ---- send ---- */

/* window_is_open(): sets `no_room`. Looks at DEPTH positions at most, and remembers. */
inline look_at_window()
{
    no_room = 0;
    if
    :: open > p
    :: else ->
        atomic { DIE; no_room = IS_FULL_AT(p - DEPTH) }; /* window_is_full(): yk_load_seq(oldest) */
        if
        :: no_room
        :: else ->
            atomic { DIE; /* yk_load_acquire(head): what is before it was taken */
                i = ((head <= p && p - head < DEPTH) -> DEPTH - (p - head) : 1)
            };
            do
            :: i < DEPTH && !no_room ->
                atomic { DIE; /* window_is_full() */
                    no_room = IS_FULL_AT(p + i - DEPTH);
                    if
                    :: !no_room -> i++
                    :: else
                    fi
                }
            :: else -> break
            od;
            atomic { open = p + i; no_room = 0; i = 0 }
        fi
    fi
}

/* room_behind(): sets `no_room` when it is not worth marking on. Reads only. */
inline look_behind()
{
    i = 0;
    no_room = 0;
    do
    :: i < CELLS ->
        atomic { DIE; c2 = cell[INDEX(p + i)] }; /* yk_load_acquire(position_cell) */
        atomic { DIE; no_room = IS_FULL_AT(p + i - DEPTH) }; /* window_is_full() */
        if
        :: no_room || (DIST(c2, p + i) == BEHIND && (STATE(c2) == FULL || STATE(c2) == EMPTY)) ->
            no_room = 1; break
        :: !no_room && DIST(c2, p + i) != BEHIND -> break
        :: else -> i++
        fi
    :: else -> no_room = 1; break
    od;
    i = 0; c2 = 0
}

/* yk_ring_commit() of block b from position p on: sets `ok`. */
inline commit()
{
    ok = 0; stamped = 0; looked = 0;
    do
    :: atomic { DIE; c = cell[INDEX(p)] }; /* yk_load_acquire(at) */
        if
        :: DIST(c, p) == 0 && STATE(c) == EMPTY ->
            look_at_window();
            if
            :: no_room -> break
            :: else
            fi;
            atomic { DIE; word[b] = p + 1; stamped = 1 }; /* yk_store_relaxed(word, USED(p)) */
#ifdef MUTANT_COMMIT_STORE
            atomic { DIE; cell[INDEX(p)] = CELL(LAP_OF(p), 0, b, FULL); ok = 1; ON(content[b], SENT) };
#else
            atomic { DIE; /* yk_cas_seq(EMPTY -> FULL): sent */
                CAS(INDEX(p), c, CELL(LAP_OF(p), 0, b, FULL));
                if
                :: ok -> ON(content[b], SENT)
                :: else
                fi
            };
#endif
            if
            :: ok -> break
            :: else
            fi
        :: DIST(c, p) == BEHIND && (STATE(c) == FULL || STATE(c) == EMPTY) -> break
        :: DIST(c, p) == BEHIND && STATE(c) != FULL && STATE(c) != EMPTY ->
            if
            :: !looked -> look_behind()
            :: else -> no_room = 0
            fi;
            if
            :: no_room -> break
            :: else
            fi;
            looked = 1;
            atomic { DIE; no_room = IS_FULL_AT(p - DEPTH) }; /* window_is_full() */
            if
            :: no_room -> break
            :: else
            fi;
#ifdef MUTANT_MARK_STORE
            atomic { DIE; cell[INDEX(p)] = WITH_LAP(c, LAP_OF(p)); ok = 1 };
#else
            atomic { DIE; CAS(INDEX(p), c, WITH_LAP(c, LAP_OF(p))) }; /* marks it on: the help */
#endif
            atomic {
                if
                :: ok -> ok = 0; p++
                :: else
                fi
            }
        :: else -> /* jump() */
            atomic {
                p = p + 1 + (DIST(c, p) > 1 -> (DIST(c, p) - 1) * CELLS : 0);
                looked = 0
            }
        fi
    od;
    if
    :: stamped && !ok ->
#ifndef MUTANT_STAMP_STAYS
        atomic { DIE; word[b] = 0 } /* yk_store_release(word, 0): full */
#else
        skip
#endif
    :: else
    fi;
    atomic { c = 0; stamped = 0; looked = 0; no_room = 0 }
}

/* yk_ring_hint(): reads, then stores; a slow one may bring back an old value. */
inline hint(which, value)
{
    atomic { DIE; c = which };
    if
#ifdef HINTS_STAY
    :: false /* as old as can be */
#else
    :: value > c -> atomic { DIE; which = value }
#endif
    :: else
    fi;
    c = 0
}

/* ---- take ---- */

/* After a CAS: the message of the block is in the hand of `me`, and in no other. */
inline now_held(block)
{
    m = content[block];
    assert(IS(m, SENT) && !IS(m, ACKED));
    assert(holder[m] == 0);
    holder[m] = me + 1
}

/*
 * hold(): the fields of a block that is ours. Whoever had it in hand before was counted, and it is
 * not called delivered before unless it was given back.
 */
inline hold_it(how_often)
{
    atomic { DIE;
        how_often = deliveries[hb] + 1;
        m = content[hb];
        assert(!IS(m, SEEN) || how_often > 1 || op == TAKE_PARKED);
        assert(how_often == 1 || IS(m, GIVEN));
        ON(m, SEEN)
    }
}

/* take_by_scan(): `got`. */
inline take_by_scan()
{
    do
    :: atomic { DIE; first_lap = tail < CELLS }; /* walk_begin(): yk_load_relaxed(tail) */
        i = 0; best = 255; doubt = 0;
        do
        :: i < CELLS ->
            atomic { DIE; c = cell[i] }; /* walk_on(): yk_load_acquire */
            if
            :: first_lap && c == 0 -> break
            :: STATE(c) == HELD && !(first_lap && c == 0) ->
                atomic { DIE; /* yk_load32_acquire(returning) */
                    doubt = doubt || (returning[BLOCK(c)] == RETURNING);
                    i++
                }
            :: STATE(c) == wanted ->
                atomic { DIE; /* yk_load_acquire(word): its position */
                    c2 = (word[BLOCK(c)] > 0 -> word[BLOCK(c)] - 1 : 0);
                    if
                    :: best == 255 || c2 < best -> best = c2; hi = i; hc = c
                    :: else
                    fi;
                    c2 = 0; i++
                }
            :: else -> i++
            fi
        :: else -> break
        od;
        atomic { i = 0; c = 0 };
        if
        :: best == 255 ->
            if
#ifdef MUTANT_SETTLED_BLINDLY
            :: wanted == AGAIN -> atomic { DIE; settled = r }
#else
            :: wanted == AGAIN && !doubt -> atomic { DIE; settled = r } /* yk_store_relaxed */
#endif
            :: else
            fi;
            break
        :: else ->
            atomic { DIE; /* yk_cas_seq(AGAIN or PARKED -> HELD) */
                CAS(hi, hc, CELL(LAP(hc), me, BLOCK(hc), HELD));
                if
                :: ok ->
                    now_held(BLOCK(hc));
                    OFF(m, IN_PARK); m = 0;
                    hb = BLOCK(hc); hc = CELL(LAP(hc), me, hb, HELD)
                :: else
                fi
            };
            if
            :: ok ->
                if
                :: wanted == AGAIN ->
#ifndef MUTANT_NOT_COUNTED
                    atomic { DIE; deliveries[hb] = deliveries[hb] + 1 } /* load and store: ours */
#else
                    skip
#endif
                :: else
                fi;
                atomic { DIE; returning[hb] = NOT_RETURNING }; /* yk_store32_release */
                hold_it(hd);
                got = 1;
                break
            :: else /* look again */
            fi
        fi
    od;
    atomic { best = 0; doubt = 0; first_lap = 0; ok = 0 }
}

/* Nothing that its sender committed before is left behind: first in, first out. */
inline first_in_line(position)
{
    i = 0;
    do
    :: i < CELLS ->
        assert(!(STATE(cell[i]) == FULL && word[BLOCK(cell[i])] > 0 &&
                 word[BLOCK(cell[i])] - 1 < position));
        i++
    :: else -> i = 0; break
    od
}

/* find_full() and take_at_head(): `got`, and p is the new hint. */
inline take_at_head()
{
    do
    :: atomic { DIE; c = cell[INDEX(p)] }; /* find_full(): yk_load_seq */
        if
        :: DIST(c, p) == 0 && STATE(c) == FULL ->
            atomic { DIE; /* yk_cas_seq(FULL -> HELD) */
#ifdef MUTANT_TAKE_STORE
                cell[INDEX(p)] = CELL(LAP(c), me, BLOCK(c), HELD); ok = 1;
#else
                CAS(INDEX(p), c, CELL(LAP(c), me, BLOCK(c), HELD));
#endif
                if
                :: ok ->
                    now_held(BLOCK(c));
                    assert(word[BLOCK(c)] == p + 1); /* I2 */
                    first_in_line(p); m = 0;
                    hi = INDEX(p); hb = BLOCK(c); hc = CELL(LAP(c), me, hb, HELD)
                :: else
                fi
            };
            if
            :: ok -> p++; hold_it(hd); got = 1; break
            :: else
            fi
        :: DIST(c, p) == BEHIND || (DIST(c, p) == 0 && STATE(c) == EMPTY) -> break
        :: else -> /* jump(): an EMPTY cell of a later lap proves one lap less */
            atomic {
#ifdef MUTANT_JUMP_TOO_FAR
                c2 = 1;
#else
                c2 = (STATE(c) == EMPTY -> 2 : 1);
#endif
                p = p + 1 + (DIST(c, p) > c2 -> (DIST(c, p) - c2) * CELLS : 0);
                c2 = 0
            }
        fi
    od;
    atomic { c = 0; ok = 0 }
}

/* yk_ring_take(): `got`, then hi, hc, hb, hd say what. */
inline take()
{
    got = 0;
    if
    :: op == TAKE ->
        atomic { DIE; p = head };   /* yk_ring_head() */
        atomic { DIE; r = raised }; /* yk_load_seq, before the scan: I4 */
        atomic { DIE; wanted = (r != settled -> AGAIN : 0) } /* yk_load_relaxed(settled) */
    :: else -> wanted = PARKED
    fi;
    if
    :: wanted != 0 -> take_by_scan()
    :: else
    fi;
    wanted = 0;
    if
    :: !got && op == TAKE ->
        take_at_head();
        if
        :: got -> hint(head, p)
        :: else
        fi
    :: else
    fi;
    atomic { p = 0; r = 0; m = 0 }
}

/* ---- release, return ---- */

/* count_parked(): `best` of them, without the one that is ours. */
inline count_parked()
{
    atomic { DIE; first_lap = tail < CELLS };
    i = 0; best = 0;
    do
    :: i < CELLS ->
        atomic { DIE; c = cell[i] }; /* walk_on() */
        if
        :: first_lap && c == 0 -> break
        :: i != hi && STATE(c) == PARKED -> atomic { best++; i++ }
        :: i != hi && STATE(c) == HELD ->
            atomic { DIE; doubt = (returning[BLOCK(c)] == PARKING) }; /* yk_load32_acquire */
            if
            :: doubt -> /* is_named_by(): yk_load_acquire(word) */
                atomic { DIE;
                    if
                    :: word[BLOCK(c)] > 0 && INDEX(word[BLOCK(c)] - 1) == i -> best++
                    :: else
                    fi
                }
            :: else
            fi;
            i++
        :: else -> i++
        fi
    :: else -> break
    od;
    atomic { i = 0; c = 0; doubt = 0; first_lap = 0 }
}

/* move_held() to the state `to`, whatever the lap has become. */
inline move_held()
{
    c = hc;
    do
    :: atomic { DIE; /* yk_cas_seq(HELD -> EMPTY of the next lap, AGAIN or PARKED) */
#ifdef MUTANT_MOVE_STORE
            c = hc; cell[hi] = c;
#endif
            CAS(hi, c, (to == EMPTY -> CELL(LAP(c) + 1, 0, 0, EMPTY) : CELL(LAP(c), 0, hb, to)));
            if
            :: ok && to != EMPTY ->
                m = content[hb]; holder[m] = 0; ON(m, GIVEN); m = 0
            :: ok && to == EMPTY
            :: else -> c = cell[hi]; assert(KEY(c) == KEY(hc)) /* I5; C says -EPROTO */
            fi
        };
        if
        :: ok -> break
        :: else
        fi
    od;
    if
    :: to == PARKED ->
        atomic { /* I6 */
            i = 0; c = 0;
            do
            :: i < CELLS -> c = c + (STATE(cell[i]) == PARKED); i++
            :: else -> break
            od;
            assert(c <= MAX_PARKED);
            i = 0
        }
    :: else
    fi;
    atomic { c = 0; ok = 0 }
}

inline free_block()
{
    atomic { DIE; /* yk_store_release(word, 0): acknowledged. Then the cell */
        m = content[hb];
        assert(IS(m, SENT) && !IS(m, ACKED));
        ON(m, ACKED); holder[m] = 0; m = 0;
        word[hb] = 0
    }
}

#define RELEASE   1
#define RETURN    2
#define FREE_CELL 3 /* only the cell: the dead one had released the block */

/* yk_ring_release(), yk_ring_return(), as `act` says. */
inline finish_held()
{
    to = EMPTY;
    if
    :: act == RETURN && !ONCE && hd < MAX_DELIVERIES ->
#ifndef MUTANT_NOT_RETURNING
        atomic { DIE; returning[hb] = RETURNING }; /* yk_store32_release */
#endif
        to = AGAIN;
#ifdef MUTANT_RAISED_AFTER
        move_held();
        atomic { DIE; raised++ }
#else
        atomic { DIE; raised++ } /* yk_add_seq: before the cell, I4 */
#endif
    :: act == RETURN && !ONCE && hd >= MAX_DELIVERIES -> /* park() */
#ifndef MUTANT_PARKING_UNMARKED
        atomic { DIE; returning[hb] = PARKING }; /* yk_store32_release, then the fence */
#endif
        count_parked();
        atomic { to = (best >= MAX_PARKED -> EMPTY : PARKED); best = 0 }
    :: else
    fi;
#ifndef MUTANT_RELEASE_CELL_FIRST
    if
    :: to == EMPTY && act != FREE_CELL -> free_block()
    :: else
    fi;
#endif
#ifdef MUTANT_RAISED_AFTER
    if
    :: to == AGAIN
    :: else -> move_held()
    fi;
#else
    move_held();
#endif
#ifdef MUTANT_RELEASE_CELL_FIRST
    if
    :: to == EMPTY && act != FREE_CELL -> free_block()
    :: else
    fi;
#endif
    atomic { act = 0; to = 0; hi = 0; hc = 0; hb = 0; hd = 0 }
}

/* ---- recovery ---- */

/*
 * yk_ring_recover() of `dead`, whose recovery byte is ours, one cell or one block at a time: w says
 * which. All of it may be broken off and done again.
 */
inline recover_next_cell()
{
    atomic { DIE; hc = cell[w]; w++ }; /* walk_on(): yk_load_acquire */
    if
    :: walk_first && hc == 0 -> w = CELLS; hc = 0
    :: !(walk_first && hc == 0) && STATE(hc) == HELD && OWNER(hc) == dead -> /* recover_cell() */
        atomic { DIE; hi = w - 1; hb = BLOCK(hc); hd = deliveries[hb] + 1 }; /* hold() */
        atomic { DIE; /* yk_load_acquire(word); is_named_by() */
#ifdef MUTANT_RECOVER_ALL_HELD
            act = RETURN
#else
            act = (word[hb] > 0 && INDEX(word[hb] - 1) == hi -> RETURN : FREE_CELL)
#endif
        }
    :: else -> hc = 0
    fi
}

#ifdef MUTANT_RECOVER_FREES_HELD
#define IS_COMMITTED(block) (STATE(c) == FULL && BLOCK(c) == (block))
#else
#ifdef MUTANT_RECOVER_POOL_NOT_SWEPT
#define IS_COMMITTED(block) (true)
#else
#define IS_COMMITTED(block) (STATE(c) != EMPTY && BLOCK(c) == (block))
#endif
#endif

inline recover_next_block()
{
    atomic { DIE; b = POOL(dead) + w - CELLS; r = word[b]; w++ }; /* yk_load_acquire(word) */
    if
    :: r > 0 ->
        atomic { DIE; c = cell[INDEX(r - 1)] }; /* is_committed(): yk_load_acquire(cell) */
        if
        :: !IS_COMMITTED(b) -> atomic { DIE; word[b] = 0 } /* yk_store_release */
        :: else
        fi
    :: else
    fi;
    atomic { b = 0; r = 0; c = 0 }
}

/* recover_slot() or, for oneself who is new in the slot, try_slot(): begins. */
inline recovery_begins()
{
    atomic { DIE; /* yk_sys_lock_byte(YK_RECOVERY_BYTE); who is new tries again */
#ifdef MUTANT_NO_RECOVERY_LOCK
        ok = 1
#else
        if
        :: recovery[dead] == 0 -> recovery[dead] = me + 1; ok = 1
        :: recovery[dead] != 0 && dead != me -> ok = 0
        fi
#endif
    };
    if
    :: ok ->
#ifdef MUTANT_NO_SECOND_LOOK
        ok = 1;
#else
        atomic { DIE; ok = used[dead] && !alive[dead] }; /* owner_is_dead(), again */
#endif
        if
        :: ok -> atomic { DIE; ok = 0; w = 0; walk_first = tail < CELLS } /* walk_begin() */
        :: else -> w = RECOVERED
        fi
    :: else -> op = NOTHING; dead = 0
    fi
}

/* The slot is free, or one's own; the byte is given back. */
inline recovery_ends()
{
    if
    :: w == CELLS + POOL_SIZE(dead) ->
        atomic { DIE; used[dead] = 0 } /* yk_store_release(slot->word): last */
    :: else
    fi;
    if
    :: dead == me ->
        atomic { DIE; alive[me] = 1 }; /* yk_sys_lock_byte(YK_LIFE_BYTE) */
        atomic { DIE; used[me] = 1 }   /* claim_slot(): yk_store_release(slot->word) */
    :: else
    fi;
    atomic { DIE; recovery[dead] = 0 }; /* yk_sys_unlock_byte */
    atomic { op = NOTHING; w = 0; dead = 0; walk_first = 0 }
}

/* The kernel drops the locks; the process and what it knew is gone. */
inline drop_locks()
{
    alive[me] = 0;
    i = 0;
    do
    :: i < N ->
        if
        :: recovery[i] == me + 1 -> recovery[i] = 0
        :: else
        fi;
        i++
    :: else -> break
    od
}

inline forget()
{
    i = 0; p = 0; open = 0; c = 0; c2 = 0; b = 0; hi = 0; hc = 0; hb = 0; hd = 0; m = 0; r = 0; w = 0;
    dead = 0; best = 0; ok = 0; no_room = 0; stamped = 0; looked = 0; got = 0; doubt = 0;
    first_lap = 0; walk_first = 0; op = 0; act = 0; to = 0; wanted = 0; message = 0
}

#define PRIVATE                                                                             \
    byte n, i, p, open, b, hi, hb, hd, m, r, w, dead, best, op, act, to, wanted, message;  \
    short c, c2, hc;                                                                        \
    bool ok, no_room, stamped, looked, got, doubt, first_lap, walk_first

/* ---- who does what ---- */

/* yk_port_send() with timeout 0: a block, the message, a place. `got`: it is sent. */
inline send()
{
    i = 0; b = 255;
    do
    :: i < POOL_SIZE(me) && b == 255 ->
        atomic { DIE; /* yk_pool_take(): yk_ring_is_free() */
            if
            :: word[POOL(me) + i] == 0 -> b = POOL(me) + i
            :: else -> i++
            fi
        }
    :: else -> i = 0; break
    od;
    if
    :: b != 255 ->
        /* the bytes and fill_header(); of these stores only `returning` is looked at by others */
        atomic { DIE; content[b] = message; deliveries[b] = 0; returning[b] = 0 };
        atomic { DIE; p = tail }; /* yk_ring_tail() */
        commit();
        got = ok;
        if
        :: ok -> p++; hint(tail, p)
        :: else
        fi
    :: else
    fi;
    atomic { b = 0; p = 0; ok = 0; message = 0 }
}

/* One step of what `op` says. */
inline go_on()
{
    if
    :: op == SEND -> send(); op = NOTHING
    :: op == TAKE || op == TAKE_PARKED ->
        take();
        op = NOTHING
    :: op == RECOVER && w == 255 -> recovery_begins()
    :: op == RECOVER && w < CELLS -> recover_next_cell()
    :: op == RECOVER && w >= CELLS && w < CELLS + POOL_SIZE(dead) -> recover_next_block()
    :: op == RECOVER && w >= CELLS + POOL_SIZE(dead) && w != 255 -> recovery_ends()
    fi;
}

/* owner_is_dead(): the slot's word, and what the kernel says; any of those that are. */
#define DEAD(who) ((who) != me && used[who] && !alive[who])
inline choose_dead()
{
    if
    :: DEAD(0) -> dead = 0
#if N > 1
    :: DEAD(1) -> dead = 1
#endif
#if N > 2
    :: DEAD(2) -> dead = 2
#endif
#if N > 3
    :: DEAD(3) -> dead = 3
#endif
    fi;
    op = RECOVER; w = 255
}
#if N == 2
#define SOMEBODY_IS_DEAD (DEAD(0) || DEAD(1))
#elif N == 3
#define SOMEBODY_IS_DEAD (DEAD(0) || DEAD(1) || DEAD(2))
#else
#define SOMEBODY_IS_DEAD (DEAD(0) || DEAD(1) || DEAD(2) || DEAD(3))
#endif

proctype process(byte me)
{
    PRIVATE;
    byte kept_hi, kept_hb, kept_hd;
    short kept_hc;
again:
    do
    :: atomic { op == NOTHING && !got && act == 0 && SOMEBODY_IS_DEAD -> DIE; choose_dead() }
    :: atomic { op == NOTHING && !got && act == 0 && me < SENDERS && n < MSGS ->
            n++; op = SEND; message = me * MSGS + n }
    :: atomic { op == NOTHING && !got && act == 0 && me >= SENDERS && n < TRIES ->
            n++; op = TAKE }
    :: op != NOTHING && act == 0 -> go_on();
        if
        :: me < SENDERS -> got = 0
        :: else
        fi
    :: got && returns > 0 -> atomic { returns--; got = 0; act = RETURN }
    :: got && BORROWS && kept_hc == 0 ->
        atomic { kept_hi = hi; kept_hc = hc; kept_hb = hb; kept_hd = hd;
            got = 0; hi = 0; hc = 0; hb = 0; hd = 0 }
    :: got ->
        atomic { DIE; m = content[hb]; /* copy(): what the caller gets */
            assert(IS(m, SENT) && !IS(m, ACKED) && holder[m] == me + 1);
            m = 0; got = 0; act = RELEASE
        }
    :: atomic { op == NOTHING && !got && act == 0 && n == TRIES && kept_hc != 0 ->
            hi = kept_hi; hc = kept_hc; hb = kept_hb; hd = kept_hd; act = RELEASE;
            kept_hi = 0; kept_hc = 0; kept_hb = 0; kept_hd = 0 }
    :: act != 0 -> finish_held()
    :: atomic { op == NOTHING && !got && act == 0 && kept_hc == 0 &&
            n == (me < SENDERS -> MSGS : TRIES) -> ended++; n = 0; forget(); goto out }
    od;
died:
    atomic {
        kept_hi = 0; kept_hc = 0; kept_hb = 0; kept_hd = 0;
#ifdef STOP
        forget(); halted = me + 1; ended++ /* it is alive for ever, with all locks that it has */
#else
        drop_locks(); forget();
        if
        :: rejoins > 0 -> rejoins--; op = RECOVER; dead = me; w = 255; goto again
        :: true -> ended++; n = 0
        fi
#endif
    };
out:
    skip
}

inline audit()
{
    n = 1;
    do
    :: n <= LAST_MESSAGE ->
        /* nothing lost: what was sent was released, or is in the hand of one who is stopped */
        assert(!IS(n, SENT) || IS(n, ACKED) || (halted > 0 && holder[n] == halted));
        n++
    :: else -> n = 0; break
    od;
    do
    :: n < BLOCKS ->
        /* nothing leaked: a block is free */
        assert(word[n] == 0 || halted > 0);
        n++
    :: else -> n = 0; break
    od;
    do
    :: n < CELLS ->
        assert(STATE(cell[n]) == EMPTY || (halted > 0 && STATE(cell[n]) == HELD));
        n++
    :: else -> n = 0; break
    od
}

/* Recovers the dead; takes what is there; asks; sends as much as may be; asks whether more would go;
 * takes it; asks. */
proctype auditor()
{
    PRIVATE;
    byte round, me = AUDITOR;
    atomic {
        ended == N;
        do
        :: op != NOTHING && act == 0 -> go_on()
        :: act != 0 -> finish_held()
        :: op == NOTHING && act == 0 && got && round != 3 -> got = 0; n = 0; act = RELEASE
        :: op == NOTHING && act == 0 && round == 0 ->
            if
            :: SOMEBODY_IS_DEAD -> choose_dead()
            :: else -> round = 1
            fi
        :: op == NOTHING && act == 0 && !got && round != 0 && round != 3 && n == 0 ->
            n = 1; op = (round == 1 || round == 4 -> TAKE : TAKE_PARKED)
        :: op == NOTHING && act == 0 && !got && round != 0 && round != 3 && n == 1 ->
            n = 0; /* there is no more */
            if
            :: round == 2 || round == 5 -> audit()
            :: else
            fi;
            forget(); round++;
            if
            :: round == 6 -> break
            :: else
            fi
        :: op == NOTHING && act == 0 && round == 3 ->
            if
            :: n > 0 -> assert((got == (n <= DEPTH)) || !OWNER_ROOM); got = 0
            :: else
            fi;
            n++;
            if
            :: n <= DEPTH + 1 -> message = SENDERS * MSGS + n; op = SEND
            :: else -> n = 0; round = 4
            fi
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
        :: k < CELLS -> cell[k] = CELL(LAP_OF(START), 0, 0, EMPTY); k++
        :: else -> k = 0; break
        od;
        tail = START; head = START;
        do
        :: k < N ->
            alive[k] = 1; used[k] = 1;
            run process(k);
            k++
        :: else -> k = 0; break
        od;
        run auditor()
    }
}
