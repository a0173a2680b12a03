/* A stand-in for VMware's libvixDiskLib (VDDK), for the lab only.
 *
 * It serves the disks of the lab's vCenter to nbdkit's vddk plugin.  Nothing of
 * VMware's is in this file: the declarations below restate the binary
 * interface that the plugin uses.
 *
 * The vCenter writes two tables into the library's directory, fields separated
 * by one TAB.
 *
 * disks.tsv, read each time a disk is opened:
 *   server      <address>  <port>
 *   thumbprint  <SHA-1 of the server's certificate, AA:BB:...>
 *   user        <name>  <password>
 *   session     <cookie>
 *   disk        <machine>  <snapshot or ->  <[datastore] path.vmdk>  <disk>
 *               <rw or ro>  <file>  [<file below> ...]
 * The last file of a disk is raw, those before it (newest first) are qcow2
 * overlays as QEMU makes them: no compression, encryption or extended L2.
 * A file stays locked (flock) while a disk is open, so that the vCenter does not
 * merge it away: shared, but the newest one of a disk that is open for writing,
 * which nobody else may have.  Such a disk is written, and read, through a
 * qemu-nbd of its own where it has overlays: the newest one takes the writes.
 *
 * trouble.tsv, looked at again at every read:
 *   largest-read  <bytes>
 *   error         <number>  <disk>  <byte offset>  <how many times, 0: always>
 *   latency       <disk>  <ms>
 *   speed         <disk>  <MiB/s>
 * How often error 3 has struck is kept in files beside the table: fired-3.1,
 * fired-3.2, ...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define API __attribute__ ((visibility ("default")))

typedef uint64_t VixError;
enum {
  OK = 0, E_FAIL = 1, E_OUT_OF_MEMORY = 2, E_INVALID_ARG = 3, E_FILE_NOT_FOUND = 4,
  E_NOT_SUPPORTED = 6, E_FILE_ERROR = 7, E_FILE_ACCESS = 13, E_LOCKED = 15,
  E_HOST_LOGIN = 3027, E_OUT_OF_RANGE = 16003, E_CANT_CONNECT = 18000,
  ASYNC = 25000,
};
enum {
  FLAG_READ_ONLY = 4, CRED_UID = 1, CRED_SESSIONID = 2,
  SECTOR = 512, MIN_CHUNK = 128 /* sectors */,
  DEFAULT_PORT = 443,
  MAX_LAYERS = 64, MAX_FIELDS = MAX_LAYERS + 6,
  WORKERS = 4, /* asynchronous reads that one disk serves at a time */
};

/* ---- the interface's types ---------------------------------------------- */

typedef void LogFn (const char *fmt, va_list args);
typedef void (*CompletionCB) (void *data, VixError result);

typedef struct {
  char *vmxSpec, *serverName, *thumbPrint;
  long reserved1;
  int credType;
  union {
    struct { char *userName, *password; } uid;
    struct { char *cookie, *userName, *key; } sessionId;
    void *reserved2;
  } creds;
  uint32_t port, nfcHostPort;
  char *reserved3;
  char reserved4[8];
  void *reserved5;
  struct { char *id, *datastoreMoRef, *ssId; } spec;
  int specType;
} ConnectParams;

typedef struct { uint32_t cylinders, heads, sectors; } Geometry;
typedef struct {
  Geometry biosGeo, physGeo;
  uint64_t capacity;
  int adapterType, numLinks;
  char *parentFileNameHint, *uuid;
  uint32_t logicalSectorSize, physicalSectorSize;
} Info;
typedef struct { uint64_t offset, length; } Block;
typedef struct { uint32_t numBlocks; Block blocks[1]; } BlockList;

/* ---- our own types ------------------------------------------------------- */

typedef struct {
  char *server, *thumbprint, *user, *secret, *vm, *snapshot;
  int cred;
  bool read_only;
  uint32_t port;
} Connection;

/* One file of a disk.  bits is the logarithm of a qcow2's cluster size, 0 for a raw file. */
typedef struct {
  int fd, bits;
  uint64_t size, l1_entries, *l1, **l2;
} Layer;

/* An asynchronous request waiting for a worker. */
typedef struct Request {
  uint64_t start, count;
  unsigned char *read_into;
  const unsigned char *write_from;
  CompletionCB done;
  void *data;
  struct Request *next;
} Request;

typedef struct {
  char *name;
  bool read_only;
  Layer layer[MAX_LAYERS];
  int layers;
  uint64_t sectors;
  int nbd; /* to the qemu-nbd that writes the newest overlay; -1: the files are read, and a lone base written */
  pid_t server;
  pthread_mutex_t asking;
  unsigned char *written; /* with that: a flag for each smallest chunk */
  double speed_free_at; /* when the connection's speed limit allows the next read */
  pthread_mutex_t lock;
  pthread_cond_t work, idle;
  Request *first, *last;
  int pending;
  bool closing;
  pthread_t worker[WORKERS];
  int workers;
} Disk;

