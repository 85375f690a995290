"""What spin.py searches: (name, model, definitions, what it is about). The models say what each definition means."""


def port(senders, receivers, *more):
    return ["SENDERS=%d" % senders, "RECEIVERS=%d" % receivers] + list(more)


ADAPT = ["MEMBARRIER", "ADAPT", "CONSUMERS=1", "MSGS=3", "TAKES=3", "FAULTS=1"]
MARKS = ["MSGS=3", "EACH=2", "TRIES=3", "BORROWS=1", "RETURNS=0"]

COME_AGAIN = ["STAMPS=3", "MSGS=6", "TRIES=6", "UNITS=0", "RETURNS=0"]

FAST = [
    ("port-1-2", "port", port(1, 2, "MSGS=2", "TRIES=1"), "one sender, two receivers; one of the three may die"),
    ("port-2-1", "port", port(2, 1, "MSGS=1", "TRIES=1"), "two senders, one receiver; one of the three may die"),
    ("port-marks", "port", port(1, 1, *MARKS), "a held cell is marked on; a death"),
    ("port-2-1-marks", "port", port(2, 1, "MSGS=2", "TRIES=2", "BORROWS=1", "RETURNS=0", "FAULTS=0"),
     "two senders help past a held cell"),
    ("port-rejoin", "port", port(1, 1, "FAULTS=2", "REJOINS=1", "MSGS=1"),
     "two deaths, of who recovers as well; somebody new in the slot"),
    ("port-stop", "port", port(1, 2, "MSGS=1", "TRIES=1", "CELLS=4", "STOP"), "one stops for ever, anywhere"),
    ("port-park", "port", port(1, 2, "MSGS=2", "EACH=2", "DEPTH=2", "CELLS=4", "TRIES=1", "RETURNS=2", "MAX_DELIVERIES=1",
                               "FAULTS=0"), "two receivers park; there is room for one"),
    ("port-once", "port", port(1, 1, "MSGS=2", "ONCE=1"), "policy once"),
    ("port-first-lap", "port", port(1, 2, "MSGS=1", "TRIES=1", "START=0"), "in a new port: walks end early"),
    ("port-old-hints", "port", port(1, 1, "MSGS=4", "EACH=2", "TRIES=4", "RETURNS=0", "FAULTS=0", "HINTS_STAY"),
     "hints that stay where they were, over two laps"),
    ("link-small", "link", ["MSGS=3", "TRIES=3", "UNITS=0"], "messages in slots; a death, and somebody new"),
    ("link-buffer", "link", ["MSGS=2", "TRIES=2"], "messages in the buffer; a death, and somebody new"),
    ("link-buffer-long", "link", ["MSGS=4", "TRIES=4", "RETURNS=0", "FAULTS=0", "REJOINS=0"],
     "the buffer is used around its end"),
    ("link-two-deaths", "link", ["FAULTS=2", "REJOINS=2", "MSGS=2", "TRIES=2", "UNITS=0"],
     "two deaths, of who recovers as well"),
    ("link-worn-out", "link", ["MSGS=2", "TRIES=3", "UNITS=0", "RETURNS=2", "MAX_DELIVERIES=1"],
     "a message is dropped when it was delivered too often"),
    ("link-once", "link", ["MSGS=2", "TRIES=2", "UNITS=0", "ONCE=1"], "policy once"),
    ("link-old-receipts", "link", ["MSGS=3", "TRIES=3", "UNITS=0", "OLD_RECEIPTS"],
     "in each slot a receipt whose stamp comes again after a lap that renews"),
    ("link-stamps-come-again", "link", COME_AGAIN, "so long that stamps come again; a death, and somebody new"),
    ("lock-2", "lock", ["PROCESSES=2", "ROUNDS=2"], "two want the lock, twice; a death, and somebody new"),
    ("lock-3", "lock", ["PROCESSES=3", "ROUNDS=1"], "three want the lock; a death, and somebody new"),
    ("lock-3-alive", "lock", ["PROCESSES=3", "ROUNDS=2", "FAULTS=0", "REJOINS=0", "LEAVES=0"],
     "three want the lock, twice: nobody is woken by the clock"),
    ("wakeup-port", "wakeup", ["PORT", "LEAVES=1"], "two sleep on a port; one may be interrupted"),
    ("wakeup-threads", "wakeup", ["PORT", "SHARED"], "two threads sleep on one bell"),
    ("wakeup-death", "wakeup", ["PORT", "FAULTS=1"], "a waker or a sleeper dies: 100 ms at most"),
    ("wakeup-poll", "wakeup", ["PORT", "POLLERS=2", "FAULTS=1"], "two poll descriptors; a death"),
    ("wakeup-mixed", "wakeup", ["PORT", "POLLERS=1"], "one polls, one sleeps"),
    ("wakeup-poll-stop", "wakeup", ["PORT", "PRODUCERS=2", "MSGS=1", "CONSUMERS=1", "POLLERS=1", "TAKES=2", "FAULTS=1",
                                    "STOP"], "a sender stops before it has rung: the next one rings"),
    ("wakeup-tso-fence", "wakeup", ["FENCE", "CONSUMERS=1", "TAKES=2"], "store buffers: a link with fences"),
    ("wakeup-tso-membarrier", "wakeup", ["MEMBARRIER", "CONSUMERS=1", "TAKES=2", "FAULTS=1"],
     "store buffers: a link whose sender makes no fence"),
    ("wakeup-tso-poll-fence", "wakeup", ["FENCE", "CONSUMERS=1", "POLLERS=1", "TAKES=2"],
     "store buffers: a descriptor, with fences"),
    ("wakeup-tso-poll-membarrier", "wakeup", ["MEMBARRIER", "CONSUMERS=1", "POLLERS=1", "TAKES=2", "FAULTS=1"],
     "store buffers: a descriptor, whose sender makes no fence"),
    ("wakeup-tso-adapt", "wakeup", ADAPT, "store buffers: a sleeper that asks for fences, and takes that back"),
]

