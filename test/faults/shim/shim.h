/*
 * A disk and a clock that fail when told to, under Node and Python: preloaded, it stands between them and libc.
 *
 *   STEMMA_TEST_SHIM_ROOT     files below it are watched; all others pass through untouched
 *   STEMMA_TEST_SHIM_CONTROL  folder of control files, one a role: <role>.ctl, shared memory, read at every call
 *   STEMMA_TEST_SHIM_SHADOW   what a power cut would leave of ROOT (durable.c); absent: not kept
 */
#ifndef STEMMA_SHIM_H
#define STEMMA_SHIM_H
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Offsets are named in ../harness/shim.ts. */
struct control {
  int64_t skew_ns;         /*   0: added to the wall clock */
  int64_t full;            /*   8: 1: writes beyond `space` bytes fail with ENOSPC */
  int64_t space;           /*  16: bytes that may still be written */
  int64_t sync_failures;   /*  24: so many of the next fsyncs fail with EIO */
  int64_t enospc_hits;     /*  32: calls that failed with ENOSPC */
  int64_t eio_hits;        /*  40: fsyncs that failed with EIO */
  int64_t skew_hits;       /*  48: clock readings that were skewed */
  int64_t syncs;           /*  56: fsyncs that went through */
  char reserved[64];
  char filter[128];        /* 128: only paths that contain it fail; empty: all */
};

extern struct control *shim_control;
extern char shim_root[4096], shim_shadow[4096];
extern size_t shim_root_length;

/* The next definition of a libc function, looked up once. */
#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

void shim_start(void);
int shim_watches(int fd);
/* Absolute path of an open file; 0 if it has none below ROOT. */
int shim_path(int fd, char path[4096]);

/* A file that has just been created: nothing of its inode is durable. */
void durable_created(int fd);
/* Bytes [from, to) differ from what is durable. */
void durable_dirty(int fd, int64_t from, int64_t to);
/* fsync of a file or directory went through. */
void durable_synced(int fd);
/* fsync failed: the kernel calls the pages clean, and they are lost. */
void durable_forgotten(int fd);

#endif
