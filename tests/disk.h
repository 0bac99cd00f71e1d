/* A disk for tests: it fails where it is told to, and at the end it keeps only what a real one would have had to keep.
 *
 * It is a SQLite VFS in front of the system's, and takes the place of pwrite, fsync, fdatasync and rename for the program that it is linked
 * into (-Wl,--wrap). Files under the given directory are written as usual, so that they read as usual; beside them it keeps, for each,
 * what is durable and what has been written since the last sync. disk_cut() then makes a directory as power loss might leave it: of what
 * was not synced any subset remains, in pieces of 512 bytes, and of deletions and renames without a sync of the directory some never
 * happened. In files that are not SQLite's a piece may also come out as garbage; SQLite itself relies on a disk that does not do that.
 */
#ifndef PL_TESTS_DISK_H
#define PL_TESTS_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum disk_fault {
	DISK_FINE,
	DISK_EIO,       /* any operation */
	DISK_ENOSPC,    /* writes; half of it may have been written */
	DISK_EIO_SYNC,  /* syncs; what was not synced may be lost, and a later sync does not bring it back */
	DISK_CUT,       /* whatever changes a file; it is the last that happens, if it does, and everything fails from there on */
};

struct disk_plan {
	enum disk_fault fault;
	uint64_t at;          /* which operation of those that the fault can strike, from 1 */
	bool for_good;        /* this one and all after it */
	uint64_t seed;        /* of what a failed sync leaves */
	const char *lies_for; /* syncs of files that end so are claimed, and not made; NULL: none */
};

/* From here on files in dir are watched, by this plan. The first call makes the disk SQLite's default. */
void disk_start(const char *dir, const struct disk_plan *plan);
/* No more faults, no more watching. Returns whether the fault has struck. */
bool disk_stop(void);
bool disk_has_struck(void);
/* Writes into directory `to` what is left of the files, by this seed. */
void disk_cut(const char *to, uint64_t seed);
/* Forgets everything. */
void disk_forget(void);

#endif
