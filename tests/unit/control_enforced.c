/* Which bundle becomes law here: verified, above the floor, stored, then enforced; and what a fork or a damaged store do. */
#include "control_world.h"

#include <semaphore.h>

#include "control/enforced.h"

enum { TICKET = 9 };

static char folder[64];
static struct store *store;
static struct metrics *metrics;
static struct enforced f;
static struct buf why;
static sem_t news;

static void wake(void *arg)
{
    sem_post(arg);
}

static struct buf roots; /* the chain of the world's root, and of those that a story adds */

static void start(void)
{
    struct chain chain;
    assert_int_equal(store_open(&store, folder, wake, &news, &why), ERR_OK);
    assert_int_equal(chain_open(&chain, buf_bytes(&roots), NULL, NULL), ERR_OK);
    assert_int_equal(enforced_init(&f, store, &chain, metrics, &why), ERR_OK);
}

static void stop(void)
{
    enforced_fini(&f);
    store_close(store);
    buf_fini(&why);
}

static int begin(void **state)
{
    folder_make(folder);
    sem_init(&news, 0, 0);
    metrics = metrics_new();
    world_make(state);
    roots.len = 0;
    assert_int_equal(chain_begin(&roots, buf_bytes(&world.root)), ERR_OK);
    start();
    return 0;
}

static int end(void **state)
{
    stop();
    metrics_free(metrics);
    folder_remove(folder);
    sem_destroy(&news);
    buf_fini(&roots);
    return world_end(state);
}

static struct buf bundle_of_text(const char *text, const struct sign_key *key)
{
    struct buf out = {0};
    struct complaints c = {0};
    struct root root = *trust_root(world.trust);
    root.policy.key[0] = key->pub;
    if (bundle_sign(&out, &root, 1, bytes_str(text), NULL, &key, 1, &c) != ERR_OK)
        fail_msg("%s", buf_str(&c.text));
    buf_fini(&c.text);
    return out;
}

/* A bundle of this version; `service` makes the difference between two of one version. */
static struct buf bundle_of(unsigned version, const char *service, const struct sign_key *key)
{
    struct buf text = {0};
    buf_addf(
        &text,
        "policy: v1\nmesh: shop.example\nversion: %u\nservices:\n  %s:\n    protocol: http\nintentions:\n"
        "  - {name: a, from: [web], to: %s, allow: [{methods: [GET]}]}\n",
        version, service, service);
    struct buf out = bundle_of_text(buf_str(&text), key);
    buf_fini(&text);
    return out;
}

static enum err offer_bytes(struct bytes b)
{
    buf_fini(&why);
    return enforced_offer(&f, store, trust_root(world.trust), b, NOW, TICKET, &why);
}

static bool stored(void)
{
    uint64_t ticket = 0;
    enum err outcome;
    while (!store_poll_done(store, &ticket, &outcome))
        sem_wait(&news);
    assert_int_equal(ticket, TICKET);
    return enforced_confirmed(&f, outcome, NOW);
}

static enum err offer(unsigned version, const char *service)
{
    struct buf b = bundle_of(version, service, &world.policy_key);
    enum err e = offer_bytes(buf_bytes(&b));
    if (e == ERR_OK)
        assert_true(stored());
    buf_fini(&b);
    return e;
}

static bool says(const char *words)
{
    return strstr(buf_str(&why), words) != NULL;
}

static bool counted(const char *line)
{
    struct buf text = {0};
    assert_int_equal(metrics_render(&text, &metrics, 1), ERR_OK);
    bool found = strstr(buf_str(&text), line) != NULL;
    buf_fini(&text);
    return found;
}

static void a_bundle_is_enforced_when_the_store_has_it_and_not_before(void **state)
{
    (void)state;
    struct buf b = bundle_of(3, "cart", &world.policy_key);
    assert_null(f.policy);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_OK);
    assert_null(f.policy);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_AGAIN); /* one at a time */
    assert_true(stored());
    assert_non_null(f.policy);
    assert_int_equal(f.version, 3);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_EXISTS);
    buf_fini(&b);
}

