/* tests/unit/shard_pure_test.c - buckets, routes and the map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shard/map.h"
#include "shard/route.h"
#include "shard/settled.h"

static struct slice
key(const char *text)
{
    return slice_of(text, strlen(text));
}

/* Rows lie by these numbers: if this test fails, the function has changed and must not. */
static void
hash_buckets_never_change(void **state)
{
    (void)state;
    struct shard_scheme scheme = {.kind = SHARD_HASH, .bucket_count = 1024};
    static const struct {
        const char *key;
        uint32_t bucket;
    } known[] = {{"", 194}, {"a", 543}, {"alice", 688}, {"\x80\x01", 144},
        {"0123456789abcdef0123456789abcdef", 85}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        uint32_t bucket;
        assert_true(shard_bucket(&scheme, key(known[i].key), &bucket));
        assert_int_equal(bucket, known[i].bucket);
    }
}

static void
ranges_and_lists_find_their_bucket(void **state)
{
    (void)state;
    const struct shard_entry range[] = {{key(""), 0}, {key("g"), 2}, {key("m"), 1}};
    struct shard_scheme scheme = {
        .kind = SHARD_RANGE, .bucket_count = 3, .entry_count = 3, .entries = range};
    static const struct {
        const char *key;
        uint32_t bucket;
    } cases[] = {{"", 0}, {"a", 0}, {"fzz", 0}, {"g", 2}, {"h", 2}, {"m", 1}, {"z", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t bucket;
        assert_true(shard_bucket(&scheme, key(cases[i].key), &bucket));
        assert_int_equal(bucket, cases[i].bucket);
    }
    size_t first, end;
    struct slice low = key("g"), high = key("h");
    shard_bucket_range(&scheme, &low, &high, &first, &end);
    assert_int_equal(first, 1);
    assert_int_equal(end, 2);
    shard_bucket_range(&scheme, NULL, &low, &first, &end);
    assert_int_equal(first, 0);
    assert_int_equal(end, 2);
    shard_bucket_range(&scheme, &high, NULL, &first, &end);
    assert_int_equal(first, 1);
    assert_int_equal(end, 3);

    const struct shard_entry list[] = {{key("at"), 0}, {key("de"), 0}, {key("us"), 1}};
    scheme = (struct shard_scheme){
        .kind = SHARD_LIST, .bucket_count = 2, .entry_count = 3, .entries = list};
    uint32_t bucket;
    assert_true(shard_bucket(&scheme, key("de"), &bucket));
    assert_int_equal(bucket, 0);
    assert_true(shard_bucket(&scheme, key("us"), &bucket));
    assert_int_equal(bucket, 1);
    assert_false(shard_bucket(&scheme, key("a"), &bucket));
    assert_false(shard_bucket(&scheme, key("dex"), &bucket));
    assert_false(shard_bucket(&scheme, key("zz"), &bucket));
}

static void
routes_survive_both_forms(void **state)
{
    (void)state;
    struct arena arena;
    struct diag diag;
    arena_create(&arena, "test");
    struct shard_route route, again;
    assert_int_equal(
        shard_route_parse(&arena,
            " epoch=17 hlc=5 confined read_at=18446744073709551615 public.users:0-31,64 b:7 "
            "exactly=9",
            &route, &diag),
        ERR_OK);
    struct buffer bytes = {0};
    shard_route_encode(&route, &bytes);
    assert_int_equal(
        shard_route_decode(&arena, slice_of(bytes.data, bytes.size), &again, &diag), ERR_OK);
    assert_int_equal(again.epoch, 17);
    assert_int_equal(again.hlc, 5);
    assert_true(again.read_at == UINT64_MAX);
    assert_int_equal(again.group_count, 2);
    assert_true(again.confined);
    assert_string_equal(again.groups[0].name, "public.users");
    assert_int_equal(again.groups[0].range_count, 2);
    assert_int_equal(again.groups[0].ranges[0].last, 31);
    assert_int_equal(again.groups[0].ranges[1].first, 64);
    assert_int_equal(again.groups[1].ranges[0].last, 7);
    assert_int_equal(again.replicated, SHARD_REPLICATED_EXACTLY);
    assert_int_equal(again.replicated_version, 9);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(
            shard_route_decode(&arena, slice_of(bytes.data, size), &again, &diag), ERR_PROTOCOL);
    }
    bytes.size = 0;
    route.replicated = SHARD_REPLICATED_NONE;
    shard_route_encode(&route, &bytes);
    assert_int_equal(
        shard_route_decode(&arena, slice_of(bytes.data, bytes.size), &again, &diag), ERR_OK);
    assert_int_equal(again.replicated, SHARD_REPLICATED_NONE);
    assert_int_equal(again.group_count, 2);
    buffer_destroy(&bytes);
    static const char *const bad[] = {"x", "t:1-", "t:5-3", "t:1,,2", "t:99999999", "epoch=x",
        "epoch=18446744073709551616", "t:1,", "t:-1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(
            shard_route_parse(&arena, bad[i], &route, &diag), ERR_INVALID_PARAMETER_VALUE);
    }
    assert_int_equal(shard_route_parse(&arena, "", &route, &diag), ERR_OK);
    assert_int_equal(route.group_count, 0);
    arena_destroy(&arena);
}

