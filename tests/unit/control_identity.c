/* Who this agent is: made once with a token, kept in small files, renewed, and refused with a reason (ADVERSARY N32). */
#include "control_world.h"

#include "control/identity.h"
#include "observe/log.h"
#include "store/file.h"

static char folder[64], token_path[96];
static struct config config;
static struct identity id;
static struct buf why;

/* A token for these services and node names, good for an hour, whose credentials live a day. */
static void make_token(const char *services, const char *nodes, mode_t mode)
{
    struct buf grant = {0}, text = {0}, complaint = {0};
    struct sign_key granted = key_of(150);
    struct grant g = {.mesh = STR("shop.example"),
                      .key = granted.pub,
                      .node_pattern = bytes_str(nodes),
                      .service_count = 1,
                      .service = {bytes_str(services)},
                      .not_before = NOW,
                      .expires = NOW + HOUR,
                      .credential_life = DAY};
    assert_int_equal(grant_create(&grant, &g, &world.enrol_key), ERR_OK);
    assert_int_equal(token_encode(&text, buf_bytes(&world.root), buf_bytes(&grant), &granted), ERR_OK);
    (void)remove(token_path);
    assert_int_equal(file_write(token_path, buf_bytes(&text), mode, true, &complaint), ERR_OK);
    strcpy(config.token_path, token_path);
    buf_fini(&grant);
    buf_fini(&text);
    buf_fini(&complaint);
}

static enum err open_at(wall_s now)
{
    identity_fini(&id);
    buf_fini(&why);
    return identity_open(&id, &config, now, &why);
}

static bool says(const char *words)
{
    if (!strstr(buf_str(&why), words))
        print_message("said: %s\n", buf_str(&why));
    return strstr(buf_str(&why), words) != NULL;
}

static int begin(void **state)
{
    world_make(state);
    log_level_set(LOG_ERROR);
    folder_make(folder);
    config = (struct config){.node = "web-1"};
    strcpy(config.data, folder);
    snprintf(token_path, sizeof token_path, "%s/token", folder);
    return 0;
}

static int end(void **state)
{
    identity_fini(&id);
    id = (struct identity){.trust = NULL};
    buf_fini(&why);
    folder_remove(folder);
    return world_end(state);
}

static void enrolled(void)
{
    make_token("*", "*", 0600);
    assert_int_equal(open_at(NOW), ERR_OK);
    config.token_path[0] = 0;
}

static const char *file_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void without_a_token_the_first_start_says_what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(open_at(NOW), ERR_NOT_FOUND);
    assert_true(says("starling token create"));
}