static void what_the_store_cannot_keep_is_not_enforced(void **state)
{
    (void)state;
    assert_int_equal(offer(3, "cart"), ERR_OK);
    struct buf b = bundle_of(4, "cart", &world.policy_key);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_OK);
    assert_false(enforced_confirmed(&f, ERR_FULL, NOW)); /* as if the disk had been full */
    assert_int_equal(f.version, 3);
    assert_int_equal(f.floor_version, 3);
    uint64_t ticket;
    enum err outcome;
    while (!store_poll_done(store, &ticket, &outcome))
        sem_wait(&news);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_OK); /* and may be offered again */
    assert_true(stored());
    buf_fini(&b);
}

static void lower_versions_are_refused_across_restarts(void **state)
{
    (void)state;
    assert_int_equal(offer(5, "cart"), ERR_OK);
    assert_int_equal(offer(4, "cart"), ERR_STALE);
    assert_true(says("raise `version:`"));
    stop();
    start();
    assert_int_equal(f.version, 5);
    assert_int_equal(offer(4, "cart"), ERR_STALE);
    assert_true(counted("starling_policy_refused_total{reason=\"version\"} 2"));
    assert_int_equal(offer(6, "cart"), ERR_OK);
}

static struct hash body_hash(const struct buf *bundle)
{
    struct envelope e;
    assert_int_equal(envelope_parse(&e, buf_bytes(bundle)), ERR_OK);
    return hash_of(e.body);
}

static void of_two_with_one_version_the_lower_hash_wins_in_both_orders_B12(void **state)
{
    (void)state;
    struct buf a = bundle_of(7, "cart", &world.policy_key), b = bundle_of(7, "web", &world.policy_key);
    struct hash ha = body_hash(&a), hb = body_hash(&b);
    bool a_is_lower = memcmp(ha.b, hb.b, HASH_BYTES) < 0;
    const struct buf *low = a_is_lower ? &a : &b, *high = a_is_lower ? &b : &a;

    assert_int_equal(offer_bytes(buf_bytes(low)), ERR_OK);
    assert_true(stored());
    assert_false(enforced_is_forked(&f, NULL));
    assert_int_equal(offer_bytes(buf_bytes(high)), ERR_CONFLICT);
    assert_true(enforced_is_forked(&f, NULL) && says("lower hash"));
    assert_true(hash_eq(&f.hash, a_is_lower ? &ha : &hb));
    assert_true(counted("starling_policy_refused_total{reason=\"fork\"} 1"));

    stop(); /* another agent hears of them the other way round */
    folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    start();
    assert_int_equal(offer_bytes(buf_bytes(high)), ERR_OK);
    assert_true(stored());
    assert_int_equal(offer_bytes(buf_bytes(low)), ERR_OK);
    assert_true(stored());
    assert_true(enforced_is_forked(&f, NULL));
    assert_true(hash_eq(&f.hash, a_is_lower ? &ha : &hb));
    assert_true(counted("starling_policy_refused_total{reason=\"fork\"} 2"));

    assert_int_equal(offer(8, "cart"), ERR_OK); /* the next version ends the alarm */
    assert_false(enforced_is_forked(&f, NULL));
    buf_fini(&a);
    buf_fini(&b);
}

enum { FORKS = 4, ORDERS = 24 };

/* The order of number n of FORKS things (Lehmer). */
static void order_of(unsigned n, unsigned out[FORKS])
{
    unsigned left[FORKS] = {0, 1, 2, 3}, count = FORKS;
    for (unsigned i = 0; i < FORKS; i++, n /= count + 1) {
        unsigned k = n % count--;
        out[i] = left[k];
        memmove(left + k, left + k + 1, (count - k) * sizeof *left);
    }
}

/* Saves the history and waits until the store has it. */
static void save(void)
{
    enforced_save(&f, store);
    assert_false(f.history_dirty);
}

/* Four signers' contradictions of one version, in all 24 orders of arrival, with a restart after each: all agents end with the
 * lowest hash, and with an alarm that names another one, until the next version. */