static void
the_map_is_written_and_read(void **state)
{
    (void)state;
    struct arena arena;
    struct diag diag;
    arena_create(&arena, "test");
    struct shard_map map;
    assert_int_equal(shard_map_parse(&arena, NULL, &map, &diag), ERR_OK);
    shard_map_add_node(&arena, &map, "n1", "127.0.0.1", 5433);
    shard_map_add_node(&arena, &map, "n2", "127.0.0.1", 5434);
    struct shard_map_group *group = shard_map_add_group(&arena, &map, "public.\"a b\"", 4);
    shard_map_distribute(&map, group);
    shard_map_add_bucket(&arena, group, 0);
    map.epoch = 9;
    const char *text = shard_map_format(&arena, &map);
    struct shard_map again;
    assert_int_equal(shard_map_parse(&arena, text, &again, &diag), ERR_OK);
    assert_int_equal(again.epoch, 9);
    assert_int_equal(shard_map_node(&again, "n2"), 1);
    assert_int_equal(again.nodes[1].port, 5434);
    group = shard_map_group(&again, "public.\"a b\"");
    assert_non_null(group);
    assert_int_equal(group->bucket_count, 5);
    static const int32_t owners[] = {0, 0, 1, 1, 0};
    assert_memory_equal(group->owners, owners, sizeof owners);
    static const char *const bad[] = {"{", "[]", "{\"epoch\":-1}",
        "{\"epoch\":1,\"nodes\":[{\"name\":\"a\",\"host\":\"b\",\"port\":0}]}",
        "{\"epoch\":1,\"groups\":[{\"name\":\"a\",\"owners\":[0]}]}",
        "{\"epoch\":1,\"groups\":[{\"name\":\"a\",\"owners\":[-2]}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(shard_map_parse(&arena, bad[i], &again, &diag), ERR_CORRUPT);
    }
    arena_destroy(&arena);
}

static void
lists_of_open_sagas_say_what_need_be(void **state)
{
    (void)state;
    struct arena arena;
    struct diag diag;
    struct buffer bytes = {0};
    arena_create(&arena, "test");
    struct shard_open_saga sagas[] = {{.number = 7, .begun = 10, .places = key("here")},
        {.number = 8, .begun = 11, .places = key("there")}};
    const struct shard_settled list = {.stamp = 20, .blind = 10, .count = 2, .sagas = sagas};
    for (int all = 0; all < 2; all++) {
        struct shard_settled again;
        bytes.size = 0;
        shard_settled_encode(&list, all != 0, &bytes);
        assert_int_equal(
            shard_settled_decode(&arena, slice_of(bytes.data, bytes.size), &again, &diag), ERR_OK);
        assert_int_equal(again.stamp, 20);
        assert_int_equal(again.blind, 10);
        assert_int_equal(again.count, 2);
        assert_int_equal(again.sagas[1].number, 8);
        assert_true(slice_equal(again.sagas[0].places, key("here")));
        assert_int_equal(again.sagas[1].places.size, all != 0 ? 5 : 0);
        for (size_t size = 0; size < bytes.size; size++) {
            assert_int_equal(
                shard_settled_decode(&arena, slice_of(bytes.data, size), &again, &diag),
                ERR_PROTOCOL);
        }
    }
    buffer_destroy(&bytes);
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_buckets_never_change),
        cmocka_unit_test(ranges_and_lists_find_their_bucket),
        cmocka_unit_test(routes_survive_both_forms),
        cmocka_unit_test(the_map_is_written_and_read),
        cmocka_unit_test(lists_of_open_sagas_say_what_need_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
