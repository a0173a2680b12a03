/* The thread that writes numbered records to both disks and says which ones are safe; and the load beside it. */
#ifndef LEDGERD_WRITER_H
#define LEDGERD_WRITER_H

#include <stdint.h>
#include <sys/types.h>

struct stores {
	int root;		/* journal file on the root disk */
	int data;		/* file or block device on the data disk, opened with O_DIRECT */
	off_t area;		/* where the data area begins in it */
	int load;		/* file or block device that heavy load goes to */
	off_t load_area;
};

enum { LOAD_BLOCK = 64 << 10, LOAD_BLOCKS = 1600 };	/* 100 MiB */

void writer_start (const struct stores *stores, uint64_t next);
void writer_stop (void);	/* returns when the last record is on both disks */

/* Between hold and release nothing is half written: both disks end with the same record. */
void writer_hold (void);
void writer_release (void);

void writer_pause (int paused);
void writer_pace (int microseconds);
void load_rate (int mebibytes_per_second);	/* 0: none */

uint64_t writer_acknowledged (void);
uint64_t load_bytes (void);
void writer_report (void);	/* says the last acknowledged record unless that was said */

#endif
