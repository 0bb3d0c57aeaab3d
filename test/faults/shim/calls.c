/* The calls that stand in for libc's: which file, may it fail now, what is then durable. */
#include "shim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static unsigned char watched[1 << 16];
static const int64_t EVERYTHING = INT64_MAX;

int shim_watches(int fd) {
  return fd >= 0 && fd < (1 << 16) && watched[fd];
}

int shim_path(int fd, char path[4096]) {
  char own[64];
  snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(own, path, 4095);
  if (length <= 0) return 0;
  path[length] = 0;
  return shim_root_length > 0 && strncmp(path, shim_root, shim_root_length) == 0
    && (path[shim_root_length] == '/' || path[shim_root_length] == 0);
}

static int filtered(int fd) {
  char path[4096];
  return !shim_control->filter[0] || (shim_path(fd, path) && strstr(path, shim_control->filter));
}

static int no_space(int fd, size_t bytes) {
  struct control *control = shim_control;
  if (!control || !control->full || !shim_watches(fd) || !filtered(fd)) return 0;
  if (__atomic_sub_fetch(&control->space, (int64_t)bytes, __ATOMIC_SEQ_CST) >= 0) return 0;
  __atomic_add_fetch(&control->enospc_hits, 1, __ATOMIC_SEQ_CST);
  errno = ENOSPC;
  return 1;
}

static int sync_fails(int fd) {
  struct control *control = shim_control;
  if (!control || control->sync_failures <= 0 || !filtered(fd)) return 0;
  if (__atomic_fetch_sub(&control->sync_failures, 1, __ATOMIC_SEQ_CST) <= 0) return 0;
  durable_forgotten(fd);
  __atomic_add_fetch(&control->eio_hits, 1, __ATOMIC_SEQ_CST);
  errno = EIO;
  return 1;
}

/* ------------------------------------------------------------ opening */

static int opened(int fd, int created) {
  char path[4096];
  if (fd < 0 || fd >= (1 << 16)) return fd;
  int before = errno;
  watched[fd] = (unsigned char)shim_path(fd, path);
  if (created && watched[fd]) durable_created(fd);
  errno = before;
  return fd;
}

static int creates(int directory, const char *path, int flags) {
  if (!(flags & O_CREAT)) return 0;
  int before = errno, missing = faccessat(directory, path, F_OK, 0) != 0;
  errno = before;
  return missing;
}

#define OPEN(name, declared, directory, call) \
  int name declared { \
    va_list rest; va_start(rest, flags); \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    shim_start(); \
    int created = creates(directory, path, flags); \
    return opened(REAL(name) call, created); \
  }

OPEN(open, (const char *path, int flags, ...), AT_FDCWD, (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), at, (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), at, (at, path, flags, mode))

int close(int fd) {
  if (fd >= 0 && fd < (1 << 16)) watched[fd] = 0;
  return REAL(close)(fd);
}

/* ------------------------------------------------------------ writing */

static ssize_t wrote(int fd, ssize_t bytes, int64_t offset) {
  if (bytes <= 0 || !shim_watches(fd)) return bytes;
  int before = errno;
  int64_t from = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR) - bytes;
  durable_dirty(fd, from, from + bytes);
  errno = before;
  return bytes;
}

static size_t total(const struct iovec *parts, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
  return bytes;
}

ssize_t write(int fd, const void *data, size_t bytes) {
  return no_space(fd, bytes) ? -1 : wrote(fd, REAL(write)(fd, data, bytes), -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return no_space(fd, total(parts, count)) ? -1 : wrote(fd, REAL(writev)(fd, parts, count), -1);
}

#define PWRITE(name) ssize_t name(int fd, const void *data, size_t bytes, off_t offset) { \
    return no_space(fd, bytes) ? -1 : wrote(fd, REAL(name)(fd, data, bytes, offset), offset); \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define PWRITEV(name) ssize_t name(int fd, const struct iovec *parts, int count, off_t offset) { \
    return no_space(fd, total(parts, count)) ? -1 : wrote(fd, REAL(name)(fd, parts, count, offset), offset); \
  }
PWRITEV(pwritev)
PWRITEV(pwritev64)

#define FTRUNCATE(name) int name(int fd, off_t length) { \
    struct stat file; \
    int64_t size = shim_watches(fd) && fstat(fd, &file) == 0 ? file.st_size : length; \
    if (length > size && no_space(fd, (size_t)(length - size))) return -1; \
    int result = REAL(name)(fd, length); \
    if (result == 0 && shim_watches(fd)) durable_dirty(fd, length < size ? length : size, length > size ? length : size); \
    return result; \
  }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

#define COPY(name, declared, call) ssize_t name declared { \
    if (no_space(to, bytes)) return -1; \
    ssize_t copied = REAL(name) call; \
    if (copied > 0 && shim_watches(to)) durable_dirty(to, 0, EVERYTHING); \
    return copied; \
  }
COPY(sendfile, (int to, int from, off_t *offset, size_t bytes), (to, from, offset, bytes))
COPY(sendfile64, (int to, int from, off_t *offset, size_t bytes), (to, from, offset, bytes))
COPY(copy_file_range, (int from, off_t *in, int to, off_t *out, size_t bytes, unsigned flags), (from, in, to, out, bytes, flags))

#define FALLOCATE(name) int name(int fd, off_t offset, off_t length) { \
    if (no_space(fd, (size_t)length)) return ENOSPC; \
    int result = REAL(name)(fd, offset, length); \
    if (result == 0 && shim_watches(fd)) durable_dirty(fd, offset, offset + length); \
    return result; \
  }
FALLOCATE(posix_fallocate)
FALLOCATE(posix_fallocate64)

/* ------------------------------------------------------------ syncing */

#define SYNC(name) int name(int fd) { \
    if (!shim_watches(fd)) return REAL(name)(fd); \
    if (sync_fails(fd)) return -1; \
    int result = REAL(name)(fd); \
    if (result != 0) return result; \
    durable_synced(fd); \
    if (shim_control) __atomic_add_fetch(&shim_control->syncs, 1, __ATOMIC_SEQ_CST); \
    return result; \
  }
SYNC(fsync)
SYNC(fdatasync)

/* ------------------------------------------------------------ the wall clock */

static int64_t skew(void) {
  shim_start();
  if (!shim_control || shim_control->skew_ns == 0) return 0;
  __atomic_add_fetch(&shim_control->skew_hits, 1, __ATOMIC_RELAXED);
  return shim_control->skew_ns;
}

static void add_ns(struct timespec *time, int64_t ns) {
  int64_t sum = time->tv_nsec + ns % 1000000000, carry = sum < 0 ? -1 : sum / 1000000000;
  time->tv_nsec = sum - carry * 1000000000;
  time->tv_sec += ns / 1000000000 + carry;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = REAL(clock_gettime)(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) add_ns(time, skew());
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  int result = REAL(gettimeofday)(time, zone);
  struct timespec exact = { time->tv_sec, time->tv_usec * 1000 };
  add_ns(&exact, skew());
  time->tv_sec = exact.tv_sec;
  time->tv_usec = exact.tv_nsec / 1000;
  return result;
}

time_t time(time_t *where) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (where) *where = now.tv_sec;
  return now.tv_sec;
}