LONG = [
    ("port-1-2-long", "port", port(1, 2, "MSGS=2"), "one sender, two receivers, two tries each; a death"),
    ("port-1-2-rejoin-long", "port", port(1, 2, "MSGS=2", "TRIES=1", "REJOINS=1"), "and somebody new in the slot"),
    ("port-1-2-two-deaths-long", "port", port(1, 2, "MSGS=1", "TRIES=1", "FAULTS=2"),
     "and a death of who recovers, recovered by the third"),
    ("port-2-1-long", "port", port(2, 1, "MSGS=2", "TRIES=2", "RETURNS=0"), "two senders, two messages each; a death"),
    ("port-2-1-marks-long", "port", port(2, 1, "MSGS=2", "TRIES=2", "BORROWS=1", "RETURNS=0"),
     "two senders help past a held cell; a death"),
    ("port-2-2-long", "port", port(2, 2, "MSGS=1", "TRIES=1", "RETURNS=0"), "two senders, two receivers; a death"),
    ("port-stop-long", "port", port(1, 2, "MSGS=2", "TRIES=1", "CELLS=4", "STOP"), "one stops for ever, anywhere"),
    ("port-park-long", "port", port(1, 2, "MSGS=2", "EACH=2", "DEPTH=2", "CELLS=4", "TRIES=1", "RETURNS=2",
                                    "MAX_DELIVERIES=1"), "two receivers park; a death"),
    ("link-long", "link", ["MSGS=3", "TRIES=3"], "in slots and in the buffer; a death, and somebody new"),
    ("link-two-deaths-long", "link", ["FAULTS=2", "REJOINS=2", "MSGS=2", "TRIES=2"], "and two of them"),
    ("link-four-long", "link", ["MSGS=4", "TRIES=4", "UNITS=0", "RETURNS=2"], "four messages over three laps; a death"),
    ("link-stamps-come-again-long", "link", COME_AGAIN + ["FAULTS=2", "REJOINS=2"], "stamps come again; two deaths"),
    ("lock-3-long", "lock", ["PROCESSES=3", "ROUNDS=1", "FAULTS=2", "REJOINS=2", "LEAVES=0"],
     "three want the lock; two deaths, two new ones"),
    ("wakeup-port-2-2-long", "wakeup", ["PORT", "PRODUCERS=2", "MSGS=1"], "two senders, two sleepers"),
    ("wakeup-port-3-long", "wakeup", ["PORT", "CONSUMERS=3", "MSGS=1"], "three sleepers, one message"),
    ("wakeup-threads-long", "wakeup", ["PORT", "SHARED", "PRODUCERS=2", "MSGS=1"],
     "two threads sleep on one bell, two senders wake them"),
    ("wakeup-poll-stop-long", "wakeup", ["PORT", "PRODUCERS=2", "MSGS=1", "CONSUMERS=2", "POLLERS=2", "FAULTS=1", "STOP"],
     "a sender stops before it has rung two descriptors"),
    ("wakeup-tso-2-long", "wakeup", ["FENCE", "PRODUCERS=2", "MSGS=1", "CONSUMERS=2"],
     "store buffers: two senders with fences, two sleepers"),
]

