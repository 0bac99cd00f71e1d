#include <criterion/criterion.h>

#include "node/store/room.h"

#define MIB (UINT64_C(1) << 20)
#define TOTAL (10000 * MIB)
#define RESERVE (256 * MIB)

Test(room, bulk_stops_first_then_messages_and_never_what_is_urgent)
{
	cr_assert_eq(pl_room_lanes(TOTAL / 2, TOTAL, RESERVE, 3), 3);
	cr_assert_eq(pl_room_lanes(RESERVE, TOTAL, RESERVE, 3), 3);
	cr_assert_eq(pl_room_lanes(RESERVE - 1, TOTAL, RESERVE, 3), 2);
	cr_assert_eq(pl_room_lanes(RESERVE / 2, TOTAL, RESERVE, 3), 2);
	cr_assert_eq(pl_room_lanes(RESERVE / 2 - 1, TOTAL, RESERVE, 3), 1);
	cr_assert_eq(pl_room_lanes(0, TOTAL, RESERVE, 3), 1);
}

Test(room, what_has_stopped_comes_back_with_a_quarter_more)
{
	cr_assert_eq(pl_room_lanes(RESERVE + RESERVE / 4 - 1, TOTAL, RESERVE, 2), 2);
	cr_assert_eq(pl_room_lanes(RESERVE + RESERVE / 4, TOTAL, RESERVE, 2), 3);
	cr_assert_eq(pl_room_lanes(RESERVE / 2 + RESERVE / 8 - 1, TOTAL, RESERVE, 1), 1);
	cr_assert_eq(pl_room_lanes(RESERVE / 2 + RESERVE / 8, TOTAL, RESERVE, 1), 2);
	cr_assert_eq(pl_room_lanes(TOTAL / 2, TOTAL, RESERVE, 1), 3);
}

Test(room, a_small_disk_keeps_a_tenth_and_no_reserve_keeps_nothing)
{
	cr_assert_eq(pl_room_lanes(10 * MIB, 100 * MIB, RESERVE, 3), 3);
	cr_assert_eq(pl_room_lanes(10 * MIB - 1, 100 * MIB, RESERVE, 3), 2);
	cr_assert_eq(pl_room_lanes(0, TOTAL, 0, 1), 3);
}

Test(room, looks_at_a_disk)
{
	uint64_t free_bytes, total_bytes;

	cr_assert_eq(pl_room_look("/", &free_bytes, &total_bytes), PL_OK);
	cr_assert_gt(total_bytes, 0);
	cr_assert_leq(free_bytes, total_bytes);
	cr_assert_eq(pl_room_look("/no/such/place", &free_bytes, &total_bytes), PL_ERR_IO);
}

Test(room, one_member_may_take_a_share_of_what_is_not_reserved)
{
	cr_assert_eq(pl_room_member_bytes(TOTAL, RESERVE, 20), (TOTAL - RESERVE) / 100 * 20);
	cr_assert_eq(pl_room_member_bytes(100 * MIB, RESERVE, 50), 90 * MIB / 100 * 50);
	cr_assert_eq(pl_room_member_bytes(TOTAL, RESERVE, 0), 0);
	cr_assert_eq(pl_room_member_bytes(TOTAL, RESERVE, 100), UINT64_MAX);
}
