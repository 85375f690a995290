/*
 * lock.pml - the robust lock of a region: src/lock.c, with sleeping (src/region.c) and the proof that
 * an owner is dead (src/memory/participant.c), as a model for spin. README.md says how it is run.
 *
 * Processes take the lock and release it; each may die before any access, and somebody new may take
 * its slot under the next generation. Checked: never two inside; the next owner is told of a death,
 * and of none that was not; nobody sleeps for ever (an invalid end state). A sleeper looks again by
 * itself, as it does after 100 ms, but only as often as somebody died who held the lock or had yet to
 * ring, or came into a dead one's slot: so all other wake-ups must come from who releases.
 *
 * Each `atomic` that begins with DIE is one access of the C code to shared memory, or one request to
 * the kernel. Memory model: sequentially consistent, which is what the C code asks for: the word and
 * the bell are changed by compare-and-swap and by or only, each followed by a load that is seq_cst.
 */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef ROUNDS
#define ROUNDS 2 /* how often each takes the lock */
#endif
#ifndef FAULTS
#define FAULTS 1 /* deaths */
#endif
#ifndef REJOINS
#define REJOINS 1 /* who comes into a dead one's slot */
#endif
#ifndef LEAVES
#define LEAVES 1 /* whose time is over, or whom a signal interrupts */
#endif
#ifndef GENERATIONS
#define GENERATIONS 3 /* 2^32 - 1 in the C code: how many before a signature comes again */
#endif
#ifndef BELLS
#define BELLS 4 /* 2^31 in the C code */
#endif

#define N PROCESSES

/* sign(): of a slot and its generation; never 0. (The thread's number is left out.) */
#ifdef MUTANT_NO_GENERATION
#define SIGN(slot, generation) (N + (slot))
#else
#define SIGN(slot, generation) (((generation) % GENERATIONS + 1) * N + (slot))
#endif
#define SLOT(signature) ((signature) % N)

#define SLEEPERS 1

byte word;            /* of the lock: 0 is free */
byte bell = 2 * (BELLS - 1); /* changes * 2 | SLEEPERS; about to wrap, as generations are */
byte generation[N];   /* the slot's word: generation, */
bool used[N];         /* and used */
bool alive[N];        /* the life byte */
byte recovery[N];     /* the recovery byte: who has it, + 1 */
bool asleep[N];       /* in the futex of the bell */

/* the ledger */
byte inside;          /* who is, + 1 */
bool abandoned;       /* the last owner died holding it */
bool owes[N];         /* released, and has not rung yet */
bool excused[N];      /* may look again by itself */
byte faults = FAULTS, rejoins = REJOINS, leaves = LEAVES;

#define DIE                                    \
    if                                         \
    :: true                                    \
    :: faults > 0 -> faults--; goto died       \
    fi

#define FREE      1
#define FROM_DEAD 2

inline excuse_all()
{
    k = 0;
    do
    :: k < N -> excused[k] = 1; k++
    :: else -> k = 0; break
    od
}

/* attempt(): `taken`. */
inline attempt(thorough)
{
    taken = 0; dead = 0;
    atomic { DIE; w = word }; /* yk_load_seq(word) */
    if
    :: w != 0 && (thorough) ->
        /* yk_holder_is_dead() */
        atomic { DIE; /* yk_load_acquire(slot->word) */
            seen = generation[SLOT(w)];
            dead = (SIGN(SLOT(w), seen) != w)
        };
#ifdef MUTANT_TAKE_FROM_ANYBODY
        dead = 1;
#endif
        if
        :: !dead -> /* yk_participant_is_dead() */
            atomic { DIE; dead = !(used[SLOT(w)] && generation[SLOT(w)] == seen) };
            if
            :: !dead && SLOT(w) != me ->
                atomic { DIE; dead = !alive[SLOT(w)] } /* yk_sys_byte_is_locked(life byte) */
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    if
    :: w == 0 || dead ->
        atomic { DIE; /* yk_cas_seq(0, or the dead one's signature -> mine) */
            if
#ifdef MUTANT_TAKE_STORE
            :: true ->
#else
            :: word == w ->
#endif
                word = mine;
                taken = (dead -> FROM_DEAD : FREE);
                assert(inside == 0);
                assert(abandoned == (taken == FROM_DEAD));
                inside = me + 1; abandoned = 0
            :: else
            fi
        }
    :: else
    fi;
    atomic { w = 0; dead = 0; seen = 0 }
}

/* yk_region_wait(): `taken`, or it gave up. */
inline acquire()
{
    attempt(false); /* and spinning, which is the same again */
    do
    :: taken -> break
    :: !taken ->
#ifdef MUTANT_NO_BIT
        atomic { DIE; heard = bell };
#else
        atomic { DIE; bell = bell | SLEEPERS; heard = bell }; /* yk_or32_seq(bell) */
#endif
#ifndef MUTANT_NO_SECOND_LOOK
        attempt(true);
#endif
        if
        :: !taken ->
            atomic { DIE; asleep[me] = (bell == heard) }; /* futex_wait() */
            if
            :: !asleep[me] /* it was rung meanwhile, or it is woken */
            :: atomic { asleep[me] && excused[me] -> excused[me] = 0; asleep[me] = 0 }
            :: atomic { asleep[me] && leaves > 0 -> leaves--; asleep[me] = 0; heard = 0; break }
            fi
        :: else
        fi;
        heard = 0
    od
}

