/* limits.h: every cap and waiting time that the files of core.h share, by concern; what happens at each. What only one file
 * needs is declared there. */
#ifndef GOSSIP_LIMITS_H
#define GOSSIP_LIMITS_H

#include <stdint.h>

/* Numbers that only a liar signs: no room is left above them to refute (ADVERSARY G6). */
#define NUMBER_MAX (UINT64_C(1) << 62)
/* Nothing is counted upwards from a document's numbers: a thief's highest version is just a version. */
#define DOC_NUMBER_MAX (UINT64_C(1) << 63)

/* Datagrams out. */
enum {
    OUTBOX_MAX =
        1024, /* pings, acks, answers waiting to be polled; one more is dropped, as by a lossy network */
    ACKS_WAITING_MAX = 2, /* to one member, while acks wait for the byte budget; one more is dropped */
    LOOK_SHARE = 8,       /* one part in eight of the byte budget is for looks while pushes use up the rest */
    RIDE_SHARE = 8,       /* ... and one for rumors that ride on pings and acks */
    LOOK_BYTES = 200,     /* what a look costs: two pings, and asking two others whether they hear us */
    WAVE_MS = 100,        /* from a rumor's first pushes to its second (tell.c) */
    WAVE_FANOUT = 3,      /* members told in the second */
    NEWS_FLOOD = 64,      /* rumors that owe pushes at once; further records are left to syncs */
    RECORD_INLINE_MAX =
        256, /* bytes of a record that always travels whole; a longer one only while it is young */
    INTRODUCE_MS =
        30000, /* after a new record, ours or theirs, our first ping to them carries ours for so long */
};

/* Records pulled. */
enum {
    WANTS_MAX = 512,        /* being pulled at once; one more waits for anti-entropy */
    WANTS_PER_SOURCE = 128, /* ... of them announced by one member */
    WANT_TRIES = 8,
    WANT_WAIT_MS = 100,     /* for the record, if the round trip is unknown; also the longest first wait */
    WANT_SLACK_MS = 20,     /* ... beyond a known round trip */
    WANT_WAIT_MAX_MS = 200, /* the wait doubles up to this, and then another announcer is asked */
};

/* The bulk lane. */
enum {
    JOBS_MAX = 64, /* messages to be sent; one more is dropped, and the other side asks again */
    JOBS_PER_MEMBER = 4,
    BULK_ANSWERS_PER_S = 8, /* to one member (ADVERSARY G19) */
    BULK_WAIT_MS = 5000,    /* for an answer */
    SYNCS_SENT_MAX = 16,    /* of ours whose answers are awaited; the oldest is given up */
    SYNC_ANSWERS_MAX = 512, /* messages accepted in answer to one */
    SYNC_SPACING_MS = 2000, /* between syncs that we begin because much differs or a member returned */
    SAMPLE_RECORDS = 24,    /* given to a joiner by one who is busy */
    STATE_BYTES_PER_S = 4 * 1024 * 1024, /* of full states given to joiners; beyond, they get samples */
    SEEDS_MAX = 64,                      /* addresses beyond are ignored */
};

/* Differences found in datagrams. */
enum {
    FOLDS_KEPT = 8,               /* summaries remembered; one more is computed again */
    MISMATCHES_BEFORE_DIGEST = 2, /* differing summaries in a row: one may be due to news under way */
    AGREEMENTS_ENOUGH = 3,        /* equal summaries in a row, after which record rumors are dropped */
    DIGEST_SPACING_MS = 500,      /* between digests that we begin because summaries differ */
    DIGEST_BACKOFF_MAX = 7,   /* ... doubling so often while they bring nothing: we refuse what others hold */
    DIGESTS_WAITING_MAX = 16, /* digests and ranges to be sent; one more is dropped, and begun anew later */
    DIGEST_ANSWERS_MAX = 6,   /* packets in answer to one DIGEST; what else differs is found by the next */
    EXCHANGE_PACKETS_MAX =
        24, /* ... to all of an exchange that we began, beside those that a member gets in a second */
    RANGE_GIVE_MAX = 16,    /* records given in answer to one RANGE (ADVERSARY G19) ... */
    GIVES_WAITING_MAX = 64, /* ... while fewer answers wait to be polled: those to one digest come together */
};

/* One that lacks much (catch_up.c). */
enum {
    CATCH_UP_MS = 50,        /* at least between syncs; as much again at random */
    CATCH_UP_WAIT_MS = 2000, /* for an answer, before another is asked; doubles ... */
    CATCH_UP_PATIENCE = 3,   /* ... so often while none comes */
    CATCH_UP_PARTNERS = 4,   /* asked in turn ... */
    CATCH_UP_KEPT_MS =
        20000,          /* ... if asked no longer ago than this: so long a bulk lane may keep its links */
    CATCH_UP_MANY = 32, /* differences in one sync from which on others are asked too, until one shows none */
    CATCH_UP_FROM = 8,  /* members known, from which on a joiner's first answer is checked with another */
};