static void however_forks_arrive_all_end_with_the_lowest_B12(void **state)
{
    static const char *const service[FORKS] = {"cart", "web", "db", "mail"};
    struct buf b[FORKS];
    struct hash lowest, other;
    (void)state;
    for (unsigned i = 0; i < FORKS; i++) {
        b[i] = bundle_of(7, service[i], &world.policy_key);
        struct hash h = body_hash(&b[i]);
        if (i == 0 || memcmp(h.b, lowest.b, HASH_BYTES) < 0)
            lowest = h;
    }
    for (unsigned n = 0; n < ORDERS; n++) {
        unsigned order[FORKS];
        order_of(n, order);
        for (unsigned i = 0; i < FORKS; i++) {
            if (offer_bytes(buf_bytes(&b[order[i]])) == ERR_OK)
                assert_true(stored());
            save();
            assert_int_equal(enforced_is_forked(&f, NULL), i > 0);
            stop();
            start();
        }
        assert_true(hash_eq(&f.hash, &lowest));
        assert_true(enforced_is_forked(&f, &other) && !hash_eq(&other, &lowest));
        struct enforced_failed told = enforced_trouble(&f);
        assert_string_equal(told.reason, "fork");
        assert_int_equal(told.version, 7);
        assert_int_equal(strlen(told.what), 2 * HASH_BYTES);
        assert_int_equal(offer(8, "cart"), ERR_OK);
        assert_false(enforced_is_forked(&f, NULL));
        assert_string_equal(enforced_trouble(&f).reason, "");
        stop(); /* the next order, on an agent of its own */
        folder_remove(folder);
        assert_int_equal(mkdir(folder, 0700), 0);
        start();
    }
    for (unsigned i = 0; i < FORKS; i++)
        buf_fini(&b[i]);
}

static struct buf bundle_until(unsigned version, const char *expires)
{
    struct buf text = {0};
    buf_addf(&text, "policy: v1\nmesh: shop.example\nversion: %u\nexpires: %s\n", version, expires);
    struct buf out = bundle_of_text(buf_str(&text), &world.policy_key);
    buf_fini(&text);
    return out;
}

/* 2027-01-15T08:00:00Z is NOW; the clock goes back, the expiry does not; and a clock that was ten years ahead for a moment
 * condemns the version that it saw, no other. */
static void what_was_seen_expired_stays_so_whatever_the_clock_says_B8_B9(void **state)
{
    (void)state;
    struct buf soon = bundle_until(3, "2027-01-25T08:00:00Z"),
               later = bundle_until(4, "2027-02-25T08:00:00Z");
    assert_int_equal(offer_bytes(buf_bytes(&soon)), ERR_OK);
    assert_true(stored());
    assert_false(enforced_expires_soon(&f, NOW + 6 * 86400)); /* of ten days, the last third */
    assert_true(enforced_expires_soon(&f, NOW + 7 * 86400));
    enforced_look_at_clock(&f, NOW + 10 * 86400 - 1);
    assert_false(enforced_is_expired(&f));
    enforced_look_at_clock(&f, NOW + 10 * 86400);
    assert_true(enforced_is_expired(&f));
    save();
    stop();
    start();
    enforced_look_at_clock(&f, NOW); /* ten days back */
    assert_true(enforced_is_expired(&f));
    assert_true(f.policy && f.version == 3); /* and enforced */
    assert_int_equal(offer_bytes(buf_bytes(&later)), ERR_OK);
    assert_true(stored());
    enforced_look_at_clock(&f, NOW);
    assert_false(enforced_is_expired(&f));
    buf_fini(&soon);
    buf_fini(&later);
}

static void the_last_fifty_are_kept_over_restarts(void **state)
{
    (void)state;
    struct buf bundle = {0};
    for (unsigned v = 1; v <= STORE_POLICY_HISTORY + 3; v++)
        assert_int_equal(offer(v, v % 2 ? "cart" : "web"), ERR_OK);
    save();
    stop();
    start();
    assert_int_equal(f.history.count, STORE_POLICY_HISTORY);
    assert_int_equal(f.history.at[0].version, 4);
    assert_int_equal(f.history.at[0].since, NOW);
    for (size_t i = 0; i < f.history.count; i++) {
        struct bundle b;
        const struct history_entry *e = &f.history.at[i];
        bundle.len = 0;
        assert_int_equal(store_policy_get(store, e->epoch, e->version, &bundle), ERR_OK);
        assert_int_equal(bundle_peek(&b, buf_bytes(&bundle)), ERR_OK);
        assert_true(hash_eq(&b.hash, &e->hash) && b.version == e->version && b.signer_count == 1);
    }
    assert_int_equal(store_policy_get(store, 1, 3, &bundle), ERR_NOT_FOUND);
    buf_fini(&bundle);
}

