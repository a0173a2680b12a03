/* The ledger's records on disk. The format is described in ../README.md; ../check.py is its second implementation. */
#ifndef LEDGERD_RECORDS_H
#define LEDGERD_RECORDS_H

#include <stdint.h>
#include <sys/types.h>

enum {
	RECORD_SIZE = 64,	/* one line of text in the root disk's journal */
	RECORDS = 1 << 20,	/* after so many the journal starts over at its beginning */
	SLOT_SIZE = 4096,	/* one block in the data disk's area */
	SLOTS = 1 << 14,	/* likewise for the data disk */
};

/* The data area: one block that is rewritten with every record, then the slots. */
#define DATA_AREA_SIZE ((off_t) (SLOTS + 1) * SLOT_SIZE)

struct findings {
	uint64_t last;	/* highest whole record */
	uint64_t bad;	/* places that don't hold what the last record says they must */
};

void record_fill (char record[RECORD_SIZE], uint64_t number);
off_t record_offset (uint64_t number);
void slot_fill (unsigned char slot[SLOT_SIZE], uint64_t number);
off_t slot_offset (uint64_t number);

/* Both read everything there is. Return 0, or -1 with errno set when reading fails. */
int verify_root (int fd, struct findings *found);
int verify_data (int fd, off_t area, struct findings *found);

#endif
