/*
 * wakeup.pml - sleeping and waking: src/wait.c, src/notice.c, src/link.c (wake_other()), as a model
 * for spin. README.md says how it is run.
 *
 * Producers publish items and wake; consumers take a few each and sleep on the futex of their slot,
 * or poll a descriptor whose notice they arm, when there is none. What is checked is that nobody
 * sleeps or polls for ever while an item is there (an invalid end state). A sleeper looks again by
 * itself, as it does after 100 ms, and a descriptor is rung by the watch on the lock file, but only
 * once for each death (sleepers: each stop, too): all other wake-ups must come from who publishes.
 *
 * Each `atomic` that begins with DIE is one access of the C code to shared memory, or one system
 * call. Memory model: with PORT, where the change is a compare-and-swap, sequentially consistent
 * interleavings. Without it the change is a plain store (a link's), which stays in a store buffer
 * (TSO: x86) until that drains at any time, or by a fence, a locked instruction, or the membarrier()
 * of another process; loads pass it. Everything else that is stored here is a locked instruction.
 *
 * The other direction, a sender who sleeps until there is room, is the same code with another row.
 */
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef POLLERS
#define POLLERS 0 /* so many of the consumers, the first ones, poll a descriptor */
#endif
#ifndef MSGS
#define MSGS 2 /* of each producer */
#endif
#ifndef TAKES
#define TAKES 1 /* then a consumer leaves */
#endif
#ifndef FAULTS
#define FAULTS 0 /* deaths; with STOP, producers that stop for ever */
#endif
#ifndef LEAVES
#define LEAVES 0 /* whom a signal interrupts */
#endif
#define BELLS 8 /* 2^32 in the C code */

/*
 * Who makes the fence: the change itself, the producer (FENCE), or who lies down (MEMBARRIER); with ADAPT
 * as well it does that, or asks the producers for theirs, as it likes: choose_fences().
 */
#ifdef SHARED /* the consumers are threads of one process, with one slot */
#define SLOT(who) 0
#else
#define SLOT(who) (who)
#endif
#define BIT(who) (1 << SLOT(who))

/* ---- what is shared ---- */

byte items;              /* visible to all */
byte pending[PRODUCERS + 1]; /* in the store buffer of its processor; the last: consumers', empty */
byte sleeps;             /* the row YK_WAIT_RECEIVE */
bool asks;               /* a side's `membarrier` is 0; one consumer only */
byte polls;              /* the row YK_WAIT_DESCRIPTOR */
byte bell[CONSUMERS];    /* of each slot: the futex */
byte armed[CONSUMERS];   /* the notice of each slot: odd is armed */
bool doorbell[CONSUMERS]; /* there is something in the FIFO */
byte sleepers[CONSUMERS]; /* of each slot: threads of that process; private to it */
bool asleep[CONSUMERS];  /* in the futex */

/* ---- the ledger ---- */

byte ended, halted;      /* producers */
bool excused[CONSUMERS];
byte since[CONSUMERS];    /* who published since it looked: a bit for each producer */
bool complete[CONSUMERS]; /* and one of these has rung all that he saw */
byte faults = FAULTS, leaves = LEAVES;

#define DIE                                    \
    if                                         \
    :: true                                    \
    :: faults > 0 && mortal -> faults--; goto died \
    fi

#define FLUSH(who) items = items + pending[who]; pending[who] = 0

inline excuse_all()
{
    k = 0;
    do
    :: k < CONSUMERS ->
        excused[k] = 1;
#ifndef STOP
        /* the watch on the lock file, for who has a descriptor and armed it */
        doorbell[k] = 1;
#endif
        k++
    :: else -> k = 0; break
    od
}

/* ring_bell(): `ok` when somebody was woken. */
inline ring_bell(slot)
{
    atomic { DIE; bell[slot] = (bell[slot] + 1) % BELLS }; /* yk_add32_seq */
    atomic { DIE; /* futex_wake(1) */
        if
        :: asleep[0] && SLOT(0) == slot -> asleep[0] = 0; ok = 1
#if CONSUMERS > 1
        :: asleep[1] && SLOT(1) == slot -> asleep[1] = 0; ok = 1
#endif
#if CONSUMERS > 2
        :: asleep[2] && SLOT(2) == slot -> asleep[2] = 0; ok = 1
#endif
        :: else -> ok = 0
        fi
    }
}