/* It is signed by policy keys and says a version above ours, and is no text: of a later engine. */
static void what_cannot_be_taken_is_remembered_with_its_reason(void **state)
{
    (void)state;
    assert_int_equal(offer(3, "cart"), ERR_OK);
    struct buf b = bundle_of(4, "cart", &world.policy_key);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_OK);
    assert_false(enforced_confirmed(&f, ERR_FULL, NOW)); /* as if the disk had been full */
    assert_string_equal(f.failed.reason, "store");
    assert_int_equal(f.failed.version, 4);
    uint64_t ticket;
    enum err outcome;
    while (!store_poll_done(store, &ticket, &outcome))
        sem_wait(&news);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_OK);
    assert_true(stored());
    assert_string_equal(f.failed.reason, "");
    buf_fini(&b);
}

static void a_stored_bundle_that_does_not_verify_denies_all_and_keeps_the_floor(void **state)
{
    (void)state;
    struct sign_key stranger = key_of(99);
    struct buf forged = bundle_of(9, "cart", &stranger);
    assert_int_equal(store_policy_activate(store, 1, 9, buf_bytes(&forged), TICKET), ERR_OK);
    stop();
    start();
    assert_true(f.damaged);
    assert_true(says("policy keys"));
    assert_null(f.policy);
    assert_int_equal(f.floor_version, 9);
    assert_int_equal(offer(8, "cart"), ERR_STALE); /* the damage is no way back */
    assert_int_equal(offer(9, "cart"), ERR_OK);    /* the good one of that version is */
    assert_false(f.damaged);
    buf_fini(&forged);
}

/* Flips a byte of every copy of `word` in the store's file. */
static void damage(const char *word)
{
    char path[96];
    struct buf file = {0};
    snprintf(path, sizeof path, "%s/state.mdb", folder);
    FILE *in = fopen(path, "r+b");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    size_t len = (size_t)ftell(in), hits = 0;
    rewind(in);
    uint8_t *at = buf_reserve(&file, len);
    assert_int_equal(fread(at, 1, len, in), len);
    for (uint8_t *p = at; (p = memmem(p, len - (size_t)(p - at), word, strlen(word))); p++) {
        fseek(in, p - at, SEEK_SET);
        fputc(*p ^ 1, in);
        hits++;
    }
    assert_true(hits > 0);
    fclose(in);
    buf_fini(&file);
}

static void a_bundle_damaged_on_disk_denies_all_and_keeps_the_floor(void **state)
{
    (void)state;
    assert_int_equal(offer(9, "rarelynamed"), ERR_OK);
    stop();
    damage("rarelynamed");
    start();
    assert_true(f.damaged);
    assert_null(f.policy);
    assert_int_equal(f.floor_version, 9);
    assert_int_equal(offer(8, "cart"), ERR_STALE);
    assert_int_equal(offer(9, "rarelynamed"), ERR_OK);
    assert_false(f.damaged);
}

static void each_refusal_says_what_was_wrong(void **state)
{
    (void)state;
    struct sign_key stranger = key_of(99);
    struct buf good = bundle_of(3, "cart", &world.policy_key), forged = bundle_of(3, "cart", &stranger);
    assert_int_equal(offer_bytes(buf_bytes(&forged)), ERR_DENIED);
    assert_true(says("not signed by enough"));
    good.at[good.len / 2] ^= 1;
    assert_int_equal(offer_bytes(buf_bytes(&good)), ERR_AUTH);
    assert_true(says("altered"));
    assert_int_equal(offer_bytes(STR("not a bundle")), ERR_MALFORMED);
    assert_true(says("malformed"));
    assert_true(counted("reason=\"signer\"} 1") && counted("reason=\"altered\"} 1") &&
                counted("reason=\"malformed\"} 1"));
    buf_fini(&good);
    buf_fini(&forged);
}

