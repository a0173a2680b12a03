#define _GNU_SOURCE
#include "records.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GROUP = 16, GROUPS = SLOTS / GROUP, READ_SIZE = 1 << 20 };
static const char slot_magic[8] = { 'L', 'E', 'D', 'G', 'S', 'L', 'O', 'T' };

/* CRC-32 as in zlib. */
static uint32_t
crc32 (const void *data, size_t size)
{
	static uint32_t table[256];
	const unsigned char *byte = data;
	uint32_t crc = ~0u;

	if (!table[1])
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t value = i;
			for (int bit = 0; bit < 8; bit++)
				value = value & 1 ? value >> 1 ^ 0xEDB88320u : value >> 1;
			table[i] = value;
		}
	while (size--)
		crc = table[(crc ^ *byte++) & 255] ^ crc >> 8;
	return ~crc;
}

void
record_fill (char record[RECORD_SIZE], uint64_t number)
{
	char text[RECORD_SIZE + 1];
	int used = snprintf (text, sizeof text, "ledger %020llu ", (unsigned long long) number);

	used += snprintf (text + used, sizeof text - used, "%08x ", crc32 (text, used));
	memset (record, '.', RECORD_SIZE);
	memcpy (record, text, used);
	record[RECORD_SIZE - 1] = '\n';
}

off_t
record_offset (uint64_t number)
{
	return (off_t) ((number - 1) % RECORDS) * RECORD_SIZE;
}

void
slot_fill (unsigned char slot[SLOT_SIZE], uint64_t number)
{
	uint64_t random = number * 0x9E3779B97F4A7C15ull + 1, le = htole64 (number);
	uint32_t crc;

	memcpy (slot, slot_magic, 8);
	memcpy (slot + 8, &le, 8);
	for (int i = 16; i < SLOT_SIZE - 8; i += 8) {	/* incompressible, so that no layer can cheat */
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		memcpy (slot + i, &random, 8);
	}
	crc = htole32 (crc32 (slot, SLOT_SIZE - 8));
	memcpy (slot + SLOT_SIZE - 8, &crc, 4);
	memset (slot + SLOT_SIZE - 4, 0, 4);
}

/* Sixteen neighbours, then a jump: changed areas get many, small and scattered. */
static uint64_t
slot_index (uint64_t number)
{
	uint64_t group = number / GROUP % GROUPS;

	return group * 2654435761u % GROUPS * GROUP + number % GROUP;
}

off_t
slot_offset (uint64_t number)
{
	return (off_t) (1 + slot_index (number)) * SLOT_SIZE;
}

/* 0 when the slot isn't whole. */
static uint64_t
slot_number (const unsigned char *slot)
{
	uint64_t number;
	uint32_t crc;

	memcpy (&number, slot + 8, 8);
	memcpy (&crc, slot + SLOT_SIZE - 8, 4);
	if (memcmp (slot, slot_magic, 8) || le32toh (crc) != crc32 (slot, SLOT_SIZE - 8))
		return 0;
	return le64toh (number);
}

static int
all_zero (const void *data, size_t size)
{
	const char *byte = data;

	return !*byte && !memcmp (byte, byte + 1, size - 1);
}

/* The record that belongs where FIRST belongs, CYCLE places in all, once LAST is the last one written; 0: none yet. */
static uint64_t
expected (uint64_t first, uint64_t last, uint64_t cycle)
{
	return last < first ? 0 : last - (last - first) % cycle;
}

static uint64_t
record_number (const char *record)
{
	char again[RECORD_SIZE];
	unsigned long long number;

	if (sscanf (record, "ledger %20llu ", &number) != 1)
		return 0;
	record_fill (again, number);
	return memcmp (record, again, RECORD_SIZE) ? 0 : number;
}

int
verify_root (int fd, struct findings *found)
{
	off_t size = lseek (fd, 0, SEEK_END);
	uint64_t count, *numbers;
	char record[RECORD_SIZE + 1] = "";
	FILE *file = NULL;
	int copy = dup (fd), result = -1;

	*found = (struct findings) { 0 };
	if (size < 0 || copy < 0 || !(file = fdopen (copy, "r")))
		return -1;
	count = size / RECORD_SIZE;
	if (!(numbers = calloc (count + 1, sizeof *numbers)))
		goto out;
	rewind (file);
	for (uint64_t i = 0; i < count; i++) {
		if (fread (record, 1, RECORD_SIZE, file) != RECORD_SIZE)
			goto out;
		numbers[i] = record_number (record);
		if (numbers[i] > found->last)
			found->last = numbers[i];
	}
	for (uint64_t i = 0; i < count; i++)
		if (numbers[i] != expected (i + 1, found->last, RECORDS))
			found->bad++;
	if (size % RECORD_SIZE || (found->last < RECORDS && count > found->last))
		found->bad++;
	result = 0;
out:
	free (numbers);
	fclose (file);
	return result;
}

int
verify_data (int fd, off_t area, struct findings *found)
{
	static uint64_t numbers[SLOTS];	/* what each slot holds; UINT64_MAX: damage */
	unsigned char *buffer;
	uint64_t latest = 0;

	*found = (struct findings) { 0 };
	if (posix_memalign ((void **) &buffer, SLOT_SIZE, READ_SIZE))
		return -1;
	if (pread (fd, buffer, SLOT_SIZE, area) != SLOT_SIZE)
		goto failed;
	latest = slot_number (buffer);
	if (!latest && !all_zero (buffer, SLOT_SIZE))
		found->bad++;
	for (int first = 0; first < SLOTS; first += READ_SIZE / SLOT_SIZE) {
		if (pread (fd, buffer, READ_SIZE, area + (off_t) (1 + first) * SLOT_SIZE) != READ_SIZE)
			goto failed;
		for (int i = 0; i < READ_SIZE / SLOT_SIZE; i++) {
			const unsigned char *slot = buffer + i * SLOT_SIZE;
			uint64_t number = slot_number (slot);

			if (number > found->last)
				found->last = number;
			numbers[first + i] = number || all_zero (slot, SLOT_SIZE) ? number : UINT64_MAX;
		}
	}
	free (buffer);
	for (uint64_t first = 1; first <= SLOTS; first++)
		if (numbers[slot_index (first)] != expected (first, found->last, SLOTS))
			found->bad++;
	/* The block that is rewritten each time may be one record off when power was cut between two writes. */
	if (latest + 1 < found->last || latest > found->last + 1)
		found->bad++;
	return 0;
failed:
	free (buffer);
	return -1;
}