/* yk_wake_any() */
inline wake_any()
{
    atomic { DIE; row = sleeps }; /* yk_load_seq */
    s = 0;
    do
    :: s < CONSUMERS && (row & (1 << s)) ->
        atomic { DIE; /* take_bit(): yk_and_seq */
            FLUSH(cpu);
            ok = (sleeps & (1 << s)) != 0;
            sleeps = sleeps & ~(1 << s)
        };
        if
        :: ok ->
            ring_bell(s);
            if
            :: ok -> break
            :: else
            fi
        :: else
        fi;
        s++
    :: s < CONSUMERS && !(row & (1 << s)) -> s++
    :: else -> break
    od;
    atomic { s = 0; row = 0; ok = 0 }
}

/* ---- who changes something ---- */

/* yk_ring_descriptors(): the bell first, then the disarming, which fails if it is armed anew. */
inline ring_descriptors()
{
    s = 0;
    do
    :: s < CONSUMERS && (row & (1 << s)) ->
        atomic { DIE; number = armed[s] }; /* yk_load_seq(armed) */
        if
        :: number & 1 ->
#ifdef MUTANT_DISARM_FIRST
            atomic { DIE;
                if
                :: armed[s] == number -> armed[s] = armed[s] - 1
                :: else
                fi
            };
            atomic { DIE; doorbell[s] = 1 };
#else
            atomic { DIE; FLUSH(cpu); doorbell[s] = 1 }; /* yk_doorbell_ring(): a write */
#ifdef MUTANT_DISARM_ANY
            atomic { DIE; armed[s] = armed[s] & ~1 };
#else
            atomic { DIE; FLUSH(cpu); /* yk_cas_seq(armed) */
                if
                :: armed[s] == number -> armed[s] = armed[s] - 1
                :: else
                fi
            };
#endif
#endif
            number = 0
        :: else -> number = 0
        fi;
        s++
    :: s < CONSUMERS && !(row & (1 << s)) -> s++
    :: else -> break
    od;
    atomic { s = 0; row = 0 }
}

inline publish()
{
#ifdef MUTANT_ASKED_EARLY
    atomic { DIE; ok = asks };
#endif
    atomic { DIE;
#ifdef PORT
        items++; /* yk_ring_commit(): yk_cas_seq(EMPTY -> FULL) */
#else
        pending[me]++; /* yk_spsc_send(): yk_store_release(word) */
#endif
        k = 0;
        do
        :: k < CONSUMERS -> since[k] = since[k] | (1 << me); k++
        :: else -> k = 0; break
        od
    }
}

/* yk_message_came(), wake_other() */
inline message_came()
{
#ifdef FENCE
    atomic { DIE; FLUSH(me) }; /* yk_fence_seq() */
#endif
#ifdef ADAPT
#ifndef MUTANT_ASKED_EARLY
    atomic { DIE; ok = asks }; /* yk_load32_relaxed(membarrier) */
#endif
    if
    :: ok -> atomic { DIE; FLUSH(me); ok = 0 } /* yk_fence_seq() */
    :: else
    fi;
#endif
    atomic { DIE; to_wake = sleeps }; /* the rows */
    atomic { DIE; row = polls };
    if
    :: row != 0 -> ring_descriptors()
    :: else
    fi;
    if
    :: to_wake != 0 -> wake_any()
    :: else
    fi;
    to_wake = 0
}