/* The next root of the world, with another policy key; the chain grows by it. */
static struct root next_root(const struct sign_key *policy_key, wall_s expires)
{
    static struct buf envelope, longer;
    struct root r = *trust_root(world.trust), opened;
    const struct sign_key *by = &world.root_key;
    r.epoch++;
    r.expires = expires;
    r.policy = (struct role){1, 1, {policy_key->pub}};
    envelope.len = longer.len = 0;
    assert_int_equal(root_create(&envelope, &r, &by, 1), ERR_OK);
    assert_int_equal(root_open(&opened, buf_bytes(&envelope)), ERR_OK);
    assert_int_equal(chain_append(&longer, buf_bytes(&roots), buf_bytes(&envelope)), ERR_OK);
    roots.len = 0;
    buf_add_bytes(&roots, buf_bytes(&longer));
    return opened;
}

static void what_a_new_root_does_not_vouch_for_stays_and_is_marked(void **state)
{
    (void)state;
    struct sign_key fresh = key_of(77);
    assert_int_equal(offer(3, "cart"), ERR_OK);
    struct root two = next_root(&fresh, 0);
    enforced_rejudge(&f, &two);
    assert_true(f.unvouched && f.policy && f.version == 3);
    stop(); /* and over a restart */
    start();
    assert_true(f.unvouched && f.policy && !f.damaged && f.version == 3);
    /* The same words under the new key's signature are vouched for. */
    struct buf again = bundle_of(3, "cart", &fresh);
    buf_fini(&why);
    assert_int_equal(enforced_offer(&f, store, &two, buf_bytes(&again), NOW, TICKET, &why), ERR_OK);
    assert_true(stored());
    enforced_rejudge(&f, &two);
    assert_false(f.unvouched);
    assert_int_equal(enforced_offer(&f, store, &two, buf_bytes(&again), NOW, TICKET, &why), ERR_EXISTS);
    buf_fini(&again);
}

/* Gossip brings the policy first. */
static void a_policy_of_a_root_that_is_on_its_way_waits_for_it(void **state)
{
    (void)state;
    struct sign_key fresh = key_of(77);
    struct buf b = bundle_of(3, "cart", &fresh);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_DENIED);
    enforced_wait(&f, buf_bytes(&b));
    struct root two = next_root(&fresh, 0);
    assert_int_equal(enforced_offer(&f, store, &two, buf_bytes(&f.waiting), NOW, TICKET, &why), ERR_OK);
    assert_true(stored());
    assert_int_equal(f.version, 3);
    buf_fini(&b);
}

static void under_an_expired_root_the_policy_stays_and_none_is_taken_B8(void **state)
{
    (void)state;
    assert_int_equal(offer(3, "cart"), ERR_OK);
    struct root two = next_root(&world.policy_key, NOW + 1);
    struct buf b = bundle_of(4, "cart", &world.policy_key);
    enforced_rejudge(&f, &two);
    assert_int_equal(enforced_offer(&f, store, &two, buf_bytes(&b), NOW + 1, TICKET, &why), ERR_EXPIRED);
    assert_true(says("publish a new root first"));
    assert_true(f.policy && f.version == 3 && !f.unvouched);
    assert_int_equal(enforced_offer(&f, store, &two, buf_bytes(&b), NOW, TICKET, &why), ERR_OK);
    assert_true(stored());
    buf_fini(&b);
}

/* Everything that this version's agents do not do, told once for each version, until a version comes that they can follow. */
static void a_policy_that_needs_more_than_this_agent_has_is_refused_by_name(void **state)
{
    (void)state;
    struct buf b = bundle_of_text("policy: v1\nmesh: shop.example\nversion: 4\n"
                                  "services: {cart: {protocol: http, encryption: off}}\n",
                                  &world.policy_key);
    if (feature_in_force(FEATURE_ENCRYPTION_OFF))
        fail_msg("take a feature here that agents lack");
    assert_int_equal(offer(3, "cart"), ERR_OK);
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_UNSUPPORTED);
    assert_true(says("needs feature `encryption-off`, which this version lacks"));
    assert_int_equal(offer_bytes(buf_bytes(&b)), ERR_UNSUPPORTED);
    assert_int_equal(f.version, 3);
    assert_int_equal(f.floor_version, 3);
    assert_string_equal(f.failed.reason, "feature");
    assert_int_equal(f.failed.version, 4);
    assert_string_equal(f.failed.what, "encryption-off");
    assert_true(counted("starling_policy_refused_total{reason=\"feature\"} 2"));
    assert_int_equal(offer(5, "cart"), ERR_OK);
    assert_string_equal(f.failed.reason, "");
    buf_fini(&b);
}

