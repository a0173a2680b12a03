#define _GNU_SOURCE
#include "writer.h"

#include "console.h"
#include "records.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REPORT_MILLISECONDS = 200 };	/* a serial port is slow: fast writers don't say every record */

static struct stores stores;
static uint64_t next;
static pthread_t writer_thread, load_thread;
static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER, report_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_int stopping, paused, pace = 200000, load;
static atomic_ullong acknowledged, reported, loaded;

static double
now (void)
{
	struct timespec time;

	clock_gettime (CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* A guest that can't write must be seen as one, and must not acknowledge anything more. */
static void
failed (const char *what)
{
	say ("failed %s: %s", what, strerror (errno));
	for (;;)
		pause ();
}

static void *
block (size_t size)
{
	void *memory;

	if (posix_memalign (&memory, SLOT_SIZE, size))
		abort ();
	return memory;
}

void
writer_report (void)
{
	unsigned long long last;

	pthread_mutex_lock (&report_lock);
	last = acknowledged;
	if (last != reported)
		say ("acknowledged %llu", last);
	reported = last;
	pthread_mutex_unlock (&report_lock);
}

static void
write_record (unsigned char *slot, uint64_t number)
{
	char record[RECORD_SIZE];

	record_fill (record, number);
	if (pwrite (stores.root, record, RECORD_SIZE, record_offset (number)) != RECORD_SIZE || fsync (stores.root))
		failed ("root disk");
	slot_fill (slot, number);
	if (pwrite (stores.data, slot, SLOT_SIZE, stores.area + slot_offset (number)) != SLOT_SIZE
	    || pwrite (stores.data, slot, SLOT_SIZE, stores.area) != SLOT_SIZE || fdatasync (stores.data))
		failed ("data disk");
	acknowledged = number;
}

static void *
write_records (void *unused)
{
	unsigned char *slot = block (SLOT_SIZE);
	double said = 0;

	(void) unused;
	while (!stopping) {
		if (paused) {
			usleep (20000);
			continue;
		}
		pthread_mutex_lock (&record_lock);
		write_record (slot, next++);
		pthread_mutex_unlock (&record_lock);
		if (now () - said >= REPORT_MILLISECONDS / 1e3) {
			said = now ();
			writer_report ();
		}
		usleep (pace);
	}
	free (slot);
	return NULL;
}

/* Random blocks over the load area at the wanted rate. */
static void *
write_load (void *unused)
{
	unsigned char *buffer = block (LOAD_BLOCK);
	uint64_t random = 88172645463325252ull;

	(void) unused;
	while (!stopping) {
		double begun = now (), rest;
		off_t at;

		if (!load) {
			usleep (50000);
			continue;
		}
		for (int i = 0; i < LOAD_BLOCK; i += 512) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			memcpy (buffer + i, &random, 8);
		}
		at = stores.load_area + (off_t) ((random >> 33) % LOAD_BLOCKS) * LOAD_BLOCK;
		if (pwrite (stores.load, buffer, LOAD_BLOCK, at) != LOAD_BLOCK)
			failed ("load");
		loaded += LOAD_BLOCK;
		rest = load ? LOAD_BLOCK / (load * 1048576.) - (now () - begun) : 0;
		if (rest > 0)
			usleep (rest * 1e6);
	}
	free (buffer);
	return NULL;
}

void
writer_start (const struct stores *where, uint64_t first)
{
	stores = *where;
	next = first;
	acknowledged = reported = first - 1;
	if (pthread_create (&writer_thread, NULL, write_records, NULL) || pthread_create (&load_thread, NULL, write_load, NULL))
		failed ("threads");
}

void
writer_stop (void)
{
	stopping = 1;
	pthread_join (writer_thread, NULL);
	pthread_join (load_thread, NULL);
}

void writer_hold (void) { pthread_mutex_lock (&record_lock); }
void writer_release (void) { pthread_mutex_unlock (&record_lock); }
void writer_pause (int value) { paused = value; }
void writer_pace (int microseconds) { pace = microseconds; }
void load_rate (int mebibytes_per_second) { load = mebibytes_per_second; }
uint64_t writer_acknowledged (void) { return acknowledged; }
uint64_t load_bytes (void) { return loaded; }