PAIR = port(1, 1, "MSGS=2", "TRIES=2", "FAULTS=1", "REJOINS=1")
RACE = port(1, 2, "MSGS=1", "TRIES=1", "FAULTS=0")
DEATH = port(1, 2, "MSGS=1", "TRIES=1", "FAULTS=1")
SMALL = ["MSGS=3", "TRIES=3", "UNITS=0"]
BUFFER = ["MSGS=2", "TRIES=2"]
POLL = ["PORT", "POLLERS=2"]
TSO = ["CONSUMERS=1", "TAKES=2"]

# model, the fault, bounds, what is wrong
FAULTS = [
    ("port", "COMMIT_STORE", port(2, 1, "MSGS=1", "TRIES=1", "FAULTS=0"), "the commit is a plain store"),
    ("port", "STAMP_STAYS", port(2, 1, "MSGS=1", "TRIES=1", "FAULTS=0"), "a commit that failed leaves its block USED"),
    ("port", "MARK_STORE", port(1, 1, "FAULTS=0", *MARKS), "the lap is raised by a plain store"),
    ("port", "MOVE_STORE", port(1, 1, "FAULTS=0", *MARKS), "release writes the cell by a plain store"),
    ("port", "TAKE_STORE", RACE, "a FULL cell is taken by a plain store"),
    ("port", "NOT_COUNTED", port(1, 2, "MSGS=1", "FAULTS=0"), "deliveries are not counted"),
    ("port", "NOT_RETURNING", port(1, 2, "MSGS=1", "FAULTS=0"), "who gives back does not say so first"),
    ("port", "SETTLED_BLINDLY", port(1, 2, "MSGS=1", "FAULTS=0"), "`settled` is set though somebody is giving back"),
    ("port", "RAISED_AFTER", DEATH, "`raised` grows after the cell is AGAIN"),
    ("port", "JUMP_TOO_FAR", port(1, 1, "MSGS=5", "TRIES=3", "BORROWS=1", "FAULTS=0", "EACH=3", "CELLS=4", "DEPTH=3",
                                  "RETURNS=0", "HINTS_STAY"), "an EMPTY cell of a later lap is trusted as a FULL one"),
    ("port", "RELEASE_CELL_FIRST", DEATH, "the cell is freed before its block"),
    ("port", "PARKING_UNMARKED", port(1, 2, "MSGS=2", "EACH=2", "DEPTH=2", "CELLS=4", "TRIES=1", "RETURNS=2",
                                      "MAX_DELIVERIES=1", "FAULTS=0"), "who is about to park does not say so"),
    ("port", "RECOVER_ALL_HELD", DEATH, "what the dead one had released is delivered again"),
    ("port", "RECOVER_FREES_HELD", PAIR, "a dead sender's block is freed under its reader"),
    ("port", "RECOVER_POOL_NOT_SWEPT", DEATH, "stamped blocks of the dead are leaked"),
    ("port", "NO_RECOVERY_LOCK", DEATH, "two recover at once"),
    ("port", "NO_SECOND_LOOK", PAIR, "who recovers does not look again under the lock"),
    ("link", "WORD_FIRST", BUFFER, "the word is stored before the bytes"),
    ("link", "ONE_MORE", SMALL, "one message more than there are slots"),
    ("link", "NO_STAMP", SMALL, "the receiver does not compare the lap"),
    ("link", "RECEIPT_WITHOUT_STAMP", SMALL, "a receipt of the lap before is believed"),
    ("link", "TAKEN_NOT_STORED", SMALL, "what is in hand is not noted"),
    ("link", "RELEASE_BEFORE_COPY", ["MSGS=4", "TRIES=4", "RETURNS=0", "FAULTS=0", "REJOINS=0"],
     "a message is released before it is copied"),
    ("link", "RECOVER_TAKEN_FIRST", ["FAULTS=2", "REJOINS=2", "MSGS=2", "TRIES=2", "UNITS=0"],
     "recovery forgets what was in hand before it has written the receipts"),
    ("link", "RECOVER_TWICE", ["FAULTS=2", "REJOINS=2", "MSGS=2", "TRIES=3", "UNITS=0", "RETURNS=0", "MAX_DELIVERIES=2"],
     "recovery that is done again counts again"),
    ("link", "RESUME_AT_RELEASED", SMALL, "a new sender begins at what was released"),
    ("link", "PIECES_FORGOTTEN", BUFFER, "a new sender does not know the buffer's pieces in use"),
    ("link", "PIECES_OVERLAP", ["MSGS=4", "TRIES=4", "RETURNS=0", "FAULTS=0", "REJOINS=0"],
     "a piece is one unit too long for its place"),
    ("link", "NEVER_RENEWED", COME_AGAIN, "a receipt is left in its slot until its stamp comes again"),
    ("link", "RESUME_FORGETS_RENEWING", COME_AGAIN, "a new receiver does not ask whether its lap renews"),
    ("lock", "NO_GENERATION", ["PROCESSES=2"], "who holds it signs without its generation"),
    ("lock", "TAKE_FROM_ANYBODY", ["PROCESSES=2"], "a death is not proved"),
    ("lock", "TAKE_STORE", ["PROCESSES=2"], "the lock is taken by a plain store"),
    ("lock", "NO_BIT", ["PROCESSES=2"], "a sleeper does not set the bit"),
    ("lock", "NO_SECOND_LOOK", ["PROCESSES=2"], "a sleeper does not look again"),
    ("lock", "RING_FIRST", ["PROCESSES=2"], "the bell is rung before the lock is free"),
    ("wakeup", "NO_SECOND_LOOK", ["PORT"], "a sleeper does not look again after it has set its bit"),
    ("wakeup", "HEARD_LATE", ["PORT"], "the bell is read after the second look"),
    ("wakeup", "WAKE_FIRST", ["PORT"], "who sends wakes before the message is there"),
    ("wakeup", "THREADS_FORGOTTEN", ["PORT", "SHARED"], "of two threads on one bell the second is forgotten"),
    ("wakeup", "NO_SECOND_LOOK", POLL, "a descriptor is armed, and nobody looks again"),
    ("wakeup", "CLEARED_LATE", POLL, "the bell is cleared after it was armed"),
    ("wakeup", "DISARM_ANY", POLL, "a late ringer disarms what was armed anew"),
    ("wakeup", "DISARM_FIRST", ["PORT", "PRODUCERS=2", "MSGS=1", "CONSUMERS=1", "POLLERS=1", "TAKES=2", "FAULTS=1", "STOP"],
     "disarmed before it is rung, by one who stops in between"),
    ("wakeup", "NO_FENCE", TSO, "store buffers: neither a fence nor a membarrier"),
    ("wakeup", "NO_FENCE", TSO + ["POLLERS=1"], "store buffers: the same with a descriptor"),
    ("wakeup", "NO_LAST_BARRIER", ADAPT, "store buffers: who asks for fences does not see to it that it was heard"),
    ("wakeup", "STAYS_FENCED", ADAPT, "store buffers: who takes that back still relies on them"),
    ("wakeup", "ASKED_EARLY", ADAPT, "store buffers: who sends looks whether it is asked before it has sent"),
]

MUTANTS = [("%s-mutant-%s%s" % (model, fault.lower().replace("_", "-"), "-poll" if "POLLERS" in " ".join(defines) else ""),
            model, defines + ["MUTANT_" + fault], about) for model, fault, defines, about in FAULTS]

# Some of these are tried each time, all of them by --mutants.
SOME = """port-mutant-commit-store port-mutant-move-store port-mutant-settled-blindly port-mutant-release-cell-first
port-mutant-recover-frees-held port-mutant-no-second-look link-mutant-word-first link-mutant-receipt-without-stamp
link-mutant-release-before-copy link-mutant-recover-taken-first link-mutant-never-renewed lock-mutant-no-generation
lock-mutant-no-second-look wakeup-mutant-no-second-look wakeup-mutant-wake-first wakeup-mutant-disarm-first-poll
wakeup-mutant-no-fence""".split()