/* What trouble.tsv wants for one read. */
typedef struct {
  const char *disk;
  uint64_t offset, length;
  uint64_t largest;
  unsigned latency_ms, mib_per_s;
  bool fail;
} Trouble;

static char *libdir;
static LogFn *log_fn, *warn_fn;

static void __attribute__ ((format (printf, 2, 3)))
say (LogFn *fn, const char *fmt, ...)
{
  va_list ap;
  va_start (ap, fmt);
  if (fn)
    fn (fmt, ap);
  va_end (ap);
}

static char *
copy_of (const char *s)
{
  return s ? strdup (s) : NULL;
}

static double
seconds (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void
sleep_for (double s)
{
  struct timespec t = { .tv_sec = s, .tv_nsec = (s - (time_t) s) * 1e9 };
  while (s > 0 && nanosleep (&t, &t) == -1 && errno == EINTR)
    ;
}

/* ---- tables -------------------------------------------------------------- */

typedef void RowFn (int n, char **field, void *arg);

/* Call row() for each line of a table.  -1: there is no such table. */
static int
each_row (const char *table, RowFn *row, void *arg)
{
  char *path = NULL, *line = NULL;
  size_t cap = 0;

  if (asprintf (&path, "%s/%s", libdir ? libdir : ".", table) < 0)
    return -1;
  FILE *fp = fopen (path, "re");
  if (!fp) {
    say (warn_fn, "labvddk: %s: %s\n", path, strerror (errno));
    free (path);
    return -1;
  }
  while (getline (&line, &cap, fp) != -1) {
    char *field[MAX_FIELDS] = { 0 }, *rest = line, *f;
    int n = 0;
    line[strcspn (line, "\n")] = 0;
    while (n < MAX_FIELDS && (f = strsep (&rest, "\t")))
      field[n++] = f;
    row (n, field, arg);
  }
  free (line);
  fclose (fp);
  free (path);
  return 0;
}

typedef struct {
  const Connection *connection;
  const char *address; /* what the connection's server name resolves to */
  bool server, thumbprint, login;
} Check;

static void
check_row (int n, char **f, void *arg)
{
  Check *k = arg;
  const Connection *c = k->connection;

  if (!strcmp (f[0], "server") && n >= 3)
    k->server |= !strcmp (f[1], k->address) && c->port == (uint32_t) atoi (f[2]);
  else if (!strcmp (f[0], "thumbprint") && n >= 2)
    k->thumbprint |= c->thumbprint && !strcasecmp (f[1], c->thumbprint);
  else if (!strcmp (f[0], "user") && n >= 3 && c->cred == CRED_UID)
    k->login |= c->user && !strcasecmp (f[1], c->user) && c->secret && !strcmp (f[2], c->secret);
  else if (!strcmp (f[0], "session") && n >= 2 && c->cred == CRED_SESSIONID)
    k->login |= c->secret && !strcmp (f[1], c->secret);
}

typedef struct {
  const char *vm, *snapshot, *path;
  char *name, *file[MAX_LAYERS];
  bool writable;
  int files;
} Find;

static void
find_row (int n, char **f, void *arg)
{
  Find *k = arg;

  if (k->files || strcmp (f[0], "disk") || n < 7 || strcmp (f[1], k->vm) ||
      strcmp (f[2], k->snapshot ? k->snapshot : "-") || strcmp (f[3], k->path))
    return;
  k->name = strdup (f[4]);
  k->writable = !strcmp (f[5], "rw");
  for (int i = 6; i < n; i++)
    k->file[k->files++] = strdup (f[i]);
}

/* Whether an error ordered `times` times may still strike; each time is counted once, by whichever process comes first. */
static bool
strikes (const char *number, int times)
{
  if (times == 0)
    return true;
  for (int i = 1; i <= times; i++) {
    char *path = NULL;
    if (asprintf (&path, "%s/fired-%s.%d", libdir, number, i) < 0)
      return false;
    int fd = open (path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    free (path);
    if (fd != -1) {
      close (fd);
      return true;
    }
  }
  return false;
}

static void
trouble_row (int n, char **f, void *arg)
{
  Trouble *t = arg;

  if (!strcmp (f[0], "largest-read") && n >= 2)
    t->largest = strtoull (f[1], NULL, 10);
  else if (!strcmp (f[0], "latency") && n >= 3 && !strcmp (f[1], t->disk))
    t->latency_ms = atoi (f[2]);
  else if (!strcmp (f[0], "speed") && n >= 3 && !strcmp (f[1], t->disk))
    t->mib_per_s = atoi (f[2]);
  else if (!strcmp (f[0], "error") && n >= 5 && !strcmp (f[2], t->disk)) {
    uint64_t bad = strtoull (f[3], NULL, 10);
    if (bad >= t->offset && bad < t->offset + t->length && strikes (f[1], atoi (f[4])))
      t->fail = true;
  }
}

/* ---- the library as a whole ---------------------------------------------- */

API VixError
VixDiskLib_InitEx (uint32_t major, uint32_t minor, LogFn *log, LogFn *warn,
                   LogFn *panic, const char *dir, const char *config)
{
  (void) panic;
  (void) config;
  log_fn = log;
  warn_fn = warn;
  libdir = copy_of (dir);
  say (log, "labvddk: stand-in for VDDK, API %u.%u, libdir %s\n", major, minor, dir);
  return OK;
}

API void
VixDiskLib_Exit (void)
{
  free (libdir);
  libdir = NULL;
}

API char *
VixDiskLib_GetErrorText (VixError err, const char *locale)
{
  (void) locale;
  switch (err) {
  case OK: return strdup ("The operation was successful");
  case E_FAIL: return strdup ("Unknown error");
  case E_OUT_OF_MEMORY: return strdup ("Memory allocation failed. Out of memory.");
  case E_INVALID_ARG: return strdup ("One of the parameters was invalid");
  case E_FILE_NOT_FOUND: return strdup ("A file was not found");
  case E_NOT_SUPPORTED: return strdup ("The operation is not supported");
  case E_LOCKED: return strdup ("The file is already in use");
  case E_FILE_ACCESS: return strdup ("You do not have access rights to this file");
  case E_HOST_LOGIN: return strdup ("Incorrect user name or password");
  case E_OUT_OF_RANGE: return strdup ("Access beyond the end of the disk");
  case E_CANT_CONNECT: return strdup ("Cannot connect to host");
  default: return strdup ("File I/O error");
  }
}

API void VixDiskLib_FreeErrorText (char *text) { free (text); }

/* ---- connections --------------------------------------------------------- */

API ConnectParams *
VixDiskLib_AllocateConnectParams (void)
{
  return calloc (1, sizeof (ConnectParams));
}

API void VixDiskLib_FreeConnectParams (ConnectParams *p) { free (p); }

API VixError
VixDiskLib_ConnectEx (const ConnectParams *p, char read_only, const char *snapshot,
                      const char *modes, void **connection)
{
  if (!p->vmxSpec || !p->serverName)
    return E_INVALID_ARG;
  if (strncmp (p->vmxSpec, "moref=", 6)) {
    say (warn_fn, "labvddk: vmxSpec \"%s\": only moref=ID is served\n", p->vmxSpec);
    return E_INVALID_ARG;
  }
  if (snapshot && strncmp (snapshot, "snapshot-", 9)) {
    say (warn_fn, "labvddk: snapshot \"%s\" is not a managed object reference\n", snapshot);
    return E_INVALID_ARG;
  }
  Connection *c = calloc (1, sizeof *c);
  if (!c)
    return E_OUT_OF_MEMORY;
  c->server = copy_of (p->serverName);
  c->thumbprint = copy_of (p->thumbPrint);
  c->port = p->port ? p->port : DEFAULT_PORT;
  c->cred = p->credType;
  c->read_only = read_only;
  if (p->credType == CRED_UID) {
    c->user = copy_of (p->creds.uid.userName);
    c->secret = copy_of (p->creds.uid.password);
  } else {
    c->user = copy_of (p->creds.sessionId.userName);
    c->secret = copy_of (p->creds.sessionId.cookie);
  }
  c->vm = copy_of (p->vmxSpec + 6);
  c->snapshot = copy_of (snapshot);
  say (log_fn, "labvddk: connect %s, machine %s, snapshot %s, transports %s\n", c->server,
       c->vm, snapshot ? snapshot : "-", modes ? modes : "(default)");
  *connection = c;
  return OK; /* as with the real library, the server is met at Open */
}

API VixError
VixDiskLib_Disconnect (void *connection)
{
  Connection *c = connection;
  free (c->server);
  free (c->thumbprint);
  free (c->user);
  free (c->secret);
  free (c->vm);
  free (c->snapshot);
  free (c);
  return OK;
}

API VixError
VixDiskLib_PrepareForAccess (const ConnectParams *p, const char *identity)
{
  (void) p;
  (void) identity;
  return OK;
}

API VixError
VixDiskLib_EndAccess (const ConnectParams *p, const char *identity)
{
  (void) p;
  (void) identity;
  return OK;
}

/* Connect to the server, as proof that it is there, and leave its address. */
static bool
reach_server (const Connection *c, char address[static NI_MAXHOST])
{
  struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
  char port[16];
  bool reached = false;

  snprintf (port, sizeof port, "%u", c->port);
  if (getaddrinfo (c->server, port, &hints, &found)) {
    say (warn_fn, "labvddk: %s: no such host\n", c->server);
    return false;
  }
  for (struct addrinfo *a = found; a && !reached; a = a->ai_next) {
    int fd = socket (a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd == -1)
      continue;
    reached = connect (fd, a->ai_addr, a->ai_addrlen) == 0 &&
      getnameinfo (a->ai_addr, a->ai_addrlen, address, NI_MAXHOST, NULL, 0, NI_NUMERICHOST) == 0;
    close (fd);
  }
  freeaddrinfo (found);
  if (!reached)
    say (warn_fn, "labvddk: %s port %u cannot be reached\n", c->server, c->port);
  return reached;
}

/* ---- a disk with overlays, open for writing ------------------------------- */

enum { NBD_READ, NBD_WRITE, NBD_DISC, NBD_FLUSH };

/* All of a buffer, one way or the other. */
static bool
carry (int fd, void *buf, size_t n, bool out)
{
  unsigned char *p = buf;
  while (n) {
    ssize_t r = out ? send (fd, p, n, MSG_NOSIGNAL) : recv (fd, p, n, 0);
    if (r == -1 && errno == EINTR)
      continue;
    if (r <= 0)
      return false;
    p += r;
    n -= r;
  }
  return true;
}

static void
put (unsigned char *p, uint64_t v, int bytes)
{
  for (int i = bytes - 1; i >= 0; i--, v >>= 8)
    p[i] = v;
}

/* One request at a time: a lab's disk needs no more. */
static bool
nbd_ask (int fd, int command, uint64_t offset, uint32_t length, void *in, const void *out)
{
  unsigned char head[28] = { 0x25, 0x60, 0x95, 0x13, 0, 0, 0, command }, reply[16];

  put (head + 16, offset, 8);
  put (head + 24, length, 4);
  if (!carry (fd, head, sizeof head, true) || (out && !carry (fd, (void *) out, length, true)))
    return false;
  if (command == NBD_DISC)
    return true;
  return carry (fd, reply, sizeof reply, false) && !(reply[4] | reply[5] | reply[6] | reply[7]) &&
    (!in || carry (fd, in, length, false));
}

/* The handshake: no zeroes, the export without a name. */
static bool
nbd_begin (int fd)
{
  unsigned char hello[18], answer[20] = { 0, 0, 0, 3, 'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T', 0, 0, 0, 1 }, told[10];
  return carry (fd, hello, sizeof hello, false) && carry (fd, answer, sizeof answer, true) &&
    carry (fd, told, sizeof told, false);
}

/* It ends by itself when we are gone. */
static int
try_writer (const char *file, pid_t *server)
{
  char dir[] = "/tmp/labvddk-XXXXXX", *path = NULL;
  extern char **environ;
  posix_spawnattr_t attributes;
  sigset_t none;
  int fd = -1;

  if (!mkdtemp (dir))
    return -1;
  if (asprintf (&path, "%s/socket", dir) < 0)
    path = NULL;
  char *words[] = { "qemu-nbd", "-k", path, "-f", "qcow2", "--cache=writeback", (char *) file, NULL };
  sigemptyset (&none);
  posix_spawnattr_init (&attributes);
  posix_spawnattr_setsigmask (&attributes, &none);
  posix_spawnattr_setflags (&attributes, POSIX_SPAWN_SETSIGMASK);
  bool began = path && posix_spawnp (server, words[0], NULL, &attributes, words, environ) == 0;
  posix_spawnattr_destroy (&attributes);
  for (int i = 0; began && fd == -1 && i < 1000 && waitpid (*server, NULL, WNOHANG) == 0; i++) {
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    snprintf (a.sun_path, sizeof a.sun_path, "%s", path);
    fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd != -1 && connect (fd, (struct sockaddr *) &a, sizeof a) == 0 && nbd_begin (fd))
      break;
    if (fd != -1)
      close (fd);
    fd = -1;
    sleep_for (0.01);
  }
  if (path)
    unlink (path);
  rmdir (dir);
  free (path);
  return fd;
}

/* That of a client before us may still be at its end. */
static int
start_writer (const char *file, pid_t *server)
{
  int fd = -1;
  for (int i = 0; fd == -1 && i < 20; i++) {
    sleep_for (i ? 0.1 : 0);
    fd = try_writer (file, server);
  }
  return fd;
}

static void
end_writer (Disk *d)
{
  if (d->nbd == -1)
    return;
  nbd_ask (d->nbd, NBD_DISC, 0, 0, NULL, NULL);
  close (d->nbd);
  waitpid (d->server, NULL, 0);
  pthread_mutex_destroy (&d->asking);
}

/* ---- layers -------------------------------------------------------------- */

static uint64_t
big_endian (const unsigned char *p, int bytes)
{
  uint64_t v = 0;
  for (int i = 0; i < bytes; i++)
    v = v << 8 | p[i];
  return v;
}

static int
read_all (int fd, void *buf, size_t n, uint64_t offset)
{
  unsigned char *p = buf;
  while (n) {
    ssize_t r = pread (fd, p, n, offset);
    if (r == -1 && errno == EINTR)
      continue;
    if (r <= 0)
      return -1;
    p += r;
    n -= r;
    offset += r;
  }
  return 0;
}

enum { QCOW2_CLUSTER_BITS = 20, QCOW2_SIZE = 24, QCOW2_L1_SIZE = 36, QCOW2_L1_OFFSET = 40, QCOW2_HEADER = 72 };
#define QCOW2_OFFSET 0x00fffffffffffe00ull /* the bits of a table entry that are an offset */
#define QCOW2_ZERO 1ull

/* Read a table of big-endian numbers in place. */
static uint64_t *
read_table (int fd, uint64_t offset, uint64_t entries)
{
  uint64_t *table = calloc (entries ? entries : 1, sizeof *table);
  if (!table || read_all (fd, table, entries * sizeof *table, offset)) {
    free (table);
    return NULL;
  }
  for (uint64_t i = 0; i < entries; i++)
    table[i] = big_endian ((unsigned char *) &table[i], 8);
  return table;
}

/* All tables are read at once: the disks are small, and a frozen layer does not change. */
static int
open_qcow2 (Layer *l)
{
  unsigned char header[QCOW2_HEADER];

  if (read_all (l->fd, header, sizeof header, 0) || memcmp (header, "QFI\xfb", 4)) {
    errno = EINVAL;
    return -1;
  }
  l->bits = big_endian (header + QCOW2_CLUSTER_BITS, 4);
  l->size = big_endian (header + QCOW2_SIZE, 8);
  uint64_t entries = big_endian (header + QCOW2_L1_SIZE, 4);
  l->l1 = read_table (l->fd, big_endian (header + QCOW2_L1_OFFSET, 8), entries);
  l->l2 = calloc (entries ? entries : 1, sizeof *l->l2);
  if (!l->l1 || !l->l2)
    return -1;
  l->l1_entries = entries;
  for (uint64_t i = 0; i < entries; i++) {
    uint64_t at = l->l1[i] & QCOW2_OFFSET;
    if (at && !(l->l2[i] = read_table (l->fd, at, 1ull << (l->bits - 3))))
      return -1;
  }
  return 0;
}

/* The vCenter tries a lock for a moment now and then; whoever has one for longer has the disk open. */
static bool
lock_file (int fd, bool alone)
{
  for (int i = 0; i < 50; i++) {
    if (flock (fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
      return true;
    sleep_for (0.01);
  }
  return false;
}

static int
open_layer (Layer *l, const char *file, bool raw, bool write)
{
  struct stat st;

  l->fd = open (file, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (l->fd == -1)
    return -1;
  if (!lock_file (l->fd, write)) {
    errno = EWOULDBLOCK;
    return -1;
  }
  if (!raw)
    return open_qcow2 (l);
  if (fstat (l->fd, &st) == -1)
    return -1;
  l->size = st.st_size;
  return 0;
}

static void
close_layer (Layer *l)
{
  if (l->fd != -1)
    close (l->fd);
  for (uint64_t i = 0; i < l->l1_entries; i++)
    free (l->l2[i]);
  free (l->l1);
  free (l->l2);
}

/* Where a qcow2 layer has the cluster of this offset: 0 nowhere, QCOW2_ZERO as zeroes, else the place in the file. */
static uint64_t
find_cluster (const Layer *l, uint64_t offset)
{
  uint64_t cluster = offset >> l->bits, per_table = 1ull << (l->bits - 3);

  if (cluster / per_table >= l->l1_entries || !l->l2[cluster / per_table])
    return 0;
  uint64_t entry = l->l2[cluster / per_table][cluster % per_table];
  return entry & QCOW2_ZERO ? QCOW2_ZERO : entry & QCOW2_OFFSET;
}

/* ---- disks --------------------------------------------------------------- */

static void
free_disk (Disk *d)
{
  end_writer (d);
  for (int i = 0; i < d->layers; i++)
    close_layer (&d->layer[i]);
  free (d->written);
  free (d->name);
  free (d);
}

API VixError
VixDiskLib_Open (void *connection, const char *path, uint32_t flags, void **handle)
{
  const Connection *c = connection;
  char address[NI_MAXHOST] = "";
  Check check = { .connection = c, .address = address };

  if (!reach_server (c, address) || each_row ("disks.tsv", check_row, &check) || !check.server)
    return E_CANT_CONNECT;
  if (!check.thumbprint) {
    say (warn_fn, "labvddk: SSL thumbprint of %s does not match\n", c->server);
    return E_FAIL; /* the real one says "Unknown error" here */
  }
  if (!check.login)
    return E_HOST_LOGIN;

  Find find = { .vm = c->vm, .snapshot = c->snapshot, .path = path };
  each_row ("disks.tsv", find_row, &find);
  if (!find.files) {
    say (warn_fn, "labvddk: machine %s has no disk %s that can be opened at snapshot %s\n", c->vm,
         path, c->snapshot ? c->snapshot : "-");
    return E_FILE_NOT_FOUND;
  }
  Disk *d = calloc (1, sizeof *d);
  VixError err = d ? OK : E_OUT_OF_MEMORY;
  if (d)
    d->nbd = -1;
  bool read_only = (flags & FLAG_READ_ONLY) || c->read_only;
  if (err == OK && !read_only && !find.writable)
    err = E_FILE_ACCESS;
  for (int i = 0; i < find.files; i++) {
    if (err == OK) {
      say (log_fn, "labvddk: open %s -> %s\n", path, find.file[i]);
      if (open_layer (&d->layer[d->layers++], find.file[i], i == find.files - 1, !read_only && i == 0) == -1)
        err = errno == ENOENT ? E_FILE_NOT_FOUND : errno == EWOULDBLOCK ? E_LOCKED : E_FILE_ACCESS;
    }
  }
  if (err == OK && !read_only && find.files > 1) {
    d->nbd = start_writer (find.file[0], &d->server);
    d->written = calloc (d->layer[d->layers - 1].size / SECTOR / MIN_CHUNK + 1, 1);
    pthread_mutex_init (&d->asking, NULL);
    if (d->nbd == -1 || !d->written)
      err = E_FILE_ERROR;
  }
  for (int i = 0; i < find.files; i++)
    free (find.file[i]);
  if (err != OK) {
    free (find.name);
    if (d)
      free_disk (d);
    return err;
  }
  d->name = find.name;
  d->read_only = read_only;
  d->sectors = d->layer[d->layers - 1].size / SECTOR;
  pthread_mutex_init (&d->lock, NULL);
  pthread_cond_init (&d->work, NULL);
  pthread_cond_init (&d->idle, NULL);
  *handle = d;
  return OK;
}

API const char *
VixDiskLib_GetTransportMode (void *handle)
{
  (void) handle;
  return "nbdssl";
}

API const char *VixDiskLib_ListTransportModes (void) { return "file:nbdssl:nbd"; }

API VixError
VixDiskLib_GetInfo (void *handle, Info **info)
{
  const Disk *d = handle;
  Info *i = calloc (1, sizeof *i);
  if (!i)
    return E_OUT_OF_MEMORY;
  i->capacity = d->sectors;
  i->adapterType = 3; /* LSI Logic */
  i->numLinks = d->layers;
  i->logicalSectorSize = i->physicalSectorSize = SECTOR;
  *info = i;
  return OK;
}

API void VixDiskLib_FreeInfo (Info *i) { free (i); }

/* ---- reading and writing ------------------------------------------------- */

/* What was ordered for this read: wait for it, refuse it. */
static VixError
meet_trouble (Disk *d, uint64_t offset, uint64_t length)
{
  Trouble t = { .disk = d->name, .offset = offset, .length = length, .largest = UINT64_MAX };

  each_row ("trouble.tsv", trouble_row, &t);
  if (length > t.largest) {
    say (warn_fn, "labvddk: received NFC error 5 from server: "
         "Failed to allocate the requested %llu bytes\n", (unsigned long long) length);
    return E_OUT_OF_MEMORY;
  }
  sleep_for (t.latency_ms / 1e3);
  if (t.mib_per_s) {
    pthread_mutex_lock (&d->lock);
    double now = seconds ();
    if (d->speed_free_at < now)
      d->speed_free_at = now;
    d->speed_free_at += length / (t.mib_per_s * 1048576.0);
    double wait = d->speed_free_at - now;
    pthread_mutex_unlock (&d->lock);
    sleep_for (wait);
  }
  return t.fail ? E_FILE_ERROR : OK;
}

/* The layer that has this offset, how much follows in one piece (at most *length) and where it is in the file;
 * NULL: zeroes. */
static const Layer *
locate (const Disk *d, uint64_t offset, uint64_t *length, uint64_t *at)
{
  for (int i = 0; i < d->layers; i++) {
    const Layer *l = &d->layer[i];
    if (!l->bits) { /* the raw base has everything */
      *at = offset;
      return l;
    }
    uint64_t within = offset & ((1ull << l->bits) - 1), room = (1ull << l->bits) - within;
    if (room < *length)
      *length = room;
    uint64_t found = find_cluster (l, offset);
    if (found == QCOW2_ZERO)
      return NULL;
    if (found) {
      *at = found + within;
      return l;
    }
  }
  return NULL;
}

/* Through the qemu-nbd that writes the newest overlay, which knows what is where. */
static VixError
transfer_by_writer (Disk *d, uint64_t start, uint64_t count, unsigned char *in, const unsigned char *out)
{
  pthread_mutex_lock (&d->asking);
  bool done = nbd_ask (d->nbd, in ? NBD_READ : NBD_WRITE, start * SECTOR, count * SECTOR, in, out);
  if (out)
    for (uint64_t chunk = start / MIN_CHUNK; chunk <= (start + count - 1) / MIN_CHUNK; chunk++)
      d->written[chunk] = 1;
  pthread_mutex_unlock (&d->asking);
  return done ? OK : E_FILE_ERROR;
}

static VixError
transfer (Disk *d, uint64_t start, uint64_t count, unsigned char *in, const unsigned char *out)
{
  uint64_t offset = start * SECTOR, left = count * SECTOR;

  if (start > d->sectors || count > d->sectors - start)
    return E_OUT_OF_RANGE;
  if (out && d->read_only)
    return E_FILE_ACCESS;
  if (in) {
    VixError err = meet_trouble (d, offset, left);
    if (err != OK)
      return err;
  }
  if (d->nbd != -1)
    return count ? transfer_by_writer (d, start, count, in, out) : OK;
  while (left) {
    uint64_t piece = left, at = 0;
    const Layer *l = locate (d, offset, &piece, &at);
    if (!l)
      memset (in, 0, piece); /* never when writing: then there is the raw base alone */
    else {
      ssize_t r = in ? pread (l->fd, in, piece, at) : pwrite (l->fd, out, piece, at);
      if (r == -1 && errno == EINTR)
        continue;
      if (r <= 0)
        return E_FILE_ERROR;
      piece = r;
    }
    offset += piece;
    left -= piece;
    if (in)
      in += piece;
    else
      out += piece;
  }
  return OK;
}

API VixError
VixDiskLib_Read (void *d, uint64_t start, uint64_t count, unsigned char *buf)
{
  return transfer (d, start, count, buf, NULL);
}

API VixError
VixDiskLib_Write (void *d, uint64_t start, uint64_t count, const unsigned char *buf)
{
  return transfer (d, start, count, NULL, buf);
}

static void *
work (void *arg)
{
  Disk *d = arg;

  pthread_mutex_lock (&d->lock);
  for (;;) {
    while (!d->first && !d->closing)
      pthread_cond_wait (&d->work, &d->lock);
    if (!d->first)
      break;
    Request *r = d->first;
    d->first = r->next;
    if (!d->first)
      d->last = NULL;
    pthread_mutex_unlock (&d->lock);
    r->done (r->data, transfer (d, r->start, r->count, r->read_into, r->write_from));
    free (r);
    pthread_mutex_lock (&d->lock);
    if (--d->pending == 0)
      pthread_cond_broadcast (&d->idle);
  }
  pthread_mutex_unlock (&d->lock);
  return NULL;
}

static VixError
queue (Disk *d, uint64_t start, uint64_t count, unsigned char *in, const unsigned char *out,
       CompletionCB done, void *data)
{
  Request *r = malloc (sizeof *r);
  if (!r)
    return E_OUT_OF_MEMORY;
  *r = (Request) { start, count, in, out, done, data, NULL };
  pthread_mutex_lock (&d->lock);
  if (d->workers < WORKERS && pthread_create (&d->worker[d->workers], NULL, work, d) == 0)
    d->workers++;
  if (!d->workers) {
    pthread_mutex_unlock (&d->lock);
    free (r);
    return E_OUT_OF_MEMORY;
  }
  if (d->last)
    d->last->next = r;
  else
    d->first = r;
  d->last = r;
  d->pending++;
  pthread_cond_signal (&d->work);
  pthread_mutex_unlock (&d->lock);
  return ASYNC;
}

API VixError
VixDiskLib_ReadAsync (void *d, uint64_t start, uint64_t count, unsigned char *buf, CompletionCB done, void *data)
{
  return queue (d, start, count, buf, NULL, done, data);
}

API VixError
VixDiskLib_WriteAsync (void *d, uint64_t start, uint64_t count, const unsigned char *buf, CompletionCB done,
                       void *data)
{
  return queue (d, start, count, NULL, buf, done, data);
}

/* Wait for all asynchronous requests. */
API VixError
VixDiskLib_Wait (void *handle)
{
  Disk *d = handle;
  pthread_mutex_lock (&d->lock);
  while (d->pending)
    pthread_cond_wait (&d->idle, &d->lock);
  pthread_mutex_unlock (&d->lock);
  return OK;
}

API VixError
VixDiskLib_Flush (void *handle)
{
  Disk *d = handle;
  if (d->nbd != -1) {
    pthread_mutex_lock (&d->asking);
    bool done = nbd_ask (d->nbd, NBD_FLUSH, 0, 0, NULL, NULL);
    pthread_mutex_unlock (&d->asking);
    return done ? OK : E_FILE_ERROR;
  }
  return !d->read_only && fdatasync (d->layer[0].fd) ? E_FILE_ERROR : OK;
}

API VixError
VixDiskLib_Close (void *handle)
{
  Disk *d = handle;
  pthread_mutex_lock (&d->lock);
  d->closing = true;
  pthread_cond_broadcast (&d->work);
  pthread_mutex_unlock (&d->lock);
  for (int i = 0; i < d->workers; i++)
    pthread_join (d->worker[i], NULL);
  free_disk (d);
  return OK;
}

API VixError
VixDiskLib_Create (void *connection, const char *path, const void *params, void *progress, void *data)
{
  (void) connection;
  (void) path;
  (void) params;
  (void) progress;
  (void) data;
  return E_NOT_SUPPORTED;
}

/* ---- which parts of a disk hold data -------------------------------------- */

/* Whether one of the overlays has a cluster between two byte offsets, or has got one since it was opened. */
static bool
in_overlays (const Disk *d, uint64_t from, uint64_t to)
{
  for (uint64_t chunk = from / SECTOR / MIN_CHUNK; d->written && chunk * MIN_CHUNK * SECTOR < to; chunk++)
    if (d->written[chunk])
      return true;
  for (int i = 0; i < d->layers - 1; i++)
    for (uint64_t o = from; o < to; o += 1ull << d->layer[i].bits)
      if (find_cluster (&d->layer[i], o))
        return true;
  return false;
}

/* The allocated parts in whole chunks, all counted in sectors, as the real call answers. */
API VixError
VixDiskLib_QueryAllocatedBlocks (void *handle, uint64_t start, uint64_t count, uint64_t chunk, BlockList **out)
{
  const Disk *d = handle;
  if (chunk < MIN_CHUNK || chunk % MIN_CHUNK || start % chunk)
    return E_INVALID_ARG;
  uint64_t end = count > d->sectors - start ? d->sectors : start + count;
  size_t room = 64, n = 0;
  BlockList *list = malloc (sizeof *list + room * sizeof (Block));
  int base = d->layer[d->layers - 1].fd;
  uint64_t data = 0, hole = 0; /* the base's stretch of data at or after the place looked at */

  for (uint64_t pos = start; list && pos < end; pos += chunk) {
    uint64_t to = pos + chunk > end ? end : pos + chunk;
    if (hole <= pos * SECTOR && data != UINT64_MAX) {
      off_t found = lseek (base, pos * SECTOR, SEEK_DATA);
      if (found == -1 && errno != ENXIO) {
        free (list);
        return E_FILE_ERROR;
      }
      data = found == -1 ? UINT64_MAX : (uint64_t) found;
      hole = found == -1 ? UINT64_MAX : (uint64_t) lseek (base, found, SEEK_HOLE);
    }
    bool in_base = data != UINT64_MAX && data < to * SECTOR && hole > pos * SECTOR;
    if (!in_base && !in_overlays (d, pos * SECTOR, to * SECTOR))
      continue;
    if (n && list->blocks[n - 1].offset + list->blocks[n - 1].length == pos) {
      list->blocks[n - 1].length += to - pos;
      continue;
    }
    if (n == room) {
      BlockList *more = realloc (list, sizeof *list + (room *= 2) * sizeof (Block));
      if (!more)
        free (list);
      list = more;
      if (!list)
        break;
    }
    list->blocks[n].offset = pos;
    list->blocks[n++].length = to - pos;
  }
  if (!list)
    return E_OUT_OF_MEMORY;
  list->numBlocks = n;
  *out = list;
  return OK;
}

API VixError
VixDiskLib_FreeBlockList (BlockList *list)
{
  free (list);
  return OK;
}