proctype producer(byte me)
{
    byte n, k, s, row, number, to_wake, cpu = me;
    bool ok, mortal = true;
    do
    :: n < MSGS ->
        n++;
#ifdef MUTANT_WAKE_FIRST
        message_came();
        publish();
#else
        publish();
        message_came();
#endif
        atomic {
            k = 0;
            do
            :: k < CONSUMERS ->
                if
                :: since[k] & (1 << me) -> complete[k] = 1
                :: else
                fi;
                k++
            :: else -> k = 0; break
            od
        }
    :: else -> break
    od;
    goto out;
died:
    atomic { n = 0; s = 0; row = 0; number = 0; to_wake = 0; ok = 0;
        FLUSH(me); /* 100 ms later at the latest, when everybody looks */
        excuse_all();
#ifdef STOP
        halted++
#endif
    };
out:
    atomic { n = 0; ended++ }
}
/* A store buffer drains whenever it likes. */
proctype processor(byte me)
{
end:
    do
    :: atomic { pending[me] > 0 -> pending[me]--; items++ }
    od
}

#if LEAVES > 0
/* A signal may come, or not. */
proctype no_signal()
{
    atomic { leaves = 0 }
}
#endif

/* ---- who waits ---- */

inline membarrier()
{
#ifdef MEMBARRIER
    atomic { DIE; /* yk_sys_membarrier() */
        k = 0;
        do
        :: k < PRODUCERS -> FLUSH(k); k++
        :: else -> k = 0; break
        od
    }
#else
    skip
#endif
}

/* The attempt: a seq_cst look, and a compare-and-swap in a port. `got`. */
inline attempt()
{
    atomic { DIE;
        since[me] = 0; complete[me] = 0;
        if
        :: items > 0 -> items--; got = 1
        :: else -> got = 0
        fi
    }
}

/* Nothing more will come, and nothing is there. */
#ifdef PORT
#define NOTHING_PENDING true
#elif PRODUCERS > 1
#define NOTHING_PENDING (pending[0] == 0 && pending[1] == 0)
#else
#define NOTHING_PENDING (pending[0] == 0)
#endif
#define QUIET (ended == PRODUCERS && items == 0 && NOTHING_PENDING)

/* choose_fences(), which counts; here any time is the right one. */
inline choose_fences()
{
#ifdef ADAPT
    if
    :: !fenced ->
        atomic { DIE; asks = 1 }; /* yk_store32_relaxed(membarrier) */
#ifndef MUTANT_NO_LAST_BARRIER
        membarrier();
#endif
        fenced = 1
    :: fenced ->
        atomic { DIE; asks = 0 };
#ifndef MUTANT_STAYS_FENCED
        fenced = 0
#endif
    :: true
    fi
#else
    skip
#endif
}

/* sleep_once() */
inline sleep_once()
{
#ifndef MUTANT_HEARD_LATE
    atomic { DIE; heard = bell[SLOT(me)] }; /* yk_load32_seq(bell) */
#endif
    atomic { DIE; sleepers[SLOT(me)]++ }; /* yk_add32_seq(sleepers): of this process */
    atomic { DIE; sleeps = sleeps | BIT(me) }; /* set_bit(): yk_or_seq */
    if
    :: !fenced -> membarrier()
    :: else /* yk_fence_seq(), as set_bit() was */
    fi;
#ifndef MUTANT_NO_SECOND_LOOK
    attempt();
#endif
#ifdef MUTANT_HEARD_LATE
    atomic { DIE; heard = bell[SLOT(me)] };
#endif
    if
    :: !got ->
        atomic { DIE; asleep[me] = (bell[SLOT(me)] == heard) }; /* futex_wait() */
        if
        :: !asleep[me]
        :: atomic { asleep[me] && excused[me] -> asleep[me] = 0; excused[me] = 0 }
        :: atomic { asleep[me] && leaves > 0 -> leaves--; asleep[me] = 0; leaving = 1 }
        :: atomic { asleep[me] && QUIET -> asleep[me] = 0; leaving = 1 }
        fi
    :: else
    fi;
    heard = 0;
    atomic { DIE; sleepers[SLOT(me)]--; last = (sleepers[SLOT(me)] == 0) }; /* yk_add32_seq */
    if
    :: last -> atomic { DIE; last = 0; sleeps = sleeps & ~BIT(me) } /* take_bit() */
    :: else
    fi;
#ifndef MUTANT_THREADS_FORGOTTEN
    atomic { DIE; last = (sleepers[SLOT(me)] != 0) }; /* yk_load32_seq(sleepers) */
    if
    :: last ->
        atomic { DIE; last = 0; sleeps = sleeps | BIT(me) }; /* set_bit() */
        ring_bell(SLOT(me));
        ok = 0
    :: else
    fi;
#endif
    skip
}

