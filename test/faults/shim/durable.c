/*
 * What a power cut would leave, kept beside the files as POSIX promises it and no more:
 *   SHADOW/inodes/<inode>  content at its last fsync     SHADOW/tree/…  names at their directory's last fsync
 * A name in tree/ is a hard link to the inode's file, so later fsyncs of the file show under each durable name. A directory
 * whose own name is not durable yet has mode 0700. A cut is then: kill, and put tree/ in the place of ROOT.
 *
 * Not modelled: writes that reach the disk without fsync, torn sectors, mapped writes, renamed directories; bytes that one
 * process wrote and another synced count as lost.
 */
#include "shim.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct extent {
  ino_t inode;
  int64_t from, to;
  struct extent *next;
};

static struct extent *buckets[4096];
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static int own_open(const char *path, int flags) {
  return REAL(open)(path, flags | O_CLOEXEC, 0600);
}

/* One process at a time changes the shadow: two may sync one directory at once. */
static int lock_shadow(void) {
  char path[4200];
  snprintf(path, sizeof path, "%s/lock", shim_shadow);
  int lock = own_open(path, O_RDWR | O_CREAT);
  if (lock >= 0) flock(lock, LOCK_EX);
  pthread_mutex_lock(&guard);
  return lock;
}

static void unlock_shadow(int lock) {
  pthread_mutex_unlock(&guard);
  if (lock >= 0) REAL(close)(lock);
}

static void inode_file(char path[4200], ino_t inode) {
  snprintf(path, 4200, "%s/inodes/%llu", shim_shadow, (unsigned long long)inode);
}

static struct extent **extent_of(ino_t inode) {
  struct extent **at = &buckets[inode % 4096];
  while (*at && (*at)->inode != inode) at = &(*at)->next;
  return at;
}

static void forget(ino_t inode) {
  struct extent **at = extent_of(inode), *found = *at;
  if (!found) return;
  *at = found->next;
  free(found);
}

void durable_created(int fd) {
  struct stat file;
  char path[4200];
  if (!shim_shadow[0] || fstat(fd, &file) != 0) return;
  int lock = lock_shadow();
  forget(file.st_ino);
  inode_file(path, file.st_ino);
  /* The number may be that of a file deleted since; a durable name keeps the old content alive. */
  unlink(path);
  unlock_shadow(lock);
}

void durable_dirty(int fd, int64_t from, int64_t to) {
  struct stat file;
  if (!shim_shadow[0] || fstat(fd, &file) != 0) return;
  pthread_mutex_lock(&guard);
  struct extent **at = extent_of(file.st_ino);
  if (!*at) {
    struct extent fresh = { file.st_ino, from, to, NULL };
    *at = malloc(sizeof fresh);
    if (*at) **at = fresh;
  } else {
    if (from < (*at)->from) (*at)->from = from;
    if (to > (*at)->to) (*at)->to = to;
  }
  pthread_mutex_unlock(&guard);
}

void durable_forgotten(int fd) {
  struct stat file;
  if (!shim_shadow[0] || fstat(fd, &file) != 0) return;
  pthread_mutex_lock(&guard);
  forget(file.st_ino);
  pthread_mutex_unlock(&guard);
}

static void copy_range(int source, int target, int64_t from, int64_t to) {
  static char buffer[1 << 16];
  while (from < to) {
    size_t wanted = (size_t)(to - from) < sizeof buffer ? (size_t)(to - from) : sizeof buffer;
    ssize_t got = pread(source, buffer, wanted, from);
    if (got <= 0 || REAL(pwrite)(target, buffer, (size_t)got, from) != got) return;
    from += got;
  }
}

static void sync_file(int fd, const struct stat *file) {
  char path[4200], own[64];
  inode_file(path, file->st_ino);
  int known = access(path, F_OK) == 0;
  struct extent **dirty = extent_of(file->st_ino);
  int64_t from = known ? (*dirty ? (*dirty)->from : 0) : 0, to = known ? (*dirty ? (*dirty)->to : 0) : file->st_size;
  forget(file->st_ino);
  int target = own_open(path, O_RDWR | O_CREAT);
  if (target < 0) return;
  /* A second descriptor would drop SQLite's locks when closed: only where this one cannot be read, and nothing is locked. */
  int readable = (fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY, source = fd;
  snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
  if (!readable) source = own_open(own, O_RDONLY);
  copy_range(source, target, from, to < file->st_size ? to : file->st_size);
  if (REAL(ftruncate)(target, file->st_size) != 0) perror("shim: shadow");
  if (!readable) REAL(close)(source);
  REAL(close)(target);
}

/* As mkdir -p; what is missing on the way has no durable name. */
static void make_shadow_directory(char *path) {
  for (char *at = path + strlen(shim_shadow) + 6; (at = strchr(at, '/')); at++) {
    *at = 0;
    mkdir(path, 0700);
    *at = '/';
  }
  mkdir(path, 0700);
}

static void link_name(ino_t inode, const char *name_path) {
  char content[4200], fresh[8400];
  struct stat there, wanted;
  inode_file(content, inode);
  int target = own_open(content, O_RDWR | O_CREAT);
  if (target < 0) return;
  fstat(target, &wanted);
  REAL(close)(target);
  if (stat(name_path, &there) == 0 && there.st_ino == wanted.st_ino) return;
  snprintf(fresh, sizeof fresh, "%s.linking", name_path);
  if (link(content, fresh) == 0) rename(fresh, name_path);
}

static void each_entry(const char *directory, void (*look)(const char *name, void *with), void *with) {
  DIR *entries = opendir(directory);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) look(entry->d_name, with);
  }
  if (entries) closedir(entries);
}

struct both { const char *real, *shadow; };

static void take_name(const char *name, void *with) {
  struct both *of = with;
  char real[8400], shadow[8400];
  struct stat entry;
  snprintf(real, sizeof real, "%s/%s", of->real, name);
  snprintf(shadow, sizeof shadow, "%s/%s", of->shadow, name);
  if (lstat(real, &entry) != 0) return;
  if (S_ISDIR(entry.st_mode)) {
    mkdir(shadow, 0700);
    chmod(shadow, 0755);
  } else if (S_ISREG(entry.st_mode)) {
    link_name(entry.st_ino, shadow);
  }
}

static void drop_name(const char *name, void *with) {
  struct both *of = with;
  char real[8400], shadow[8400];
  snprintf(real, sizeof real, "%s/%s", of->real, name);
  snprintf(shadow, sizeof shadow, "%s/%s", of->shadow, name);
  if (access(real, F_OK) != 0 && unlink(shadow) != 0) chmod(shadow, 0700);
}

static void sync_directory(const char *path) {
  char shadow[8400];
  snprintf(shadow, sizeof shadow, "%s/tree%s", shim_shadow, path + shim_root_length);
  make_shadow_directory(shadow);
  struct both of = { path, shadow };
  each_entry(path, take_name, &of);
  each_entry(shadow, drop_name, &of);
}

void durable_synced(int fd) {
  struct stat file;
  char path[4096];
  if (!shim_shadow[0] || fstat(fd, &file) != 0) return;
  int before = errno, lock = lock_shadow();
  if (S_ISDIR(file.st_mode)) {
    if (shim_path(fd, path)) sync_directory(path);
  } else {
    sync_file(fd, &file);
  }
  unlock_shadow(lock);
  errno = before;
}