/* Documents. */
enum {
    DOC_OFFERS_MAX = 8,     /* per kind; a worse offer gives way to a better one */
    DOC_ANSWER_COST = 2,    /* a document counts as so many of BULK_ANSWERS_PER_S */
    DOC_PATIENCE_MS = 2000, /* for a document, while others offer one too; else BULK_WAIT_MS */
    DOC_CHECK_MS = 1000,    /* the embedder's time to adopt a document before the next offer is tried */
    STRIKES_MAX = 6,        /* bad documents held against a member, who is heard one second in 2^strikes */
};

/* Silence, and what is made of it. */
enum {
    HEALTH_MAX = 8,         /* Lifeguard IV-A, S: intervals and timeouts grow up to ninefold */
    HEARD_MAX = 2,          /* others who must have answered us before silence is held against a member */
    CUT_OFF_PROBES = 3,     /* probe intervals without any answer after which we accuse nobody */
    DIRECT_SLACK_MS = 150,  /* beyond measured round trips: a scheduler's pause */
    RELAY_WAIT_MIN_MS = 20, /* asked of a relay at least */
    ASK_SPACING_MS = 100,   /* between asking others whether they hear us */
    LATE_ALOUD_MS = 100,    /* a loop later than this takes back what it was about to say */
    VOUCH_MS = 3000,        /* after it answered us, accusations of a member do not count for so long */
    LINK_FRESH_MS = 1500,   /* ... nor after a link was seen to work; links are told of once a second */
    REFUSED_OTHERS = 2,     /* whose dials must be refused, besides ours, before a pause is cut short */
    SPARED_ENOUGH = 2,      /* looks that only relays answered, from which on they may spare a suspect */
    VERIFY_JITTER_MS =
        400, /* own looks after an accusation are spread over so much, or a millisecond per member, */
    VERIFY_JITTER_MAX_MS = 2000, /* ... but no more than this */
    LOOKS_MAX = 64,              /* waiting (degrade.c); one more is not taken */
    KNOCKS_MAX = 64,             /* waiting to be polled; one more is dropped */
    HEARINGS_MAX = 64, /* accused at whom we have yet to look; one more replaces the lightest (hearing.c) */
    VOICES_MAX = 4,    /* accusers remembered of each */
    ACCUSATIONS_OPEN_MAX =
        2, /* of one accuser, not looked into yet; of further ones we look before we tell */
};

/* Ourselves. */
enum {
    DEAD_TOLD_MAX =
        32, /* of more, while a quarter of all are silent, none is told that it is dead, and asked to refute */
    REFUTE_SPACING_MS = 1000,    /* between requests for a new incarnation (ADVERSARY G4) */
    TROUBLE_MS = 60 * 1000,      /* after we were late or cut off we believe who accuses us */
    CLONE_SIGNS = 3,             /* times that our number is overtaken ... */
    CLONE_WINDOW_MS = 60 * 1000, /* ... within this, and somebody else has our key */
    CLONE_YIELD_MS = 600 * 1000, /* who gives way to its double is silent for so long */
    PROOF_FIRST_MS =
        500,         /* before we sign over another's record: by then all know the proof (quarantine.c) */
    PROOFS_MAX = 64, /* equivocations waiting to be polled; one more is found again later */
    LEAVE_WAIT_MS = 2000, /* at most, for others to pull our good-bye */
};

/* Before our first record (recall.c). */
enum {
    RECALL_MS = 3000,         /* for answers, if nobody answers */
    RECALL_MORE_MS = 300,     /* for further ones, once one is there */
    RECALL_PATIENCE_MS = 500, /* without an answer, before others are asked too */
    RECALL_AT_ONCE = 3,       /* members asked at once, and seeds */
    RECALL_ASKED_MAX = 16,    /* asked in all; when they have failed it is over */
};

/* Where we are (locate.c). */
enum {
    LOCATE_MS = 5000,              /* between looks whether our record is to say something else */
    DOWNGRADE_MS = 1000,           /* until our record is one that a speaker of an older version can read */
    EXPLORE_MANY = 60,             /* members probed after our start to learn where we are: one every ... */
    EXPLORE_MS = 2000,             /* ... so long, and then one every ... */
    EXPLORE_LATER_MS = 120 * 1000, /* ... so long */
};

#endif
