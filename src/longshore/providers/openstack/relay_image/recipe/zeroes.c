/* An nbdkit filter that tells where a disk is zero, by reading it.
 *
 * Linux can't say which parts of a block device hold nothing, so the file plugin calls all of it data, and every zero
 * of a disk would go through TLS. Here the disk is read on this machine, and what reads as zeroes is said to be zero. It
 * is what a client would have found by reading: no word of the storage's is taken for it.
 *
 * A chunk is read only until something shows in it, so that a full disk costs little more.
 */
#include <nbdkit-filter.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define CHUNK (UINT64_C (1) << 20)	/* is data as a whole or zero as a whole; copies go by it, too */
#define FIRST (UINT64_C (1) << 16)	/* bytes that are read of a chunk at first */
#define ANSWER (64 * CHUNK)		/* bytes that an answer may take to be found */

static int
can_extents (nbdkit_next *next, void *handle)
{
  return 1;
}

/* 512 bytes at a time, so that it ends soon where there is something. */
static bool
is_zero (const char *buffer, size_t length)
{
  const uint64_t *word = (const void *) buffer;
  size_t words = length / sizeof *word;

  while (words >= 64) {
    uint64_t any = 0;
    for (int i = 0; i < 64; i++)
      any |= word[i];
    if (any)
      return false;
    word += 64;
    words -= 64;
  }
  for (const char *byte = (const char *) word; byte < buffer + length; byte++)
    if (*byte)
      return false;
  return true;
}

/* What can't be read isn't zero: the client meets the error when it reads there. */
static bool
reads_as_zero (nbdkit_next *next, char *buffer, uint64_t offset, uint64_t end)
{
  uint64_t length = FIRST;
  int err;

  for (; offset < end; offset += length, length = length * 2 > CHUNK ? CHUNK : length * 2) {
    if (length > end - offset)
      length = end - offset;
    if (next->pread (next, buffer, length, offset, 0, &err) == -1 || !is_zero (buffer, length))
      return false;
  }
  return true;
}

static int
extents (nbdkit_next *next, void *handle, uint32_t count, uint64_t offset, uint32_t flags,
         struct nbdkit_extents *extents, int *err)
{
  uint64_t begin = offset, last = offset + (count < ANSWER ? count : ANSWER);
  char *buffer = malloc (CHUNK);
  uint32_t first = 0;
  int result = 0;

  if (!buffer) {
    *err = ENOMEM;
    return -1;
  }
  while (result == 0 && offset < last) {
    uint64_t end = (offset / CHUNK + 1) * CHUNK;
    if (end > last)
      end = last;
    uint32_t type = reads_as_zero (next, buffer, offset, end) ? NBDKIT_EXTENT_ZERO : 0;
    if (offset == begin)
      first = type;
    else if (type != first && flags & NBDKIT_FLAG_REQ_ONE)
      break;	/* only the first stretch is wanted */
    result = nbdkit_add_extent (extents, offset, end - offset, type);
    offset = end;
  }
  if (result == -1)
    *err = errno;
  free (buffer);
  return result;
}

static struct nbdkit_filter filter = {
  .name = "zeroes",
  .longname = "nbdkit filter that finds zeroes by reading",
  .can_extents = can_extents,
  .extents = extents,
};

NBDKIT_REGISTER_FILTER (filter)