/* pass_on_message(), yk_changed(): somebody else is woken for what is still there. */
inline pass_on(only_if_ready)
{
#ifndef MUTANT_NOT_PASSED_ON
    atomic { DIE; ok = (sleeps != 0) }; /* yk_anyone_waits() */
    if
    :: ok && (only_if_ready) -> atomic { DIE; ok = (items > 0) } /* yk_port_is_ready() */
    :: else
    fi;
    if
    :: ok -> wake_any()
    :: else
    fi;
    ok = 0
#else
    skip
#endif
}

/* arm_descriptor(): yk_descriptor_arm(), one more look, and yk_notice_ring() if that finds some. */
inline arm()
{
#ifndef MUTANT_CLEARED_LATE
    atomic { DIE; doorbell[me] = 0 }; /* yk_sys_clear() */
#endif
    atomic { DIE; armed[me] = armed[me] + 2 }; /* yk_add_seq */
    atomic { DIE; armed[me] = armed[me] | 1 }; /* yk_or_seq */
    atomic { DIE; polls = polls | BIT(me) }; /* yk_or_seq, then the fence */
    membarrier(); /* yk_notice_fence() */
#ifdef MUTANT_CLEARED_LATE
    atomic { DIE; doorbell[me] = 0 };
#endif
#ifndef MUTANT_NO_SECOND_LOOK
    attempt();
#endif
    if
    :: got -> atomic { DIE; doorbell[me] = 1 } /* yk_notice_ring() */
    :: else
    fi
}

#ifdef STOP
#define CONSUMERS_DIE false
/* Of one who stopped before he rang nothing is known before the next one rings. */
#define NOBODY_RINGS (QUIET || (ended == PRODUCERS && halted > 0 && !complete[me]))
#else
#define CONSUMERS_DIE true
#define NOBODY_RINGS QUIET
#endif
proctype consumer(byte me)
{
    byte n, k, s, row, heard, cpu = PRODUCERS;
    bool ok, got, last, leaving, fenced, mortal = CONSUMERS_DIE;
    do
    :: n < TAKES && !leaving ->
        attempt();
        if
        :: !got && me < POLLERS ->
            arm();
            if
            :: !got ->
                if
                :: doorbell[me] /* poll() */
                :: NOBODY_RINGS -> leaving = 1
                fi
            :: else
            fi
        :: !got && me >= POLLERS ->
            choose_fences();
            do
            :: !got && !leaving -> sleep_once()
            :: got || leaving -> break
            od;
            if
            :: leaving && !QUIET -> pass_on(false) /* wait_until(): -EINTR, -ECANCELED */
            :: else
            fi;
            pass_on(true) /* run_receive() */
        :: else
        fi;
        if
        :: got -> got = 0; n++
        :: else
        fi
    :: else -> break
    od;
    goto out;
died:
    /* it may have been woken for what others are waiting for; its bits and its notice stay */
    atomic { asleep[me] = 0; excuse_all() };
out:
    atomic { n = 0; s = 0; row = 0; heard = 0; ok = 0; got = 0; last = 0; leaving = 0; fenced = 0; since[me] = 0; complete[me] = 0 }
}

init {
    atomic {
        byte k;
        do
        :: k < PRODUCERS ->
            run producer(k);
#ifndef PORT
            run processor(k);
#endif
            k++
        :: else -> k = 0; break
        od;
        do
        :: k < CONSUMERS -> bell[k] = BELLS - 1; run consumer(k); k++
        :: else -> k = 0; break
        od;
#if LEAVES > 0
        run no_signal()
#endif
    }
}
