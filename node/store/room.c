#include "node/store/room.h"

#include <sys/statvfs.h>

#include "proto/limits.h"

static uint64_t reserve_of(uint64_t total_bytes, uint64_t reserve_bytes)
{
	const uint64_t share = total_bytes / PL_ROOM_SHARE;

	return reserve_bytes < share ? reserve_bytes : share;
}

uint64_t pl_room_member_bytes(uint64_t total_bytes, uint64_t reserve_bytes, uint8_t percent)
{
	return percent >= 100 ? UINT64_MAX : (total_bytes - reserve_of(total_bytes, reserve_bytes)) / 100 * percent;
}

uint8_t pl_room_lanes(uint64_t free_bytes, uint64_t total_bytes, uint64_t reserve_bytes, uint8_t lanes_before)
{
	const uint64_t reserve = reserve_of(total_bytes, reserve_bytes);
	uint8_t lanes = 1;

	for (uint8_t lane = 1; lane < PL_LANES; lane++) {
		const uint64_t needed = lane == PL_LANES - 1 ? reserve : reserve / 2;
		if (free_bytes >= (lane < lanes_before ? needed : needed + needed / 4))
			lanes = lane + 1u;
	}
	return lanes;
}

enum pl_err pl_room_look(const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
	struct statvfs fs;

	if (statvfs(path, &fs) != 0)
		return PL_ERR_IO;
	*free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	*total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
	return PL_OK;
}