static void enrolled_once_it_needs_no_token_again(void **state)
{
    (void)state;
    struct stat st;
    enrolled();
    struct node_id first = id.sign.pub;
    assert_int_equal(remove(token_path), 0);
    assert_int_equal(open_at(NOW + 10 * HOUR), ERR_OK);
    assert_true(node_id_eq(&id.sign.pub, &first));
    assert_int_equal(stat(file_of("identity.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(file_of("noise.key"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* S8 */
static void a_lost_identity_is_named_and_nothing_is_made_in_its_place(void **state)
{
    (void)state;
    enrolled();
    assert_int_equal(identity_is_there(&config, &why), ERR_OK);
    assert_int_equal(remove(file_of("identity.key")), 0);
    assert_int_equal(identity_is_there(&config, &why), ERR_NOT_FOUND);
    assert_true(says("identity.key is missing") && says("restore it"));
}

static void a_token_that_others_can_read_is_refused(void **state)
{
    (void)state;
    make_token("*", "*", 0644);
    assert_int_equal(open_at(NOW), ERR_DENIED);
    assert_true(says("token"));
}

static void a_token_for_other_names_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    struct stat st;
    make_token("*", "cart-*", 0600);
    assert_int_equal(open_at(NOW), ERR_DENIED);
    assert_true(says("the token does not allow this host"));
    assert_int_not_equal(stat(file_of("identity.key"), &st), 0);
}

static void a_key_file_that_is_not_as_it_was_made_is_refused_N32(void **state)
{
    (void)state;
    struct buf good = {0}, complaint = {0};
    enrolled();
    assert_int_equal(file_read(&good, file_of("noise.key"), KEY_TEXT_MAX, &complaint), ERR_OK);

    assert_int_equal(chmod(file_of("noise.key"), 0644), 0);
    assert_int_equal(open_at(NOW), ERR_DENIED);
    assert_true(says("noise.key"));
    assert_int_equal(chmod(file_of("noise.key"), 0640), 0);
    assert_int_equal(open_at(NOW), ERR_DENIED);
    assert_int_equal(chmod(file_of("noise.key"), 0600), 0);
    assert_int_equal(open_at(NOW), ERR_OK);

    char elsewhere[128];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
    assert_int_equal(rename(file_of("noise.key"), elsewhere), 0);
    assert_int_equal(symlink(elsewhere, file_of("noise.key")), 0);
    assert_int_equal(open_at(NOW), ERR_INVALID);
    assert_true(says("symbolic link"));

    static const struct {
        const char *what;
        int cut; /* bytes taken from the end, or added */
    } lengths[] = {{"a byte of the key is missing", 2}, {"nothing is there", 1 << 20}, {"a second line", -1}};
    for (size_t i = 0; i < 3; i++) {
        size_t n = lengths[i].cut < 0                  ? good.len
                   : (size_t)lengths[i].cut > good.len ? 0
                                                       : good.len - (size_t)lengths[i].cut;
        struct buf text = {0};
        buf_add(&text, good.at, n);
        if (lengths[i].cut < 0)
            buf_add_str(&text, "\n");
        (void)remove(file_of("noise.key"));
        assert_int_equal(file_write(file_of("noise.key"), buf_bytes(&text), 0600, true, &complaint), ERR_OK);
        enum err e = open_at(NOW);
        if (e == ERR_OK)
            fail_msg("accepted though %s", lengths[i].what);
        assert_true(says("noise.key is not a key file of this agent"));
        buf_fini(&text);
    }
    buf_fini(&good);
    buf_fini(&complaint);
}

static void keys_and_credential_of_two_hosts_do_not_go_together(void **state)
{
    (void)state;
    struct buf text = {0}, complaint = {0};
    struct dh_key other = noise_of(77);
    enrolled();
    assert_int_equal(key_text_encode(&text, "noise", other.sec, NULL), ERR_OK);
    assert_int_equal(file_write(file_of("noise.key"), buf_bytes(&text), 0600, true, &complaint), ERR_OK);
    assert_int_equal(open_at(NOW), ERR_CONFLICT);
    assert_true(says("for other keys than those beside it"));
    buf_fini(&text);
    buf_fini(&complaint);
}

static void in_its_last_third_a_token_renews_the_credential_for_the_same_keys(void **state)
{
    (void)state;
    enrolled();
    struct node_id before = id.sign.pub;
    wall_s expires = id.credential_open.expires;
    make_token("*", "*", 0600);
    assert_int_equal(open_at(NOW + HOUR / 2), ERR_OK);
    assert_int_equal(id.credential_open.expires, expires); /* too early */
    assert_false(identity_expires_soon(&id, NOW + 15 * HOUR));
    assert_true(identity_expires_soon(&id, NOW + 17 * HOUR));
    strcpy(config.node, "web-2"); /* a new name needs a new credential at once */
    assert_int_equal(open_at(NOW + HOUR / 2), ERR_OK);
    assert_true(id.credential_open.expires > expires);
    assert_true(node_id_eq(&id.sign.pub, &before));
    config.token_path[0] = 0;
    assert_int_equal(open_at(NOW + HOUR), ERR_OK);
    assert_true(bytes_eq_str(id.credential_open.node, "web-2"));
}

static void copy_file(const char *from, const char *to)
{
    struct buf text = {0}, complaint = {0};
    char path[128];
    strcpy(path, file_of(to));
    assert_int_equal(file_read(&text, file_of(from), 4096, &complaint), ERR_OK);
    assert_int_equal(file_write(path, buf_bytes(&text), 0600, true, &complaint), ERR_OK);
    buf_fini(&text);
    buf_fini(&complaint);
}

/* A renewal while running: the proof of before goes on until it is let go, what is on disk is the new one. */
static void a_renewal_stores_what_it_gives_and_rolls_the_noise_key_if_told_to(void **state)
{
    (void)state;
    enrolled();
    make_token("*", "*", 0600);
    struct renewal r = {.config = &config, .of = &id, .must_extend = true};
    struct proof *p;
    struct dh_key first = proof_now(id.proof)->noise;
    assert_int_equal(identity_renew(&p, &r, NOW, &why), ERR_STALE); /* nothing would be won */
    assert_int_equal(identity_renew(&p, &r, NOW + 60, &why), ERR_OK);
    assert_null(proof_before(p));
    identity_take_proof(&id, p);
    proof_unref(p);
    assert_int_equal(id.credential_open.expires, NOW + 60 + DAY);
    r.roll_noise_key = true;
    assert_int_equal(identity_renew(&p, &r, NOW + 120, &why), ERR_OK);
    identity_take_proof(&id, p);
    proof_unref(p);
    struct dh_key second = proof_now(id.proof)->noise;
    assert_memory_not_equal(second.pub, first.pub, 32);
    assert_memory_equal(proof_before(id.proof)->noise.sec, first.sec, 32);
    assert_int_equal(open_at(NOW + 130), ERR_OK);
    assert_memory_equal(proof_now(id.proof)->noise.sec, second.sec, 32);
    assert_int_equal(id.credential_open.expires, NOW + 120 + DAY);
}

/* Cut off between the credential and noise.key: the key of before is still in its place. */
static void a_roll_that_was_cut_off_is_brought_to_its_end(void **state)
{
    (void)state;
    struct stat st;
    struct proof *p;
    enrolled();
    make_token("*", "*", 0600);
    copy_file("noise.key", "noise.key.was");
    copy_file("credential", "credential.was");
    struct renewal r = {.config = &config, .of = &id, .roll_noise_key = true};
    assert_int_equal(identity_renew(&p, &r, NOW + 60, &why), ERR_OK);
    struct dh_key rolled = proof_now(p)->noise;
    proof_unref(p);
    copy_file("noise.key", "noise.key.next");
    copy_file("noise.key.was", "noise.key");
    assert_int_equal(open_at(NOW + 120), ERR_OK);
    assert_memory_equal(proof_now(id.proof)->noise.sec, rolled.sec, 32);
    assert_int_not_equal(stat(file_of("noise.key.next"), &st), 0);
    copy_file("noise.key", "noise.key.next"); /* ... or before the credential: the next key is nobody's */
    copy_file("noise.key.was", "noise.key");
    copy_file("credential.was", "credential");
    config.token_path[0] = 0;
    assert_int_equal(open_at(NOW + 120), ERR_OK);
    assert_memory_not_equal(proof_now(id.proof)->noise.sec, rolled.sec, 32);
}

/* GHSA-339v-266x-79xr: whoever renews is asked what he stands on, too. */
static void a_renewal_with_a_revoked_token_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct revoked *set;
    struct trust *t;
    struct proof *p;
    enrolled();
    make_token("*", "*", 0600);
    struct sign_key granted = key_of(150);
    assert_int_equal(revoked_new(&set, &granted.pub, 1), ERR_OK);
    assert_int_equal(trust_revoking(&t, id.trust, set), ERR_OK);
    trust_unref(id.trust);
    id.trust = t;
    revoked_unref(set);
    struct renewal r = {.config = &config, .of = &id};
    assert_int_equal(identity_renew(&p, &r, NOW + 60, &why), ERR_REVOKED);
    assert_true(says("accepted by nobody: revoked (grant.key"));
    assert_int_equal(open_at(NOW + 60), ERR_OK);
    assert_true(id.credential_open.not_before < NOW + 60);
}

static void an_expired_token_does_not_stop_a_host_whose_credential_is_good(void **state)
{
    (void)state;
    enrolled();
    make_token("*", "*", 0600); /* ends after an hour, is still in the configuration at hour 20 */
    assert_int_equal(open_at(NOW + 20 * HOUR), ERR_OK);
    assert_int_equal(why.len, 0);
    assert_int_equal(remove(token_path), 0);
    assert_int_equal(open_at(NOW + 20 * HOUR), ERR_OK);
    assert_int_equal(open_at(NOW + DAY), ERR_NOT_FOUND); /* now it would be needed */
    assert_true(says("token"));
}

static void what_the_credential_does_not_say_needs_a_token(void **state)
{
    (void)state;
    enrolled();
    assert_int_equal(open_at(NOW + DAY), ERR_EXPIRED);
    assert_true(says("this host's credential has expired, by the clock of this host, at "));
    strcpy(config.node, "web-2");
    assert_int_equal(open_at(NOW), ERR_DENIED);
    assert_true(says("is the data folder of the node web-1, and this is web-2 (the node's name differs)"));
    assert_true(says("two agents with one key are both shut out; give this host an empty --data folder"));
    assert_true(says("keep the name by --node web-1"));
    strcpy(config.node, "web-1");
    config.label_count = 1;
    config.label[0] = (struct config_label){"zone", "z1"};
    assert_int_equal(open_at(NOW), ERR_DENIED);
    assert_true(says("the labels differ"));
    make_token("*", "*", 0600);
    assert_int_equal(open_at(NOW), ERR_OK);
    assert_true(bytes_eq_str(*labels_get(&id.credential_open.labels, STR("zone")), "z1"));
}

/* The root of this epoch has an enrol key of its own, and the mesh's one root key. */
static struct buf root_of(uint64_t epoch)
{
    struct buf out = {0};
    const struct sign_key *by = &world.root_key;
    struct root r = {.mesh = STR("shop.example"),
                     .epoch = epoch,
                     .root = {1, 1, {world.root_key.pub}},
                     .policy = {1, 1, {world.policy_key.pub}},
                     .enrol = {1, 1, {key_of((uint8_t)(210 + epoch)).pub}}};
    assert_int_equal(root_create(&out, &r, &by, 1), ERR_OK);
    return out;
}

/* Under the root of epoch 3; with the roots before it, or alone. */
static void make_token_under_root_3(bool has_chain)
{
    struct buf second = root_of(2), third = root_of(3), grant = {0}, chain = {0}, text = {0};
    struct sign_key granted = key_of(151), enrol_key = key_of(213);
    struct grant g = {.mesh = STR("shop.example"),
                      .key = granted.pub,
                      .node_pattern = STR("*"),
                      .service_count = 1,
                      .service = {STR("*")},
                      .not_before = NOW,
                      .expires = NOW + 30 * DAY,
                      .credential_life = 10 * DAY};
    const struct bytes walk[] = {buf_bytes(&world.root), buf_bytes(&second), buf_bytes(&third)};
    assert_int_equal(grant_create(&grant, &g, &enrol_key), ERR_OK);
    assert_int_equal(chain_of(&chain, walk, 3), ERR_OK);
    assert_int_equal(has_chain ? token_encode_chain(&text, buf_bytes(&chain), buf_bytes(&grant), &granted)
                               : token_encode(&text, buf_bytes(&third), buf_bytes(&grant), &granted),
                     ERR_OK);
    (void)remove(token_path);
    assert_int_equal(file_write(token_path, buf_bytes(&text), 0600, true, &why), ERR_OK);
    strcpy(config.token_path, token_path);
    struct buf *all[] = {&second, &third, &grant, &chain, &text};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_fini(all[i]);
}

static void a_token_leads_over_roots_one_by_one_and_never_with_a_gap(void **state)
{
    (void)state;
    struct buf third = root_of(3), file = {0};
    enrolled();
    /* Its credential has ended; the token is good, but stands on a root that nothing here leads to. */
    make_token_under_root_3(false);
    assert_int_equal(open_at(NOW + 2 * DAY), ERR_AUTH);
    assert_true(says("under the root of epoch 3, and this host trusts that of epoch 1") && says("--roots"));
    assert_int_equal(file_read(&file, file_of("root.trust"), ROOT_BYTES_MAX, &why), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&file), buf_bytes(&world.root)));
    buf_fini(&file);
    make_token_under_root_3(true);
    assert_int_equal(open_at(NOW + 2 * DAY), ERR_OK);
    assert_int_equal(trust_root(id.trust)->epoch, 3);
    assert_true(id.roots.len > 0 && id.credential_open.expires == NOW + 12 * DAY);
    assert_int_equal(file_read(&file, file_of("root.trust"), ROOT_BYTES_MAX, &why), ERR_OK);
    assert_true(bytes_eq(buf_bytes(&file), buf_bytes(&third)));
    config.token_path[0] = 0;
    assert_int_equal(open_at(NOW + 3 * DAY), ERR_OK); /* kept */
    assert_true(trust_root(id.trust)->epoch == 3 && id.roots.len == 0);
    buf_fini(&third);
    buf_fini(&file);
}