/* yk_bell_ring() */
inline ring()
{
    atomic { DIE; heard = bell }; /* yk_load32_seq(bell) */
    if
    :: heard & SLEEPERS ->
        atomic { DIE; /* yk_cas32_seq: one try */
            if
            :: bell == heard -> bell = ((heard + 2) % (2 * BELLS)) & ~SLEEPERS; taken = 0
            :: else -> taken = 1
            fi
        };
        if
        :: !taken ->
            atomic { DIE; /* futex_wake(all) */
                k = 0;
                do
                :: k < N -> asleep[k] = 0; k++
                :: else -> k = 0; break
                od
            }
        :: else
        fi
    :: else
    fi;
    atomic { owes[me] = 0; taken = 0; heard = 0 }
}

inline release()
{
#ifdef MUTANT_RING_FIRST
    ring();
#endif
    atomic { DIE; /* yk_cas_seq(mine -> 0) */
        assert(word == mine && inside == me + 1);
        word = 0; inside = 0; owes[me] = 1
    };
#ifndef MUTANT_RING_FIRST
    ring()
#endif
}

#if LEAVES > 0
/* The time may be over, or not. */
proctype no_hurry()
{
    atomic { leaves = 0 }
}
#endif

proctype process(byte me)
{
    byte n, w, seen, heard, k, mine, dead_one;
    byte taken;
    bool dead;
again:
    mine = SIGN(me, generation[me]);
    do
    :: n < ROUNDS ->
        n++;
        acquire();
        if
        :: taken ->
            taken = 0;
            atomic { DIE; assert(inside == me + 1) }; /* the caller, inside */
            release()
        :: else
        fi
    :: n < ROUNDS && faults + rejoins < FAULTS + REJOINS ->
        /* recover_slot() of somebody dead: a region's locks are left, who wants them looks */
        atomic { DIE; /* owner_is_dead(), then yk_sys_lock_byte(YK_RECOVERY_BYTE) */
            if
            :: me != 0 && used[0] && !alive[0] && recovery[0] == 0 -> dead_one = 0; taken = 1
            :: me != 1 && used[1] && !alive[1] && recovery[1] == 0 -> dead_one = 1; taken = 1
#if N > 2
            :: me != 2 && used[2] && !alive[2] && recovery[2] == 0 -> dead_one = 2; taken = 1
#endif
            :: else
            fi;
            if
            :: taken -> recovery[dead_one] = me + 1
            :: else
            fi
        };
        if
        :: taken ->
            atomic { DIE; taken = used[dead_one] && !alive[dead_one] }; /* owner_is_dead(), again */
            if
            :: taken -> atomic { DIE; used[dead_one] = 0 } /* yk_store_release(slot->word) */
            :: else
            fi;
            atomic { DIE; recovery[dead_one] = 0 } /* yk_sys_unlock_byte */
        :: else
        fi;
        atomic { dead_one = 0; taken = 0 }
    :: else -> break
    od;
    goto out;
died:
    atomic {
        /*
         * What it was in the middle of, nobody will be rung for. Nor for this: who was about to come
         * into a dead owner's slot looked alive, and is not.
         */
        if
        :: owes[me] || (mine != 0 && word == mine) || abandoned -> excuse_all()
        :: else
        fi;
        if
        :: mine != 0 && word == mine -> abandoned = 1; inside = 0
        :: else
        fi;
        alive[me] = 0; owes[me] = 0; asleep[me] = 0;
        k = 0;
        do
        :: k < N ->
            if
            :: recovery[k] == me + 1 -> recovery[k] = 0
            :: else
            fi;
            k++
        :: else -> k = 0; break
        od;
        w = 0; seen = 0; heard = 0; taken = 0; dead = 0; dead_one = 0; mine = 0;
        if
        :: rejoins > 0 -> rejoins--
        :: true -> goto out
        fi
    };
    /* try_slot(), claim_if_free() */
    atomic { DIE; recovery[me] == 0 -> recovery[me] = me + 1 }; /* yk_sys_lock_byte */
    atomic { DIE; used[me] = 0 }; /* yk_store_release(slot->word), if it was used */
    atomic { DIE; alive[me] = 1 }; /* yk_sys_lock_byte(life byte) */
    atomic { DIE; /* claim_slot(): yk_store_release(slot->word) */
        generation[me] = (generation[me] + 1) % GENERATIONS; used[me] = 1;
        excuse_all()
    };
    atomic { DIE; recovery[me] = 0 };
    goto again;
out:
    atomic { n = 0; mine = 0 }
}

init {
    atomic {
        byte k;
        do
        :: k < N -> alive[k] = 1; used[k] = 1; generation[k] = GENERATIONS - 1; run process(k); k++
        :: else -> k = 0; break
        od;
#if LEAVES > 0
        run no_hurry()
#endif
    }
}