/* The agent was set back to this version: what it cannot do, it does not half do. */
static void a_stored_policy_that_needs_more_denies_everything(void **state)
{
    (void)state;
    struct buf b = bundle_of_text("policy: v1\nmesh: shop.example\nversion: 4\n"
                                  "services: {cart: {protocol: http, encryption: off, unmatched: audit}}\n",
                                  &world.policy_key);
    assert_int_equal(store_policy_activate(store, 1, 4, buf_bytes(&b), TICKET), ERR_OK);
    stop();
    start();
    assert_true(f.damaged);
    assert_null(f.policy);
    assert_true(says("encryption-off"));
    buf_fini(&b);
}

/* Signed by the policy keys, and nothing that this agent can read: as from a later version whose language has more words. The
 * one before stays in force, the failure is told once and shown to all until a good one comes. */
static void a_text_that_does_not_compile_changes_nothing_and_is_told(void **state)
{
    (void)state;
    static const char text[] = "policy: v1\nmesh: shop.example\nversion: 4\nservces: {}\n";
    const struct sign_key *key = &world.policy_key;
    struct buf body = {0}, bundle = {0};
    uint8_t none[HASH_BYTES] = {0};
    assert_int_equal(offer(3, "cart"), ERR_OK);
    struct policy *before = f.policy;
    codec_put_array(&body, 8);
    codec_put_str(&body, bytes_str(""));
    codec_put_str(&body, bytes_str("shop.example"));
    codec_put_u64(&body, 1);
    codec_put_u64(&body, 4);
    codec_put_bin(&body, bytes_of(none, sizeof none));
    codec_put_array(&body, 0);
    codec_put_str(&body, bytes_str(""));
    codec_put_str(&body, bytes_str(text));
    assert_int_equal(envelope_sign(&bundle, ENVELOPE_POLICY, buf_bytes(&body), &key, 1), ERR_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(offer_bytes(buf_bytes(&bundle)), ERR_INVALID);
        assert_true(says("the policy text inside does not compile"));
        assert_true(says("bundle:4:1: unknown key `servces`; did you mean `services`?"));
        assert_ptr_equal(f.policy, before);
        assert_int_equal(f.version, 3);
    }
    struct enforced_failed told = enforced_trouble(&f);
    assert_string_equal(told.reason, "text");
    assert_int_equal(told.version, 4);
    assert_memory_equal(told.what, "bundle:4:1: unknown key `servces`",
                        strlen("bundle:4:1: unknown key `servces`"));
    assert_true(counted("starling_policy_refused_total{reason=\"text\"} 2"));
    assert_int_equal(offer(4, "cart"),
                     ERR_OK); /* the same number, mended: nothing of the bad one is held against it */
    assert_string_equal(enforced_trouble(&f).reason, "");
    buf_fini(&body);
    buf_fini(&bundle);
}

int main(void)
{
#define STORY(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(however_forks_arrive_all_end_with_the_lowest_B12),
        STORY(what_was_seen_expired_stays_so_whatever_the_clock_says_B8_B9),
        STORY(the_last_fifty_are_kept_over_restarts),
        STORY(what_cannot_be_taken_is_remembered_with_its_reason),
        STORY(a_policy_that_needs_more_than_this_agent_has_is_refused_by_name),
        STORY(a_text_that_does_not_compile_changes_nothing_and_is_told),
        STORY(a_stored_policy_that_needs_more_denies_everything),
        STORY(a_bundle_is_enforced_when_the_store_has_it_and_not_before),
        STORY(what_the_store_cannot_keep_is_not_enforced),
        STORY(lower_versions_are_refused_across_restarts),
        STORY(of_two_with_one_version_the_lower_hash_wins_in_both_orders_B12),
        STORY(a_stored_bundle_that_does_not_verify_denies_all_and_keeps_the_floor),
        STORY(a_bundle_damaged_on_disk_denies_all_and_keeps_the_floor),
        STORY(each_refusal_says_what_was_wrong),
        STORY(what_a_new_root_does_not_vouch_for_stays_and_is_marked),
        STORY(a_policy_of_a_root_that_is_on_its_way_waits_for_it),
        STORY(under_an_expired_root_the_policy_stays_and_none_is_taken_B8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