/* While it runs nothing is followed on the quiet: who keeps the chain is asked to take the roots first. */
static void a_running_host_is_told_which_roots_a_renewal_needs(void **state)
{
    (void)state;
    struct buf roots = {0};
    struct proof *p = NULL;
    struct chain c;
    enrolled();
    make_token_under_root_3(true);
    struct renewal r = {.config = &config, .of = &id, .roots = &roots};
    assert_int_equal(identity_renew(&p, &r, NOW, &why), ERR_AGAIN);
    assert_null(p);
    assert_int_equal(trust_root(id.trust)->epoch, 1);
    assert_int_equal(chain_open(&c, buf_bytes(&roots), NULL, NULL), ERR_OK);
    assert_true(c.count == 3 && c.newest.epoch == 3);
    buf_fini(&roots);
}

static void an_enrolment_cut_off_is_begun_anew(void **state)
{
    (void)state;
    enrolled();
    assert_int_equal(remove(file_of("identity.key")), 0);
    make_token("*", "*", 0600);
    assert_int_equal(open_at(NOW), ERR_OK);
}

int main(void)
{
#define STORY(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        STORY(without_a_token_the_first_start_says_what_is_missing),
        STORY(enrolled_once_it_needs_no_token_again),
        STORY(a_lost_identity_is_named_and_nothing_is_made_in_its_place),
        STORY(a_token_that_others_can_read_is_refused),
        STORY(a_token_for_other_names_is_refused_and_leaves_nothing),
        STORY(a_key_file_that_is_not_as_it_was_made_is_refused_N32),
        STORY(keys_and_credential_of_two_hosts_do_not_go_together),
        STORY(in_its_last_third_a_token_renews_the_credential_for_the_same_keys),
        STORY(a_renewal_stores_what_it_gives_and_rolls_the_noise_key_if_told_to),
        STORY(a_roll_that_was_cut_off_is_brought_to_its_end),
        STORY(a_renewal_with_a_revoked_token_is_refused_and_changes_nothing),
        STORY(an_expired_token_does_not_stop_a_host_whose_credential_is_good),
        STORY(what_the_credential_does_not_say_needs_a_token),
        STORY(a_token_leads_over_roots_one_by_one_and_never_with_a_gap),
        STORY(a_running_host_is_told_which_roots_a_renewal_needs),
        STORY(an_enrolment_cut_off_is_begun_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
